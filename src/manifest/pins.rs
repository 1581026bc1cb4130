//! The byte ranges of the pins in a manifest: under a header, as dotted keys, in an
//! inline table, or each under a header of its own.
//!
//! Looks at the layout alone; what a pin means is read in `address_index`. Read next: `edit`, the caller.

use std::collections::BTreeSet;
use std::ops::Range;

use toml_edit::{Document, InlineTable, Item, Key, Table, TableLike, Value};

use crate::model::address::Address;

/// A key and its value at the bottom of a pin.
#[derive(Debug, Clone)]
pub(super) struct PinLeaf {
    pub(super) key: Range<usize>,
    pub(super) value: Range<usize>,
    name: String,
}

/// How one pin is written.
#[derive(Debug, Clone)]
pub(super) enum Spelling {
    /// `sword = 3` or `sword = { asset_id = 3 }`: the value.
    Value(Range<usize>),
    /// `sword.asset_id = 3`.
    Dotted(Vec<PinLeaf>),
    /// `[pins.sword]` with its keys below.
    Headed(Vec<PinLeaf>),
    /// In a way that no pin is, such as `[[pins.sword]]`.
    Strange,
}

/// One pin as it is written.
#[derive(Debug)]
pub(super) struct Written<'d> {
    pub(super) key: Range<usize>,
    pub(super) spelling: Spelling,
    /// Its own header.
    pub(super) header: Option<Range<usize>>,
    item: &'d Item,
}

/// The places of all pins.
#[derive(Debug)]
pub(super) enum Home<'d> {
    /// There are none.
    Nowhere,
    /// `pins = { … }`.
    Inline {
        /// The key.
        name: Range<usize>,
        /// From brace to brace.
        place: Range<usize>,
        /// The last entry.
        last: Option<Range<usize>>,
        /// How many entries there are.
        count: usize,
        /// The entries.
        table: &'d InlineTable,
    },
    /// `[pins]`, `pins.sword = 3`, or `[pins.sword]` alone.
    Table {
        /// `[pins]`, where that is written.
        header: Option<Range<usize>>,
        /// The word `pins` where it is first written.
        name: Range<usize>,
        /// The last entry that stands directly under the header, or is a dotted key.
        last: Option<Range<usize>>,
        /// How many entries stand so.
        direct: usize,
        /// How many entries there are, with those that have a header of their own.
        count: usize,
        /// The entries.
        table: &'d Table,
    },
}

impl<'d> Home<'d> {
    /// Finds the pins of a document; `None` when `pins` is not a table.
    pub(super) fn of(document: &'d Document<&str>) -> Option<Self> {
        let Some((name, item)) = document.as_table().get_key_value("pins") else { return Some(Self::Nowhere) };
        let name = name.span()?;
        match item {
            Item::Value(Value::InlineTable(table)) => {
                let entries = entries(table);
                let last = entries.iter().filter_map(Written::extent).max_by_key(|place| place.end);
                Some(Self::Inline { name, place: table.span()?, last, count: entries.len(), table })
            }
            Item::Table(table) => {
                let entries = entries(table);
                let direct: Vec<Range<usize>> = entries.iter().filter_map(Written::extent).collect();
                let header = if table.is_implicit() || table.is_dotted() { None } else { Some(table.span()?) };
                let count = direct.len();
                let last = direct.into_iter().max_by_key(|place| place.end);
                Some(Self::Table { header, name, last, direct: count, count: entries.len(), table })
            }
            _ => None,
        }
    }

    /// Every address that is pinned.
    pub(super) fn addresses(&self) -> BTreeSet<Address> {
        let named: Vec<(Written<'d>, String)> = match self {
            Self::Nowhere => Vec::new(),
            Self::Inline { table, .. } => named_entries(*table),
            Self::Table { table, .. } => named_entries(*table),
        };
        named.iter().filter_map(|(_, name)| Address::new(name).ok()).collect()
    }

