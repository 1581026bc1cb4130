//! The manifest as the scenario edits it, through a document that keeps the edits of `macadam pin`.

use std::collections::BTreeMap;

use toml_edit::{DocumentMut, Item, Table, value};

use crate::support::Project;

pub const FILE: &str = "assets.toml";

/// The initial manifest: two globs.
const BEGINNING: &str = "\
[creator]
user_id = 1

[globs.ui]
path = \"ui/**/*.png\"

[globs.models]
path = \"models/**/*.rbxmx\"

[assets]
";

/// One entry under `[assets]`.
#[derive(Debug, Clone)]
pub struct Entry {
    pub path: String,
    pub description: Option<String>,
}

/// The current manifest.
#[derive(Debug)]
pub struct Manifest {
    document: DocumentMut,
}

impl Manifest {
    pub fn begin() -> Self {
        Self { document: BEGINNING.parse().unwrap() }
    }

    /// Reads the manifest in the checkout, which must be valid.
    pub fn read(project: &Project) -> Self {
        Self { document: project.text(FILE).parse().unwrap() }
    }

    pub fn write(&self, project: &Project) {
        project.write(FILE, self.document.to_string());
    }

    fn table(&self, name: &str) -> Option<&Table> {
        self.document.get(name).and_then(Item::as_table)
    }

    fn assets(&mut self) -> &mut Table {
        self.document["assets"].or_insert(Item::Table(Table::new())).as_table_mut().unwrap()
    }

    /// Returns the entries, by address.
    pub fn entries(&self) -> BTreeMap<String, Entry> {
        let text = |item: &Item, key: &str| item.get(key).and_then(Item::as_str).map(str::to_owned);
        let entry = |item: &Item| Entry { path: text(item, "path").unwrap(), description: text(item, "description") };
        let assets = self.table("assets").into_iter().flat_map(Table::iter);
        assets.map(|(address, item)| (address.to_owned(), entry(item))).collect()
    }

    /// Returns the pinned addresses.
    pub fn pins(&self) -> Vec<String> {
        let pins = self.document.get("pins").and_then(Item::as_table_like);
        pins.into_iter().flat_map(|pins| pins.iter().map(|(address, _)| address.to_owned())).collect()
    }

    pub fn add(&mut self, address: &str, entry: &Entry) {
        let mut table = Table::new();
        table["path"] = value(&entry.path);
        if let Some(description) = &entry.description {
            table["description"] = value(description);
        }
        self.assets().insert(address, Item::Table(table));
    }

    /// Moves the pin of one address to another, if there is one.
    pub fn move_pin(&mut self, from: &str, to: &str) {
        let pins = self.document.get_mut("pins").and_then(Item::as_table_like_mut);
        if let Some(pins) = pins
            && let Some(revision) = pins.remove(from)
        {
            pins.insert(to, revision);
        }
    }

    pub fn drop_entry(&mut self, address: &str) {
        self.assets().remove(address);
    }
}
