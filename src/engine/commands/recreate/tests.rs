//! The distribution of assets when the owner changes.

use super::*;
use crate::model::asset::{FileFormat, Privacy};
use crate::model::desired::{AbsenceReason, Absences};
use crate::model::file::{ContentFacts, FileFacts};
use crate::model::history::{Listing, RevisionFact, RevisionKey, RevisionState};
use crate::model::ids::{ContentHash, UserId};
use crate::model::path::ProjectPath;
use crate::model::rare::Rare;
use crate::model::recorded::{RetireReason, Retirement};
use std::sync::Arc;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn user(number: u64) -> Creator {
    Creator::User(UserId::new(number).unwrap())
}

fn address(name: &str) -> Address {
    Address::new(name).unwrap()
}

fn id(number: u64) -> AssetId {
    AssetId::new(number).unwrap()
}

fn key(asset: u64) -> RevisionKey {
    RevisionKey { asset_id: id(asset), version: None }
}

/// An image of `creator` with this content.
fn wanting(creator: Creator, content: u8) -> Desired {
    let hash = ContentHash::from_bytes([content; 32]);
    let want = DesiredAsset {
        path: ProjectPath::new("a.png").unwrap(),
        asset_type: Some(AssetType::Image),
        creator,
        content: Ok(FileFacts { size: 3, hash, format: FileFormat::Png, content: ContentFacts::Opaque }),
        metadata: Arc::default(),
        privacy: Privacy::Default,
        expected_price: Rare::new(),
        prevent_replace: false,
        pin: Rare::new(),
        grants: Rare::new(),
    };
    Desired { assets: [(address("a"), want)].into(), ..Desired::default() }
}

/// A recorded state, built from nothing.
#[derive(Default)]
struct Known(Recorded);

impl Known {
    fn tell(mut self, change: Change) -> Self {
        self.0.apply(&change, NOW).unwrap();
        self
    }

    /// Adds an address of `creator`.
    fn address(self, name: &str, creator: Creator) -> Self {
        let path = ProjectPath::new("a.png").unwrap();
        let identity = Identity { asset_type: AssetType::Image, creator, privacy: Privacy::Default, path };
        self.tell(Change::SetIdentity { address: address(name), identity })
    }

    /// Adds an asset to it: the `ordinal`-th, of `creator`, with this content.
    fn asset(self, name: &str, asset: u64, creator: Creator, ordinal: u32, content: u8) -> Self {
        let fact = RevisionFact {
            kind: Some(Kind { asset_type: AssetType::Image, creator }),
            ..RevisionFact::new(ordinal, Some(ContentHash::from_bytes([content; 32])), RevisionState::Live)
        };
        self.tell(Change::AddRevision { address: address(name), key: key(asset), fact })
    }

    fn points_to(self, name: &str, asset: u64) -> Self {
        self.tell(Change::SetCurrentAsset { address: address(name), asset_id: id(asset) })
    }

    fn listed(self, name: &str, asset: u64) -> Self {
        self.tell(Change::SetListing { address: address(name), asset_id: id(asset), listing: Some(Listing::Listed) })
    }

    /// Returns the recorded state after every address gets the owner of `desired`.
    fn recreated(mut self, desired: &Desired) -> Self {
        let choice = choose(desired, &self.0, None);
        assert_eq!(choice.left_out, BTreeMap::new());
        for change in choice.changes(&self.0) {
            self.0.apply(&change, NOW).unwrap();
        }
        assert_eq!(choose(desired, &self.0, None), Choice::default(), "the second time there is nothing to do");
        self
    }

    /// Returns each address with its owner and its assets.
    fn assets(&self) -> Vec<(&str, Creator, Vec<u64>)> {
        let of = |(address, record): (&'_ Address, &Record)| {
            let assets = record.history.assets().into_iter().map(AssetId::get).collect();
            (record.identity.creator, assets, address.as_str().to_owned())
        };
        let rows: Vec<(Creator, Vec<u64>, String)> = self.0.assets.iter().map(of).collect();
        let names: Vec<&str> = self.0.assets.keys().map(Address::as_str).collect();
        names.into_iter().zip(rows).map(|(name, (creator, assets, _))| (name, creator, assets)).collect()
    }

    /// Returns the old and the new asset of each row of the table.
    fn rows(&self, desired: &Desired) -> Vec<(u64, Option<u64>)> {
        table(desired, &self.0).into_iter().map(|row| (row.old.get(), row.new.map(AssetId::get))).collect()
    }
}

/// An address of the first owner with that owner's asset 10. The second owner's asset 20 is known
/// too, from a change that git took back.
fn taken_back() -> Known {
    Known::default()
        .address("a", user(1))
        .asset("a", 10, user(1), 1, 1)
        .listed("a", 10)
        .asset("a", 20, user(2), 1, 1)
        .address("a@user:1", user(1))
        .asset("a@user:1", 10, user(1), 1, 1)
        .points_to("a@user:1", 10)
}

#[test]
fn a_change_that_is_given_again_uses_the_new_owners_asset_again() {
    let desired = wanting(user(2), 1);
    let known = taken_back().recreated(&desired);
    assert_eq!(known.assets(), [("a", user(2), vec![20]), ("a@user:1", user(1), vec![10])]);
    assert_eq!(known.rows(&desired), [(10, Some(20))]);
    assert_eq!(plan(&desired, &known.0, &PlanOptions::default(), NOW).steps, []);
    let former = &known.0.assets[&address("a@user:1")];
    assert_eq!((former.removed, former.points_to), (true, Some(id(10))));
    assert_eq!(former.history.listing(id(10)), Some(Listing::Listed));
}

