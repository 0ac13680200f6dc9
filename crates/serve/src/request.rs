//! What is put around every request: id, span, metrics, cap, time limit, containment of panics.

use std::any::Any;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use futures::FutureExt;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::json;
use tokio::sync::Semaphore;
use tracing::Instrument;

use crate::Limits;
use crate::delivery::{self, Hangup};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest request id that is taken over from a client.
const MAX_REQUEST_ID: usize = 128;

/// The identity of a request, in logs, audit records and the answer's `x-request-id`.
///
/// The client's own if it sent one of at most 128 letters, digits and `-_.:/+=`, so that it cannot
/// forge log lines; otherwise a new one. Handlers can take it from the request's extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    fn of(headers: &HeaderMap) -> Self {
        match headers.get(X_REQUEST_ID) {
            Some(value) if is_harmless(value.as_bytes()) => Self(value.clone()),
            _ => Self::unique(),
        }
    }

    /// An id that is unique, not secret: a random prefix a process, and a count.
    fn unique() -> Self {
        static PREFIX: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let text = format!(
            "{:016x}-{:x}",
            *PREFIX,
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        Self(HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("none")))
    }
}

fn is_harmless(id: &[u8]) -> bool {
    !id.is_empty()
        && id.len() <= MAX_REQUEST_ID
        && id
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte))
}

/// The layer around a service's router.
#[derive(Clone)]
pub(crate) struct Around {
    service: &'static str,
    limits: Limits,
    at_work: Arc<Semaphore>,
}

impl Around {
    pub(crate) fn new(service: &'static str, limits: Limits) -> Self {
        let permits = limits.concurrency.min(Semaphore::MAX_PERMITS);
        Self {
            service,
            limits,
            at_work: Arc::new(Semaphore::new(permits)),
        }
    }

    pub(crate) fn wrap(self, router: Router) -> Router {
        let body = DefaultBodyLimit::max(self.limits.body);
        // A layer of the router itself, so that it runs after routing and knows the matched route.
        router
            .layer(body)
            .layer(axum::middleware::from_fn_with_state(self, around))
    }

    async fn bounded(&self, route: &str, request: Request, next: Next) -> Response {
        let permit = if route == "/healthz" {
            None
        } else {
            match Arc::clone(&self.at_work).try_acquire_owned() {
                Ok(permit) => Some(permit),
                Err(_) => return unavailable("the service is busy; try again later"),
            }
        };
        let version = request.version();
        let hangup = request.extensions().get::<Hangup>().cloned();
        let answered = AssertUnwindSafe(next.run(request)).catch_unwind();
        let response = match tokio::time::timeout(self.limits.request, answered).await {
            Ok(Ok(response)) => response,
            // Not `&panic`, which would look inside the box's own type.
            Ok(Err(panic)) => contain(panic.as_ref()),
            Err(_) => unavailable("the request took too long; try again later"),
        };
        match permit.zip(hangup) {
            Some((permit, hangup)) => {
                delivery::supervise(response, version, permit, hangup, self.limits.request)
            }
            None => response,
        }
    }
}

async fn around(State(around): State<Around>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let service = around.service;
    let method = known(request.method());
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("unmatched", MatchedPath::as_str);
    let id = RequestId::of(request.headers());
    request.extensions_mut().insert(id.clone());

    // The query is left out: it may hold an authorization code.
    let span = tracing::info_span!(
        "request",
        service,
        id = id.as_str(),
        method,
        route,
        path = request.uri().path()
    );
    let mut response = around
        .bounded(route, request, next)
        .instrument(span.clone())
        .await;
    response.headers_mut().insert(X_REQUEST_ID, id.0);

    let (status, elapsed) = (response.status(), started.elapsed());
    let route = route.to_owned();
    metrics::counter!("http_requests_total", "service" => service, "method" => method, "route" => route.clone(), "code" => status.as_str().to_owned())
        .increment(1);
    metrics::histogram!("http_request_duration_seconds", "service" => service, "method" => method, "route" => route)
        .record(elapsed.as_secs_f64());
    let (status, elapsed_us) = (status.as_u16(), elapsed.as_micros());
    span.in_scope(|| {
        if status >= 500 {
            tracing::warn!(target: "serve", status, elapsed_us, "request failed");
        } else {
            tracing::debug!(target: "serve", status, elapsed_us, "request");
        }
    });
    response
}

/// The method as a label from a closed set.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "get",
        "HEAD" => "head",
        "POST" => "post",
        "PUT" => "put",
        "PATCH" => "patch",
        "DELETE" => "delete",
        "OPTIONS" => "options",
        _ => "other",
    }
}

fn unavailable(message: &'static str) -> Response {
    let body = Json(json!({"code": 503, "message": message}));
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], body).into_response()
}

fn contain(panic: &(dyn Any + Send)) -> Response {
    let message = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    tracing::error!(panic = message, "a handler panicked");
    let body = Json(json!({"code": 500, "message": "internal error"}));
    (StatusCode::INTERNAL_SERVER_ERROR, body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_of(sent: Option<&str>) -> RequestId {
        let mut headers = HeaderMap::new();
        if let Some(sent) = sent {
            headers.insert(X_REQUEST_ID, HeaderValue::from_str(sent).unwrap());
        }
        RequestId::of(&headers)
    }

    #[test]
    fn a_harmless_request_id_is_taken_over_and_others_are_replaced() {
        assert_eq!(id_of(Some("job-7:attempt_1")).as_str(), "job-7:attempt_1");
        assert_eq!(id_of(Some(&"a".repeat(128))).as_str().len(), 128);
        for refused in [
            None,
            Some(""),
            Some("a b"),
            Some("a\"b"),
            Some(&*"a".repeat(129)),
        ] {
            let id = id_of(refused);
            assert!(
                is_harmless(id.as_str().as_bytes()) && Some(id.as_str()) != refused,
                "{refused:?}"
            );
        }
    }

    #[test]
    fn made_request_ids_differ() {
        assert_ne!(id_of(None), id_of(None));
    }
}
