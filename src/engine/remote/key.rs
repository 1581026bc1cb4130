//! Checks what the API key may do before the first write of a run, so that an unsuitable key is
//! known at the start.
//!
//! The check must never fail a run by itself: where the key can't be introspected, Roblox's
//! responses to the work decide, as they do in any case. Read next:
//! [`crate::engine::execute::response`] for what those mean.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::cloud::class::{Class, Refusal};
use crate::cloud::client::Client;
use crate::cloud::endpoint::Endpoint;
use crate::cloud::wire::key::KeyFacts;
use crate::engine::reconcile::shutdown::Shutdown;
use crate::engine::remote::throttle::Throttle;
use crate::engine::report::run_report::Stop;
use crate::model::ids::Creator;
use crate::model::minute::Minute;
use crate::model::shown::with_causes;
use crate::model::urgency::Urgency;

/// The longest wait for the introspection. The check only saves time, so it may not cost much;
/// Roblox's gateway responds within a second.
const PATIENCE: Duration = Duration::from_secs(10);

/// A key that expires within this time gets a warning: two weeks leave time to renew it, even over
/// a holiday.
const WARN_BEFORE: SignedDuration = SignedDuration::from_hours(14 * 24);

const DASHBOARD: &str = "https://create.roblox.com/dashboard/credentials";

/// The consequences of a key's facts for a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct KeyVerdict {
    /// Set if the key can do none of the work.
    pub stop: Option<Stop>,
    /// The creators that it has no access to, with the reason for their assets' reports.
    pub forbidden: BTreeMap<Creator, String>,
    /// A warning for the key's owner.
    pub warning: Option<String>,
    /// When the key expires, if Roblox says so.
    pub expires_at: Option<Timestamp>,
}

/// Asks Roblox what the key may do, and judges it for a run that concerns these creators. The
/// verdict is empty for a credential without introspection (an OAuth token), and if the request
/// fails for any reason. Roblox's responses to the work decide then.
pub(crate) async fn check(
    client: &Client,
    throttle: &Throttle,
    stop: &Shutdown,
    creators: &BTreeSet<Creator>,
    now: Timestamp,
) -> KeyVerdict {
    let Some(permit) = stop.or(throttle.acquire(Endpoint::Introspect, Urgency::Rescue)).await else {
        return KeyVerdict::default();
    };
    let response = stop.or(tokio::time::timeout(PATIENCE, client.introspect())).await;
    // The request counts against no limit. Another service answers it than that of the assets, so
    // its health says nothing about theirs.
    throttle.release_unsent(permit);
    match response {
        Some(Ok(Some(reply))) => match reply.result {
            Ok(facts) => judge(&facts, creators, now),
            // Roblox's answer to the work says it, once.
            Err(failure) if failure.is_credential() => KeyVerdict::default(),
            Err(failure) => {
                tracing::info!("Roblox couldn't be asked what the key may do: {}", with_causes(&failure));
                KeyVerdict::default()
            }
        },
        Some(Err(_)) => {
            tracing::info!("Roblox couldn't be asked what the key may do: no answer within {} s", PATIENCE.as_secs());
            KeyVerdict::default()
        }
        Some(Ok(None)) | None => KeyVerdict::default(),
    }
}

/// Judges a key.
pub(crate) fn judge(facts: &KeyFacts, creators: &BTreeSet<Creator>, now: Timestamp) -> KeyVerdict {
    let key = facts.name.as_ref().map_or_else(|| "the key".to_owned(), |name| format!("the key `{name}`"));
    if let Some(stop) = unusable(facts, &key) {
        return KeyVerdict { stop: Some(stop), expires_at: facts.expires_at, ..KeyVerdict::default() };
    }
    // Changing assets needs both scopes (V1).
    let lacks_access =
        |creator: &&Creator| ["read", "write"].iter().any(|needed| facts.may(needed, **creator) == Some(false));
    let forbidden = creators.iter().filter(lacks_access);
    let warning = facts.expires_at.filter(|at| at.duration_since(now) < WARN_BEFORE);
    KeyVerdict {
        stop: None,
        forbidden: forbidden
            .map(|creator| (*creator, format!("{key} has no access to {}", creator.in_words())))
            .collect(),
        warning: warning.map(|at| format!("{key} expires at {}: renew it before that at {DASHBOARD}", Minute(at))),
        expires_at: facts.expires_at,
    }
}

