//! Asphalt 1 and 2: inputs with one glob each, and a lockfile by hash (version 2), by path and hash
//! (1), or by path alone (0).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::asphalt_lockfile::{AsphaltEntry, AsphaltLockfile, AsphaltWebAsset, CONFIG, LOCKFILE, lockfile};
use super::asphalt_old;
use super::extension;
use super::finding::{Finding, FindingKind};
use super::glob::TheirGlob;
use super::read::{CreatorText, Fetch, ReadError, asset_id, joined, slashed, toml};
use super::source::{FileSet, Input, OutputDraft, Row, Source, Tool, Treatment};

#[derive(Deserialize)]
struct AsphaltConfig {
    creator: CreatorText,
    #[serde(default)]
    codegen: AsphaltCodegen,
    inputs: BTreeMap<String, AsphaltInputText>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct AsphaltCodegen {
    style: Option<String>,
    typescript: bool,
    #[serde(alias = "strip_extension")]
    strip_extensions: bool,
    content: bool,
}

#[derive(Deserialize)]
struct AsphaltInputText {
    path: String,
    output_path: String,
    #[serde(default = "yes")]
    bleed: bool,
    #[serde(default)]
    web: BTreeMap<String, AsphaltWebAsset>,
}

const fn yes() -> bool {
    true
}

/// Reads `asphalt.toml` and the lockfile beside it.
pub(super) fn read(main: &str, fetch: &Fetch<'_>) -> Result<Source, ReadError> {
    if asphalt_old::is_old(main) {
        return asphalt_old::read(main, fetch);
    }
    let config: AsphaltConfig = toml(CONFIG, main)?;
    let lockfile = lockfile(fetch)?;
    let missing_record = lockfile.is_none().then_some(LOCKFILE);
    let lockfile = lockfile.unwrap_or_default();
    let mut source = Source {
        tool: Tool::Asphalt,
        creator: config.creator.creator(CONFIG)?,
        inputs: Vec::new(),
        findings: Vec::new(),
        missing_record,
    };
    for (name, input) in &config.inputs {
        source.inputs.push(read_input(name, input, &config.codegen, &lockfile)?);
    }
    for (name, entries) in lockfile.inputs.iter().filter(|(name, _)| !config.inputs.contains_key(*name)) {
        let gone = |entry: &AsphaltEntry| {
            format!("asset {} (of the input `{name}`, which asphalt.toml doesn't have)", entry.asset_id)
        };
        source.findings.extend(entries.values().map(|entry| Finding::new(FindingKind::FileGone, gone(entry))));
    }
    Ok(source)
}

fn read_input(
    name: &str,
    input: &AsphaltInputText,
    codegen: &AsphaltCodegen,
    lockfile: &AsphaltLockfile,
) -> Result<Input, ReadError> {
    let wrong = |why: String| ReadError::malformed(CONFIG, format!("the path of [inputs.{name}]: {why}"));
    let glob = TheirGlob::crossing(&slashed(&input.path)).map_err(wrong)?;
    let prefix = glob.prefix();
    let within = |path: &str| {
        let path = slashed(path);
        let is_whole = prefix.is_empty() || path.starts_with(&format!("{prefix}/"));
        if is_whole { path } else { joined(&prefix, &path) }
    };
    let mut rows = Vec::new();
    for (key, entry) in lockfile.inputs.get(name).into_iter().flatten() {
        let id = asset_id(LOCKFILE, entry.asset_id)?;
        rows.push(match lockfile.version {
            2 => Row::of_hash(key, id),
            _ => Row::of_path(&within(key), entry.hash.as_deref(), id),
        });
    }
    // Version 0 has no inputs, and its hashes are not those of the files.
    for (path, entry) in lockfile.entries.iter().map(|(path, entry)| (slashed(path), entry)) {
        if glob.is_match(&path) {
            rows.push(Row::of_path(&path, None, asset_id(LOCKFILE, entry.asset_id)?));
        }
    }
    let existing = input.web.iter().map(|(key, web)| Ok((joined(&prefix, key), asset_id(CONFIG, web.id)?)));
    let output = OutputDraft {
        path: joined(&input.output_path, &format!("{name}.luau")),
        nested: codegen.style.as_deref() == Some("nested"),
        base: (!prefix.is_empty()).then(|| prefix.clone()),
        strip_extensions: codegen.strip_extensions,
        content: codegen.content,
        ..OutputDraft::default()
    };
    let types = OutputDraft { path: joined(&input.output_path, &format!("{name}.d.ts")), ..output.clone() };
    let outputs = std::iter::once(output).chain(codegen.typescript.then_some(types)).collect();
    Ok(Input {
        name: name.to_owned(),
        existing: existing.collect::<Result<_, ReadError>>()?,
        files: FileSet::Glob { glob, groups: extension::ASPHALT, exact_case: true, exclude: Vec::new() },
        rows,
        outputs,
        images: if input.bleed { Treatment::Bleeds } else { Treatment::AsItIs },
        is_packed: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moving::read::SourceOptions;

    const CONFIG_TEXT: &str = r#"
        [creator]
        type = "group"
        id = 7
        [codegen]
        style = "nested"
        strip_extensions = true
        typescript = true
        content = true
        [inputs.ui]
        path = "assets/ui/**/*"
        output_path = "src/shared"
        bleed = false
        web = { "logo.png" = { id = 99 } }
    "#;

    fn source(config: &str, lockfile: Option<&str>) -> Result<Source, ReadError> {
        let fetch = |path: &str| Ok((path == LOCKFILE).then(|| lockfile.map(str::to_owned)).flatten());
        crate::moving::read(Tool::Asphalt, config, &SourceOptions::default(), &fetch)
    }

    fn rows(lockfile: &str) -> Vec<(Option<String>, Option<String>, u64)> {
        let source = source(CONFIG_TEXT, Some(lockfile)).unwrap();
        source.inputs[0].rows.iter().map(|row| (row.path.clone(), row.hash.clone(), row.asset_id.get())).collect()
    }

    #[test]
    fn a_lockfile_of_each_version_is_read() {
        let (path, hash) = (Some("assets/ui/a.png".to_owned()), Some("ab".to_owned()));
        let check =
            |lockfile: &str, expected: (Option<String>, Option<String>, u64)| assert_eq!(rows(lockfile), [expected]);
        check("version = 2\n[inputs.ui.AB]\nasset_id = 5\n", (None, hash.clone(), 5));
        check("version = 1\n[inputs.ui.\"a.png\"]\nhash = \"ab\"\nasset_id = 5\n", (path.clone(), hash.clone(), 5));
        check("version = 1\n[inputs.ui.\"assets/ui/a.png\"]\nhash = \"ab\"\nasset_id = 5\n", (path.clone(), hash, 5));
        check("[entries.\"assets/ui/a.png\"]\nhash = \"ab\"\nasset_id = 5\n", (path, None, 5));
    }

    #[test]
    fn the_config_gives_creator_files_and_code() {
        let source = source(CONFIG_TEXT, None).unwrap();
        assert_eq!(source.creator.unwrap().to_string(), "group:7");
        let input = &source.inputs[0];
        assert_eq!(input.existing[0].0, "assets/ui/logo.png");
        assert_eq!(input.images, Treatment::AsItIs);
        let output = &input.outputs[0];
        assert_eq!((output.path.as_str(), output.base.as_deref()), ("src/shared/ui.luau", Some("assets/ui")));
        assert!(output.nested && output.strip_extensions && output.content);
        assert_eq!(input.outputs[1].path, "src/shared/ui.d.ts");
    }

    #[test]
    fn asphalt_bleeds_images_unless_the_config_says_no() {
        let config = CONFIG_TEXT.replace("bleed = false", "");
        assert_eq!(source(&config, None).unwrap().inputs[0].images, Treatment::Bleeds);
    }

    #[test]
    fn an_input_that_left_the_config_is_reported() {
        let source = source(CONFIG_TEXT, Some("version = 2\n[inputs.old.ab]\nasset_id = 5\n")).unwrap();
        assert!(source.findings[0].subject.contains("asset 5") && source.findings[0].subject.contains("`old`"));
    }

    #[test]
    fn an_unreadable_file_is_an_error_with_its_name() {
        let check = |config: &str, lockfile: Option<&str>, expected: &str| {
            let error = source(config, lockfile).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check("[creator]\ntype = \"user\"\n", None, "asphalt.toml can't be read");
        check(&CONFIG_TEXT.replace("group", "guild"), None, "`guild` isn't a type");
        check(CONFIG_TEXT, Some("version = 3\n"), "asphalt.lock.toml has version 3");
        check(CONFIG_TEXT, Some("<<<<<<< HEAD\n"), "asphalt.lock.toml can't be read");
        check(CONFIG_TEXT, Some("version = 2\n[inputs.ui.ab]\nasset_id = 0\n"), "asset ID");
    }
}
