//! The request log and its counters, which show tests and people what a client really did. Holds no
//! key, only names of keys.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use super::endpoint::ApiEndpoint;
use super::faults::FaultReport;
use super::world::account::Principal;

/// The number of requests that the log keeps, newest first. The counters count them all.
const KEPT: usize = 100_000;

/// One request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RequestReport {
    /// Counted from 1.
    pub seq: u64,
    /// The connection it came over, counted from 1.
    pub connection: u64,
    /// When its head had arrived, by the emulator's clock, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The method.
    pub method: String,
    /// The path as received.
    pub path: String,
    /// The query as received.
    pub query: String,
    /// The endpoint; `None` for an unknown path.
    pub endpoint: Option<ApiEndpoint>,
    /// The name of the key.
    pub key: Option<String>,
    /// The key's owner.
    pub owner: Option<Principal>,
    /// The asset in the path, or the created one.
    pub asset_id: Option<u64>,
    /// The operation in the path, or the one that was started.
    pub operation_id: Option<String>,
    /// The SHA-256 of the uploaded file, if it arrived complete.
    pub content_hash: Option<String>,
    /// The number of body bytes that were read.
    pub bytes: u64,
    /// The status of the response; `None` without one.
    pub status: Option<u16>,
    /// Whether the request changed something, with or without a response.
    pub committed: bool,
    /// The fault rules that fired on it.
    pub faults: Vec<u64>,
}

/// The totals so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Counters {
    /// All requests to the API.
    pub requests: u64,
    /// Requests by endpoint. Those to unknown paths are not included.
    pub endpoints: BTreeMap<ApiEndpoint, u64>,
    /// Responses by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests that ended without a response.
    pub unanswered: u64,
    /// Requests under way.
    pub in_flight: u64,
    /// The most requests that were ever under way at once.
    pub most_in_flight: u64,
    /// Accepted connections.
    pub connections: u64,
    /// Creates and content updates carried out, by the SHA-256 of the content.
    pub commits: BTreeMap<String, u64>,
    /// Rate limit windows with more requests than the limit.
    pub windows_exceeded: BTreeMap<ApiEndpoint, u64>,
    /// The fault rules and how often each fired.
    pub faults: Vec<FaultReport>,
}

/// The log of one emulator.
#[derive(Debug, Default)]
pub(super) struct Log {
    requests: VecDeque<RequestReport>,
    counters: Counters,
}

impl Log {
    /// Records a connection and returns its number.
    pub(super) fn connect(&mut self) -> u64 {
        self.counters.connections += 1;
        self.counters.connections
    }

    /// Records a request whose head has arrived, and returns its number.
    pub(super) fn begin(&mut self, mut request: RequestReport) -> u64 {
        let counters = &mut self.counters;
        counters.requests += 1;
        counters.in_flight += 1;
        counters.most_in_flight = counters.most_in_flight.max(counters.in_flight);
        if let Some(endpoint) = request.endpoint {
            *counters.endpoints.entry(endpoint).or_default() += 1;
        }
        request.seq = counters.requests;
        self.requests.push_back(request);
        if self.requests.len() > KEPT {
            self.requests.pop_front();
        }
        counters.requests
    }

    /// Adds facts about a request.
    pub(super) fn note(&mut self, seq: u64, change: impl FnOnce(&mut RequestReport)) {
        let found = self.requests.binary_search_by_key(&seq, |request| request.seq);
        if let Some(request) = found.ok().and_then(|at| self.requests.get_mut(at)) {
            change(request);
        }
    }

    /// Records the end of a request, with the status of its response.
    pub(super) fn end(&mut self, seq: u64, status: Option<u16>) {
        self.counters.in_flight = self.counters.in_flight.saturating_sub(1);
        match status {
            Some(status) => *self.counters.statuses.entry(status).or_default() += 1,
            None => self.counters.unanswered += 1,
        }
        self.note(seq, |request| request.status = status);
    }

    pub(super) fn requests(&self) -> Vec<RequestReport> {
        self.requests.iter().cloned().collect()
    }

    pub(super) fn counters(&self) -> Counters {
        self.counters.clone()
    }

    /// Drops everything but the requests under way. The numbers of connections and requests
    /// continue.
    pub(super) fn clear(&mut self) {
        self.requests.clear();
        let Counters { requests, in_flight, connections, .. } = self.counters;
        self.counters = Counters { requests, in_flight, most_in_flight: in_flight, connections, ..Counters::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_bounded_and_the_counters_are_not() {
        let mut log = Log::default();
        for _ in 0..KEPT as u64 + 5 {
            let seq = log.begin(RequestReport { endpoint: Some(ApiEndpoint::GetAsset), ..RequestReport::default() });
            log.end(seq, Some(200));
        }
        assert_eq!(log.requests().len(), KEPT);
        assert_eq!(log.requests()[0].seq, 6);
        assert_eq!(log.counters().endpoints[&ApiEndpoint::GetAsset], KEPT as u64 + 5);
        log.note(3, |_| unreachable!("forgotten"));
        log.note(6, |request| request.bytes = 9);
        assert_eq!(log.requests()[0].bytes, 9);
    }

    #[test]
    fn requests_without_a_response_are_counted_separately() {
        let mut log = Log::default();
        let (one, two) = (log.begin(RequestReport::default()), log.begin(RequestReport::default()));
        log.end(one, None);
        log.end(two, Some(500));
        let counters = log.counters();
        assert_eq!((counters.unanswered, counters.in_flight, counters.most_in_flight), (1, 0, 2));
        assert_eq!(counters.statuses, [(500, 1)].into());
        log.clear();
        assert_eq!((log.counters().requests, log.counters().unanswered), (2, 0));
    }
}
