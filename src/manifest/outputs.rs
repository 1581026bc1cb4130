//! `[[outputs]]`: the files that Macadam writes for the game's code.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use unicode_normalization::UnicodeNormalization;

use super::diagnostic::{ErrorSink, ManifestError, shown};
use super::entry::DraftEntry;
use super::paths::{normalized, read_path};
use super::pattern::{self, read_pattern};
use super::read::{KeyValue, TableReader};
use super::suggest::either;
use crate::model::identifier::{identifier_of, is_identifier};
use crate::model::output::{Language, MissingAsset, Output, OutputStyle, TypeWidth, ValueForm};
use crate::model::path::{ProjectPath, is_guarded};

pub(super) const STYLES: [(&str, OutputStyle); 2] = [("flat", OutputStyle::Flat), ("nested", OutputStyle::Nested)];
pub(super) const VALUES: [(&str, ValueForm); 3] =
    [("uri", ValueForm::Uri), ("content", ValueForm::Content), ("id", ValueForm::Id)];
pub(super) const TYPES: [(&str, TypeWidth); 2] = [("wide", TypeWidth::Wide), ("literal", TypeWidth::Literal)];
pub(super) const MISSING: [(&str, MissingAsset); 3] =
    [("omit", MissingAsset::Omit), ("empty", MissingAsset::Empty), ("error", MissingAsset::Error)];

/// A longer name helps nobody.
const MAX_NAME: usize = 100;

/// All outputs, and the places of what they include.
#[derive(Debug, Clone, Default)]
pub(super) struct Outputs {
    pub(super) all: Vec<Output>,
    pub(super) includes: Vec<IncludedPattern>,
}

/// One pattern of an output's `include`.
#[derive(Debug, Clone)]
pub(super) struct IncludedPattern {
    /// As it is written.
    pub(super) pattern: Spanned<String>,
    /// The path of the output.
    pub(super) output: ProjectPath,
}

/// The files that an output must not overwrite.
pub(super) struct Taken<'a> {
    /// The name of the manifest's file.
    pub(super) manifest: &'a str,
    /// The assets that have a path of their own.
    pub(super) assets: &'a [DraftEntry],
}

/// One output while the others are read.
struct ParsedOutput {
    output: Output,
    place: Range<usize>,
    /// The keys that are written, each with its place.
    keys: BTreeMap<&'static str, Range<usize>>,
}

/// Reads the list of outputs.
pub(super) fn read_outputs(field: &KeyValue<'_>, taken: &Taken<'_>, report: &mut ErrorSink) -> Outputs {
    if let toml::de::DeValue::Table(_) = field.value.get_ref() {
        let fault = ManifestError::new(field.key.clone(), "`outputs` must be a list, not a table");
        report.add(fault.hint("write [[outputs]] with two brackets, once for each output"));
        return Outputs::default();
    }
    let Some(list) = field.list(report) else { return Outputs::default() };
    let mut includes = Vec::new();
    let mut drafts: Vec<ParsedOutput> = Vec::new();
    let mut paths: BTreeMap<String, Range<usize>> = BTreeMap::new();
    for value in list.iter() {
        let item = KeyValue { name: field.name, key: value.span(), value };
        let Some(fields) = item.table("`[[outputs]]`", report) else { continue };
        let Some(draft) = read_output(fields, taken, &mut includes, report) else { continue };
        // Two names that differ only by case are one file on Windows and macOS.
        let same = normalized(&draft.output.path).to_lowercase();
        let place = draft.place.clone();
        if let Some(first) = paths.get(&same) {
            let fault = ManifestError::new(place, format!("two outputs write {}", shown(draft.output.path.as_str())));
            report.add(fault.also(first.clone(), "the first one").hint("give each output a file of its own"));
        } else {
            paths.insert(same, place);
        }
        drafts.push(draft);
    }
    describe_modules(&mut drafts, report);
    Outputs { all: drafts.into_iter().map(|draft| draft.output).collect(), includes }
}

