//! The permissions of an API key, as introspection reports them (creator-docs:
//! cloud/auth/api-keys.md).

use jiff::Timestamp;
use serde::Deserialize;

use super::error::ErrorBody;
use super::scalar::{Flag, Lenient, WireNumber, object};
use crate::model::ids::{Creator, UserId};

/// The known facts about a key. Facts that the response left out are `None` or empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFacts {
    /// The name that a person gave it, unless the key itself is in it.
    pub name: Option<String>,
    /// The user whose rate limits it spends.
    pub owner: Option<UserId>,
    /// Its permissions.
    pub scopes: Vec<KeyScope>,
    /// Whether it is enabled.
    pub enabled: Option<bool>,
    /// Whether it has expired.
    pub expired: Option<bool>,
    /// The time when it expires.
    pub expires_at: Option<Timestamp>,
}

/// One permission of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyScope {
    /// For example `asset`.
    pub name: String,
    /// For example `read` and `write`.
    pub operations: Vec<String>,
    /// The users it applies to; `*` is everyone that the owner may act for.
    pub user_ids: Vec<String>,
    /// The groups it applies to; `*` as above.
    pub group_ids: Vec<String>,
}

impl KeyFacts {
    /// Whether the key may `read` or `write` assets of `creator`. `None` if the facts don't say, so
    /// that only Roblox knows.
    pub fn may(&self, operation: &str, creator: Creator) -> Option<bool> {
        if self.scopes.is_empty() {
            return None;
        }
        let (wanted, ids): (String, fn(&KeyScope) -> &[String]) = match creator {
            Creator::User(id) => (id.to_string(), |scope| &scope.user_ids),
            Creator::Group(id) => (id.to_string(), |scope| &scope.group_ids),
        };
        let fitting: Vec<&KeyScope> = self
            .scopes
            .iter()
            .filter(|scope| scope.name == "asset" && scope.operations.iter().any(|known| known == operation))
            .collect();
        if fitting.is_empty() {
            return Some(false);
        }
        if fitting.iter().any(|scope| scope.user_ids.is_empty() && scope.group_ids.is_empty()) {
            return None;
        }
        Some(fitting.iter().any(|scope| ids(scope).iter().any(|id| id == "*" || *id == wanted)))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct KeyWire {
    name: Lenient<String>,
    authorized_user_id: Lenient<WireNumber>,
    scopes: Lenient<Vec<ScopeWire>>,
    enabled: Lenient<Flag>,
    expired: Lenient<Flag>,
    expiration_time_utc: Lenient<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ScopeWire {
    name: Lenient<String>,
    operations: Lenient<Vec<String>>,
    user_ids: Lenient<Vec<WireNumber>>,
    group_ids: Lenient<Vec<WireNumber>>,
}

/// Reads the facts about a key, or `None` if the body holds none.
pub fn read_key(body: &[u8]) -> Option<KeyFacts> {
    if ErrorBody::read(body, true).shape.is_own() {
        return None;
    }
    let wire: KeyWire = object(body)?;
    let has_facts = wire.name.0.is_some() || wire.scopes.0.is_some() || wire.enabled.0.is_some();
    has_facts.then(|| KeyFacts {
        name: wire.name.0,
        owner: wire.authorized_user_id.0.as_ref().and_then(WireNumber::id),
        scopes: wire.scopes.0.unwrap_or_default().into_iter().filter_map(ScopeWire::into_scope).collect(),
        enabled: wire.enabled.0.map(|flag| flag.is_set()),
        expired: wire.expired.0.map(|flag| flag.is_set()),
        expires_at: wire.expiration_time_utc.0.and_then(|text| text.parse().ok()),
    })
}

impl ScopeWire {
    fn into_scope(self) -> Option<KeyScope> {
        let ids = |ids: Lenient<Vec<WireNumber>>| ids.0.unwrap_or_default().iter().map(WireNumber::text).collect();
        Some(KeyScope {
            name: self.name.0?,
            operations: self.operations.0.unwrap_or_default(),
            user_ids: ids(self.user_ids),
            group_ids: ids(self.group_ids),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_response_is_read() {
        let body = r#"{"name":"My API Key","authorizedUserId":156,"scopes":[
            {"name":"asset","operations":["read","write"],"userIds":["156"],"groupIds":["*"]},{"name":"universe.place","operations":["write"]}],
            "enabled":true,"expired":false,"expirationTimeUtc":"2026-12-31T23:59:59.999Z"}"#;
        let facts = read_key(body.as_bytes()).unwrap();
        assert_eq!(facts.name.as_deref(), Some("My API Key"));
        assert_eq!(facts.owner.unwrap().get(), 156);
        assert_eq!((facts.enabled, facts.expired), (Some(true), Some(false)));
        assert_eq!(facts.expires_at.unwrap().to_string(), "2026-12-31T23:59:59.999Z");
        assert_eq!(facts.scopes.len(), 2);
    }

    #[test]
    fn scopes_decide_which_creators_a_key_may_act_for() {
        let check = |scopes: &str, operation: &str, creator: &str, wanted: Option<bool>| {
            let facts = read_key(format!(r#"{{"enabled":true,"scopes":{scopes}}}"#).as_bytes()).unwrap();
            assert_eq!(facts.may(operation, creator.parse().unwrap()), wanted, "{scopes} {operation} {creator}");
        };
        let some = r#"[{"name":"asset","operations":["read","write"],"userIds":[156],"groupIds":["7"]}]"#;
        check(some, "write", "user:156", Some(true));
        check(some, "write", "user:157", Some(false));
        check(some, "write", "group:7", Some(true));
        check(some, "write", "group:8", Some(false));
        let read = r#"[{"name":"asset","operations":["read"],"userIds":["*"],"groupIds":["*"]}]"#;
        check(read, "read", "group:8", Some(true));
        check(read, "write", "group:8", Some(false));
        check(r#"[{"name":"universe","operations":["write"]}]"#, "write", "user:1", Some(false));
        check(r#"[{"name":"asset","operations":["write"]}]"#, "write", "user:1", None);
        check("[]", "write", "user:1", None);
    }

    #[test]
    fn a_body_without_key_facts_is_none() {
        for body in [
            "",
            "{}",
            "[]",
            r#"{"errors":[{"code":0,"message":"Invalid API Key"}]}"#,
            r#"{"code":"X","message":"name"}"#,
        ] {
            assert_eq!(read_key(body.as_bytes()), None, "{body}");
        }
    }
}
