//! `[assets.*]` and `[globs.*]`: entries that name files, each checked by itself and against the
//! others.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;

use super::asset::{AssetKeys, KeyPlace, NamedType};
use super::diagnostic::{ErrorSink, ManifestError, shown};
use super::links::asset_id_digits;
use super::paths::{normalized, read_path};
use super::pattern::{self, read_pattern};
use super::read::{FOR_PATH, KeyValue, TableReader};
use super::suggest::either;
use crate::model::address::Address;
use crate::model::asset::{AssetType, FileFormat};
use crate::model::metadata::MAX_SOCIAL_LINKS;
use crate::model::path::ProjectPath;

/// An entry of `[assets]`, the defaults merged in.
#[derive(Debug, Clone)]
pub(super) struct AssetEntry<P = Spanned<ProjectPath>> {
    pub(super) address: Address,
    /// Its key under `[assets]`.
    pub(super) key: Range<usize>,
    pub(super) path: P,
    pub(super) keys: AssetKeys,
}

/// An entry while it is read: its path may have been unreadable.
pub(super) type DraftEntry = AssetEntry<Option<Spanned<ProjectPath>>>;

/// An entry of `[globs]`, the defaults merged in.
#[derive(Debug, Clone)]
pub(super) struct GlobEntry {
    pub(super) name: String,
    pub(super) pattern: Spanned<String>,
    pub(super) exclude: Vec<String>,
    pub(super) keys: AssetKeys,
}

impl DraftEntry {
    /// The type that needs no look into the file.
    pub(super) fn certain_type(&self) -> Option<AssetType> {
        let path = self.path.as_ref().map(Spanned::get_ref);
        match &self.keys.asset_type {
            NamedType::Named(asset_type) => Some(*asset_type.get_ref()),
            NamedType::Unreadable => None,
            NamedType::Unset => path.and_then(type_of_extension),
        }
    }

    pub(super) fn complete(self) -> Option<AssetEntry> {
        let Self { address, key, path, keys } = self;
        Some(AssetEntry { address, key, path: path?, keys })
    }
}

/// The format that a file's extension promises.
pub(super) fn format_of(path: &ProjectPath) -> Option<FileFormat> {
    FileFormat::of_extension(&path.extension()?)
}

/// The type that a file's extension alone decides: Roblox's own model files may be animations.
pub(super) fn type_of_extension(path: &ProjectPath) -> Option<AssetType> {
    match format_of(path)? {
        FileFormat::Rbxm | FileFormat::Rbxmx => None,
        format => format.types().first().copied(),
    }
}

/// The key of a table whose keys are addresses.
pub(super) fn read_address(field: &KeyValue<'_>, report: &mut ErrorSink) -> Option<Address> {
    let address = Address::new(field.name);
    address.map_err(|error| report.add(ManifestError::new(field.key.clone(), error.to_string()))).ok()
}

/// Keys of an entry, which somebody may have written without an entry's name above them.
const ASSET_KEYS: [&str; 6] = ["path", "type", "display_name", "description", "privacy", "exclude"];

/// `[assets]` with `path = …` right below it.
fn keys_without_a_name(table: &str, field: &KeyValue<'_>) -> ManifestError {
    let (what, example) = if table == "assets" { ("each asset", "sword") } else { ("each glob", "ui") };
    ManifestError::new(field.key.clone(), format!("{} is set without a name above it", shown(field.name)))
        .hint(format!("{what} has a name of its own: write [{table}.{example}] in place of [{table}]"))
}

/// Whether an entry is the first part of a name with a dot, which its unknown key says better.
fn looks_dotted(table: &TableReader<'_>) -> bool {
    FileFormat::ALL.into_iter().flat_map(FileFormat::extensions).any(|extension| table.has_any(&[extension]))
}

