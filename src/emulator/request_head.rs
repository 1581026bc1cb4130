//! A request without its body.

use axum::http::request::Parts;

use super::connection::{Connection, ConnectionEnd};
use super::endpoint::Route;
use super::faults::{FaultAction, Point, RequestFacts};
use super::shared::Shared;
use super::wire::query;

/// A request without its body.
pub(super) struct RequestHead<'a> {
    pub(super) shared: &'a Shared,
    pub(super) connection: &'a Connection,
    pub(super) head: &'a Parts,
    pub(super) route: &'a Route,
    pub(super) secret: Option<&'a str>,
    /// Its number in the log.
    pub(super) seq: u64,
}

impl RequestHead<'_> {
    /// Returns the facts that a fault script can use before the body arrives.
    pub(super) fn facts(&self) -> RequestFacts<'_> {
        RequestFacts {
            endpoint: self.route.endpoint(),
            method: self.head.method.as_str(),
            path: self.head.uri.path(),
            asset_id: self.route.asset_id(),
            ..RequestFacts::default()
        }
    }

    pub(super) fn query(&self, name: &str) -> Option<String> {
        query::parameter(self.head.uri.query().unwrap_or_default(), name)
    }
}

/// Returns how an action ends the connection at a point, if it does.
pub(super) fn cut_at(action: &FaultAction, point: Point) -> Option<ConnectionEnd> {
    match action {
        FaultAction::Reset { at } if *at == point => Some(ConnectionEnd::Reset),
        FaultAction::Close { at } if *at == point => Some(ConnectionEnd::Close),
        FaultAction::Hang { at } if *at == point => Some(ConnectionEnd::Never),
        _ => None,
    }
}
