//! HTTP.

mod json;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use pki::rfc3161::Request;
use serde_json::json;

use crate::authority::Authority;
use crate::error::Error;

const TIMESTAMP_QUERY: &str = "application/timestamp-query";
const TIMESTAMP_REPLY: &str = "application/timestamp-reply";

/// A timestamp answers one request and no other: nothing on the way may keep it.
const NOT_CACHED: &str = "no-cache, no-store, no-transform, must-revalidate, private, max-age=0";

pub(crate) fn router(authority: Arc<Authority>, max_body: usize) -> Router {
    let routes = [
        ("/api/v1/timestamp", post(timestamp)),
        ("/api/v1/timestamp/certchain", get(certificate_chain)),
        ("/ping", get(ping)),
    ];
    let mut router = Router::new();
    for (path, methods) in routes {
        router = router
            .route(&format!("{path}/"), methods.clone())
            .route(path, methods);
    }
    router
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(DefaultBodyLimit::max(max_body))
        .with_state(authority)
}

async fn timestamp(
    State(authority): State<Arc<Authority>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Error> {
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Error::TooLarge,
        _ => Error::Body,
    })?;
    let request = parse(&headers, &body)?;
    let response = authority.timestamp(&request).await?;
    Ok((
        [(CONTENT_TYPE, TIMESTAMP_REPLY), (CACHE_CONTROL, NOT_CACHED)],
        response,
    )
        .into_response())
}

fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Request, Error> {
    if body.is_empty() {
        return Err(Error::EmptyBody);
    }
    let media_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    // Parameters, such as a charset, change nothing here.
    let (essence, _) = media_type.split_once(';').unwrap_or((media_type, ""));
    let essence = essence.trim();
    if essence.eq_ignore_ascii_case(TIMESTAMP_QUERY) {
        Ok(Request::from_der(body)?)
    } else if essence.eq_ignore_ascii_case("application/json") {
        json::parse(body)
    } else {
        Err(Error::MediaType)
    }
}

async fn certificate_chain(State(authority): State<Arc<Authority>>) -> Response {
    let headers = [
        (CONTENT_TYPE, "application/pem-certificate-chain"),
        (CACHE_CONTROL, "max-age=86400, immutable"),
    ];
    (headers, authority.signing.get().chain.to_pem().concat()).into_response()
}

async fn ping() -> &'static str {
    "."
}

async fn method_not_allowed() -> Response {
    refusal(StatusCode::METHOD_NOT_ALLOWED, "method is not allowed")
}

async fn not_found() -> Response {
    refusal(StatusCode::NOT_FOUND, "path was not found")
}

fn refusal(status: StatusCode, message: &'static str) -> Response {
    (
        status,
        axum::Json(json!({"code": status.as_u16(), "message": message})),
    )
        .into_response()
}
