//! Mantle's state of version 6: every resource of every environment, of which images and sounds are
//! assets.

use std::collections::BTreeMap;

use serde_json::Value;

use super::finding::{Finding, FindingKind};
use super::read::{ReadError, SourceOptions, asset_id, slashed, yaml};
use super::source::{FileSet, Input, Row, Source, Tool, Treatment};
use crate::model::ids::{Creator, GroupId};

const STATE: &str = ".mantle-state.yml";
const VERSION: &str = "6";
/// The values that Mantle writes for an asset that it imported.
const FAKE: [&str; 2] = ["fake-hash", "fake-path"];

/// Reads one environment of the state.
pub(super) fn read(main: &str, options: &SourceOptions) -> Result<Source, ReadError> {
    let state: Value = yaml(STATE, main)?;
    require_version(&state)?;
    let environments = state.get("environments").and_then(Value::as_object);
    let environments = environments.ok_or_else(|| ReadError::malformed(STATE, "it has no `environments`"))?;
    let (name, resources) = choose(environments, options)?;
    let no_list = || ReadError::malformed(STATE, format!("the environment `{name}` isn't a list"));
    let mut reading = Reading::default();
    for resource in resources.as_array().ok_or_else(no_list)? {
        reading.resource(resource)?;
    }
    Ok(reading.into_source())
}

fn require_version(state: &Value) -> Result<(), ReadError> {
    let version = match state.get("version") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        // The first version had no number.
        _ => "1".to_owned(),
    };
    if version == VERSION {
        return Ok(());
    }
    let hint = match version.parse::<u32>() {
        Ok(number) if number < 6 => {
            "update Mantle to its newest version and run `mantle deploy` once: it writes the state anew".to_owned()
        }
        _ => format!("Macadam reads version {VERSION}; look for a newer Macadam"),
    };
    Err(ReadError::Version { file: STATE.to_owned(), version, hint })
}

fn choose<'a>(
    environments: &'a serde_json::Map<String, Value>,
    options: &SourceOptions,
) -> Result<(&'a String, &'a Value), ReadError> {
    let found = match &options.environment {
        Some(wanted) => environments.iter().find(|(name, _)| *name == wanted),
        None if environments.len() == 1 => environments.iter().next(),
        None => None,
    };
    found.ok_or_else(|| ReadError::Environment {
        wanted: options.environment.clone(),
        known: environments.keys().cloned().collect(),
    })
}

#[derive(Default)]
struct Reading {
    rows: Vec<Row>,
    findings: Vec<Finding>,
    /// The number of resources of each kind that Macadam doesn't manage.
    others: BTreeMap<String, usize>,
}

impl Reading {
    fn resource(&mut self, resource: &Value) -> Result<(), ReadError> {
        // A kind without values is a string, one with values a table with one key.
        let (kind, inputs) = match resource.get("inputs") {
            Some(Value::Object(table)) => match table.iter().next() {
                Some((kind, inputs)) => (kind.as_str(), inputs),
                None => return Err(ReadError::malformed(STATE, "a resource has empty `inputs`")),
            },
            Some(Value::String(kind)) => (kind.as_str(), &Value::Null),
            _ => return Err(ReadError::malformed(STATE, "a resource has no `inputs`")),
        };
        if !matches!(kind, "imageAsset" | "audioAsset") {
            *self.others.entry(kind.to_owned()).or_default() += 1;
            return Ok(());
        }
        let text = |key: &str| inputs.get(key).and_then(Value::as_str);
        let outputs = resource.get("outputs").and_then(|outputs| outputs.get(kind));
        let id = outputs.and_then(|outputs| outputs.get("assetId")).and_then(Value::as_u64);
        let (Some(path), Some(hash)) = (text("filePath"), text("fileHash")) else {
            return Err(ReadError::malformed(STATE, format!("a resource `{kind}` has no file")));
        };
        // Without outputs it was never created.
        let Some(id) = id else { return Ok(()) };
        if FAKE.contains(&path) || FAKE.contains(&hash) {
            let name = resource.get("id").and_then(Value::as_str).unwrap_or_default();
            self.findings.push(Finding::new(FindingKind::FakeRecord, format!("asset {id} ({name})")));
            return Ok(());
        }
        let group = inputs.get("groupId").and_then(Value::as_u64).map(GroupId::new).transpose();
        let creator = group.map_err(|error| ReadError::malformed(STATE, error))?.map(Creator::Group);
        let row = Row::of_path(&slashed(path), Some(hash), asset_id(STATE, id)?);
        self.rows.push(Row { creator, ..row });
        Ok(())
    }

