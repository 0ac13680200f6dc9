//! One connection: TLS handshake if configured, then HTTP/1.1 or HTTP/2 until it ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::Service;

use crate::delivery::Hangup;
use crate::tls::{ClientCertificate, HANDSHAKE_TIME};

/// Longest head of a request, in bytes; beyond, 431.
const MAX_HEAD: usize = 64 * 1024;
/// Most headers of a request; beyond, 431.
const MAX_HEADERS: usize = 100;
/// Longest wait for the complete head of the next request, which also ends idle connections.
const HEAD_TIME: Duration = Duration::from_secs(75);
/// Streams at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 256;
/// How often, and how long, an HTTP/2 connection is asked whether it lives.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIME: Duration = Duration::from_secs(20);

/// Makes HTTP of accepted connections.
#[derive(Clone)]
pub(crate) struct Acceptor {
    tls: Option<TlsAcceptor>,
    router: Router,
    http: Arc<Builder<TokioExecutor>>,
    stop: CancellationToken,
    kill: CancellationToken,
}

impl Acceptor {
    /// `stop` lets connections finish their request; `kill` ends them at once.
    pub(crate) fn new(
        tls: Option<TlsAcceptor>,
        router: Router,
        stop: CancellationToken,
        kill: CancellationToken,
    ) -> Self {
        let mut http = Builder::new(TokioExecutor::new());
        http.http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD);
        http.http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEAD as u32)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIME);
        Self {
            tls,
            router,
            http: Arc::new(http),
            stop,
            kill,
        }
    }

    /// Serves one connection until it ends.
    pub(crate) async fn serve(self, stream: TcpStream, peer: SocketAddr) {
        // Answers are small and written at once: waiting to fill a packet only costs 40 ms.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "TCP_NODELAY");
        }
        let Some(tls) = &self.tls else {
            return self.http(stream, peer, None).await;
        };
        let handshake = tokio::time::timeout(HANDSHAKE_TIME, tls.accept(stream));
        tokio::select! {
            () = self.stop.cancelled() => {}
            shaken = handshake => match shaken {
                Ok(Ok(stream)) => {
                    let certificate = ClientCertificate::of(&stream);
                    self.http(stream, peer, certificate).await;
                }
                Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake"),
                Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
            },
        }
    }

    async fn http(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: SocketAddr,
        certificate: Option<ClientCertificate>,
    ) {
        let hangup = Hangup::default();
        let service = service_fn(|request: http::Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            request.extensions_mut().insert(hangup.clone());
            if let Some(certificate) = &certificate {
                request.extensions_mut().insert(certificate.clone());
            }
            self.router.clone().call(request)
        });
        let mut connection =
            std::pin::pin!(self.http.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            ended = connection.as_mut() => return log_end(peer, ended),
            () = hangup.0.cancelled() => return,
            () = self.stop.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        tokio::select! {
            ended = connection.as_mut() => log_end(peer, ended),
            () = hangup.0.cancelled() => {}
            () = self.kill.cancelled() => {}
        }
    }
}

fn log_end(peer: SocketAddr, ended: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection ended with an error");
    }
}
