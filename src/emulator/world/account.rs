//! Callers: owners, API keys and their permissions. Pure.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::emulator::clock::rfc3339;
use crate::emulator::refusal::ApiRefusal;

/// A user or a group: the owner of keys and assets. Written `user:1` or `group:2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Principal {
    /// A user's ID.
    User(u64),
    /// A group's ID.
    Group(u64),
}

impl std::fmt::Display for Principal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Principal::User(id) => write!(f, "user:{id}"),
            Principal::Group(id) => write!(f, "group:{id}"),
        }
    }
}

impl From<Principal> for String {
    fn from(owner: Principal) -> String {
        owner.to_string()
    }
}

impl TryFrom<String> for Principal {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parsed = text.split_once(':').and_then(|(kind, id)| match (kind, id.parse().ok()?) {
            ("user", id) => Some(Principal::User(id)),
            ("group", id) => Some(Principal::Group(id)),
            _ => None,
        });
        parsed.ok_or_else(|| format!("`{text}` isn't an owner: write `user:1` or `group:2`"))
    }
}

/// An API key (or OAuth token) that the emulator knows. Held in memory only: never logged, listed
/// or written to the world file.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmulatedKey {
    /// The secret, as in `x-api-key` or after `Bearer`.
    pub key: String,
    /// Its name in logs and in introspection.
    pub name: String,
    /// The user or group that owns the key. Rate limits and asset access count for it.
    pub owner: Principal,
    /// `asset:read`.
    #[serde(default = "yes")]
    pub read: bool,
    /// `asset:write`.
    #[serde(default = "yes")]
    pub write: bool,
    /// The creators it may upload for; by default only its owner. The owner is always among them.
    #[serde(default)]
    pub creators: Creators,
    /// Whether the key is enabled.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// When it expires, in milliseconds since the Unix epoch.
    #[serde(default)]
    pub expires_at_ms: Option<u64>,
}

/// The creators whose assets a key may write.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Creators {
    /// Every creator: `["*"]` in introspection.
    All,
    /// The key's owner.
    #[default]
    Owner,
    /// The key's owner and these.
    Only(BTreeSet<Principal>),
}

fn yes() -> bool {
    true
}

impl std::fmt::Debug for EmulatedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmulatedKey").field("name", &self.name).field("owner", &self.owner).finish_non_exhaustive()
    }
}

impl EmulatedKey {
    /// Makes a key of `owner` that may do everything, for every creator.
    pub fn all_powerful(key: impl Into<String>, name: impl Into<String>, owner: Principal) -> Self {
        EmulatedKey {
            key: key.into(),
            name: name.into(),
            owner,
            read: true,
            write: true,
            creators: Creators::All,
            enabled: true,
            expires_at_ms: None,
        }
    }

    pub(in crate::emulator) fn works(&self, now: u64) -> bool {
        self.enabled && !self.expired(now)
    }

    fn expired(&self, now: u64) -> bool {
        self.expires_at_ms.is_some_and(|at| at <= now)
    }

    pub(in crate::emulator) fn may_act_for(&self, creator: Principal) -> bool {
        self.owner == creator
            || match &self.creators {
                Creators::All => true,
                Creators::Owner => false,
                Creators::Only(creators) => creators.contains(&creator),
            }
    }

    /// Returns the response of introspection (KEYS).
    pub(in crate::emulator) fn introspection(&self, now: u64) -> Value {
        let allowed: Vec<Principal> = match &self.creators {
            Creators::Only(creators) => creators.iter().copied().chain([self.owner]).collect(),
            _ => vec![self.owner],
        };
        let all = self.creators == Creators::All;
        let ids = |pick: fn(&Principal) -> Option<u64>| {
            let ids: BTreeSet<u64> = allowed.iter().filter_map(pick).collect();
            if all { json!(["*"]) } else { ids.iter().map(u64::to_string).collect() }
        };
        let user_ids = ids(|owner| if let Principal::User(id) = owner { Some(*id) } else { None });
        let group_ids = ids(|owner| if let Principal::Group(id) = owner { Some(*id) } else { None });
        let granted = [("read", self.read), ("write", self.write)];
        let operations: Vec<&str> = granted.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect();
        let scopes = if operations.is_empty() {
            json!([])
        } else {
            json!([{ "name": "asset", "operations": operations, "userIds": user_ids, "groupIds": group_ids }])
        };
        let mut body = json!({ "name": self.name });
        if let (Some(fields), Principal::User(id)) = (body.as_object_mut(), self.owner) {
            fields.insert("authorizedUserId".into(), json!(id));
        }
        if let Some(fields) = body.as_object_mut() {
            fields.insert("scopes".into(), scopes);
            fields.insert("enabled".into(), json!(self.enabled));
            fields.insert("expired".into(), json!(self.expired(now)));
            if let Some(at) = self.expires_at_ms {
                fields.insert("expirationTimeUtc".into(), json!(rfc3339(at, 3)));
            }
        }
        body
    }
}

