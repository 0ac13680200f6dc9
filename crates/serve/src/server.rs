//! Serving a router until told to stop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Bounds on what a client may ask of a service.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest request body, in bytes.
    pub body: usize,
    /// Longest time for one request.
    pub request: Duration,
    /// Requests at work at once; beyond, 503 with `Retry-After`.
    pub concurrency: usize,
    /// Time that requests at work get to finish at shutdown.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body: 4 << 20, request: Duration::from_secs(30), concurrency: 1024, drain: Duration::from_secs(15) }
    }
}

/// Where a server's certificate is.
#[derive(Clone, Debug)]
pub struct Tls {
    /// PEM certificate chain, leaf first.
    pub certificate: PathBuf,
    /// PEM private key.
    pub key: PathBuf,
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
pub async fn listen(_address: SocketAddr) -> Result<TcpListener, ServeError> {
    unimplemented!()
}

/// Serves `router` (with request ids, tracing, limits, panic containment and HTTP metrics around
/// it) until `stop` is cancelled; then finishes the requests at work.
///
/// `service` labels logs and metrics. The routers' own error bodies are kept: a limit that is
/// exceeded answers through `service`'s error form only where the router has its own limit layer.
pub async fn serve(
    _service: &'static str,
    _listener: TcpListener,
    _router: Router,
    _tls: Option<Tls>,
    _limits: Limits,
    _stop: CancellationToken,
) -> Result<(), ServeError> {
    unimplemented!()
}
