//! The manifest that a move writes, and its text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use globset::{GlobBuilder, GlobMatcher};

use super::claims::Claims;
use super::extension::ExtensionGroup;
use super::finding::{FindingKind, Findings};
use super::glob::escaped;
use super::source::{FileSet, OutputDraft, Source, Tool};
use crate::model::asset::AssetType;
use crate::model::ids::{AssetId, Creator};
use crate::model::toml_text::{TomlKey, TomlText};

/// A draft of the manifest.
#[derive(Debug, Clone)]
pub(crate) struct ManifestDraft {
    tool: Tool,
    creator: Creator,
    globs: Vec<GlobDraft>,
    /// Files with an entry of their own, by path.
    assets: BTreeMap<String, EntryDraft>,
    /// Assets that are used but not managed, with their input.
    existing: BTreeMap<String, (AssetId, usize)>,
    outputs: Vec<(OutputDraft, BTreeSet<usize>)>,
    inputs: usize,
}

#[derive(Debug, Clone)]
struct GlobDraft {
    input: usize,
    name: String,
    path: String,
    matcher: Option<GlobMatcher>,
    exclude: BTreeSet<String>,
    asset_type: Option<AssetType>,
}

#[derive(Debug, Clone, Default)]
struct EntryDraft {
    input: usize,
    asset_type: Option<AssetType>,
    creator: Option<Creator>,
}

impl ManifestDraft {
    /// Creates the manifest for the matched assets. Settings of the tool's outputs without an
    /// equivalent go to `findings`.
    pub(crate) fn new(source: &Source, creator: Creator, claims: &Claims, findings: &mut Findings) -> Self {
        let (tool, inputs) = (source.tool, source.inputs.len());
        let (assets, existing) = (BTreeMap::new(), claims.existing.clone());
        let mut draft = Self { tool, creator, globs: Vec::new(), assets, existing, outputs: Vec::new(), inputs };
        for (place, input) in source.inputs.iter().enumerate() {
            if let FileSet::Glob { glob, groups, exclude, .. } = &input.files
                && !input.is_packed
            {
                let exclude: BTreeSet<String> = exclude.iter().map(|exclude| exclude.translated(&[])).collect();
                // A glob without files causes a note at every run, so of several only those with
                // files are kept.
                let has_files = |group: &ExtensionGroup| {
                    groups.len() == 1 || claims.files.iter().any(|(path, of)| *of == place && group.fits(path))
                };
                let can_have =
                    |group: &&ExtensionGroup| group.extensions.iter().any(|extension| glob.can_have(extension));
                let fitting: Vec<&ExtensionGroup> = groups.iter().filter(can_have).collect();
                let mut used: Vec<&ExtensionGroup> = fitting.iter().filter(|group| has_files(group)).copied().collect();
                if used.is_empty() {
                    used.extend(fitting.first());
                }
                for group in used {
                    let path = glob.translated(group.extensions);
                    draft.globs.push(GlobDraft {
                        input: place,
                        name: format!("{}{}", input.name, group.suffix),
                        matcher: matcher(&path),
                        path,
                        exclude: exclude.clone(),
                        asset_type: group.asset_type,
                    });
                }
            }
            draft.existing.extend(input.existing.iter().map(|(address, id)| (address.clone(), (*id, place))));
            for output in &input.outputs {
                draft.add_output(output, place, findings);
            }
        }
        for path in claims.existing.keys().chain(&claims.left_out) {
            draft.exclude(path);
        }
        draft
    }

    /// Adds an output. Several inputs may write one file.
    fn add_output(&mut self, output: &OutputDraft, input: usize, findings: &mut Findings) {
        match self.outputs.iter_mut().find(|(known, _)| known.path == output.path) {
            Some((known, inputs)) if known == output => {
                inputs.insert(input);
            }
            Some(_) => {
                let message = format!(
                    "{}: two inputs write it with different bases or styles; only the first is taken over",
                    output.path
                );
                findings.add(FindingKind::CantComeAlong, message);
            }
            None => self.outputs.push((output.clone(), BTreeSet::from([input]))),
        }
    }

    /// Excludes a file from the globs that match it.
    pub(crate) fn exclude(&mut self, path: &str) {
        for glob in self.globs.iter_mut().filter(|glob| glob.finds(path)) {
            glob.exclude.insert(escaped(path));
        }
    }

