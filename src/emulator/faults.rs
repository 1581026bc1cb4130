//! Scripted faults: the requests they hit, their effects, and counters that prove them.
//!
//! A script is a list of rules in JSON; docs/emulator.md shows some. A rule fires on the requests
//! that meet all its conditions. A request has three stages: its connection is accepted (`refuse`),
//! its head has been read, and its body has been read and has passed authentication and limits. At
//! each stage the first rule that fires wins.
//!
//! Pure: `service.rs` and `server.rs` carry the faults out.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use axum::http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::endpoint::ApiEndpoint;
use super::wire::error::BodyShape;
use super::world::ids::seeded_hash;
use super::world::limits::EndpointLimits;
use super::world::operation::OperationFault;

/// One rule of a fault script.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// A name for reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The requests it hits; by default all.
    #[serde(rename = "match", default)]
    pub conditions: Conditions,
    /// The most times it fires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// The effect.
    pub action: FaultAction,
}

/// The requests that a rule hits. All given conditions must hold. `nth`, `every` and `after` count
/// the requests that meet the rest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Conditions {
    /// The endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<ApiEndpoint>,
    /// The method, in capitals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// A part of the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The asset in the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asset_id: Option<u64>,
    /// The SHA-256 of the uploaded file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_hash: Option<String>,
    /// A part of the display name in the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Only these requests, counted from 1.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub nth: BTreeSet<u64>,
    /// Only every nth matching request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
    /// Not the first `after` requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// The probability, from 0 to 1. The same seed gives the same results.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
}

/// How far a request got before its connection broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Point {
    /// Its head was read, but nothing of its body.
    BeforeBody,
    /// Its body was read to the end; nothing was done.
    AfterBody,
    /// It was carried out; no response was sent.
    AfterCommit,
}

/// The effect of a rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultAction {
    /// Resets the connection as soon as it is accepted, without reading a byte. Hits connections,
    /// not requests: only `nth`, `every`, `after` and `probability` can be conditions.
    Refuse,
    /// Resets the connection (RST).
    Reset {
        /// The point at which it breaks.
        at: Point,
    },
    /// Closes the connection in order (FIN).
    Close {
        /// The point at which it closes.
        at: Point,
    },
    /// Sends and reads nothing more, and keeps the connection open.
    Hang {
        /// The point from which it is silent.
        at: Point,
    },
    /// Takes longer, until all rules are removed at the latest.
    Delay {
        /// Milliseconds between reading and carrying out.
        #[serde(default)]
        before_commit_ms: u64,
        /// Milliseconds between carrying out and responding.
        #[serde(default)]
        before_reply_ms: u64,
    },
    /// Carries the request out, and breaks off in the middle of the response's body.
    Truncate,
    /// Carries the request out, and sends the response a byte at a time.
    Drip {
        /// Milliseconds between two bytes.
        interval_ms: u64,
    },
    /// Sends another response.
    Reply(ScriptedReply),
    /// Merges fields into a JSON response (RFC 7396), such as unknown fields and enum values.
    Merge {
        /// The fields.
        fields: Value,
    },
    /// Carries the request out twice, and responds once.
    DuplicateCommit,
    /// Carries the request out; reads of the asset don't see it for a while.
    StaleReads {
        /// Milliseconds of the emulator's clock.
        for_ms: u64,
    },
    /// Carries the request out; the operation misbehaves.
    Operation(OperationFault),
    /// Makes the pages of a version list lead back to the first.
    VersionsLoop,
    /// Changes the limits before the request is counted.
    SetLimits {
        /// The new limits.
        limits: EndpointLimits,
    },
    /// Makes the request's key stop working, before this request.
    RevokeKey,
    /// Sanctions the account behind the request's key, before this request. The control API can
    /// lift the sanction.
    ModerateAccount,
}

