//! Asphalt before 1.0: one folder of assets, and a lockfile by path whose hashes are of processed
//! bytes.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::asphalt_lockfile::{AsphaltWebAsset, CONFIG, LOCKFILE, lockfile};
use super::extension;
use super::finding::{Finding, FindingKind};
use super::glob::TheirGlob;
use super::read::{CreatorText, Fetch, ReadError, asset_id, joined, slashed, toml};
use super::source::{FileSet, Input, OutputDraft, Row, Source, Tool, Treatment};

#[derive(Deserialize)]
struct OldAsphaltConfig {
    asset_dir: String,
    write_dir: String,
    creator: CreatorText,
    #[serde(default)]
    codegen: OldAsphaltCodegen,
    #[serde(default)]
    existing: BTreeMap<String, AsphaltWebAsset>,
    #[serde(default, alias = "exclude_assets_matching")]
    exclude_assets: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct OldAsphaltCodegen {
    output_name: Option<String>,
    typescript: bool,
    style: Option<String>,
    strip_extension: bool,
}

/// Returns whether a config belongs to these versions.
pub(super) fn is_old(main: &str) -> bool {
    toml::<toml::Table>(CONFIG, main).is_ok_and(|table| table.contains_key("asset_dir"))
}

pub(super) fn read(main: &str, fetch: &Fetch<'_>) -> Result<Source, ReadError> {
    let config: OldAsphaltConfig = toml(CONFIG, main)?;
    let folder = slashed(&config.asset_dir);
    let glob = |text: &str| {
        TheirGlob::crossing(text).map_err(|why| ReadError::malformed(CONFIG, format!("the pattern `{text}`: {why}")))
    };
    let name = config.codegen.output_name.clone().unwrap_or_else(|| "assets".to_owned());
    let mut findings = Vec::new();
    let module = module(&config.write_dir, &name, fetch, &mut findings)?;
    let lockfile = lockfile(fetch)?;
    let missing_record = lockfile.is_none().then_some(LOCKFILE);
    let rows = lockfile
        .unwrap_or_default()
        .entries
        .into_iter()
        .map(|(path, entry)| Ok(Row::of_path(&slashed(&path), None, asset_id(LOCKFILE, entry.asset_id)?)));
    let existing = config.existing.iter().map(|(path, web)| Ok((slashed(path), asset_id(CONFIG, web.id)?)));
    let output = OutputDraft {
        path: module,
        nested: config.codegen.style.as_deref() == Some("nested"),
        base: Some(folder.clone()),
        strip_extensions: config.codegen.strip_extension,
        ..OutputDraft::default()
    };
    let types = OutputDraft { path: joined(&config.write_dir, &format!("{name}.d.ts")), ..output.clone() };
    let input = Input {
        name: "assets".to_owned(),
        files: FileSet::Glob {
            glob: glob(&joined(&folder, "**/*"))?,
            groups: extension::ASPHALT,
            exact_case: true,
            exclude: config.exclude_assets.iter().map(|text| glob(text)).collect::<Result<_, _>>()?,
        },
        rows: rows.collect::<Result<_, ReadError>>()?,
        existing: existing.collect::<Result<_, ReadError>>()?,
        outputs: std::iter::once(output).chain(config.codegen.typescript.then_some(types)).collect(),
        images: Treatment::Bleeds,
        is_packed: false,
    };
    let creator = config.creator.creator(CONFIG)?;
    Ok(Source { tool: Tool::Asphalt, creator, inputs: vec![input], findings, missing_record })
}

/// Returns the path of the module: these versions wrote `.lua` or `.luau`.
fn module(folder: &str, name: &str, fetch: &Fetch<'_>, findings: &mut Vec<Finding>) -> Result<String, ReadError> {
    let [luau, lua] = ["luau", "lua"].map(|extension| joined(folder, &format!("{name}.{extension}")));
    let (path, text) = match fetch(&luau)? {
        Some(text) => (luau, Some(text)),
        None => match fetch(&lua)? {
            Some(text) => (lua, Some(text)),
            None => (luau, None),
        },
    };
    if text.is_some_and(|text| text.contains("[\"/")) {
        let message =
            format!("the keys of {path} begin with `/`; Macadam's don't: take the `/` away where your code uses them");
        findings.push(Finding::new(FindingKind::CantComeAlong, message));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moving::read::SourceOptions;

    #[test]
    fn the_old_form_is_read_by_path() {
        let config = r#"
            asset_dir = "assets/"
            write_dir = "src/shared"
            exclude_assets = ["**/*.txt"]
            [creator]
            type = "user"
            id = 1
            [codegen]
            output_name = "pictures"
            style = "flat"
            [existing]
            "assets/logo.png" = { id = 99 }
        "#;
        let lock = "[entries.\"assets/a.png\"]\nhash = \"x\"\nasset_id = 5\n";
        let fetch = |path: &str| {
            Ok(match path {
                LOCKFILE => Some(lock.to_owned()),
                "src/shared/pictures.lua" => Some("return {\n\t[\"/a.png\"] = \"rbxassetid://5\"\n}".to_owned()),
                _ => None,
            })
        };
        let source = crate::moving::read(Tool::Asphalt, config, &SourceOptions::default(), &fetch).unwrap();
        let input = &source.inputs[0];
        assert_eq!(input.rows, [Row::of_path("assets/a.png", None, AssetId::new(5).unwrap())]);
        assert_eq!(input.existing, [("assets/logo.png".to_owned(), AssetId::new(99).unwrap())]);
        assert_eq!(input.outputs[0].path, "src/shared/pictures.lua");
        assert_eq!(input.outputs[0].base.as_deref(), Some("assets"));
        assert!(source.findings[0].subject.contains("begin with `/`"));
    }

    use crate::model::ids::AssetId;
}