    /// Gives a file an entry of its own, in place of a glob; `creator` if its owner differs, and
    /// `asset_type` if its file doesn't show it.
    pub(crate) fn own_entry(
        &mut self,
        path: &str,
        input: usize,
        source: &Source,
        creator: Option<Creator>,
        asset_type: Option<AssetType>,
    ) {
        let groups = match source.inputs.get(input).map(|input| &input.files) {
            Some(FileSet::Glob { groups, .. }) => groups,
            Some(FileSet::Paths) | None => &[] as &[ExtensionGroup],
        };
        let of_group = || groups.iter().find(|group| group.fits(path)).and_then(|group| group.asset_type);
        let asset_type = asset_type.or_else(of_group);
        self.assets.insert(path.to_owned(), EntryDraft { input, asset_type, creator });
    }

    /// Returns the text of the manifest.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "#:schema ./assets.schema.json\n# Written by `macadam import --from {}`: see docs/moving.md of Macadam, and assets.toml.example for every key.\n\n[creator]\n",
            self.tool.file_name()
        );
        let _ = writeln!(text, "{}", owner(self.creator));
        for glob in &self.globs {
            glob.write(&mut text);
        }
        for (path, entry) in &self.assets {
            let _ = write!(text, "\n[assets.{}]\npath = {}\n", TomlKey(path), TomlText(path));
            if let Some(asset_type) = entry.asset_type {
                let _ = writeln!(text, "type = {}", TomlText(asset_type.name()));
            }
            if let Some(creator) = entry.creator {
                let _ = writeln!(text, "creator = {{ {} }}", owner(creator));
            }
        }
        if !self.existing.is_empty() {
            text.push_str(
                "\n# Used by the game and not managed: Macadam never changes or uploads these.\n[existing]\n",
            );
            for (address, (asset_id, _)) in &self.existing {
                let _ = writeln!(text, "{} = {asset_id}", TomlKey(address));
            }
        }
        for (output, inputs) in &self.outputs {
            self.write_output(&mut text, output, inputs);
        }
        text
    }

    fn write_output(&self, text: &mut String, output: &OutputDraft, inputs: &BTreeSet<usize>) {
        let OutputDraft { path, nested, base, name, strip_extensions, content, literal } = output;
        let _ = write!(text, "\n[[outputs]]\npath = {}\n", TomlText(path));
        let _ = writeln!(text, "style = \"{}\"", if *nested { "nested" } else { "flat" });
        for (key, value) in [("base", base), ("name", name)] {
            if let Some(value) = value {
                let _ = writeln!(text, "{key} = {}", TomlText(value));
            }
        }
        for (line, on) in [
            ("strip_extensions = true", *strip_extensions),
            ("value = \"content\"", *content),
            ("types = \"literal\"", *literal),
        ] {
            if on {
                text.push_str(line);
                text.push('\n');
            }
        }
        // An output with every address needs no list.
        if inputs.len() < self.inputs {
            let include = self.addresses_of(inputs);
            let _ = writeln!(text, "include = {}", list(&include));
        }
    }

    /// Returns patterns for the addresses of these inputs.
    fn addresses_of(&self, inputs: &BTreeSet<usize>) -> BTreeSet<String> {
        let globs = self.globs.iter().filter(|glob| inputs.contains(&glob.input)).map(|glob| glob.path.clone());
        let assets =
            self.assets.iter().filter(|(_, entry)| inputs.contains(&entry.input)).map(|(path, _)| escaped(path));
        let existing = self.existing.iter().filter(|(_, (_, input))| inputs.contains(input));
        globs.chain(assets).chain(existing.map(|(address, _)| escaped(address))).collect()
    }
}

impl GlobDraft {
    fn finds(&self, path: &str) -> bool {
        self.matcher.as_ref().is_none_or(|matcher| matcher.is_match(path))
    }

    fn write(&self, text: &mut String) {
        let _ = write!(text, "\n[globs.{}]\npath = {}\n", TomlKey(&self.name), TomlText(&self.path));
        if !self.exclude.is_empty() {
            let _ = writeln!(text, "exclude = {}", list(&self.exclude));
        }
        if let Some(asset_type) = self.asset_type {
            let _ = writeln!(text, "type = {}", TomlText(asset_type.name()));
        }
    }
}

/// Returns an owner as the manifest writes it.
fn owner(creator: Creator) -> String {
    match creator {
        Creator::User(id) => format!("user_id = {id}"),
        Creator::Group(id) => format!("group_id = {id}"),
    }
}