#[test]
fn a_synced_old_branch_changes_nothing_of_it() {
    let desired = wanting(user(2), 1);
    let known = taken_back().points_to("a", 10).recreated(&desired);
    assert_eq!(known.assets(), [("a", user(2), vec![20]), ("a@user:1", user(1), vec![10])]);
    assert_eq!(known.0.assets[&address("a")].points_to, None);
}

#[test]
fn metadata_that_were_asked_of_another_owners_asset_are_asserted_anew() {
    let digest = FieldDigest::of_text("x");
    let fields = FieldDigests::from([(Field::Description, digest)]);
    let ask =
        |name| Change::SetMetadata { address: address(name), fields: fields.clone(), stored: FieldDigests::new() };
    let known = taken_back().tell(ask("a")).tell(ask("a@user:1")).recreated(&wanting(user(2), 1));
    let asked = |name| known.0.assets[&address(name)].asked[&Field::Description];
    assert_eq!((asked("a"), asked("a@user:1")), (FieldDigest::UNKNOWN, digest));
}

#[test]
fn a_name_of_an_earlier_change_is_used_again_where_nothing_was_uploaded_yet() {
    let desired = wanting(user(2), 1);
    let known = Known::default()
        .address("a", user(1))
        .asset("a", 10, user(1), 1, 1)
        .asset("a", 11, user(1), 2, 2)
        .points_to("a", 10)
        .address("a@user:1", user(1))
        .asset("a@user:1", 10, user(1), 1, 1);
    let suspected = PossibleDuplicate { content: ContentHash::from_bytes([9; 32]), settled: false };
    let suspect =
        Change::AddPossibleDuplicate { address: address("a"), upload: UploadId::new(1), duplicate: suspected };
    let known = known.tell(suspect).recreated(&desired);
    assert_eq!(known.assets(), [("a@user:1", user(1), vec![10, 11])], "the address is new");
    let former = &known.0.assets[&address("a@user:1")];
    assert_eq!(former.points_to, Some(id(10)), "it was the one in use");
    assert_eq!(former.possible_duplicates[&UploadId::new(1)], suspected);
    assert_eq!(known.rows(&desired), [(10, None)]);
}

#[test]
fn each_earlier_owner_has_a_name_of_its_own() {
    let known = taken_back().address("a", user(2)).recreated(&wanting(user(3), 1));
    let names = [("a@user:1", user(1), vec![10]), ("a@user:2", user(2), vec![20])];
    assert_eq!(known.assets(), names);
    let (desired, known) = (wanting(user(3), 1), known.address("a", user(3)).asset("a", 30, user(3), 1, 1));
    assert_eq!(known.rows(&desired), [(10, Some(30)), (20, Some(30))]);
}

#[test]
fn on_the_way_back_the_kept_assets_come_back_to_the_address() {
    let known = Known::default()
        .address("a", user(2))
        .asset("a", 10, user(1), 1, 1)
        .asset("a", 20, user(2), 1, 1)
        .address("a@user:1", user(1))
        .asset("a@user:1", 10, user(1), 1, 1)
        .asset("a@user:1", 9, user(1), 1, 9);
    let known = known.recreated(&wanting(user(1), 1));
    assert_eq!(known.assets(), [("a", user(1), vec![9, 10]), ("a@user:2", user(2), vec![20])]);
}

/// The old branch continued with asset 11, and its merge brought that in beside the new owner's
/// asset.
#[test]
fn the_table_has_the_old_owners_newest_asset_also_of_a_merged_branch() {
    let desired = wanting(user(2), 1);
    let merged = || {
        let known = Known::default()
            .address("a", user(2))
            .asset("a", 10, user(1), 1, 1)
            .asset("a", 11, user(1), 2, 2)
            .asset("a", 20, user(2), 1, 1);
        let known = known.address("a@user:1", user(1)).asset("a@user:1", 10, user(1), 1, 1);
        known.points_to("a@user:1", 10)
    };
    assert_eq!(merged().rows(&desired), [(11, Some(20))]);
    let choice = choose(&desired, &merged().0, None);
    assert_eq!(choice.changed().next(), None, "the owner is the new one already");
    let known = merged().recreated(&desired);
    assert_eq!(known.assets(), [("a", user(2), vec![20]), ("a@user:1", user(1), vec![10, 11])]);
    assert_eq!(known.rows(&desired), [(11, Some(20))]);
}

#[test]
fn an_old_asset_that_was_archived_by_hand_keeps_nobody_from_the_new_owners() {
    let archived = Retirement { why: RetireReason::ByHand, since: NOW, archived_at: Some(NOW) };
    let archive =
        |asset| Change::SetRetirement { address: address("a"), asset_id: id(asset), retirement: Some(archived) };
    let desired = wanting(user(2), 1);
    let known = taken_back().tell(archive(10)).recreated(&desired);
    assert_eq!(known.0.assets[&address("a@user:1")].retirements[&id(10)], archived);
    let choice = choose(&desired, &taken_back().tell(archive(20)).0, None);
    assert!(choice.left_out.contains_key(&address("a")), "{choice:?}");
}

#[test]
fn what_was_named_and_is_missing_here_is_told() {
    let known = Known::default().address("a", user(1)).asset("a", 10, user(1), 1, 1);
    let (desired, only) = (Desired::default(), [address("a")].into());
    assert_eq!(choose(&desired, &known.0, Some(&only)).left_out, BTreeMap::new(), "it left the manifest");
    let unread = Desired { absences: Absences::DontCount { why: AbsenceReason::SparseCheckout }, ..Desired::default() };
    let left_out = choose(&unread, &known.0, Some(&only)).left_out;
    assert!(left_out[&address("a")].starts_with("it is missing here: git checks out only a part"), "{left_out:?}");
    assert_eq!(choose(&unread, &known.0, None).left_out, BTreeMap::new());
}
