//! Rate limits: fixed windows per IP address, per key owner, and per key. Pure.
//!
//! Windows are aligned to the clock, and the whole budget returns at once at the edge (BEDROCK,
//! measured). Limits count for the owner of a key, so two keys of one owner share a budget
//! (creator-docs: `cloud/reference/rate-limits.md`). The per-key throttle
//! (`x-roblox-throttling-limit` in V1) counts separately. For operations it is smaller than the
//! owner's limit: 100 against 300.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::account::Principal;
use crate::emulator::endpoint::ApiEndpoint;

/// The requests that one endpoint accepts in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// For each IP address.
    pub per_ip: u32,
    /// For each owner of a key.
    pub per_owner: u32,
    /// For each key.
    pub per_key: u32,
}

impl Limit {
    /// Makes a limit with the same number for all three.
    pub const fn of(number: u32) -> Self {
        Limit { per_ip: number, per_owner: number, per_key: number }
    }
}

/// The limits of all endpoints. An endpoint that is not listed has no limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointLimits {
    /// The length of a window in milliseconds; Roblox's is a minute. Zero counts as one.
    pub window_ms: u64,
    /// How much later than a multiple of its length on the clock a window begins, in milliseconds;
    /// Roblox's begin with the minute.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub window_offset_ms: u64,
    /// The limit of each endpoint.
    pub endpoints: BTreeMap<ApiEndpoint, Limit>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl EndpointLimits {
    /// Returns the documented limits per minute (V1): create, get and update 120; archive, restore,
    /// versions and rollback 100; operations 300, but 100 for each key.
    pub fn documented() -> Self {
        let endpoints = ApiEndpoint::ALL
            .into_iter()
            .filter_map(|endpoint| {
                let limit = match endpoint {
                    ApiEndpoint::CreateAsset | ApiEndpoint::GetAsset | ApiEndpoint::UpdateAsset => Limit::of(120),
                    ApiEndpoint::ArchiveAsset
                    | ApiEndpoint::RestoreAsset
                    | ApiEndpoint::ListVersions
                    | ApiEndpoint::GetVersion
                    | ApiEndpoint::RollbackAsset => Limit::of(100),
                    ApiEndpoint::GetOperation => Limit { per_ip: 300, per_owner: 300, per_key: 100 },
                    ApiEndpoint::IntrospectKey => return None,
                };
                Some((endpoint, limit))
            })
            .collect();
        EndpointLimits { window_ms: 60_000, window_offset_ms: 0, endpoints }
    }

    /// Returns no limits at all. Responses then have no rate limit headers.
    pub fn none() -> Self {
        EndpointLimits { window_ms: 60_000, window_offset_ms: 0, endpoints: BTreeMap::new() }
    }
}

impl Default for EndpointLimits {
    fn default() -> Self {
        EndpointLimits::documented()
    }
}

/// The party that a request counts for. A key is known here by its name, never by its secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum LimitSubject {
    Ip(IpAddr),
    Owner(Principal),
    Key(String),
}

#[derive(Clone, Copy, Debug, Default)]
struct LimitWindow {
    start: u64,
    used: u32,
    exceeded: bool,
}

/// The state of the windows after a request, for the headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::emulator) struct WindowUse {
    pub(in crate::emulator) owner_limit: u32,
    pub(in crate::emulator) owner_remaining: u32,
    pub(in crate::emulator) key_limit: u32,
    pub(in crate::emulator) key_remaining: u32,
    pub(in crate::emulator) window_s: u64,
    pub(in crate::emulator) reset_s: u64,
}

/// The limiter's decision about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::emulator) enum Admission {
    Unlimited,
    Admitted(WindowUse),
    /// The gateway's budget, per IP address or owner, is used up.
    OverGateway(WindowUse),
    /// The key's throttle is full.
    OverKey(WindowUse),
}

/// The current windows.
#[derive(Debug, Default)]
pub(in crate::emulator) struct Limiter {
    windows: BTreeMap<(ApiEndpoint, LimitSubject), LimitWindow>,
    /// The windows with more requests than the limit.
    pub(in crate::emulator) exceeded: BTreeMap<ApiEndpoint, u64>,
    last_start: u64,
}