    /// How the pin of an address is written: more than once when two spellings of a key are one
    /// address.
    pub(super) fn written(&self, address: &Address) -> Vec<Written<'d>> {
        let entries: Vec<(Written<'d>, String)> = match self {
            Self::Nowhere => Vec::new(),
            Self::Inline { table, .. } => named_entries(*table),
            Self::Table { table, .. } => named_entries(*table),
        };
        let is_meant = |name: &str| Address::new(name).is_ok_and(|name| name == *address);
        entries.into_iter().filter(|(_, name)| is_meant(name)).map(|(written, _)| written).collect()
    }
}

impl Written<'_> {
    /// From its key to the end of its value, unless it has a header of its own.
    fn extent(&self) -> Option<Range<usize>> {
        match &self.spelling {
            Spelling::Value(place) => Some(self.key.start..place.end),
            Spelling::Dotted(leaves) => {
                let end = leaves.iter().map(|leaf| leaf.value.end).max()?;
                let start = leaves.iter().max_by_key(|leaf| leaf.value.end)?.key.start;
                Some(start..end)
            }
            Spelling::Headed(_) | Spelling::Strange => None,
        }
    }

    /// The number of a pin that is an asset ID and nothing else.
    pub(super) fn only_asset_id(&self) -> Option<Range<usize>> {
        let leaves = match &self.spelling {
            Spelling::Dotted(leaves) | Spelling::Headed(leaves) => leaves.clone(),
            Spelling::Value(_) => self.item.as_inline_table().and_then(leaves)?,
            Spelling::Strange => return None,
        };
        match leaves.as_slice() {
            [leaf] if leaf.name == "asset_id" => Some(leaf.value.clone()),
            _ => None,
        }
    }
}

fn entries<'d, T: Entries>(table: &'d T) -> Vec<Written<'d>> {
    named_entries(table).into_iter().map(|(written, _)| written).collect()
}

fn named_entries<'d, T: Entries>(table: &'d T) -> Vec<(Written<'d>, String)> {
    let entry = |(key, item): (&'d Key, &'d Item)| {
        let (spelling, header) = spelling(item);
        Some((Written { key: key.span()?, spelling, header, item }, key.get().to_owned()))
    };
    table.entries().into_iter().filter_map(entry).collect()
}

fn spelling(item: &Item) -> (Spelling, Option<Range<usize>>) {
    let known = |spelling: Option<Spelling>| spelling.unwrap_or(Spelling::Strange);
    match item {
        Item::Value(Value::InlineTable(table)) if table.is_dotted() => {
            (known(leaves(table).map(Spelling::Dotted)), None)
        }
        Item::Value(value) => (known(value.span().map(Spelling::Value)), None),
        Item::Table(table) if table.is_dotted() => (known(leaves(table).map(Spelling::Dotted)), None),
        Item::Table(table) if !table.is_implicit() => (known(leaves(table).map(Spelling::Headed)), table.span()),
        Item::Table(_) | Item::ArrayOfTables(_) | Item::None => (Spelling::Strange, None),
    }
}

/// All keys of a pin's table, or `None` when one of them has a table of its own: no pin is so deep.
fn leaves<T: Entries>(table: &T) -> Option<Vec<PinLeaf>> {
    let leaf = |(key, item): (&Key, &Item)| match item {
        Item::Value(Value::InlineTable(inner)) if inner.is_dotted() => None,
        Item::Value(value) => Some(PinLeaf { key: key.span()?, value: value.span()?, name: key.get().to_owned() }),
        Item::Table(_) | Item::ArrayOfTables(_) | Item::None => None,
    };
    table.entries().into_iter().map(leaf).collect()
}

/// A table of either kind, as keys and values with their places.
trait Entries: TableLike {
    fn entries(&self) -> Vec<(&Key, &Item)> {
        self.iter().filter_map(|(name, _)| self.get_key_value(name)).collect()
    }
}

impl Entries for Table {}
impl Entries for InlineTable {}
