//! The control API in process, for tests and for embedders of the emulator. It has the same verbs
//! as over HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::clock::ClockReport;
use super::faults::{FaultReport, FaultRule, ScriptError};
use super::log::{Counters, RequestReport};
use super::shared::Shared;
use super::switches::SwitchError;
use super::world::World;
use super::world::account::{EmulatedKey, Principal};
use super::world::asset::Asset;
use super::world::content::CreatableType;
use super::world::edit::ForeignEdit;
use super::world::latency::LatencyModel;
use super::world::limits::{EndpointLimits, Limiter};
use super::world::moderation::{ModerationRule, ModerationVerdict, TextRule};
use super::world::operation::{Operation, OperationEnding};

/// An asset in the control API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AssetReport {
    /// The asset.
    #[serde(flatten)]
    pub asset: Asset,
    /// The verdict on its current version now.
    pub moderation: ModerationVerdict,
}

/// An operation in the control API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OperationReport {
    /// Its ID.
    pub id: String,
    /// The owner of the key that started it.
    pub owner: Principal,
    /// The asset; `None` if a create failed.
    pub asset_id: Option<u64>,
    /// When it was started, in milliseconds since the Unix epoch.
    pub created_at_ms: u64,
    /// When polls first see it, in milliseconds since the Unix epoch.
    pub visible_at_ms: u64,
    /// When it ends, in milliseconds since the Unix epoch. `None` while only polls, or clearing the
    /// faults, can end it.
    pub finish_at_ms: Option<u64>,
    /// Whether it has ended.
    pub done: bool,
    /// Whether it ended with an asset; `None` before it ends.
    pub succeeded: Option<bool>,
    /// Whether polls never see it.
    pub gone: bool,
}

/// The in-process control API of a running emulator.
#[derive(Clone, Debug)]
pub struct Control {
    pub(super) shared: Arc<Shared>,
}

impl Control {
    /// Returns all assets, sorted by ID.
    pub fn assets(&self) -> Vec<AssetReport> {
        let (inner, now) = self.shared.settled();
        inner.world.assets().map(|asset| report(asset, now)).collect()
    }

    /// Returns one asset.
    pub fn asset(&self, id: u64) -> Option<AssetReport> {
        let (inner, now) = self.shared.settled();
        inner.world.asset(id).map(|asset| report(asset, now))
    }

    /// Returns all operations, sorted by ID.
    pub fn operations(&self) -> Vec<OperationReport> {
        self.shared.settled().0.world.operations().map(operation_report).collect()
    }

    /// Returns the request log, oldest first.
    pub fn requests(&self) -> Vec<RequestReport> {
        self.shared.lock().log.requests()
    }

    /// Returns the counters.
    pub fn counters(&self) -> Counters {
        let (inner, _) = self.shared.settled();
        Counters {
            commits: inner.world.commits().clone(),
            windows_exceeded: inner.limiter.exceeded.clone(),
            faults: inner.faults.reports().to_vec(),
            ..inner.log.counters()
        }
    }

    /// Adds fault rules and returns their IDs.
    ///
    /// # Errors
    /// When one of the rules is invalid. Then none is added.
    pub fn add_faults(&self, rules: Vec<FaultRule>) -> Result<Vec<u64>, ScriptError> {
        self.shared.lock().faults.add(rules)
    }

    /// Returns the fault rules with their counters, including cleared ones.
    pub fn faults(&self) -> Vec<FaultReport> {
        self.shared.lock().faults.reports().to_vec()
    }

    /// Returns how often a rule fired.
    pub fn fired(&self, id: u64) -> u64 {
        self.faults().iter().find(|rule| rule.id == id).map_or(0, |rule| rule.fired)
    }

    /// Ends all faults: rules stop, stuck operations end (except `endless` ones), and revoked keys
    /// work again. Stale reads last until their time is over.
    pub fn clear_faults(&self) {
        let (mut inner, now) = self.shared.settled();
        inner.faults.clear();
        inner.keys.restore_revoked();
        inner.world.release_stuck(now);
        self.shared.touch();
    }

    /// Sets one switch.
    ///
    /// # Errors
    /// When the switch doesn't exist, or doesn't have that value.
    pub fn set_switch(&self, name: &str, value: &str) -> Result<(), SwitchError> {
        self.set_switches([(name, value)])
    }