/// A response in place of the right one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptedReply {
    /// From 200 to 599.
    pub status: u16,
    /// The shape of the body.
    #[serde(default = "gateway")]
    pub shape: BodyShape,
    /// The message in the body, where its shape has one.
    #[serde(default)]
    pub message: String,
    /// The body itself, in place of a shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// `retry-after`; absent by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<RetryAfter>,
    /// More headers. They replace those of the same name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Whether the request is carried out all the same.
    #[serde(default)]
    pub commit: bool,
    /// Whether the `x-ratelimit` headers are included.
    #[serde(default = "yes")]
    pub rate_limit_headers: bool,
}

impl ScriptedReply {
    /// A reply that carries nothing out.
    pub fn new(status: u16, shape: BodyShape) -> Self {
        Self {
            status,
            shape,
            message: "scripted".to_owned(),
            body: None,
            retry_after: None,
            headers: BTreeMap::new(),
            commit: false,
            rate_limit_headers: true,
        }
    }
}

/// The two forms of `retry-after`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// A number of seconds.
    Seconds(u64),
    /// An HTTP date, this many milliseconds from now.
    DateInMs(u64),
}

fn gateway() -> BodyShape {
    BodyShape::Gateway
}

fn yes() -> bool {
    true
}

/// An invalid script.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// A condition on something that is unknown at the action's stage.
    #[error("`{condition}` can't be a condition of `{action}`: it acts before that is known")]
    Unknown {
        /// The condition.
        condition: &'static str,
        /// The action's kind.
        action: String,
    },
    /// A number out of its range.
    #[error("`{field}` can't be {given}")]
    Range {
        /// The field.
        field: &'static str,
        /// The given number.
        given: String,
    },
    /// A header that can't be sent.
    #[error("`{0}` isn't a header")]
    Header(String),
}

/// The stages of a request at which faults act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultStage {
    Accept,
    Head,
    Handling,
}

impl FaultAction {
    pub(super) fn stage(&self) -> FaultStage {
        match self {
            FaultAction::Refuse => FaultStage::Accept,
            FaultAction::Reset { at: Point::BeforeBody }
            | FaultAction::Close { at: Point::BeforeBody }
            | FaultAction::Hang { at: Point::BeforeBody }
            | FaultAction::SetLimits { .. }
            | FaultAction::RevokeKey
            | FaultAction::ModerateAccount => FaultStage::Head,
            _ => FaultStage::Handling,
        }
    }

    /// Whether it acts on the effects of a request. It doesn't fire on a refused request.
    pub(super) fn needs_success(&self) -> bool {
        match self {
            FaultAction::Reset { at } | FaultAction::Close { at } | FaultAction::Hang { at } => {
                *at == Point::AfterCommit
            }
            FaultAction::DuplicateCommit
            | FaultAction::StaleReads { .. }
            | FaultAction::Operation { .. }
            | FaultAction::VersionsLoop => true,
            FaultAction::Reply(reply) => reply.commit,
            _ => false,
        }
    }

    fn kind(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        value.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

impl FaultRule {
    /// Makes a rule for every request.
    pub fn always(action: FaultAction) -> Self {
        FaultRule { label: None, conditions: Conditions::default(), times: None, action }
    }

    /// Makes a rule for the requests of one endpoint.
    pub fn on(endpoint: ApiEndpoint, action: FaultAction) -> Self {
        FaultRule {
            conditions: Conditions { endpoint: Some(endpoint), ..Conditions::default() },
            ..FaultRule::always(action)
        }
    }

    /// Limits how often the rule fires.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        FaultRule { times: Some(times), ..self }
    }

    /// Makes the rule fire on this one of its requests, counted from 1.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> Self {
        self.conditions.nth.insert(nth);
        self
    }

