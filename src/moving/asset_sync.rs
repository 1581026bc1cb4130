//! asset-sync (rbxts-asset-sync): a cache from the SHA-1 of a file to its asset, with a suffix if
//! the file was processed. Its folder and module are arguments of its command, usually in
//! `package.json`.

use serde_json::Value;

use super::extension;
use super::finding::{Finding, FindingKind};
use super::glob::{TheirGlob, escaped};
use super::read::{Fetch, ReadError, joined, slashed};
use super::source::{FileSet, Input, OutputDraft, Row, Source, Tool, Treatment};
use crate::model::ids::AssetId;

const CACHE: &str = ".rbx-sync-cache.json";
const PACKAGE: &str = "package.json";
const BLED: &str = "(bleed)";
const CONVERTED: &str = "(wav->ogg)";
/// SHA-1 in hex.
const HEX_DIGITS: usize = 40;

/// Reads the cache, and the arguments from `package.json`.
pub(super) fn read(main: &str, fetch: &Fetch<'_>) -> Result<Source, ReadError> {
    let cache: Value = serde_json::from_str(main).map_err(|error| ReadError::malformed(CACHE, error))?;
    let cache = cache.as_object().ok_or_else(|| ReadError::malformed(CACHE, "it isn't a table of hashes"))?;
    let arguments = fetch(PACKAGE)?.map(|text| ScriptArguments::of_package(&text)).unwrap_or_default();
    let mut rows = Vec::new();
    for (key, value) in cache {
        rows.push(row(key, value)?);
    }
    // For a file that was uploaded both ways, the current way comes first.
    rows.sort_by_key(|row| row.treated != arguments.bleeds);
    let folder = arguments.folder.as_deref().unwrap_or("assets");
    let module = arguments.module.as_deref().unwrap_or("assetMap.ts");
    let glob = TheirGlob::crossing(&joined(&escaped(folder), "**/*"));
    let messages = [
        format!("`getAsset(x)` of {module}: write `assets[x]` in its place"),
        "text files, which asset-sync copies into its module: Macadam's holds asset IDs alone".to_owned(),
    ];
    let input = Input {
        name: "assets".to_owned(),
        files: FileSet::Glob {
            glob: glob.map_err(|why| ReadError::malformed(PACKAGE, why))?,
            groups: extension::ASSET_SYNC,
            exact_case: false,
            exclude: Vec::new(),
        },
        rows,
        existing: Vec::new(),
        outputs: vec![OutputDraft {
            path: module.to_owned(),
            name: Some("assets".to_owned()),
            literal: true,
            ..OutputDraft::default()
        }],
        images: Treatment::AsItIs,
        is_packed: false,
    };
    let findings = messages.map(|what| Finding::new(FindingKind::CantComeAlong, what)).into();
    Ok(Source { tool: Tool::AssetSync, creator: None, inputs: vec![input], findings, missing_record: None })
}

fn row(key: &str, value: &Value) -> Result<Row, ReadError> {
    let wrong =
        |what: &str| ReadError::malformed(CACHE, format!("`{}` {what}", key.chars().take(60).collect::<String>()));
    let (hash, suffix) = key.split_at_checked(HEX_DIGITS).ok_or_else(|| wrong("isn't a SHA-1"))?;
    if !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong("isn't a SHA-1"));
    }
    let rest = suffix.replace(BLED, "").replace(CONVERTED, "");
    if !rest.is_empty() {
        return Err(wrong("ends in something that is not known"));
    }
    let id = match value {
        Value::String(text) => text.parse::<AssetId>().ok(),
        Value::Number(number) => number.as_u64().and_then(|number| AssetId::new(number).ok()),
        _ => None,
    };
    let id = id.ok_or_else(|| wrong("has no asset ID"))?;
    Ok(Row { treated: !suffix.is_empty(), ..Row::of_hash(hash, id) })
}

/// The arguments of the command.
#[derive(Debug, Default, PartialEq, Eq)]
struct ScriptArguments {
    folder: Option<String>,
    module: Option<String>,
    bleeds: bool,
}

impl ScriptArguments {
    /// Returns the arguments in the first script that runs it.
    fn of_package(text: &str) -> Self {
        let package: Value = serde_json::from_str(text).unwrap_or_default();
        let scripts = package.get("scripts").and_then(Value::as_object);
        let mut lines = scripts.into_iter().flat_map(|scripts| scripts.values()).filter_map(Value::as_str);
        let Some(line) = lines.find(|line| line.contains("asset-sync") || line.contains("rbxtsas")) else {
            return Self::default();
        };
        let words = || line.split_whitespace().map(|word| word.trim_matches(['"', '\'']));
        let value = |name: &str| {
            words().find_map(|word| word.strip_prefix(name).map(slashed)).filter(|value| !value.is_empty())
        };
        Self { folder: value("--path="), module: value("--output="), bleeds: words().any(|word| word == "--bleed") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moving::read::SourceOptions;

    const SHA: &str = "a9993e364706816aba3e25717850c26c9cd0d89d";

    fn source(cache: &str, package: Option<&str>) -> Result<Source, ReadError> {
        let fetch = |path: &str| Ok((path == PACKAGE).then(|| package.map(str::to_owned)).flatten());
        crate::moving::read(Tool::AssetSync, cache, &SourceOptions::default(), &fetch)
    }

    #[test]
    fn hashes_come_with_suffixes() {
        let cache = format!(
            r#"{{"{SHA}": "5", "{}(bleed)": "6", "{}(wav->ogg)": "7"}}"#,
            SHA.replace('a', "b"),
            SHA.replace('a', "c")
        );
        let source = source(&cache, None).unwrap();
        let rows: Vec<_> = source.inputs[0].rows.iter().map(|row| (row.asset_id.get(), row.treated)).collect();
        assert_eq!(rows, [(5, false), (6, true), (7, true)]);
        assert_eq!(source.creator, None);
        assert_eq!(source.inputs[0].outputs[0].path, "assetMap.ts");
    }

    #[test]
    fn the_arguments_come_from_package_json() {
        let package = r#"{"scripts": {"build": "rbxtsc", "assets": "rbxts-asset-sync --path=./art --output=src/map.ts --bleed"}}"#;
        let cache = format!(r#"{{"{SHA}": "5", "{SHA}(bleed)": "6"}}"#);
        let source = source(&cache, Some(package)).unwrap();
        let input = &source.inputs[0];
        assert_eq!(input.outputs[0].path, "src/map.ts");
        assert!(matches!(&input.files, FileSet::Glob { glob, .. } if glob.is_match("art/a/b.png")));
        assert_eq!(input.rows[0].asset_id.get(), 6, "the way of today comes first");
    }

    #[test]
    fn a_file_that_is_not_a_cache_is_an_error() {
        for cache in
            ["[]", "{\"abc\": \"1\"}", &format!("{{\"{SHA}(x)\": \"1\"}}"), &format!("{{\"{SHA}\": \"x\"}}"), "{"]
        {
            let error = source(cache, None).unwrap_err().to_string();
            assert!(error.contains(".rbx-sync-cache.json can't be read"), "{error}");
        }
    }
}
