//! How addresses become keys: what is cut off, where tables begin, and which keys collide.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use super::{AssetIds, quoted};
use crate::model::address::Address;
use crate::model::ids::AssetId;
use crate::model::output::{Language, Output, OutputStyle};

/// The key in JSON that holds the mark, since JSON has no comments.
pub(super) const JSON_MARK_KEY: &str = "@generated";

/// A table of an output; its keys are in byte order.
pub(super) type Table<'a> = BTreeMap<String, Node<'a>>;

/// What a key of an output has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node<'a> {
    /// More keys.
    Table(Table<'a>),
    /// The asset of an address, where it has one.
    Asset(&'a Address, Option<AssetId>),
}

/// A whole output.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Tree<'a>(pub(super) Table<'a>);

/// Two addresses that can't both be in one output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collision {
    /// The key, with `/` between the tables that lead to it.
    pub key: String,
    /// The first address in byte order.
    pub first: Address,
    /// The other; `None`: the key is Macadam's own.
    pub second: Option<Address>,
    /// One of them needs a table where the other needs a value.
    pub is_table: bool,
}

impl fmt::Display for Collision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, first, second, is_table } = self;
        let key = crate::model::shown::foreign(key);
        match second {
            Some(second) if *is_table => {
                write!(f, "{} and {} collide: `{key}` can't be an asset and a table", quoted(first), quoted(second))
            }
            Some(second) => write!(f, "{} and {} both get the key `{key}`", quoted(first), quoted(second)),
            None => write!(f, "{} gets the key `{key}`, which marks the file as generated", quoted(first)),
        }
    }
}

/// Arranges addresses as an output asks for it.
///
/// # Errors
/// Every collision, in the order of the addresses.
pub(super) fn build<'a>(output: &Output, assets: &'a AssetIds) -> Result<Tree<'a>, Vec<Collision>> {
    let mut tree = Tree::default();
    let mut collisions = Vec::new();
    for (address, asset_id) in assets {
        let key = key(output, address);
        let parts: Vec<&str> = match output.style {
            OutputStyle::Flat => vec![&key],
            OutputStyle::Nested => key.split('/').collect(),
        };
        if output.language == Language::Json && parts.first() == Some(&JSON_MARK_KEY) {
            collisions.push(Collision { key, first: address.clone(), second: None, is_table: false });
            continue;
        }
        if let Err((other, is_table)) = insert(&mut tree.0, &parts, address, *asset_id) {
            let (first, second) = (other.clone().min(address.clone()), Some(other.max(address.clone())));
            collisions.push(Collision { key, first, second, is_table });
        }
    }
    if collisions.is_empty() { Ok(tree) } else { Err(collisions) }
}

/// The key of an address: without `base` in front, and without its last extension where that is asked for.
fn key(output: &Output, address: &Address) -> String {
    let whole = address.as_str();
    let below = |base: &String| whole.strip_prefix(base.as_str())?.strip_prefix('/').filter(|rest| !rest.is_empty());
    let key = output.base.as_ref().and_then(below).unwrap_or(whole);
    if !output.strip_extensions {
        return key.to_owned();
    }
    let (folder, name) = key.rsplit_once('/').map_or(("", key), |(folder, name)| (folder, name));
    // A hidden file's name is all stem.
    let stem = name.rsplit_once('.').map(|(stem, _)| stem).filter(|stem| !stem.is_empty()).unwrap_or(name);
    if folder.is_empty() && !key.starts_with('/') { stem.to_owned() } else { format!("{folder}/{stem}") }
}

/// Puts an asset where `parts` lead. Otherwise the address that is in its way, and whether one of the two needs a table there.
fn insert<'a>(
    table: &mut Table<'a>,
    parts: &[&str],
    address: &'a Address,
    asset_id: Option<AssetId>,
) -> Result<(), (Address, bool)> {
    let Some((part, rest)) = parts.split_first() else { return Ok(()) };
    match (table.entry((*part).to_owned()), rest) {
        (Entry::Vacant(place), []) => {
            place.insert(Node::Asset(address, asset_id));
            Ok(())
        }
        (Entry::Vacant(place), rest) => {
            // Nothing is in the way in a new table.
            match place.insert(Node::Table(Table::new())) {
                Node::Table(inner) => insert(inner, rest, address, asset_id),
                Node::Asset(other, _) => Err(((*other).clone(), true)),
            }
        }
        (Entry::Occupied(place), rest) => match (place.into_mut(), rest) {
            (Node::Asset(other, _), rest) => Err(((*other).clone(), !rest.is_empty())),
            (Node::Table(inner), []) => Err((any_address(inner).unwrap_or(address).clone(), true)),
            (Node::Table(inner), rest) => insert(inner, rest, address, asset_id),
        },
    }
}

/// The first address in a table, which is never empty.
fn any_address<'a>(table: &Table<'a>) -> Option<&'a Address> {
    table.values().find_map(|node| match node {
        Node::Asset(address, _) => Some(*address),
        Node::Table(inner) => any_address(inner),
    })
}

impl Tree<'_> {
    /// Leaves out the addresses that have no asset, and the tables that are empty then.
    pub(super) fn without_missing(self) -> Self {
        Self(prune(self.0))
    }
}

fn prune(table: Table<'_>) -> Table<'_> {
    let kept = table.into_iter().filter_map(|(key, node)| match node {
        Node::Asset(_, None) => None,
        Node::Asset(..) => Some((key, node)),
        Node::Table(inner) => {
            let inner = prune(inner);
            (!inner.is_empty()).then_some((key, Node::Table(inner)))
        }
    });
    kept.collect()
}