/// Returns a pattern as the manifest reads it.
fn matcher(path: &str) -> Option<GlobMatcher> {
    GlobBuilder::new(path).literal_separator(true).build().ok().map(|glob| glob.compile_matcher())
}

/// Returns a TOML array of strings, with one line for each if it is long.
fn list(texts: &BTreeSet<String>) -> String {
    let texts: Vec<String> = texts.iter().map(|text| TomlText(text).to_string()).collect();
    let one_line = format!("[{}]", texts.join(", "));
    if one_line.len() < 100 { one_line } else { format!("[\n    {},\n]", texts.join(",\n    ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::UserId;
    use crate::moving::claims::claims;
    use crate::moving::read::SourceOptions;

    fn draft(config: &str) -> ManifestDraft {
        let source =
            crate::moving::read(Tool::Asphalt, config, &SourceOptions::default(), &|_: &str| Ok(None)).unwrap();
        let empty: Vec<_> = source.inputs.iter().map(|_| Vec::new()).collect();
        let claims = claims(&source, &empty);
        ManifestDraft::new(&source, Creator::User(UserId::new(1).unwrap()), &claims, &mut Findings::default())
    }

    #[test]
    fn a_manifest_has_a_glob_and_an_output_for_each_input() {
        let config = "[creator]\ntype = \"user\"\nid = 1\n[inputs.icons]\npath = \"assets/icons/*.png\"\noutput_path = \"src\"\n\
                      [inputs.sounds]\npath = \"assets/sounds/**/*.ogg\"\noutput_path = \"src\"\n[inputs.sounds.web]\n\"a \\\"b\\\".ogg\" = { id = 9 }\n";
        let mut draft = draft(config);
        draft.exclude("assets/icons/[x].png");
        let expected = "#:schema ./assets.schema.json
# Written by `macadam import --from asphalt.toml`: see docs/moving.md of Macadam, and assets.toml.example for every key.

[creator]
user_id = 1

[globs.icons]
path = \"assets/icons/**/*.png\"
exclude = [\"assets/icons/[[]x[]].png\"]

[globs.sounds]
path = \"assets/sounds/**/*.ogg\"

# Used by the game and not managed: Macadam never changes or uploads these.
[existing]
\"assets/sounds/a \\\"b\\\".ogg\" = 9

[[outputs]]
path = \"src/icons.luau\"
style = \"flat\"
base = \"assets/icons\"
include = [\"assets/icons/**/*.png\"]

[[outputs]]
path = \"src/sounds.luau\"
style = \"flat\"
base = \"assets/sounds\"
include = [\"assets/sounds/**/*.ogg\", \"assets/sounds/a \\\"b\\\".ogg\"]
";
        assert_eq!(draft.text(), expected);
    }

    #[test]
    fn an_output_of_everything_needs_no_list() {
        let config = "[creator]\ntype = \"group\"\nid = 1\n[inputs.\"all things\"]\npath = \"assets/**/*\"\noutput_path = \"src\"\n";
        let text = draft(config).text();
        assert!(text.contains("[globs.\"all things\"]") && !text.contains("include"), "{text}");
        assert!(toml::from_str::<toml::Table>(&text).is_ok());
    }

    #[test]
    fn inputs_that_write_one_file_have_one_output() {
        let input = |glob: &str, base: &str| {
            format!(
                "[[inputs]]\nglob = \"{glob}\"\ncodegen = true\ncodegen-path = \"src/assets.lua\"\ncodegen-base-path = \"{base}\"\n"
            )
        };
        let outputs = |second: &str| {
            let config =
                format!("name = \"game\"\n{}{}", input("assets/a/*.png", "assets"), input("assets/b/*.png", second));
            let source =
                crate::moving::read(Tool::Tarmac, &config, &SourceOptions::default(), &|_: &str| Ok(None)).unwrap();
            let mut findings = Findings::default();
            let claims = claims(&source, &[Vec::new(), Vec::new()]);
            let draft = ManifestDraft::new(&source, Creator::User(UserId::new(1).unwrap()), &claims, &mut findings);
            (draft.text().matches("[[outputs]]").count(), findings.of(FindingKind::CantComeAlong).len())
        };
        assert_eq!(outputs("assets"), (1, 0));
        assert_eq!(outputs("assets/b"), (1, 1), "keys that one file can't have are reported");
    }
}
