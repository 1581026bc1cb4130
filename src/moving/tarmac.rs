//! Tarmac: inputs with one glob each, in one or several `tarmac.toml`, and `tarmac-manifest.toml`
//! by path and hash.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::extension;
use super::finding::{Finding, FindingKind};
use super::glob::TheirGlob;
use super::read::{Fetch, ReadError, asset_id, joined, slashed, toml};
use super::source::{FileSet, Input, OutputDraft, Row, Source, Tool, Treatment};
use crate::model::ids::{Creator, GroupId};

const CONFIG: &str = "tarmac.toml";
const MANIFEST: &str = "tarmac-manifest.toml";
/// The most configs of one project: configs that include one another in a circle end here.
const MAX_CONFIGS: usize = 200;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct TarmacConfig {
    upload_to_group_id: Option<u64>,
    #[serde(default)]
    includes: Vec<Include>,
    #[serde(default)]
    inputs: Vec<TarmacInputText>,
}

/// A path, or as older versions wrote it, a table with one.
#[derive(Deserialize)]
#[serde(untagged)]
enum Include {
    Path(String),
    Table { path: String },
}

impl Include {
    fn path(&self) -> &str {
        match self {
            Self::Path(path) | Self::Table { path } => path,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct TarmacInputText {
    glob: String,
    #[serde(default)]
    codegen: CodegenText,
    codegen_path: Option<String>,
    #[serde(default, alias = "base-path")]
    codegen_base_path: String,
    #[serde(default)]
    packable: bool,
}

/// Whether code is written; older versions named its form.
#[derive(Deserialize)]
#[serde(untagged)]
enum CodegenText {
    Bool(bool),
    Form(String),
}

impl Default for CodegenText {
    fn default() -> Self {
        Self::Bool(false)
    }
}

impl CodegenText {
    fn is_on(&self) -> bool {
        match self {
            Self::Bool(on) => *on,
            Self::Form(form) => form != "none",
        }
    }
}

#[derive(Deserialize, Default)]
struct TarmacManifest {
    #[serde(default)]
    inputs: BTreeMap<String, TarmacEntry>,
}

#[derive(Deserialize)]
struct TarmacEntry {
    hash: Option<String>,
    id: Option<u64>,
    slice: Option<toml::Value>,
}

/// Reads `tarmac.toml`, the configs that it includes, and the manifest beside it.
pub(super) fn read(main: &str, fetch: &Fetch<'_>) -> Result<Source, ReadError> {
    let mut findings = vec![Finding::new(FindingKind::MayBePoisoned, MANIFEST)];
    let configs = configs(main, fetch, &mut findings)?;
    let group = configs.first().and_then(|(_, config)| config.upload_to_group_id);
    let creator = group.map(GroupId::new).transpose().map_err(|error| ReadError::malformed(CONFIG, error))?;
    let text = fetch(MANIFEST)?;
    let missing_record = text.is_none().then_some(MANIFEST);
    let manifest: TarmacManifest = text.map_or_else(|| Ok(TarmacManifest::default()), |text| toml(MANIFEST, &text))?;
    let mut inputs = Vec::new();
    for (folder, config) in &configs {
        for input in &config.inputs {
            let place = inputs.len();
            inputs.push(read_input(place, folder, input, &manifest, &mut findings)?);
        }
    }
    let is_known =
        |path: &str| inputs.iter().any(|input: &Input| input.rows.iter().any(|row| row.path.as_deref() == Some(path)));
    for (path, id) in manifest.inputs.iter().filter_map(|(path, entry)| Some((path, entry.id?))) {
        if !configs.iter().any(|(folder, _)| is_known(&joined(folder, path))) {
            findings.push(Finding::new(FindingKind::FileGone, format!("asset {id} ({path})")));
        }
    }
    Ok(Source { tool: Tool::Tarmac, creator: creator.map(Creator::Group), inputs, findings, missing_record })
}

/// Reads the config and all that it includes, each with its folder.
fn configs(
    main: &str,
    fetch: &Fetch<'_>,
    findings: &mut Vec<Finding>,
) -> Result<Vec<(String, TarmacConfig)>, ReadError> {
    let mut configs = vec![(String::new(), toml::<TarmacConfig>(CONFIG, main)?)];
    let mut next = 0;
    while let Some((folder, config)) = configs.get(next) {
        next += 1;
        let includes: Vec<String> = config.includes.iter().map(|include| joined(folder, include.path())).collect();
        for include in includes {
            let file = if include.ends_with(".toml") { include.clone() } else { joined(&include, CONFIG) };
            let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
            if configs.iter().any(|(known, _)| *known == folder) {
                continue;
            }
            match fetch(&file)? {
                Some(text) if configs.len() < MAX_CONFIGS => configs.push((folder, toml(&file, &text)?)),
                _ => {
                    let message = format!(
                        "`{include}` of `includes` has no tarmac.toml of its own: the folders in it were not searched"
                    );
                    findings.push(Finding::new(FindingKind::CantComeAlong, message));
                }
            }
        }
    }
    Ok(configs)
}

fn read_input(
    place: usize,
    folder: &str,
    input: &TarmacInputText,
    manifest: &TarmacManifest,
    findings: &mut Vec<Finding>,
) -> Result<Input, ReadError> {
    let pattern = joined(folder, &input.glob);
    let wrong = |why: String| ReadError::malformed(CONFIG, format!("the glob `{}`: {why}", input.glob));
    let glob = TheirGlob::crossing(&pattern).map_err(wrong)?;
    let mut rows = Vec::new();
    for (path, entry) in &manifest.inputs {
        // A path is relative to the folder of its own config, or of the first one.
        let path = [joined(folder, path), slashed(path)].into_iter().find(|path| glob.is_match(path));
        if let (Some(path), Some(id)) = (path, entry.id) {
            if is_scaled(&path) {
                let message = format!(
                    "{path}: Tarmac's module has a function that picks a picture by its scale; Macadam's has a key for each"
                );
                findings.push(Finding::new(FindingKind::CantComeAlong, message));
            }
            let row = Row::of_path(&path, entry.hash.as_deref(), asset_id(MANIFEST, id)?);
            rows.push(Row { is_slice: entry.slice.is_some(), ..row });
        }
    }
    Ok(Input {
        name: name(place, &glob),
        outputs: output(folder, input, findings).into_iter().collect(),
        files: FileSet::Glob { glob, groups: extension::TARMAC, exact_case: true, exclude: Vec::new() },
        rows,
        existing: Vec::new(),
        images: Treatment::AsItIs,
        is_packed: input.packable,
    })
}

/// Returns whether an image is for one scale: `logo@2x.png`.
fn is_scaled(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let scale = name.split_once('@').and_then(|(_, rest)| rest.split_once('x'));
    scale.is_some_and(|(digits, _)| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Returns a name for the input, which has none in Tarmac: the last fixed folder of its pattern.
fn name(place: usize, glob: &TheirGlob) -> String {
    let prefix = glob.prefix();
    let last = prefix.rsplit('/').next().unwrap_or_default();
    let plain: String = last.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let plain = if plain.is_empty() { "images".to_owned() } else { plain };
    if place == 0 { plain } else { format!("{plain}_{}", place + 1) }
}

fn output(folder: &str, input: &TarmacInputText, findings: &mut Vec<Finding>) -> Option<OutputDraft> {
    if !input.codegen.is_on() {
        return None;
    }
    let report =
        |findings: &mut Vec<Finding>, what: String| findings.push(Finding::new(FindingKind::CantComeAlong, what));
    let Some(path) = &input.codegen_path else {
        let what = "code files beside each picture; add an [[outputs]] and require that one module";
        report(
            findings,
            format!("`{}` writes a code file beside each picture: Macadam writes one module ({what})", input.glob),
        );
        return None;
    };
    let base = joined(folder, &input.codegen_base_path);
    Some(OutputDraft {
        path: joined(folder, path),
        nested: true,
        base: (!base.is_empty()).then_some(base),
        strip_extensions: true,
        ..OutputDraft::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moving::read::SourceOptions;

    fn source(files: &[(&str, &str)]) -> Result<Source, ReadError> {
        let find = |path: &str| files.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned());
        let fetch = |path: &str| Ok(find(path));
        crate::moving::read(Tool::Tarmac, &find(CONFIG).unwrap(), &SourceOptions::default(), &fetch)
    }

    const INPUT: &str = "[[inputs]]\nglob = \"assets/**/*.png\"\ncodegen = true\ncodegen-path = \"src/assets.lua\"\ncodegen-base-path = \"assets\"\n";

    #[test]
    fn rows_have_path_and_hash() {
        let config = format!("name = \"game\"\nupload-to-group-id = 7\n{INPUT}");
        let manifest = "[inputs.\"assets/a.png\"]\nhash = \"AB\"\nid = 5\npackable = false\n\n[inputs.\"old/b.png\"]\nhash = \"cd\"\nid = 6\npackable = false\n\n\
                        [inputs.\"assets/new.png\"]\nhash = \"ef\"\npackable = false\n";
        let source = source(&[(CONFIG, &config), (MANIFEST, manifest)]).unwrap();
        assert_eq!(source.creator.unwrap().to_string(), "group:7");
        let input = &source.inputs[0];
        assert_eq!((input.name.as_str(), input.rows.len()), ("assets", 1));
        assert_eq!(input.rows[0], Row::of_path("assets/a.png", Some("ab"), input.rows[0].asset_id));
        let output = &input.outputs[0];
        assert_eq!((output.path.as_str(), output.base.as_deref()), ("src/assets.lua", Some("assets")));
        assert!(output.nested && output.strip_extensions);
        let kinds: Vec<_> = source.findings.iter().map(|finding| (finding.kind, finding.subject.as_str())).collect();
        assert_eq!(kinds, [(FindingKind::MayBePoisoned, MANIFEST), (FindingKind::FileGone, "asset 6 (old/b.png)")]);
    }

    #[test]
    fn a_slice_is_part_of_a_sheet() {
        let config = "name = \"game\"\n[[inputs]]\nglob = \"assets/*.png\"\npackable = true\n";
        let manifest = "[inputs.\"assets/a.png\"]\nhash = \"ab\"\nid = 5\nslice = [[0, 0], [8, 8]]\npackable = true\n";
        let source = source(&[(CONFIG, config), (MANIFEST, manifest)]).unwrap();
        assert!(source.inputs[0].is_packed && source.inputs[0].rows[0].is_slice);
    }

    #[test]
    fn included_configs_have_paths_of_their_own() {
        let main = "name = \"game\"\nincludes = [\"packages/ui\", \"packages/none\"]\n";
        let manifest = "[inputs.\"assets/a.png\"]\nhash = \"ab\"\nid = 5\npackable = false\n";
        let files = [(CONFIG, main), ("packages/ui/tarmac.toml", INPUT), (MANIFEST, manifest)];
        let source = source(&files).unwrap();
        let input = &source.inputs[0];
        assert_eq!(input.rows[0].path.as_deref(), Some("packages/ui/assets/a.png"));
        assert_eq!(input.outputs[0].path, "packages/ui/src/assets.lua");
        assert!(source.findings.iter().any(|finding| finding.subject.contains("packages/none")));
    }

    #[test]
    fn code_beside_each_image_is_reported() {
        let config = "name = \"game\"\n[[inputs]]\nglob = \"assets/*.png\"\ncodegen = \"asset-url\"\n";
        let source = source(&[(CONFIG, config)]).unwrap();
        assert_eq!(source.inputs[0].outputs, []);
        assert!(source.findings.iter().any(|finding| finding.subject.contains("beside each picture")));
    }

    #[test]
    fn images_for_a_scale_are_reported() {
        for (path, scaled) in
            [("a/logo@2x.png", true), ("a/logo@10x.png", true), ("a/logo@x.png", false), ("a@2x/logo.png", false)]
        {
            assert_eq!(is_scaled(path), scaled, "{path}");
        }
    }
}