    fn check(&self) -> Result<(), ScriptError> {
        let Conditions { endpoint, method, path, asset_id, content_hash, name, nth, every, after: _, probability } =
            &self.conditions;
        let stage = self.action.stage();
        let of_request = [
            ("endpoint", endpoint.is_some()),
            ("method", method.is_some()),
            ("path", path.is_some()),
            ("asset_id", asset_id.is_some()),
        ];
        let of_body = [("content_hash", content_hash.is_some()), ("name", name.is_some())];
        let unknown = (of_request.iter().filter(|_| stage == FaultStage::Accept))
            .chain(of_body.iter().filter(|_| stage != FaultStage::Handling))
            .find(|(_, set)| *set);
        if let Some((condition, _)) = unknown {
            return Err(ScriptError::Unknown { condition, action: self.action.kind() });
        }
        let range = |field, given: String| Err(ScriptError::Range { field, given });
        if let Some(probability) = probability.filter(|probability| !(0.0..=1.0).contains(probability)) {
            return range("probability", probability.to_string());
        }
        if nth.contains(&0) || *every == Some(0) {
            return range(if *every == Some(0) { "every" } else { "nth" }, "0".to_owned());
        }
        let FaultAction::Reply(reply) = &self.action else { return Ok(()) };
        if !(200..=599).contains(&reply.status) {
            return range("status", reply.status.to_string());
        }
        for (name, value) in &reply.headers {
            let sendable =
                name.parse::<HeaderName>().is_ok_and(|name| name != CONTENT_LENGTH && name != TRANSFER_ENCODING);
            if !sendable || value.parse::<HeaderValue>().is_err() {
                return Err(ScriptError::Header(name.clone()));
            }
        }
        Ok(())
    }
}

/// The known facts about a request at a stage.
#[derive(Clone, Debug, Default)]
pub(super) struct RequestFacts<'a> {
    pub(super) endpoint: Option<ApiEndpoint>,
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) asset_id: Option<u64>,
    pub(super) content_hash: Option<&'a str>,
    pub(super) name: Option<&'a str>,
}

/// A rule and its counters.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FaultReport {
    /// Counted from 1 in the order in which rules were added.
    pub id: u64,
    /// The rule.
    #[serde(flatten)]
    pub rule: FaultRule,
    /// The number of requests that met its conditions.
    pub seen: u64,
    /// How often it fired.
    pub fired: u64,
    /// False after the faults were cleared.
    pub active: bool,
}

/// All rules that were ever added, with their counters.
#[derive(Debug, Default)]
pub(super) struct FaultRules {
    seed: u64,
    rules: Vec<FaultReport>,
}

impl FaultRules {
    pub(super) fn new(seed: u64) -> Self {
        FaultRules { seed, rules: Vec::new() }
    }

    /// Adds all of these rules, or none if one of them is invalid.
    pub(super) fn add(&mut self, rules: Vec<FaultRule>) -> Result<Vec<u64>, ScriptError> {
        rules.iter().try_for_each(FaultRule::check)?;
        let first = self.rules.len() as u64 + 1;
        let ids = (first..).take(rules.len()).collect();
        self.rules.extend((first..).zip(rules).map(|(id, rule)| FaultReport {
            id,
            rule,
            seen: 0,
            fired: 0,
            active: true,
        }));
        Ok(ids)
    }

    /// Ends all rules. Their counters stay.
    pub(super) fn clear(&mut self) {
        self.rules.iter_mut().for_each(|rule| rule.active = false);
    }

    /// Returns whether a rule is still in force.
    pub(super) fn is_active(&self, id: u64) -> bool {
        self.rules.iter().any(|report| report.id == id && report.active)
    }

    pub(super) fn reports(&self) -> &[FaultReport] {
        &self.rules
    }

    /// Returns the rule that fires at a stage, if there is one. All rules of the stage count the
    /// request.
    pub(super) fn pick(&mut self, stage: FaultStage, facts: &RequestFacts<'_>) -> Option<(u64, FaultAction)> {
        let mut picked = None;
        for report in self.rules.iter_mut().filter(|report| report.active && report.rule.action.stage() == stage) {
            if !meets(&report.rule.conditions, facts) {
                continue;
            }
            report.seen += 1;
            let exhausted = report.rule.times.is_some_and(|times| report.fired >= times);
            if picked.is_none() && !exhausted && is_selected(&report.rule.conditions, self.seed, report.id, report.seen)
            {
                report.fired += 1;
                picked = Some((report.id, report.rule.action.clone()));
            }
        }
        picked
    }