fn read_output(
    mut fields: TableReader<'_>,
    taken: &Taken<'_>,
    includes: &mut Vec<IncludedPattern>,
    report: &mut ErrorSink,
) -> Option<ParsedOutput> {
    let mut keys = BTreeMap::new();
    let mut take = |name: &'static str| {
        let field = fields.take(name);
        keys.extend(field.iter().map(|field| (name, field.key.clone())));
        field
    };
    let path = take("path");
    let style = take("style").and_then(|field| field.choice(&STYLES, report));
    let base = take("base").and_then(|field| read_base(&field, report));
    let name = take("name");
    let strip_extensions = take("strip_extensions").and_then(|field| field.boolean(report));
    let value = take("value");
    let types = take("types");
    let missing = take("missing").and_then(|field| field.choice(&MISSING, report));
    let include = take("include").and_then(|field| read_include(&field, report));
    let exclude = take("exclude").and_then(|field| read_patterns(&field, report));
    let header = fields.place.clone();
    fields.finish(report);
    let Some(path) = path else {
        report.add(
            ManifestError::new(header, "an output needs a `path`").hint("such as path = \"src/shared/assets.luau\""),
        );
        return None;
    };
    let (path, place) = (read_path(&path, report)?, path.place());
    let included = |pattern: &Spanned<String>| IncludedPattern { pattern: pattern.clone(), output: path.clone() };
    includes.extend(include.iter().flatten().map(included));
    let mut output = open(path, &place, taken, report)?;
    let language = output.language;
    let chosen = value.as_ref().and_then(|field| field.choice(&VALUES, report));
    if let (Some(field), Some(ValueForm::Content), Language::Json) = (&value, chosen, language) {
        let fault = field.fault("`content` is a value of Luau and TypeScript, and JSON has none");
        report.add(fault.hint("use `uri` or `id`"));
    }
    if let Some(field) = types.as_ref().filter(|_| !language.has_types()) {
        let fault = ManifestError::new(
            field.key.clone(),
            format!("`types` is for TypeScript, and this output is {}", language.name()),
        );
        report.add(fault.hint("leave it out, or set it in a `.ts` or `.d.ts` output"));
    }
    output.style = style.unwrap_or_default();
    output.base = base;
    output.strip_extensions = strip_extensions.unwrap_or(false);
    output.value = chosen.unwrap_or_default();
    output.types = types.and_then(|field| field.choice(&TYPES, report)).unwrap_or_default();
    output.missing = missing.unwrap_or_default();
    let plain = |all: Vec<Spanned<String>>| all.into_iter().map(Spanned::into_inner).collect();
    output.include = include.map(plain);
    output.exclude = exclude.map(plain).unwrap_or_default();
    if let Some(name) = name.and_then(|field| read_name(&field, language, report)) {
        output.name = name;
    }
    Some(ParsedOutput { output, place, keys })
}

/// An output with nothing but its path, unless something else is there.
fn open(path: ProjectPath, place: &Range<usize>, taken: &Taken<'_>, report: &mut ErrorSink) -> Option<Output> {
    let fault = |message: String| ManifestError::new(place.clone(), message);
    let written = normalized(&path);
    let lockfile = taken.manifest.rsplit_once('.').map_or(taken.manifest, |(stem, _)| stem).to_owned() + ".lock.toml";
    let own = [(taken.manifest, "the manifest"), (lockfile.as_str(), "the lockfile")];
    if let Some((_, what)) = own.iter().find(|(name, _)| *name == written) {
        report.add(fault(format!("{} is {what}", shown(&written))).hint("write the output elsewhere"));
        return None;
    }
    let asset = taken.assets.iter().find_map(|draft| {
        let path = draft.path.as_ref().filter(|path| normalized(path.get_ref()) == written)?;
        Some((path.span(), &draft.address))
    });
    if let Some((span, address)) = asset {
        let fault = fault(format!("{} is the file of the asset {}", shown(&written), shown(address.as_str())));
        report.add(fault.also(span, "the asset's path").hint("write the output elsewhere"));
        return None;
    }
    if let Some(folder) = written.split('/').find(|part| is_guarded(part)) {
        let fault = fault(format!("no output can be written into a {} folder", shown(folder)));
        report.add(fault.hint("write it where the game's code is"));
        return None;
    }
    let name = path.file_name().to_owned();
    let output = Output::new(path);
    if output.is_none() {
        let extensions = Language::EXTENSIONS.into_iter().map(|(extension, _)| extension);
        report.add(
            fault(format!("{} has an unknown extension", shown(&name)))
                .hint(format!("it can be {}", either(extensions))),
        );
    }
    output
}

