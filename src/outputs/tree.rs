//! Turns addresses into keys: removes prefixes, nests tables, and finds collisions.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use super::{AssetIds, DEEPEST, RenderError, quoted};
use crate::model::address::Address;
use crate::model::ids::AssetId;
use crate::model::output::{Language, Output, OutputStyle};

/// The key that holds the mark in JSON, which has no comments.
pub(super) const JSON_MARK_KEY: &str = "@generated";

/// A table of an output; its keys are in byte order.
pub(super) type Table<'a> = BTreeMap<String, Node<'a>>;

/// The value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node<'a> {
    /// A nested table.
    Table(Table<'a>),
    /// The asset of an address, if it has one.
    Asset(&'a Address, Option<AssetId>),
}

/// A whole output.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Tree<'a>(pub(super) Table<'a>);

/// Two addresses that can't be in the same output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Collision {
    /// The key, with `/` between nested tables.
    pub key: String,
    /// The first address in byte order.
    pub first: Address,
    /// The other address; `None` if the key is Macadam's own.
    pub second: Option<Address>,
    /// Whether one of them needs a table where the other needs a value.
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

/// Arranges addresses as an output requests.
///
/// # Errors
/// Every collision, in the order of the addresses, or an address that is nested too deeply.
pub(super) fn build<'a>(output: &Output, assets: &'a AssetIds) -> Result<Tree<'a>, RenderError> {
    let mut tree = Tree::default();
    let mut collisions = Vec::new();
    for (address, asset_id) in assets {
        let key = key(output, address);
        let parts: Vec<&str> = match output.style {
            OutputStyle::Flat => vec![&key],
            OutputStyle::Nested => key.split('/').collect(),
        };
        if parts.len() > DEEPEST {
            return Err(RenderError::TooDeep { address: address.clone() });
        }
        if output.language == Language::Json && parts.first() == Some(&JSON_MARK_KEY) {
            collisions.push(Collision { key, first: address.clone(), second: None, is_table: false });
            continue;
        }
        if let Err(clash) = insert(&mut tree.0, &parts, address, *asset_id) {
            let Clash { with, is_table, rest } = clash;
            let key = parts.get(..parts.len().saturating_sub(rest)).unwrap_or(&parts).join("/");
            let (first, second) = (with.clone().min(address.clone()), Some(with.max(address.clone())));
            collisions.push(Collision { key, first, second, is_table });
        }
    }
    if collisions.is_empty() { Ok(tree) } else { Err(RenderError::Collisions(collisions)) }
}

/// Returns the key of an address: without `base`, and without the last extension if the output
/// requests that.
fn key(output: &Output, address: &Address) -> String {
    let whole = address.as_str();
    let below = |base: &String| whole.strip_prefix(base.as_str())?.strip_prefix('/').filter(|rest| !rest.is_empty());
    let key = output.base.as_ref().and_then(below).unwrap_or(whole);
    if !output.strip_extensions {
        return key.to_owned();
    }
    let (folder, name) = key.rsplit_once('/').map_or(("", key), |(folder, name)| (folder, name));
    // The name of a hidden file has no extension.
    let stem = name.rsplit_once('.').map(|(stem, _)| stem).filter(|stem| !stem.is_empty()).unwrap_or(name);
    if folder.is_empty() && !key.starts_with('/') { stem.to_owned() } else { format!("{folder}/{stem}") }
}

/// An obstacle to an address.
struct Clash {
    /// The address that has the key.
    with: Address,
    /// Whether one of the two needs a table there.
    is_table: bool,
    /// The number of the key's parts after the collision.
    rest: usize,
}

/// Inserts an asset at `parts`, unless another is in the way.
fn insert<'a>(
    table: &mut Table<'a>,
    parts: &[&str],
    address: &'a Address,
    asset_id: Option<AssetId>,
) -> Result<(), Clash> {
    let Some((part, rest)) = parts.split_first() else { return Ok(()) };
    match (table.entry((*part).to_owned()), rest) {
        (Entry::Vacant(place), []) => {
            place.insert(Node::Asset(address, asset_id));
            Ok(())
        }
        (Entry::Vacant(place), rest) => {
            // A new table has no collision.
            match place.insert(Node::Table(Table::new())) {
                Node::Table(inner) => insert(inner, rest, address, asset_id),
                Node::Asset(with, _) => Err(clash(with, rest)),
            }
        }
        (Entry::Occupied(place), rest) => match (place.into_mut(), rest) {
            (Node::Asset(with, _), rest) => Err(clash(with, rest)),
            (Node::Table(inner), []) => {
                Err(Clash { is_table: true, ..clash(any_address(inner).unwrap_or(address), rest) })
            }
            (Node::Table(inner), rest) => insert(inner, rest, address, asset_id),
        },
    }
}

/// Creates the collision with the asset of another address, where `rest` of the key is left.
fn clash(with: &Address, rest: &[&str]) -> Clash {
    Clash { with: with.clone(), is_table: !rest.is_empty(), rest: rest.len() }
}

/// Returns the first address in a table, which is never empty.
fn any_address<'a>(table: &Table<'a>) -> Option<&'a Address> {
    table.values().find_map(|node| match node {
        Node::Asset(address, _) => Some(*address),
        Node::Table(inner) => any_address(inner),
    })
}

impl Tree<'_> {
    /// Removes addresses without an asset, and tables that become empty.
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