impl Limiter {
    /// Counts a request, or refuses it.
    pub(in crate::emulator) fn admit(
        &mut self,
        limits: &EndpointLimits,
        endpoint: ApiEndpoint,
        ip: IpAddr,
        owner: Principal,
        key: &str,
        now: u64,
    ) -> Admission {
        let Some(limit) = limits.endpoints.get(&endpoint) else { return Admission::Unlimited };
        let length = limits.window_ms.max(1);
        let start = now.saturating_sub((now + length - limits.window_offset_ms % length) % length);
        if start != self.last_start {
            self.windows.retain(|_, window| window.start == start);
            self.last_start = start;
        }
        let subjects = [
            (LimitSubject::Ip(ip), limit.per_ip),
            (LimitSubject::Owner(owner), limit.per_owner),
            (LimitSubject::Key(key.to_owned()), limit.per_key),
        ];
        let used = |windows: &BTreeMap<(ApiEndpoint, LimitSubject), LimitWindow>, subject: &LimitSubject| {
            windows
                .get(&(endpoint, subject.clone()))
                .filter(|window| window.start == start)
                .map_or(0, |window| window.used)
        };
        let full = subjects.iter().position(|(subject, most)| used(&self.windows, subject) >= *most);
        for (index, (subject, _)) in subjects.iter().enumerate() {
            let window = self.windows.entry((endpoint, subject.clone())).or_default();
            if window.start != start {
                *window = LimitWindow { start, ..LimitWindow::default() };
            }
            match full {
                None => window.used += 1,
                Some(at) if at == index && !window.exceeded => {
                    window.exceeded = true;
                    *self.exceeded.entry(endpoint).or_default() += 1;
                }
                Some(_) => {}
            }
        }
        let [(ip, per_ip), (owner, per_owner), (key, per_key)] = &subjects;
        let owner_left = per_owner.saturating_sub(used(&self.windows, owner));
        let ip_left = per_ip.saturating_sub(used(&self.windows, ip));
        let budget = WindowUse {
            owner_limit: *per_owner.min(per_ip),
            owner_remaining: owner_left.min(ip_left),
            key_limit: *per_key,
            key_remaining: per_key.saturating_sub(used(&self.windows, key)),
            window_s: length.div_ceil(1000),
            reset_s: (start + length - now).div_ceil(1000),
        };
        match full {
            None => Admission::Admitted(budget),
            Some(2) => Admission::OverKey(budget),
            Some(_) => Admission::OverGateway(budget),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn admit(limiter: &mut Limiter, limits: &EndpointLimits, owner: u64, key: &str, now: u64) -> Admission {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        limiter.admit(limits, ApiEndpoint::CreateAsset, ip, Principal::User(owner), key, now)
    }

    fn limits(per_ip: u32, per_owner: u32, per_key: u32) -> EndpointLimits {
        EndpointLimits {
            endpoints: [(ApiEndpoint::CreateAsset, Limit { per_ip, per_owner, per_key })].into(),
            ..EndpointLimits::none()
        }
    }

    #[test]
    fn a_window_may_begin_at_any_second_of_the_clock() {
        let limits = EndpointLimits { window_offset_ms: 25_000, ..limits(9, 1, 9) };
        let mut limiter = Limiter::default();
        let mut is_admitted = |now| matches!(admit(&mut limiter, &limits, 1, "a", now), Admission::Admitted(_));
        assert_eq!([84_999, 85_000, 144_999, 145_000].map(&mut is_admitted), [true, true, false, true]);
    }

    #[test]
    fn the_whole_budget_returns_at_the_edge_of_the_window() {
        let (mut limiter, limits) = (Limiter::default(), limits(9, 2, 9));
        assert!(
            matches!(admit(&mut limiter, &limits, 1, "a", 59_000), Admission::Admitted(b) if b.owner_remaining == 1 && b.reset_s == 1)
        );
        assert!(
            matches!(admit(&mut limiter, &limits, 1, "a", 59_999), Admission::Admitted(b) if b.owner_remaining == 0)
        );
        assert!(matches!(admit(&mut limiter, &limits, 1, "a", 59_999), Admission::OverGateway(_)));
        assert!(
            matches!(admit(&mut limiter, &limits, 1, "a", 60_000), Admission::Admitted(b) if b.owner_remaining == 1 && b.reset_s == 60)
        );
        assert_eq!(limiter.exceeded.get(&ApiEndpoint::CreateAsset), Some(&1));
    }

    #[test]
    fn two_keys_of_one_owner_share_a_budget_and_two_owners_do_not() {
        let (mut limiter, limits) = (Limiter::default(), limits(9, 1, 9));
        assert!(matches!(admit(&mut limiter, &limits, 1, "a", 0), Admission::Admitted(_)));
        assert!(matches!(admit(&mut limiter, &limits, 1, "b", 0), Admission::OverGateway(_)));
        assert!(matches!(admit(&mut limiter, &limits, 2, "c", 0), Admission::Admitted(_)));
    }

    #[test]
    fn the_throttle_of_a_key_leaves_budget_to_its_owner() {
        let (mut limiter, limits) = (Limiter::default(), limits(9, 9, 1));
        admit(&mut limiter, &limits, 1, "a", 0);
        assert!(
            matches!(admit(&mut limiter, &limits, 1, "a", 0), Admission::OverKey(b) if b.owner_remaining == 8 && b.key_remaining == 0)
        );
        assert!(matches!(admit(&mut limiter, &limits, 1, "b", 0), Admission::Admitted(_)));
    }

    #[test]
    fn an_address_is_limited_across_owners() {
        let (mut limiter, limits) = (Limiter::default(), limits(1, 9, 9));
        admit(&mut limiter, &limits, 1, "a", 0);
        assert!(matches!(admit(&mut limiter, &limits, 2, "b", 0), Admission::OverGateway(b) if b.owner_remaining == 0));
    }

    #[test]
    fn an_exceeded_window_is_counted_once() {
        let (mut limiter, limits) = (Limiter::default(), limits(0, 0, 0));
        for now in [0, 1, 60_000] {
            admit(&mut limiter, &limits, 1, "a", now);
        }
        assert_eq!(limiter.exceeded.get(&ApiEndpoint::CreateAsset), Some(&2));
    }

    #[test]
    fn an_endpoint_that_is_not_listed_is_not_limited() {
        assert_eq!(admit(&mut Limiter::default(), &EndpointLimits::none(), 1, "a", 0), Admission::Unlimited);
    }
}