    /// Sets all of these switches, or none if one of them is invalid.
    ///
    /// # Errors
    /// When a switch doesn't exist, or doesn't have that value.
    pub fn set_switches<'a>(&self, values: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<(), SwitchError> {
        let mut inner = self.shared.lock();
        let mut switches = inner.world.settings.switches.clone();
        values.into_iter().try_for_each(|(name, value)| switches.set(name, value))?;
        inner.world.settings.switches = switches;
        Ok(())
    }

    /// Returns every switch with its current value.
    pub fn switches(&self) -> Vec<(&'static str, String)> {
        self.shared.lock().world.settings.switches.values()
    }

    /// Adds a scripted verdict. One for an asset decides on its current version at once.
    pub fn moderate(&self, rule: ModerationRule) {
        let (mut inner, now) = self.shared.settled();
        inner.world.add_moderation_rule(rule, now);
        self.shared.touch();
    }

    /// Ends all scripted verdicts. Their decisions stay.
    pub fn clear_moderation(&self) {
        self.shared.lock().world.clear_moderation_rules();
        self.shared.touch();
    }

    /// Adds a rule to the text filter.
    pub fn add_text_rule(&self, rule: TextRule) {
        self.shared.lock().world.add_text_rule(rule);
        self.shared.touch();
    }

    /// Removes all rules from the text filter.
    pub fn clear_text_rules(&self) {
        self.shared.lock().world.clear_text_rules();
        self.shared.touch();
    }

    /// Sanctions an account ("User is moderated"), or lifts the sanction.
    pub fn moderate_account(&self, owner: Principal, moderated: bool) {
        self.shared.lock().world.moderate_account(owner, moderated);
        self.shared.touch();
    }

    /// Edits an asset as another person would, and returns the result. `None` if there is no such
    /// asset or version.
    pub fn edit(&self, asset_id: u64, edit: &ForeignEdit) -> Option<AssetReport> {
        let (mut inner, now) = self.shared.settled();
        let asset = inner.world.edit(asset_id, edit, now)?;
        self.shared.touch();
        Some(report(&asset, now))
    }

    /// Adds a key, or replaces the one with the same secret. After the first one, only configured
    /// keys work.
    pub fn put_key(&self, key: EmulatedKey) {
        self.shared.lock().keys.put(key);
    }

    /// Makes a key stop working until the faults are cleared or it is put again.
    pub fn revoke_key(&self, secret: &str) {
        self.shared.lock().keys.revoke(secret);
    }

    /// Returns the current limits.
    pub fn limits(&self) -> EndpointLimits {
        self.shared.lock().limits.clone()
    }

    /// Changes the limits. Windows that have begun continue.
    pub fn set_limits(&self, limits: EndpointLimits) {
        self.shared.lock().limits = limits;
    }

    /// Changes how long new operations take.
    pub fn set_latency(&self, latency: LatencyModel) {
        self.shared.lock().world.settings.latency = latency;
    }

    /// Changes the upload fees.
    pub fn set_fees(&self, fees: BTreeMap<CreatableType, u64>) {
        self.shared.lock().world.settings.fees = fees;
    }

    /// Reads the emulator's clock.
    pub fn clock(&self) -> ClockReport {
        self.shared.clock.report()
    }

    /// Moves the emulator's clock forward.
    pub fn advance(&self, by: Duration) -> ClockReport {
        self.shared.clock.advance(u64::try_from(by.as_millis()).unwrap_or(u64::MAX));
        self.clock()
    }

    /// Empties the world and the log, removes all faults, and starts fresh windows. Switches, keys,
    /// limits and the clock stay.
    pub fn reset(&self) {
        let mut inner = self.shared.lock();
        let settings = inner.world.settings.clone();
        inner.world = World::new(self.shared.seed, self.shared.first_asset, settings);
        inner.limiter = Limiter::default();
        inner.faults = super::faults::FaultRules::new(self.shared.seed);
        inner.keys.restore_revoked();
        inner.log.clear();
        self.shared.touch();
    }
}

fn report(asset: &Asset, now: u64) -> AssetReport {
    AssetReport { asset: asset.clone(), moderation: asset.verdict(now) }
}

fn operation_report(operation: &Operation) -> OperationReport {
    let ending = operation.ending.as_ref();
    OperationReport {
        id: operation.id.clone(),
        owner: operation.owner,
        asset_id: operation.asset_id,
        created_at_ms: operation.created_at,
        visible_at_ms: operation.visible_at,
        finish_at_ms: ending.map(|(at, _)| *at).or(operation.finish_at),
        done: ending.is_some(),
        succeeded: ending.map(|(_, ending)| matches!(ending, OperationEnding::Asset { .. })),
        gone: operation.gone,
    }
}