/// A `.d.ts` file describes the Luau module beside it, so it holds the same keys: what it doesn't
/// say of them is what that one says.
fn describe_modules(drafts: &mut [ParsedOutput], report: &mut ErrorSink) {
    let modules: BTreeMap<String, (Output, Range<usize>)> = drafts
        .iter()
        .filter(|draft| draft.output.language == Language::Luau)
        .map(|draft| (draft.output.stem().to_owned(), (draft.output.clone(), draft.place.clone())))
        .collect();
    for draft in drafts.iter_mut().filter(|draft| draft.output.language == Language::TypeScriptDeclaration) {
        let Some((module, place)) = modules.get(draft.output.stem()) else {
            let path = format!("{}.luau", draft.output.stem());
            let fault = ManifestError::new(
                draft.place.clone(),
                "a `.d.ts` output describes a `.luau` output beside it, and there is none",
            );
            report.add(fault.hint(format!("add an output with path = \"{path}\", or write a `.ts` file")));
            continue;
        };
        for key in differing(&draft.output, module) {
            let Some(key_place) = draft.keys.get(key) else { continue };
            let fault = ManifestError::new(
                key_place.clone(),
                format!("`{key}` differs from that of {}", shown(module.path.as_str())),
            );
            let hint = format!("leave `{key}` out: a `.d.ts` output has the keys and values of the module beside it");
            report.add(fault.also(place.clone(), "the module that it describes").hint(hint));
        }
        let Output { path, language, types, name, .. } = draft.output.clone();
        let name = if draft.keys.contains_key("name") { name } else { module.name.clone() };
        draft.output = Output { path, language, types, name, ..module.clone() };
    }
}

/// The keys about which a `.d.ts` output and its module say different things.
fn differing(output: &Output, module: &Output) -> Vec<&'static str> {
    let Output {
        path: _,
        language: _,
        name: _,
        types: _,
        style,
        base,
        strip_extensions,
        value,
        missing,
        include,
        exclude,
    } = output;
    let differs = [
        ("style", *style != module.style),
        ("base", *base != module.base),
        ("strip_extensions", *strip_extensions != module.strip_extensions),
        ("value", *value != module.value),
        ("missing", *missing != module.missing),
        ("include", *include != module.include),
        ("exclude", *exclude != module.exclude),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}

/// Reads the name of the table or constant.
fn read_name(field: &KeyValue<'_>, language: Language, report: &mut ErrorSink) -> Option<String> {
    let name = field.text(report)?;
    if language == Language::Json {
        let fault = ManifestError::new(field.key.clone(), "`name` is for Luau and TypeScript, and JSON has no names");
        report.add(fault.hint("leave it out"));
        return None;
    }
    if !is_identifier(name) {
        let fault = field.fault(format!("{} can't be a name in Luau and TypeScript", shown(name)));
        let hint = format!("use letters, digits and `_`, and no reserved word: such as \"{}\"", identifier_of(name));
        report.add(if name.len() > MAX_NAME { fault } else { fault.hint(hint) });
        return None;
    }
    if name.len() > MAX_NAME {
        report.add(field.fault(format!("`name` can have at most {MAX_NAME} characters")));
        return None;
    }
    Some(name.to_owned())
}

/// Reads the folder that is cut off the front of addresses.
fn read_base(field: &KeyValue<'_>, report: &mut ErrorSink) -> Option<String> {
    let text = field.text(report)?;
    // Addresses are in NFC.
    let base: String = text.strip_prefix("./").unwrap_or(text).trim_end_matches('/').nfc().collect();
    if base.is_empty() {
        report.add(field.fault("`base` is empty").hint("leave it out to cut nothing off"));
        return None;
    }
    if base.contains(['*', '?', '[', '{']) {
        report.add(field.fault("`base` is a folder, not a pattern").hint("such as base = \"assets\""));
        return None;
    }
    Some(base)
}

fn read_include(field: &KeyValue<'_>, report: &mut ErrorSink) -> Option<Vec<Spanned<String>>> {
    let patterns = read_patterns(field, report)?;
    if let toml::de::DeValue::Array(list) = field.value.get_ref()
        && list.is_empty()
    {
        report.add(field.fault("`include` holds no pattern").hint("leave it out for all addresses"));
    }
    Some(patterns)
}

fn read_patterns(field: &KeyValue<'_>, report: &mut ErrorSink) -> Option<Vec<Spanned<String>>> {
    let texts = field.texts(report)?;
    // Addresses are in NFC, so their patterns are too.
    let mut read = |text: Spanned<&str>| Some(Spanned::new(text.span(), read_pattern(text, report)?.nfc().collect()));
    let patterns: Vec<Spanned<String>> = texts.into_iter().filter_map(&mut read).collect();
    if let Err(error) = pattern::set(patterns.iter().map(|pattern| pattern.get_ref().as_str())) {
        report.add(field.fault(format!("the patterns of {} are too many: {}", shown(field.name), error.kind())));
        return None;
    }
    Some(patterns)
}