/// Returns why the key can do none of the work. A fact that the response leaves out counts for the
/// key.
fn unusable(facts: &KeyFacts, key: &str) -> Option<Stop> {
    let stop = |message: String, hint: &str| Some(Stop::Credential { message, hint: hint.to_owned() });
    if facts.enabled == Some(false) {
        return stop(format!("{key} is disabled"), &format!("enable it, or take another: {DASHBOARD}"));
    }
    if facts.expired == Some(true) {
        let hint = format!("renew it, or take another (a key that is not used expires after 60 days): {DASHBOARD}");
        return stop(format!("{key} has expired"), &hint);
    }
    let has = |operation: &str| {
        let fits = |known: &String| known == operation;
        facts.scopes.iter().any(|scope| scope.name == "asset" && scope.operations.iter().any(fits))
    };
    let lacks: Vec<String> =
        ["read", "write"].iter().filter(|needed| !has(needed)).map(|needed| format!("asset:{needed}")).collect();
    if facts.scopes.is_empty() || lacks.is_empty() {
        return None;
    }
    let hint = Class::Refused(Refusal::MissingScope).hint().unwrap_or_default();
    stop(format!("{key} lacks {}", lacks.join(" and ")), hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::wire::key::{KeyScope, read_key};

    const NOW: &str = "2026-11-25T12:00:00Z";

    /// Checks the verdict, on one line, for a run of a user and two groups.
    #[track_caller]
    fn check(facts: &KeyFacts, wanted: &str) {
        let creators = ["user:1", "group:7", "group:8"].iter().map(|text| text.parse().unwrap()).collect();
        let KeyVerdict { stop, forbidden, warning, expires_at: _ } = judge(facts, &creators, NOW.parse().unwrap());
        let stop = stop.map(|stop| match stop {
            Stop::Credential { message, hint } => {
                assert!(hint.contains("create.roblox.com"), "{hint}");
                format!("stop: {message}")
            }
            other => format!("{other:?}"),
        });
        let lines: Vec<String> = stop.into_iter().chain(forbidden.into_values()).chain(warning).collect();
        assert_eq!(lines.join("; "), wanted);
    }

    fn scope(operations: &[&str], users: &[&str], groups: &[&str]) -> KeyScope {
        let all = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        KeyScope { name: "asset".to_owned(), operations: all(operations), user_ids: all(users), group_ids: all(groups) }
    }

    fn key(scopes: Vec<KeyScope>) -> KeyFacts {
        KeyFacts {
            name: Some("ci".to_owned()),
            owner: None,
            scopes,
            enabled: Some(true),
            expired: Some(false),
            expires_at: None,
        }
    }

    #[test]
    fn a_key_that_can_do_nothing_stops_the_run() {
        let whole = || key(vec![scope(&["read", "write"], &["*"], &["*"])]);
        check(&whole(), "");
        check(&KeyFacts { enabled: Some(false), ..whole() }, "stop: the key `ci` is disabled");
        check(&KeyFacts { expired: Some(true), name: None, ..whole() }, "stop: the key has expired");
        check(&key(vec![scope(&["read"], &["*"], &["*"])]), "stop: the key `ci` lacks asset:write");
        let other = KeyScope { name: "universe".to_owned(), ..scope(&["read", "write"], &["*"], &["*"]) };
        check(&key(vec![other]), "stop: the key `ci` lacks asset:read and asset:write");
        // Scopes add up.
        check(&key(vec![scope(&["read"], &["*"], &["*"]), scope(&["write"], &["*"], &["*"])]), "");
    }

    #[test]
    fn a_fact_that_is_left_out_counts_for_the_key() {
        check(&read_key(br#"{"name":"ci"}"#).unwrap(), "");
        check(&read_key(br#"{"enabled":true,"scopes":[{"name":"asset","operations":["read","write"]}]}"#).unwrap(), "");
    }

    #[test]
    fn a_creator_without_access_is_named() {
        check(&key(vec![scope(&["read", "write"], &["1"], &["7"])]), "the key `ci` has no access to group 8");
        let read_only = vec![scope(&["read"], &["*"], &["*"]), scope(&["write"], &[], &["*"])];
        check(&key(read_only), "the key `ci` has no access to user 1");
    }

    #[test]
    fn a_key_that_expires_soon_is_warned_of() {
        let until = |text: &str| KeyFacts {
            expires_at: Some(text.parse().unwrap()),
            ..key(vec![scope(&["read", "write"], &["*"], &["*"])])
        };
        let renew = "renew it before that at https://create.roblox.com/dashboard/credentials";
        check(&until("2026-12-09T12:00:00Z"), "");
        check(&until("2026-12-09T11:59:59Z"), &format!("the key `ci` expires at 2026-12-09 11:59 UTC: {renew}"));
    }
}
