//! Tungsten: inputs with one glob each, and a lockfile by the SHA-256 of the uploaded bytes. Sounds
//! and models are uploaded unchanged. Images are encoded again, so their hash says nothing about
//! the file; they are found by their name in the module that Tungsten wrote.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::extension;
use super::finding::{Finding, FindingKind};
use super::glob::TheirGlob;
use super::luau_table;
use super::read::{CreatorText, Fetch, ReadError, asset_id, joined, slashed, toml};
use super::source::{FileSet, Input, OutputDraft, Row, Source, Tool, Treatment};

const CONFIG: &str = "tungsten.toml";
const LOCKFILE: &str = "tungsten.lock.toml";

#[derive(Deserialize)]
struct TungstenConfig {
    creator: CreatorText,
    #[serde(default)]
    codegen: TungstenCodegen,
    inputs: BTreeMap<String, TungstenInputText>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct TungstenCodegen {
    style: Option<String>,
}

#[derive(Deserialize)]
struct TungstenInputText {
    path: String,
    output_path: String,
    #[serde(default)]
    packable: bool,
    #[serde(default)]
    convert: Vec<String>,
    #[serde(default)]
    web: BTreeMap<String, TungstenWebAsset>,
}

#[derive(Deserialize)]
struct TungstenWebAsset {
    id: u64,
}

#[derive(Deserialize)]
struct TungstenLockfile {
    version: u64,
    #[serde(default)]
    inputs: BTreeMap<String, BTreeMap<String, TungstenEntry>>,
}

#[derive(Deserialize)]
struct TungstenEntry {
    asset_id: u64,
}

/// Reads `tungsten.toml`, the lockfile beside it and the modules that it names.
pub(super) fn read(main: &str, fetch: &Fetch<'_>) -> Result<Source, ReadError> {
    let config: TungstenConfig = toml(CONFIG, main)?;
    let text = fetch(LOCKFILE)?;
    let missing_record = text.is_none().then_some(LOCKFILE);
    let lockfile = match text {
        Some(text) => toml(LOCKFILE, &text)?,
        None => TungstenLockfile { version: 1, inputs: BTreeMap::new() },
    };
    if lockfile.version != 1 {
        let hint = "it was written by a newer Tungsten; look for a newer Macadam".to_owned();
        return Err(ReadError::Version { file: LOCKFILE.to_owned(), version: lockfile.version.to_string(), hint });
    }
    let mut findings = Vec::new();
    let mut inputs = Vec::new();
    for (name, input) in &config.inputs {
        inputs.push(read_input(name, input, &config.codegen, &lockfile, fetch, &mut findings)?);
    }
    for (name, entries) in lockfile.inputs.iter().filter(|(name, _)| !config.inputs.contains_key(*name)) {
        let gone = |entry: &TungstenEntry| {
            format!("asset {} (of the input `{name}`, which tungsten.toml doesn't have)", entry.asset_id)
        };
        findings.extend(entries.values().map(|entry| Finding::new(FindingKind::FileGone, gone(entry))));
    }
    Ok(Source { tool: Tool::Tungsten, creator: config.creator.creator(CONFIG)?, inputs, findings, missing_record })
}

fn read_input(
    name: &str,
    input: &TungstenInputText,
    codegen: &TungstenCodegen,
    lockfile: &TungstenLockfile,
    fetch: &Fetch<'_>,
    findings: &mut Vec<Finding>,
) -> Result<Input, ReadError> {
    let wrong = |why: String| ReadError::malformed(CONFIG, format!("the path of [inputs.{name}]: {why}"));
    let glob = TheirGlob::plain(&slashed(&input.path)).map_err(wrong)?;
    let prefix = glob.prefix();
    let mut rows = Vec::new();
    for (hash, entry) in lockfile.inputs.get(name).into_iter().flatten() {
        rows.push(Row::of_hash(hash, asset_id(LOCKFILE, entry.asset_id)?));
    }
    let module = slashed(&input.output_path);
    for leaf in fetch(&module)?.map(|text| luau_table::read(&text)).unwrap_or_default() {
        // The module omits the extension: the file with this name decides.
        let row = Row::of_path(&joined(&prefix, &leaf.key), None, leaf.asset_id);
        rows.push(Row { is_slice: leaf.is_slice, ..row });
    }
    if !input.convert.is_empty() {
        let message = format!("`convert` of [inputs.{name}]: Macadam uploads files as they are");
        findings.push(Finding::new(FindingKind::CantComeAlong, message));
    }
    let existing = input.web.iter().map(|(key, web)| Ok((joined(&prefix, key), asset_id(CONFIG, web.id)?)));
    let output = OutputDraft {
        path: module,
        nested: codegen.style.as_deref() == Some("nested"),
        base: (!prefix.is_empty()).then(|| prefix.clone()),
        // Its names never have one, whatever the config says.
        strip_extensions: true,
        ..OutputDraft::default()
    };
    Ok(Input {
        name: name.to_owned(),
        existing: existing.collect::<Result<_, ReadError>>()?,
        outputs: if input.packable { Vec::new() } else { vec![output] },
        files: FileSet::Glob { glob, groups: extension::TUNGSTEN, exact_case: false, exclude: Vec::new() },
        rows,
        images: Treatment::Reencodes,
        is_packed: input.packable,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moving::read::SourceOptions;

    const CONFIG_TEXT: &str = "[creator]\ntype = \"user\"\nid = 3\n\n[codegen]\nstyle = \"nested\"\nstrip_extension = true\n\n[inputs.icons]\npath = \"assets/icons/**/*.png\"\noutput_path = \"src/icons.luau\"\n";

    fn source(config: &str, files: &[(&str, &str)]) -> Result<Source, ReadError> {
        let fetch = |path: &str| Ok(files.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned()));
        crate::moving::read(Tool::Tungsten, config, &SourceOptions::default(), &fetch)
    }

    #[test]
    fn rows_are_by_hash_and_by_the_modules_names() {
        let lock = "version = 1\n\n[inputs.icons.AB]\nasset_id = 5\n\n[inputs.old.cd]\nasset_id = 6\n";
        let module = "local icons = {\n\t[\"48\"] = {\n\t\tup = \"rbxassetid://5\",\n\t},\n}\n";
        let source = source(CONFIG_TEXT, &[(LOCKFILE, lock), ("src/icons.luau", module)]).unwrap();
        let id = source.inputs[0].rows[0].asset_id;
        assert_eq!(source.inputs[0].rows, [Row::of_hash("ab", id), Row::of_path("assets/icons/48/up", None, id)]);
        assert_eq!(source.inputs[0].outputs[0].base.as_deref(), Some("assets/icons"));
        assert!(source.findings[0].subject.contains("asset 6"));
        assert_eq!(source.creator.unwrap().to_string(), "user:3");
    }

    #[test]
    fn a_config_that_was_never_filled_in_has_no_creator() {
        let source = source(&CONFIG_TEXT.replace("id = 3", "id = 0"), &[]).unwrap();
        assert_eq!(source.creator, None);
    }

    #[test]
    fn packed_inputs_and_conversions_are_reported() {
        let config = format!("{CONFIG_TEXT}packable = true\nconvert = [\"jpg -> png\"]\n");
        let source = source(&config, &[]).unwrap();
        assert!(source.inputs[0].is_packed && source.inputs[0].outputs.is_empty());
        assert!(source.findings[0].subject.contains("`convert`"));
        assert!(super::read(CONFIG_TEXT, &|_: &str| Ok(Some("version = 2\n".to_owned()))).is_err());
    }
}
