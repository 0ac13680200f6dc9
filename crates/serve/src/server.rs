//! Serving a router until told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Tls;
use crate::connection::Acceptor;
use crate::descriptors;
use crate::request::Around;

/// Pause after the system refused to accept a connection, most likely for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Bounds on what a client may ask of a service.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest request body, in bytes.
    pub body: usize,
    /// Longest time for one request, from its head to the head of its answer; and again for the
    /// client to take each 64 KiB of the answer.
    pub request: Duration,
    /// Requests at work at once, long answers until they are taken included; beyond, 503 with
    /// `Retry-After`.
    pub concurrency: usize,
    /// Open connections, and never more than an eighth of the process's file descriptors; beyond,
    /// new ones wait to be accepted.
    pub connections: usize,
    /// Time that requests at work get to finish at shutdown.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 4 << 20,
            request: Duration::from_secs(30),
            concurrency: 1024,
            connections: 8192,
            drain: Duration::from_secs(15),
        }
    }
}

/// Why a server could not start or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address could not be bound.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The server failed.
    #[error("the server failed: {0}")]
    Io(#[from] std::io::Error),
    /// The certificate or key cannot be used.
    #[error("TLS certificate or key: {0}")]
    Tls(String),
}

/// Binds a listener.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| ServeError::Listen { address, source })
}

/// Serves `router` (with request ids, tracing, limits, panic containment and HTTP metrics around
/// it) until `stop` is cancelled; then finishes the requests at work.
///
/// `service` labels logs and metrics. The routers' own error bodies are kept; the crate's
/// documentation says which answers are made here and how to override the limits.
///
/// Speaks HTTP/1.1 and HTTP/2, the latter with prior knowledge on plain connections. Handlers can
/// extract `ConnectInfo<SocketAddr>` and [`crate::RequestId`].
pub async fn serve(
    service: &'static str,
    listener: TcpListener,
    router: Router,
    tls: Option<Tls>,
    limits: Limits,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let tls = tls
        .map(|tls| tls.acceptor())
        .transpose()
        .map_err(ServeError::Tls)?;
    let kill = CancellationToken::new();
    let acceptor = Acceptor::new(
        tls,
        Around::new(service, limits).wrap(router),
        stop.clone(),
        kill.clone(),
    );
    let connections = Arc::new(Semaphore::new(
        descriptors::connections(limits.connections).min(Semaphore::MAX_PERMITS),
    ));
    let tasks = TaskTracker::new();

    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &connections) => accepted,
        };
        match accepted {
            Ok((stream, peer, permit)) => {
                let connection = acceptor.clone();
                tasks.spawn(async move {
                    connection.serve(stream, peer).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(service, %error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }

    // New connections are refused from here on, rather than left waiting.
    drop(listener);
    tasks.close();
    if tokio::time::timeout(limits.drain, tasks.wait())
        .await
        .is_err()
    {
        tracing::warn!(
            service,
            connections = tasks.len(),
            "requests at work were cut off at shutdown"
        );
        kill.cancel();
        tasks.wait().await;
    }
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> std::io::Result<(
    tokio::net::TcpStream,
    SocketAddr,
    tokio::sync::OwnedSemaphorePermit,
)> {
    let permit = Arc::clone(connections)
        .acquire_owned()
        .await
        .map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, permit))
}