    fn into_source(self) -> Source {
        let Self { rows, mut findings, others } = self;
        let aliases = others.get("assetAlias").copied().unwrap_or_default();
        let kinds =
            others.iter().filter(|(kind, _)| *kind != "assetAlias").map(|(kind, count)| format!("{count} {kind}"));
        let kinds: Vec<String> = kinds.collect();
        let mut report = |what: String| findings.push(Finding::new(FindingKind::CantComeAlong, what));
        if !kinds.is_empty() {
            report(format!("Macadam manages assets alone; keep Mantle for: {}", kinds.join(", ")));
        }
        if aliases > 0 {
            report(format!(
                "{aliases} names such as rbxgameasset://Images/logo: keep Mantle for them, or add an [[outputs]] and use its module"
            ));
        }
        // The common owner; a row whose owner differs states it.
        let creator = rows.first().and_then(|row| row.creator);
        let input = Input {
            name: "assets".to_owned(),
            files: FileSet::Paths,
            rows,
            existing: Vec::new(),
            outputs: Vec::new(),
            images: Treatment::AsItIs,
            is_packed: false,
        };
        Source { tool: Tool::Mantle, creator, inputs: vec![input], findings, missing_record: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "#\n# WARNING - Generated file.\n#\n\n---\nversion: '6'\nenvironments:\n";
    const IMAGE: &str = "    - id: asset_assets/a.png
      inputs:
        imageAsset:
          filePath: assets/a.png
          fileHash: 05EBAA21
          groupId: 7
      outputs:
        imageAsset:
          assetId: 5
          decalAssetId: ~
      dependencies: []
";

    fn read_one(state: &str) -> Result<Source, ReadError> {
        read(state, &SourceOptions::default())
    }

    #[test]
    fn images_and_sounds_are_rows_and_other_kinds_are_counted() {
        let state = format!(
            "{HEAD}  production:\n{IMAGE}{}    - id: assetAlias_a\n      inputs:\n        assetAlias:\n          name: Images/a\n      outputs:\n        assetAlias:\n          name: Images/a\n      dependencies: []\n    \
             - id: experience_singleton\n      inputs:\n        experience:\n          groupId: ~\n      outputs:\n        experience:\n          assetId: 1\n          startPlaceId: 2\n      dependencies: []\n    \
             - id: x\n      inputs: experienceThumbnailOrder\n      outputs: experienceThumbnailOrder\n      dependencies: []\n",
            IMAGE.replace("imageAsset", "audioAsset").replace("a.png", "a.ogg").replace("assetId: 5", "assetId: 6")
        );
        let source = read_one(&state).unwrap();
        assert_eq!(source.creator.unwrap().to_string(), "group:7");
        let rows: Vec<_> = source.inputs[0]
            .rows
            .iter()
            .map(|row| (row.path.as_deref().unwrap(), row.hash.as_deref().unwrap(), row.asset_id.get()))
            .collect();
        assert_eq!(rows, [("assets/a.png", "05ebaa21", 5), ("assets/a.ogg", "05ebaa21", 6)]);
        let subjects: Vec<_> = source.findings.iter().map(|finding| finding.subject.as_str()).collect();
        assert!(subjects[0].contains("1 experience, 1 experienceThumbnailOrder"), "{subjects:?}");
        assert!(subjects[1].contains("1 names such as rbxgameasset"), "{subjects:?}");
    }

    #[test]
    fn one_environment_is_read() {
        let state = format!("{HEAD}  production:\n{IMAGE}  staging:\n{}", IMAGE.replace("assetId: 5", "assetId: 6"));
        let error = read_one(&state).unwrap_err();
        assert_eq!(error.hint().unwrap(), "choose one with `--environment production` or `--environment staging`");
        let ids = |name: &str| {
            let options = SourceOptions { environment: Some(name.to_owned()) };
            read(&state, &options).map(|source| source.inputs[0].rows[0].asset_id.get())
        };
        assert_eq!((ids("production"), ids("staging")), (Ok(5), Ok(6)));
        assert!(ids("none").unwrap_err().to_string().contains("no environment `none`"));
    }

    #[test]
    fn fake_records_are_reported_and_left_out() {
        let state = format!("{HEAD}  production:\n{}", IMAGE.replace("05EBAA21", "fake-hash"));
        let source = read_one(&state).unwrap();
        assert_eq!(source.inputs[0].rows, []);
        assert_eq!(source.findings, [Finding::new(FindingKind::FakeRecord, "asset 5 (asset_assets/a.png)")]);
    }

    #[test]
    fn another_version_is_refused_with_a_hint() {
        let check = |version: &str, hint: &str| {
            let state = format!("{HEAD}  production: []\n").replace("version: '6'", version);
            let error = read_one(&state).unwrap_err();
            assert!(error.hint().unwrap().contains(hint), "{error}");
        };
        check("version: '5'", "update Mantle");
        check("version: 1", "update Mantle");
        check("other: 1", "update Mantle");
        check("version: '7'", "newer Macadam");
        assert!(read_one("[").unwrap_err().to_string().contains(".mantle-state.yml can't be read"));
        assert!(read_one("version: '6'\n").unwrap_err().to_string().contains("environments"));
    }
}
