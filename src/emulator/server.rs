//! Sockets: listening, one task for each connection, and connections that end as a fault script
//! demands.
//!
//! axum's own `serve` can't reset a connection, so the loop is here. A [`ResettableStream`] holds
//! the stream of a connection. If the connection is to be reset, it sets SO_LINGER to zero before
//! the stream is dropped, and the kernel sends RST.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::Response;
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::connection::{Connection, ConnectionEnd};
use super::faults::{FaultStage, RequestFacts};
use super::service;
use super::shared::Shared;

/// A stream that is reset on drop if its connection is to end that way.
struct ResettableStream {
    stream: TcpStream,
    connection: Connection,
}

impl Drop for ResettableStream {
    fn drop(&mut self) {
        if *self.connection.end.borrow() == Some(ConnectionEnd::Reset) {
            // Fails only if the peer was faster.
            self.stream.set_zero_linger().ok();
        }
    }
}

impl AsyncRead for ResettableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for ResettableStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Serves the API on every path that the control API leaves: any that does not start with
/// `/emulator`.
pub(super) fn router(shared: &Arc<Shared>, control_api: Router) -> Router {
    let shared = Arc::clone(shared);
    control_api.fallback(move |mut request: Request| {
        let shared = Arc::clone(&shared);
        async move {
            match request.extensions_mut().remove::<Connection>() {
                Some(connection) => service::respond(shared, connection, request).await,
                None => Response::default(),
            }
        }
    })
}

/// Accepts connections until it is stopped; then drops them all.
pub(super) async fn serve(listener: TcpListener, router: Router, shared: Arc<Shared>, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => drop(connections.spawn(connect(stream, peer, router.clone(), Arc::clone(&shared)))),
            Err(error) => {
                tracing::warn!(%error, "the emulator could not accept a connection");
                // Most likely out of descriptors: other connections must end first.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    connections.shutdown().await;
}

async fn connect(stream: TcpStream, peer: SocketAddr, router: Router, shared: Arc<Shared>) {
    let (id, refused) = {
        let mut inner = shared.lock();
        (inner.log.connect(), inner.faults.pick(FaultStage::Accept, &RequestFacts::default()).is_some())
    };
    if refused {
        stream.set_zero_linger().ok();
        return;
    }
    // A response in two writes must not wait for the peer's delayed acknowledgement.
    stream.set_nodelay(true).ok();
    let connection = Connection::new(id, peer.ip());
    let io = TokioIo::new(ResettableStream { stream, connection: connection.clone() });
    let api = TowerToHyperService::new(router);
    let with_connection = service_fn(|mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(connection.clone());
        api.call(request)
    });
    let serving =
        hyper::server::conn::http1::Builder::new().timer(TokioTimer::new()).serve_connection(io, with_connection);
    tokio::select! {
        // A broken connection is the client's business.
        _ = serving => {}
        () = connection.ended() => {}
    }
}
