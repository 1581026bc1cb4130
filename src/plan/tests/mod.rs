//! Tables of text: what is wanted, what is known, and the plan that follows; a file for each rule. The helpers are here.

mod content;
mod doubt;
mod drift;
mod metadata;
mod moderation;
mod pins;
mod properties;
mod sharing;
mod shelf;

use super::*;
use crate::model::asset::{AssetType, FileFormat, Privacy};
use crate::model::change::Change;
use crate::model::desired::{Absences, DesiredAsset, Pin};
use crate::model::digest;
use crate::model::file::{ContentFacts, FileFacts, FileProblem};
use crate::model::history::{Origin, RevisionFact, RevisionKey, Standing};
use crate::model::ids::{AssetId, ContentHash, Creator, OperationId, Revision, UserId};
use crate::model::metadata::{Description, DisplayName, FieldDigests, Metadata};
use crate::model::path::ProjectPath;
use crate::model::phase::{Intent, PhaseEvent};
use crate::model::policy::{AmbiguousCreate, Policy};
use crate::model::recorded::{AttemptId, Identity, Objection, Trouble};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// A plan without a person's wishes.
fn plan(desired: &Desired, recorded: &Recorded, now: Timestamp) -> Plan {
    super::plan(desired, recorded, &Wishes::default(), now)
}

fn address(text: &str) -> Address {
    Address::new(text).unwrap()
}

fn id(number: u64) -> AssetId {
    AssetId::new(number).unwrap()
}

fn hash(byte: u8) -> ContentHash {
    ContentHash::from_bytes([byte; 32])
}

fn creator(number: u64) -> Creator {
    Creator::User(UserId::new(number).unwrap())
}

/// A wanted asset: its type follows from the extension, its content is one byte.
fn want(path: &str, content: u8) -> DesiredAsset {
    let path = ProjectPath::new(path).unwrap();
    let format = FileFormat::of_extension(&path.extension().unwrap()).unwrap();
    let facts = FileFacts { size: 3, hash: hash(content), format, content: ContentFacts::Opaque };
    DesiredAsset {
        path,
        asset_type: format.types().first().copied(),
        creator: creator(1),
        content: Ok(facts),
        metadata: Metadata::default(),
        privacy: Privacy::Default,
        expected_price: None,
        prevent_replace: false,
        pin: None,
        grants: Vec::new(),
    }
}

fn named(want: DesiredAsset, name: &str) -> DesiredAsset {
    let metadata = Metadata { display_name: Some(DisplayName::new(name).unwrap()), ..want.metadata.clone() };
    DesiredAsset { metadata, ..want }
}

fn described(want: DesiredAsset, text: &str) -> DesiredAsset {
    let metadata = Metadata { description: Some(Description::new(text).unwrap()), ..want.metadata.clone() };
    DesiredAsset { metadata, ..want }
}

fn desired(assets: Vec<DesiredAsset>) -> Desired {
    Desired { assets: assets.into_iter().map(|a| (address(a.path.as_str()), a)).collect(), ..Desired::default() }
}

/// What is known, told as the changes that made it known.
#[derive(Default)]
struct Known(Recorded);

impl Known {
    fn tell(mut self, change: Change) -> Self {
        self.0.apply(&change, NOW).unwrap();
        self
    }

    fn enrolled(self, path: &str) -> Self {
        let wanted = want(path, 0);
        let identity = Identity {
            asset_type: wanted.asset_type.unwrap(),
            creator: wanted.creator,
            privacy: wanted.privacy,
            path: wanted.path,
        };
        self.tell(Change::Enroll { address: address(path), identity })
    }

    /// A revision of `path` with its asset's ordinal; a Model's version is its ordinal too.
    fn revision(self, path: &str, asset: u64, ordinal: u32, content: u8) -> Self {
        self.fact(path, asset, ordinal, |fact| fact.content = Some(hash(content)))
    }

    fn fact(self, path: &str, asset: u64, ordinal: u32, edit: impl Fn(&mut RevisionFact)) -> Self {
        let known = if self.0.assets.contains_key(&address(path)) { self } else { self.enrolled(path) };
        let model = want(path, 0).asset_type == Some(AssetType::Model);
        let version = model.then(|| Revision::new(u64::from(ordinal)).unwrap());
        let mut fact = RevisionFact {
            ordinal: if model { 1 } else { ordinal },
            content: None,
            standing: Standing::Live,
            shared: false,
            duplicate: false,
            made: None,
        };
        edit(&mut fact);
        known.tell(Change::Learn { address: address(path), key: RevisionKey { asset_id: id(asset), version }, fact })
    }

    fn points_to(self, path: &str, asset: u64) -> Self {
        self.tell(Change::Point { address: address(path), asset_id: id(asset) })
    }

    fn asked(self, like: &DesiredAsset) -> Self {
        self.tell(Change::Ask {
            address: address(like.path.as_str()),
            fields: like.metadata.digests(),
            stored: FieldDigests::new(),
        })
    }

    fn create_under_way(self, path: &str, content: u8, costly: bool, events: &[PhaseEvent]) -> Self {
        let attempt = AttemptId(self.0.next_attempt);
        let intent = Intent::Create { content: hash(content), fields: FieldDigests::new(), costly, replaces: false };
        let mut known = self.enrolled(path).tell(Change::Begin { attempt, address: address(path), intent });
        for event in events {
            known = known.tell(Change::Advance { attempt, event: event.clone() });
        }
        known
    }
}

fn text(plan: &Plan) -> String {
    let mut lines = Vec::new();
    for step in &plan.steps {
        let asset = step.action.asset_id().map(|id| format!(" {id}")).unwrap_or_default();
        lines.push(format!("{} {}{asset}: {}", step.action.name(), step.address, step.reason));
    }
    lines.extend(plan.held.iter().map(|hold| format!("{} {}: {}", hold.kind, hold.address, hold.reason)));
    lines.extend(plan.drifts.iter().map(|drift| format!("drift {}: {}", drift.address, drift.what)));
    let about = |note: &Note| note.address.as_ref().map(|address| format!(" {address}")).unwrap_or_default();
    lines.extend(plan.notes.iter().map(|note| format!("note{}: {}", about(note), note.text)));
    lines.join("\n")
}

fn check(wanted: Vec<DesiredAsset>, known: Known, expected: &str) {
    check_desired(&desired(wanted), known, expected);
}

fn check_desired(desired: &Desired, known: Known, expected: &str) {
    let plan = plan(desired, &known.0, NOW);
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(text(&plan), expected.join("\n"));
}