/// Reads `[assets]`.
pub(super) fn read_assets(fields: TableReader<'_>, defaults: &AssetKeys, report: &mut ErrorSink) -> Vec<DraftEntry> {
    let mut drafts: Vec<DraftEntry> = Vec::new();
    for field in fields.rest() {
        let address = read_address(&field, report);
        if let Some(address) = &address
            && asset_id_digits(address.as_str()).is_some()
        {
            let fault =
                ManifestError::new(field.key.clone(), format!("the name {} looks like an asset ID", shown(field.name)));
            report.add(fault.hint("give it another name"));
        }
        if ASSET_KEYS.contains(&field.name) && !matches!(field.value.get_ref(), toml::de::DeValue::Table(_)) {
            report.add(keys_without_a_name("assets", &field));
            return Vec::new();
        }
        if let toml::de::DeValue::String(text) = field.value.get_ref() {
            let path: String = text.chars().take(60).collect();
            let hint = format!("write {{ path = \"{}\" }}", path.escape_default());
            report.add(field.wrong_kind("a table").hint(hint));
            continue;
        }
        let Some(mut table) = field.table(shown(&format!("[assets.{}]", field.name)), report) else { continue };
        table.set_table_hint("a name with a dot must be in quotes: [assets.\"close.png\"]");
        let path = table.take("path");
        let keys = AssetKeys::read(&mut table, KeyPlace::Asset, report).over(defaults);
        let is_told = table.has_any(&FOR_PATH) || looks_dotted(&table);
        table.finish(report);
        if path.is_none() && !is_told {
            let fault = ManifestError::new(field.key.clone(), format!("the asset {} has no `path`", shown(field.name)));
            report.add(fault.hint("set `path` to its file, relative to the manifest's folder"));
        }
        let path = path.and_then(|path| Some(Spanned::new(path.place(), read_path(&path, report)?)));
        check_links(&keys, &field.key, report);
        check_type(path.as_ref(), &keys, report);
        if let Some(address) = address {
            drafts.push(AssetEntry { address, key: field.key, path, keys });
        }
    }
    check_privacy(drafts.iter().map(|draft| (&draft.keys, draft.certain_type())), report);
    check_clashes(&drafts, report);
    drafts
}

fn check_links(keys: &AssetKeys, place: &Range<usize>, report: &mut ErrorSink) {
    let count = keys.social_links.values().flatten().count();
    if count > MAX_SOCIAL_LINKS {
        let message = format!("an asset has at most {MAX_SOCIAL_LINKS} social links, this one has {count}");
        report.add(
            ManifestError::new(place.clone(), message).hint("those of [defaults] count; a link is left out with \"\""),
        );
    }
}

fn check_privacy<'k>(entries: impl Iterator<Item = (&'k AssetKeys, Option<AssetType>)>, report: &mut ErrorSink) {
    for (keys, asset_type) in entries {
        if let (true, Some(privacy), Some(asset_type)) = (keys.overrides_privacy(), &keys.privacy, asset_type)
            && !asset_type.allows_privacy_override()
        {
            let fault = ManifestError::new(privacy.span(), privacy_message(asset_type));
            report.add(fault.hint(privacy_hint()));
        }
    }
}

/// Why a privacy can't be chosen for a type.
pub(super) fn privacy_message(asset_type: AssetType) -> String {
    format!("the privacy of {} {asset_type} can't be chosen", article(asset_type))
}

pub(super) fn privacy_hint() -> String {
    let types = AssetType::ALL.into_iter().filter(|one| one.allows_privacy_override()).map(AssetType::name);
    format!("it can for {}; leave it out for all others", either(types).replace(" or ", " and "))
}

/// The type has to take the format that the extension promises.
fn check_type(path: Option<&Spanned<ProjectPath>>, keys: &AssetKeys, report: &mut ErrorSink) {
    let Some(path) = path else { return };
    let Some(format) = format_of(path.get_ref()) else {
        let fault = ManifestError::new(
            path.span(),
            format!("{}: Roblox doesn't accept this kind of file", shown(path.get_ref().as_str())),
        );
        report.add(fault.hint(match path.get_ref().extension() {
            Some(extension) => extension_hint(&extension),
            None => folder_hint(path.get_ref()),
        }));
        return;
    };
    if let NamedType::Named(asset_type) = &keys.asset_type {
        check_format(asset_type, format, report);
    }
}

