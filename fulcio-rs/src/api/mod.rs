//! HTTP and gRPC: parse, call, print.

mod cors;
mod grpc;
mod message;
mod v1;
mod v2;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderMap, Method};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::certify::Certifier;
use crate::error::RequestError;
use crate::issuance::Issued;

/// Longest request body, in bytes.
pub(crate) const MAX_BODY: usize = 4 << 20;

/// Media type of a chain of certificates.
const PEM_CHAIN: &str = "application/pem-certificate-chain";

/// The routes, REST and gRPC. `health` answers `/healthz` and `/readyz`.
pub(crate) fn router(certifier: Arc<Certifier>, health: Router) -> Router {
    // Clients that join a base URL ending in a slash with these paths ask for `//api/…`.
    let both = |router: Router<Arc<Certifier>>,
                path: &str,
                route: fn() -> axum::routing::MethodRouter<Arc<Certifier>>| {
        router
            .route(path, route())
            .route(&format!("/{path}"), route())
    };
    let router = both(Router::new(), "/api/v2/signingCert", || {
        post(v2::signing_cert)
    });
    let router = both(router, "/api/v2/trustBundle", || get(v2::trust_bundle));
    let router = both(router, "/api/v2/configuration", || get(v2::configuration));
    let router = both(router, "/api/v1/signingCert", || post(v1::signing_cert));
    let router = both(router, "/api/v1/rootCert", || get(v1::root_cert));
    router
        .with_state(Arc::clone(&certifier))
        .merge(health)
        .fallback(async |request: Request| {
            if grpc::is_grpc(&request) {
                grpc::unimplemented()
            } else {
                RequestError::NotFound.into_response()
            }
        })
        .method_not_allowed_fallback(async || RequestError::MethodNotAllowed)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(cors::cors))
        .layer(middleware::from_fn(latency))
        .merge(grpc::router(certifier))
}

/// The gRPC API alone.
pub(crate) fn grpc_router(certifier: Arc<Certifier>) -> Router {
    grpc::alone(certifier)
}

/// Fulcio's own histogram of answers.
async fn latency(request: Request, next: Next) -> Response {
    let method = match *request.method() {
        Method::GET => "get",
        Method::POST => "post",
        Method::HEAD => "head",
        Method::OPTIONS => "options",
        _ => "other",
    };
    let start = Instant::now();
    let response = next.run(request).await;
    let code = response.status().as_str().to_owned();
    metrics::histogram!("fulcio_api_latency", "code" => code, "method" => method)
        .record(start.elapsed().as_secs_f64());
    response
}

/// The body, or why there is none.
fn body(body: Result<Bytes, BytesRejection>) -> Result<Bytes, RequestError> {
    body.map_err(|rejection| {
        if rejection.status() == http::StatusCode::PAYLOAD_TOO_LARGE {
            RequestError::TooLarge
        } else {
            RequestError::Malformed("the request body could not be read".to_owned())
        }
    })
}

/// The token in the headers: `Authorization` without its first `Bearer `, or the header that
/// the reference implementation's gateway turns into metadata. With both, there is none.
fn header_token(headers: &HeaderMap) -> &str {
    let authorization = headers.get_all(http::header::AUTHORIZATION).iter();
    let metadata = headers.get_all("grpc-metadata-oidcidentitytoken").iter();
    let mut values = authorization.chain(metadata);
    match (values.next(), values.next()) {
        (Some(one), None) => {
            let text = one.to_str().unwrap_or_default();
            text.strip_prefix("Bearer ").unwrap_or(text)
        }
        _ => "",
    }
}

/// The request's id, if the server gave it one.
fn request_id(id: Option<&axum::Extension<serve::RequestId>>) -> &str {
    id.map_or("", |id| id.as_str())
}

/// The certificate and its chain as PEM, each without a final newline.
fn pem_chain(issued: &Issued) -> Vec<String> {
    std::iter::once(pem(&issued.certificate))
        .chain(
            issued
                .authority
                .pem()
                .iter()
                .map(|pem| pem.trim_end().to_owned()),
        )
        .collect()
}

/// A certificate as PEM, without a final newline.
fn pem(der: &[u8]) -> String {
    // 64 columns, as everywhere.
    let encoded = STANDARD.encode(der);
    let mut text = String::with_capacity(encoded.len() + encoded.len() / 64 + 60);
    text.push_str("-----BEGIN CERTIFICATE-----\n");
    for line in encoded.as_bytes().chunks(64) {
        text.extend(line.iter().copied().map(char::from));
        text.push('\n');
    }
    text.push_str("-----END CERTIFICATE-----");
    text
}
