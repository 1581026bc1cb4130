//! A connection, and how a fault ends it.

use std::future::pending;
use std::net::IpAddr;

use axum::body::Body;
use axum::http::Response;
use tokio::sync::watch;

/// The way a fault ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionEnd {
    /// RST.
    Reset,
    /// FIN.
    Close,
    /// The connection stays open and silent.
    Never,
}

/// The connection that a request came over.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) id: u64,
    pub(super) ip: IpAddr,
    pub(super) end: watch::Sender<Option<ConnectionEnd>>,
}

impl Connection {
    pub(super) fn new(id: u64, ip: IpAddr) -> Self {
        Connection { id, ip, end: watch::Sender::new(None) }
    }

    /// Ends the connection instead of responding. Never returns: the connection's task drops the
    /// request with everything else.
    pub(super) async fn cut(&self, how: ConnectionEnd) -> Response<Body> {
        if how != ConnectionEnd::Never {
            self.end.send_replace(Some(how));
        }
        pending().await
    }

    pub(super) async fn ended(&self) {
        // The sender lives in self, so waiting can't fail.
        self.end.subscribe().wait_for(Option::is_some).await.ok();
    }
}