    /// Takes back a firing: the picked rule could not act.
    pub(super) fn take_back(&mut self, id: u64) {
        if let Some(report) = self.rules.iter_mut().find(|report| report.id == id) {
            report.fired = report.fired.saturating_sub(1);
        }
    }
}

fn meets(conditions: &Conditions, facts: &RequestFacts<'_>) -> bool {
    fn part(wanted: Option<&String>, text: Option<&str>) -> bool {
        wanted.is_none_or(|wanted| text.is_some_and(|text| text.contains(wanted.as_str())))
    }
    conditions.endpoint.is_none_or(|wanted| facts.endpoint == Some(wanted))
        && conditions.method.as_deref().is_none_or(|wanted| facts.method == wanted)
        && part(conditions.path.as_ref(), Some(facts.path))
        && conditions.asset_id.is_none_or(|wanted| facts.asset_id == Some(wanted))
        && conditions.content_hash.as_deref().is_none_or(|wanted| facts.content_hash == Some(wanted))
        && part(conditions.name.as_ref(), facts.name)
}

fn is_selected(conditions: &Conditions, seed: u64, rule: u64, seen: u64) -> bool {
    let chance = |probability: f64| {
        (seeded_hash(seed, "fault", rule << 32 | seen) >> 11) as f64 / (1u64 << 53) as f64 <= probability
            && probability > 0.0
    };
    (conditions.nth.is_empty() || conditions.nth.contains(&seen))
        && conditions.every.is_none_or(|every| seen.is_multiple_of(every.max(1)))
        && conditions.after.is_none_or(|after| seen > after)
        && conditions.probability.is_none_or(chance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn faults(rules: Value) -> FaultRules {
        let mut faults = FaultRules::new(7);
        faults.add(serde_json::from_value(rules).unwrap()).unwrap();
        faults
    }

    fn fired(faults: &mut FaultRules, requests: u64, facts: &RequestFacts<'_>) -> Vec<u64> {
        (1..=requests).filter(|_| faults.pick(FaultStage::Handling, facts).is_some()).collect()
    }

    #[test]
    fn conditions_choose_requests() {
        #[track_caller]
        fn check(conditions: Value, expected: &[u64]) {
            let mut faults = faults(json!([{ "match": conditions, "action": { "kind": "truncate" } }]));
            let facts = RequestFacts {
                endpoint: Some(ApiEndpoint::GetAsset),
                method: "GET",
                path: "/assets/v1/assets/5",
                asset_id: Some(5),
                content_hash: Some("ab"),
                name: Some("Sword"),
            };
            assert_eq!(fired(&mut faults, 6, &facts), expected);
        }
        let all = [1, 2, 3, 4, 5, 6];
        check(json!({}), &all);
        check(
            json!({ "endpoint": "get_asset", "method": "GET", "path": "/5", "asset_id": 5, "content_hash": "ab", "name": "wor" }),
            &all,
        );
        check(json!({ "endpoint": "create_asset" }), &[]);
        check(json!({ "method": "POST" }), &[]);
        check(json!({ "path": "/6" }), &[]);
        check(json!({ "asset_id": 6 }), &[]);
        check(json!({ "content_hash": "ac" }), &[]);
        check(json!({ "name": "Shield" }), &[]);
        check(json!({ "nth": [2, 5] }), &[2, 5]);
        check(json!({ "every": 3 }), &[3, 6]);
        check(json!({ "after": 4 }), &[5, 6]);
        check(json!({ "probability": 0.0 }), &[]);
        check(json!({ "probability": 1.0 }), &all);
    }

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let script = || faults(json!([{ "match": { "probability": 0.3 }, "action": { "kind": "truncate" } }]));
        let hits = fired(&mut script(), 1000, &RequestFacts::default());
        assert!((200..400).contains(&hits.len()), "{}", hits.len());
        assert_eq!(hits, fired(&mut script(), 1000, &RequestFacts::default()));
    }

    #[test]
    fn the_first_rule_that_fires_wins_and_all_count() {
        let mut faults = faults(json!([
            { "match": { "nth": [2] }, "action": { "kind": "truncate" } },
            { "times": 2, "action": { "kind": "duplicate_commit" } },
        ]));
        let picks: Vec<_> =
            (0..4).map(|_| faults.pick(FaultStage::Handling, &RequestFacts::default()).map(|(id, _)| id)).collect();
        assert_eq!(picks, [Some(2), Some(1), Some(2), None]);
        assert_eq!(faults.reports().iter().map(|rule| (rule.seen, rule.fired)).collect::<Vec<_>>(), [(4, 1), (4, 2)]);
        faults.take_back(2);
        assert_eq!(faults.reports()[1].fired, 1);
        faults.clear();
        assert_eq!(faults.pick(FaultStage::Handling, &RequestFacts::default()), None);
        assert_eq!(faults.reports()[0].fired, 1);
    }

    #[test]
    fn an_invalid_rule_adds_nothing() {
        #[track_caller]
        fn check(rule: Value, expected: &str) {
            let mut faults = FaultRules::default();
            let good = FaultRule::always(FaultAction::Truncate);
            let error = faults.add(vec![good, serde_json::from_value(rule).unwrap()]).unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert!(faults.reports().is_empty());
        }
        check(
            json!({ "match": { "endpoint": "get_asset" }, "action": { "kind": "refuse" } }),
            "`endpoint` can't be a condition of `refuse`: it acts before that is known",
        );
        check(
            json!({ "match": { "name": "x" }, "action": { "kind": "reset", "at": "before_body" } }),
            "`name` can't be a condition of `reset`: it acts before that is known",
        );
        check(json!({ "match": { "every": 0 }, "action": { "kind": "truncate" } }), "`every` can't be 0");
        check(json!({ "match": { "nth": [0] }, "action": { "kind": "truncate" } }), "`nth` can't be 0");
        check(
            json!({ "match": { "probability": 1.5 }, "action": { "kind": "truncate" } }),
            "`probability` can't be 1.5",
        );
        check(json!({ "action": { "kind": "reply", "status": 101 } }), "`status` can't be 101");
        check(
            json!({ "action": { "kind": "reply", "status": 500, "headers": { "a b": "c" } } }),
            "`a b` isn't a header",
        );
    }

    #[test]
    fn unknown_keys_and_actions_are_errors() {
        for rule in [
            json!({ "action": { "kind": "explode" } }),
            json!({ "action": { "kind": "truncate" }, "wen": {} }),
            json!({ "match": { "enpoint": "get_asset" }, "action": { "kind": "truncate" } }),
            json!({ "action": { "kind": "reply", "status": 500, "bdy": "" } }),
            json!({ "action": { "kind": "operation", "outcome": "vanished" } }),
        ] {
            assert!(serde_json::from_value::<FaultRule>(rule.clone()).is_err(), "{rule}");
        }
    }

    #[test]
    fn rules_round_trip_through_json() {
        for action in [
            json!({ "kind": "refuse" }),
            json!({ "kind": "hang", "at": "after_commit" }),
            json!({ "kind": "operation", "outcome": "stuck", "for_ms": 5 }),
            json!({ "kind": "operation", "outcome": "error", "code": "Internal", "message": "m" }),
            json!({ "kind": "merge", "fields": { "a": 1 } }),
            json!({ "kind": "drip", "interval_ms": 5 }),
        ] {
            let rule: FaultRule = serde_json::from_value(json!({ "action": action })).unwrap();
            assert_eq!(serde_json::to_value(&rule).unwrap()["action"], action);
        }
    }
}
