//! The tables of a manifest, put together: what can be said without a look at the files is checked
//! here.
//!
//! Read next: `entry` for assets and globs, `resolve` for what needs the files.

use std::collections::{BTreeMap, BTreeSet};

use toml::de::{DeTable, DeValue};

use super::address_index::{Absent, AddressBook, Existing, PinEntry, check_pins, read_existing, read_pins};
use super::asset::{AssetKeys, KeyPlace};
use super::diagnostic::{ErrorSink, ManifestError, shown};
use super::entry::{AssetEntry, DraftEntry, GlobEntry, read_assets, read_globs};
use super::notification::read_notify;
use super::outputs::{IncludedPattern, Outputs, Taken, read_outputs};
use super::owner::read_creator;
use super::paths::normalized;
use super::pattern;
use super::policy::read_policy;
use super::read::{KeyValue, TableReader};
use super::references::{check_circles, check_targets};
use crate::model::address::Address;
use crate::model::ids::Creator;
use crate::model::output::Output;
use crate::model::policy::Policy;

/// Everything that a manifest says.
#[derive(Debug, Clone)]
pub(super) struct ManifestDocument {
    pub(super) creator: Creator,
    pub(super) policy: Policy,
    /// Entries in the document's order.
    pub(super) assets: Vec<AssetEntry>,
    /// Globs in the document's order.
    pub(super) globs: Vec<GlobEntry>,
    pub(super) existing: BTreeMap<Address, Existing>,
    pub(super) outputs: Vec<Output>,
    /// The patterns of all outputs.
    pub(super) includes: Vec<IncludedPattern>,
    pub(super) webhook_env: Option<String>,
    pub(super) pins: BTreeMap<Address, PinEntry>,
}

/// Reads all tables of the manifest `file`. The result means nothing if the report got a fault, and
/// is `None` where the creator can't be known. Faults about addresses that are nowhere in the
/// manifest go to `absent`: they may be known from before, which only [`super::Manifest::resolve`]
/// learns.
pub(super) fn read_document(
    table: &DeTable<'_>,
    file: &str,
    report: &mut ErrorSink,
    absent: &mut ErrorSink,
) -> Option<ManifestDocument> {
    let mut root = TableReader::new(table, "the manifest", 0..0);
    let creator = root.take("creator");
    let policy = root.take("policy");
    let defaults = root.take("defaults");
    let assets = root.take("assets");
    let globs = root.take("globs");
    let existing = root.take("existing");
    let outputs = root.take("outputs");
    let notify = root.take("notify");
    let pins = root.take("pins");
    for field in root.take_tables_with("path") {
        report.add(entry_at_the_top(&field));
    }
    root.finish(report);

    let creator = read_owner(creator.as_ref(), report);
    let policy = open(policy.as_ref(), report).map(|fields| read_policy(fields, report)).unwrap_or_default();
    let defaults = open(defaults.as_ref(), report).map(|fields| read_defaults(fields, report)).unwrap_or_default();
    let mut read =
        |field: Option<&KeyValue<'_>>| open(field, report).map(|fields| read_assets(fields, &defaults, report));
    let assets = read(assets.as_ref()).unwrap_or_default();
    let globs = open(globs.as_ref(), report).map(|fields| read_globs(fields, &defaults, report)).unwrap_or_default();
    let existing =
        open(existing.as_ref(), report).map(|fields| read_existing(fields, &assets, report)).unwrap_or_default();
    let taken = Taken { manifest: file, assets: &assets };
    let outputs = outputs.map(|field| read_outputs(&field, &taken, report)).unwrap_or_default();
    let Outputs { all: outputs, includes } = outputs;
    let webhook_env = open(notify.as_ref(), report).and_then(|fields| read_notify(fields, report));
    let pins = open(pins.as_ref(), report).map(|fields| read_pins(fields, report)).unwrap_or_default();
    absent.append(check_references(&assets, &globs, &existing, &pins, report));

    let assets = assets.into_iter().filter_map(DraftEntry::complete).collect();
    Some(ManifestDocument { creator: creator?, policy, assets, globs, existing, outputs, includes, webhook_env, pins })
}

/// An asset or a glob whose header lacks its first part.
fn entry_at_the_top(field: &KeyValue<'_>) -> ManifestError {
    let path = match field.value.get_ref() {
        DeValue::Table(table) => table.get("path").map(|path| path.get_ref()),
        _ => None,
    };
    let is_glob = matches!(path, Some(DeValue::String(text)) if text.contains(['*', '?', '[', '{']));
    let table = if is_glob { "globs" } else { "assets" };
    let is_plain = field.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let name = if is_plain { field.name.to_owned() } else { "NAME".to_owned() };
    ManifestError::new(field.key.clone(), format!("unknown key {} in the manifest", shown(field.name)))
        .hint(format!("write [{table}.{name}] in place of [{name}]"))
}

fn open<'t>(field: Option<&KeyValue<'t>>, report: &mut ErrorSink) -> Option<TableReader<'t>> {
    let field = field?;
    if let DeValue::Array(_) = field.value.get_ref() {
        let name = field.name;
        report.add(field.wrong_kind("a table").hint(match name {
            "assets" | "globs" => format!("write [{name}.NAME] in place of [[{name}]], with a name for each"),
            _ => format!("write [{name}] in place of [[{name}]]"),
        }));
        return None;
    }
    field.table(format!("[{}]", field.name), report)
}

fn read_owner(field: Option<&KeyValue<'_>>, report: &mut ErrorSink) -> Option<Creator> {
    if field.is_none() {
        let fault = ManifestError::new(0..0, "the manifest has no [creator]");
        report.add(fault.hint("say who owns the assets: [creator] with `user_id` or `group_id`"));
    }
    read_creator(open(field, report)?, report)
}

fn read_defaults(mut fields: TableReader<'_>, report: &mut ErrorSink) -> AssetKeys {
    let defaults = AssetKeys::read(&mut fields, KeyPlace::Defaults, report);
    fields.finish(report);
    defaults
}

/// Icons, previews and pins, as far as nothing about them depends on the files. Gives the faults
/// about addresses that are nowhere.
fn check_references(
    assets: &[DraftEntry],
    globs: &[GlobEntry],
    existing: &BTreeMap<Address, Existing>,
    pins: &BTreeMap<Address, PinEntry>,
    report: &mut ErrorSink,
) -> ErrorSink {
    // A set that can't be built is told where the walk builds it; here everything stays open.
    let open = pattern::set(globs.iter().map(|glob| glob.pattern.get_ref().as_str()));
    let open = match open {
        Ok(open) => open,
        Err(error) => {
            report.add(ManifestError::new(0..0, format!("the patterns of all [globs] are too many: {}", error.kind())));
            return ErrorSink::default();
        }
    };
    let paths = assets.iter().filter_map(|draft| Some((normalized(draft.path.as_ref()?.get_ref()), &draft.address)));
    let address_index = AddressBook {
        assets: assets.iter().map(|draft| (&draft.address, draft.certain_type())).collect(),
        existing,
        paths: paths.collect(),
        known: &BTreeSet::new(),
        open: Some(open),
    };
    let mut absent = Absent::default();
    let keys = || assets.iter().map(|draft| (&draft.address, &draft.keys));
    check_targets(keys(), &address_index, report, &mut absent);
    check_circles(keys(), report);
    check_pins(pins, &address_index, report, &mut absent);
    absent.faults
}