fn check_format(asset_type: &Spanned<AssetType>, format: FileFormat, report: &mut ErrorSink) {
    if !format.types().contains(asset_type.get_ref()) {
        let fault = ManifestError::new(asset_type.span(), format_message(*asset_type.get_ref(), format));
        report.add(fault.hint(format_hint(format)));
    }
}

/// Why a type can't be made from a format.
pub(super) fn format_message(asset_type: AssetType, format: FileFormat) -> String {
    let extension = format.extensions().first().copied().unwrap_or("");
    format!("{} {asset_type} can't be made from a .{extension} file", article(asset_type))
}

pub(super) fn format_hint(format: FileFormat) -> String {
    let extension = format.extensions().first().copied().unwrap_or("");
    format!("a .{extension} file becomes {}", either(format.types().iter().map(|one| one.name())))
}

/// The indefinite article of a type's name.
pub(super) fn article(asset_type: AssetType) -> &'static str {
    match asset_type {
        AssetType::Animation | AssetType::Image | AssetType::Audio => "an",
        AssetType::Model | AssetType::Decal | AssetType::Video | AssetType::Mesh => "a",
    }
}

/// What to export a file as that Roblox doesn't take, by what it holds.
const EXPORTS: [(&[&str], &str); 4] = [
    (
        &[
            "webp", "svg", "psd", "gif", "tif", "tiff", "avif", "heic", "ai", "xcf", "kra", "aseprite", "ase", "dds",
            "ico",
        ],
        "export it as .png",
    ),
    (&["blend", "obj", "dae", "max", "ma", "mb", "stl", "3ds", "c4d", "usd", "usdz"], "export it as .fbx or .glb"),
    (&["m4a", "aac", "wma", "aif", "aiff", "opus", "mid", "midi"], "export it as .mp3 or .ogg"),
    (&["avi", "mkv", "webm", "wmv", "flv", "m4v"], "export it as .mp4"),
];

fn extension_hint(extension: &str) -> String {
    if let "rbxl" | "rbxlx" = extension {
        return "a place isn't an asset: save the model itself as .rbxm".to_owned();
    }
    match EXPORTS.iter().find(|(extensions, _)| extensions.contains(&extension)) {
        Some((_, export)) => format!("{export}, and name that file here"),
        None => extensions_hint(),
    }
}

/// For a path without an extension, which is mostly a folder.
fn folder_hint(path: &ProjectPath) -> String {
    let path = shown(path.as_str()).replace('`', "");
    format!(
        "if it is a folder, list its files by a glob: [globs.NAME] with path = \"{path}/**/*.png\"; if it is a file, write its extension too"
    )
}

fn extensions_hint() -> String {
    let all = FileFormat::ALL.into_iter().flat_map(FileFormat::extensions).map(|extension| format!(".{extension}"));
    format!("Roblox accepts {}", all.collect::<Vec<_>>().join(" "))
}

/// Two entries that give one address, or two addresses for one path: the first of each is in force
/// for the checks that follow.
fn check_clashes(drafts: &[DraftEntry], report: &mut ErrorSink) {
    let mut addresses: BTreeMap<&Address, &Range<usize>> = BTreeMap::new();
    let mut paths: BTreeMap<String, (&Address, Range<usize>)> = BTreeMap::new();
    for draft in drafts {
        if let Some(first) = addresses.get(&draft.address) {
            let fault = ManifestError::new(
                draft.key.clone(),
                format!("two assets have the address {}", shown(draft.address.as_str())),
            );
            let hint = "they look different but are the same name in Unicode; rename one";
            report.add(fault.also((*first).clone(), "the first one").hint(hint));
        } else {
            addresses.insert(&draft.address, &draft.key);
        }
        let Some(path) = &draft.path else { continue };
        let same = normalized(path.get_ref());
        if let Some((first, place)) = paths.get(&same) {
            let (one, two) = (shown(first.as_str()), shown(draft.address.as_str()));
            let fault =
                ManifestError::new(path.span(), format!("{one} and {two} have the same path, {}", shown(&same)));
            report.add(fault.also(place.clone(), format!("the path of {one}")).hint("keep one address for each file"));
        } else {
            paths.insert(same, (&draft.address, path.span()));
        }
    }
}