/// The keys that exist. Without any, every non-empty key works and may do everything.
#[derive(Clone, Default)]
pub(in crate::emulator) struct Keys {
    known: Vec<EmulatedKey>,
    revoked: BTreeSet<String>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("known", &self.known).field("revoked", &self.revoked.len()).finish()
    }
}

/// The owner of every key in an emulator without configured keys.
const DEFAULT_OWNER: Principal = Principal::User(1);

impl Keys {
    pub(in crate::emulator) fn new(known: Vec<EmulatedKey>) -> Self {
        Keys { known, revoked: BTreeSet::new() }
    }

    /// Adds a key, or replaces the one with the same secret.
    pub(in crate::emulator) fn put(&mut self, key: EmulatedKey) {
        self.revoked.remove(&key.key);
        self.known.retain(|known| known.key != key.key);
        self.known.push(key);
    }

    /// Makes a key stop working, configured or not.
    pub(in crate::emulator) fn revoke(&mut self, secret: &str) {
        self.revoked.insert(secret.to_owned());
    }

    /// Makes every revoked key work again.
    pub(in crate::emulator) fn restore_revoked(&mut self) {
        self.revoked.clear();
    }

    pub(in crate::emulator) fn find(&self, secret: &str) -> Option<EmulatedKey> {
        if secret.is_empty() || self.revoked.contains(secret) {
            return None;
        }
        if self.known.is_empty() {
            return Some(EmulatedKey::all_powerful(secret, "any key", DEFAULT_OWNER));
        }
        self.known.iter().find(|known| known.key == secret).cloned()
    }

    /// Returns the key behind a request, if it works.
    pub(in crate::emulator) fn authenticate(&self, secret: Option<&str>, now: u64) -> Result<EmulatedKey, ApiRefusal> {
        secret
            .and_then(|secret| self.find(secret))
            .filter(|key| key.works(now))
            .ok_or_else(|| ApiRefusal::gateway(401, "Invalid API Key"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_round_trip_as_text() {
        for text in ["user:1", "group:18446744073709551615"] {
            assert_eq!(Principal::try_from(text.to_owned()).unwrap().to_string(), text);
        }
        for text in ["", "user", "user:", "user:x", "place:1"] {
            assert!(Principal::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn without_configured_keys_any_key_works_and_with_them_only_those() {
        let mut keys = Keys::default();
        assert!(keys.authenticate(Some("x"), 0).is_ok());
        assert!(keys.authenticate(Some(""), 0).is_err());
        assert!(keys.authenticate(None, 0).is_err());
        keys.revoke("x");
        assert!(keys.authenticate(Some("x"), 0).is_err());
        assert!(keys.authenticate(Some("y"), 0).is_ok());

        keys.put(EmulatedKey { expires_at_ms: Some(10), ..EmulatedKey::all_powerful("k", "ci", Principal::User(5)) });
        assert!(keys.authenticate(Some("y"), 0).is_err());
        assert_eq!(keys.authenticate(Some("k"), 9).unwrap().owner, Principal::User(5));
        assert!(keys.authenticate(Some("k"), 10).is_err());
        keys.put(EmulatedKey { enabled: false, ..EmulatedKey::all_powerful("k", "ci", Principal::User(5)) });
        assert!(keys.authenticate(Some("k"), 0).is_err());
    }

    #[test]
    fn introspection_lists_scopes_and_creators() {
        let key = EmulatedKey {
            creators: Creators::Only([Principal::Group(7)].into()),
            write: false,
            expires_at_ms: Some(1000),
            ..EmulatedKey::all_powerful("k", "ci", Principal::User(5))
        };
        assert_eq!(
            key.introspection(2000),
            json!({
                "name": "ci", "authorizedUserId": 5,
                "scopes": [{ "name": "asset", "operations": ["read"], "userIds": ["5"], "groupIds": ["7"] }],
                "enabled": true, "expired": true, "expirationTimeUtc": "1970-01-01T00:00:01.000Z",
            })
        );
        assert!(key.may_act_for(Principal::Group(7)) && key.may_act_for(Principal::User(5)));
        assert!(!key.may_act_for(Principal::User(7)));
    }

    #[test]
    fn a_key_never_shows_its_secret() {
        let key = EmulatedKey::all_powerful("secret-1", "ci", Principal::User(5));
        assert!(!format!("{key:?}").contains("secret-1"));
        let mut keys = Keys::new(vec![key]);
        keys.revoke("secret-1");
        assert!(!format!("{keys:?}").contains("secret-1"));
    }
}
