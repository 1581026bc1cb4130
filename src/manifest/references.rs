//! Icons and previews that are addresses: each leads to an Image, and none in a circle.

use std::collections::BTreeMap;
use std::ops::Range;

use super::address_index::{Absent, AddressBook, AddressUse};
use super::asset::AssetKeys;
use super::diagnostic::{ErrorSink, ManifestError, shown};
use super::entry::article;
use crate::model::address::Address;
use crate::model::asset::AssetType;
use crate::model::desired::{Stray, StrayPlace};
use crate::model::metadata::AssetRef;

/// One reference: the field, where it stands, and the address.
struct Edge<'e> {
    field: EdgeField,
    place: Range<usize>,
    to: &'e Address,
}

/// A reference from one asset to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EdgeField {
    Icon,
    Preview,
}

impl EdgeField {
    const fn name(self) -> &'static str {
        match self {
            Self::Icon => "icon",
            Self::Preview => "preview",
        }
    }

    fn of(self, address: &Address) -> StrayPlace {
        match self {
            Self::Icon => StrayPlace::Icon { of: address.clone() },
            Self::Preview => StrayPlace::Preview { of: address.clone() },
        }
    }
}

/// The references of an asset's icon and previews within the manifest.
fn edges(keys: &AssetKeys) -> impl Iterator<Item = Edge<'_>> {
    let icon = keys.icon.iter().filter_map(|icon| match icon.get_ref() {
        Some(AssetRef::Address(to)) => Some(Edge { field: EdgeField::Icon, place: icon.span(), to }),
        Some(AssetRef::Id(_)) | None => None,
    });
    let previews = keys.previews.iter().flatten().filter_map(|preview| match &preview.get_ref().asset {
        AssetRef::Address(to) => Some(Edge { field: EdgeField::Preview, place: preview.span(), to }),
        AssetRef::Id(_) => None,
    });
    icon.chain(previews)
}

/// The addresses of icons and previews.
pub(super) fn named(keys: &AssetKeys) -> impl Iterator<Item = &Address> {
    edges(keys).map(|edge| edge.to)
}

/// Whether there is an icon or a preview that is an address.
pub(super) fn has_references(keys: &AssetKeys) -> bool {
    edges(keys).next().is_some()
}

/// The address and place of an icon that is an address.
pub(super) fn icon_edge(keys: &AssetKeys) -> Option<(&Address, Range<usize>)> {
    edges(keys).find(|edge| edge.field == EdgeField::Icon).map(|edge| (edge.to, edge.place))
}

/// Each icon and preview leads to an Image.
pub(super) fn check_targets<'k>(
    all: impl Iterator<Item = (&'k Address, &'k AssetKeys)>,
    address_index: &AddressBook<'_>,
    report: &mut ErrorSink,
    absent: &mut Absent,
) {
    for (of, edge) in all.flat_map(|(of, keys)| edges(keys).map(move |edge| (of, edge))) {
        let field = edge.field.name();
        let name = shown(edge.to.as_str());
        let at = |message: String| ManifestError::new(edge.place.clone(), message);
        match address_index.usage(edge.to) {
            AddressUse::Asset(Some(AssetType::Image)) | AddressUse::Undecided => {}
            AddressUse::Asset(None) if !address_index.is_complete() => {}
            AddressUse::Asset(found) => {
                let fault = at(match found {
                    Some(found) => format!("the {field} must be an Image, {name} is {} {found}", article(found)),
                    None => format!("the {field} must be an Image, and {name} isn't one"),
                });
                report.add(fault.hint("name an Image, or another asset's ID as \"assets/123\""));
            }
            AddressUse::Existing(id) => {
                report.add(at(format!("{name} is under [existing]")).hint(format!("write \"assets/{id}\"")));
            }
            AddressUse::Left => {
                absent.strays.insert(Stray { to: edge.to.clone(), place: edge.field.of(of) });
            }
            AddressUse::PathOf(other) => {
                let fault = address_index.missing(edge.to, edge.place.clone(), absent, "");
                let hint = format!("that is the path of {}: write that address", shown(other.as_str()));
                absent.faults.add(fault.hint(hint));
            }
            AddressUse::Missing => {
                let hint = "write the name of an Image in this manifest, or an asset ID as \"assets/123\"";
                let fault = address_index.missing(edge.to, edge.place.clone(), absent, hint);
                absent.faults.add(fault);
            }
        }
    }
}

/// The most assets of a circle that a message names.
const MAX_CIRCLE: usize = 8;

/// The progress of the walk through the references, for one asset.
#[derive(Clone, Copy)]
enum Visit {
    OnPath,
    Done,
}

/// One asset on the walk's path.
struct ReferenceStep<'g, 'e> {
    address: &'e Address,
    rest: std::slice::Iter<'g, Edge<'e>>,
    followed: Option<&'g Edge<'e>>,
}

/// No asset waits for itself. Each circle is told with every reference in it.
pub(super) fn check_circles<'e>(all: impl Iterator<Item = (&'e Address, &'e AssetKeys)>, report: &mut ErrorSink) {
    let graph: BTreeMap<&Address, Vec<Edge<'e>>> =
        all.map(|(address, keys)| (address, edges(keys).collect())).collect();
    let mut visits: BTreeMap<&Address, Visit> = BTreeMap::new();
    for (start, edges) in &graph {
        if visits.contains_key(start) {
            continue;
        }
        visits.insert(start, Visit::OnPath);
        // On the heap: a manifest may chain any number of icons.
        let mut path = vec![ReferenceStep { address: start, rest: edges.iter(), followed: None }];
        while let Some(step) = path.last_mut() {
            let Some(edge) = step.rest.next() else {
                visits.insert(step.address, Visit::Done);
                path.pop();
                continue;
            };
            step.followed = Some(edge);
            match (visits.get(edge.to), graph.get(edge.to)) {
                (Some(Visit::OnPath), _) => report.add(circle(&path, edge.to)),
                (None, Some(edges)) => {
                    visits.insert(edge.to, Visit::OnPath);
                    path.push(ReferenceStep { address: edge.to, rest: edges.iter(), followed: None });
                }
                (Some(Visit::Done), _) | (None, None) => {}
            }
        }
    }
}

/// The part of the path from `to` on, which the last step closes.
fn circle(path: &[ReferenceStep<'_, '_>], to: &Address) -> ManifestError {
    let around: Vec<&ReferenceStep<'_, '_>> = path.iter().skip_while(|step| step.address != to).collect();
    let mut names: Vec<String> = around.iter().take(MAX_CIRCLE).map(|step| shown(step.address.as_str())).collect();
    if around.len() > MAX_CIRCLE {
        names.push("…".to_owned());
    }
    names.push(shown(to.as_str()));
    let mut places = around.iter().filter_map(|step| step.followed);
    let first = places.next().map_or(0..0, |edge| edge.place.clone());
    let message = format!("icons and previews form a circle: {}", names.join(" -> "));
    let fault = ManifestError::new(first, message)
        .hint("Macadam uploads each asset before the one that shows it; remove one of these");
    places.take(MAX_CIRCLE).fold(fault, |fault, edge| fault.also(edge.place.clone(), "and continues here"))
}