/// The most patterns of all globs together, those of `exclude` among them: each file is compared
/// with each.
const MAX_PATTERNS: usize = 1_000;

/// Reads `[globs]`.
pub(super) fn read_globs(fields: TableReader<'_>, defaults: &AssetKeys, report: &mut ErrorSink) -> Vec<GlobEntry> {
    let mut globs: Vec<GlobEntry> = Vec::new();
    let place = fields.place.clone();
    for field in fields.rest() {
        if ASSET_KEYS.contains(&field.name) && !matches!(field.value.get_ref(), toml::de::DeValue::Table(_)) {
            report.add(keys_without_a_name("globs", &field));
            return Vec::new();
        }
        let Some(mut table) = field.table(shown(&format!("[globs.{}]", field.name)), report) else { continue };
        let path = table.take("path");
        let exclude = table.take("exclude").and_then(|field| field.texts(report)).unwrap_or_default();
        let exclude = exclude.into_iter().filter_map(|text| read_pattern(text, report)).collect();
        let keys = AssetKeys::read(&mut table, KeyPlace::Glob, report).over(defaults);
        let is_told = table.has_any(&FOR_PATH);
        table.finish(report);
        check_links(&keys, &field.key, report);
        let Some(path) = path else {
            if is_told {
                continue;
            }
            let fault = ManifestError::new(field.key, format!("the glob {} has no `path`", shown(field.name)));
            report.add(fault.hint("set `path` to a pattern, such as \"ui/**/*.png\""));
            continue;
        };
        let place = path.place();
        let text = path.text(report).map(|text| Spanned::new(place.clone(), text));
        let Some(pattern) = text.and_then(|text| read_pattern(text, report)) else { continue };
        check_glob_type(&Spanned::new(place.clone(), pattern.as_str()), &keys, report);
        globs.push(GlobEntry { name: field.name.to_owned(), pattern: Spanned::new(place, pattern), exclude, keys });
    }
    let patterns: usize = globs.iter().map(|glob| glob.exclude.len() + 1).sum();
    if patterns > MAX_PATTERNS {
        let fault = ManifestError::new(place, format!("[globs] has {patterns} patterns, and may have {MAX_PATTERNS}"));
        report.add(fault.hint("one pattern finds many files: \"ui/**/*.png\""));
        globs.clear();
    }
    globs
}

/// Checks the type against the extension at the end of the pattern. Patterns without one are
/// checked file by file.
fn check_glob_type(pattern: &Spanned<&str>, keys: &AssetKeys, report: &mut ErrorSink) {
    let named = keys.asset_type.named();
    let Some(extension) = pattern::extension(pattern.get_ref()) else {
        check_privacy(std::iter::once((keys, named)), report);
        return;
    };
    let Some(format) = FileFormat::of_extension(&extension) else {
        let fault = ManifestError::new(
            pattern.span(),
            format!("{} finds no files that Roblox accepts", shown(pattern.get_ref())),
        );
        report.add(fault.hint(extension_hint(&extension)));
        return;
    };
    if let NamedType::Named(asset_type) = &keys.asset_type {
        check_format(asset_type, format, report);
    }
    let only = match (&keys.asset_type, format.types()) {
        (NamedType::Unset, [only]) => Some(*only),
        _ => named,
    };
    check_privacy(std::iter::once((keys, only)), report);
}
