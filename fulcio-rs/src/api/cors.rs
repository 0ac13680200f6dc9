//! Cross-origin requests: any origin may ask, without credentials. `Authorization` is not among
//! the allowed headers, so a page has to put its token into the body.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

const METHODS: [&str; 3] = ["GET", "POST", "HEAD"];
const HEADERS: [&str; 4] = ["accept", "content-type", "x-requested-with", "origin"];

/// Answers preflight requests and marks the answers to others.
pub(super) async fn cors(request: Request, next: Next) -> Response {
    let has_origin = request.headers().contains_key(header::ORIGIN);
    if request.method() == Method::OPTIONS
        && has_origin
        && request
            .headers()
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    {
        return preflight(request.headers());
    }
    let mut response = next.run(request).await;
    if has_origin {
        allow_any_origin(response.headers_mut());
    }
    response
}

fn preflight(asked: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::VARY,
        HeaderValue::from_static(
            "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
        ),
    );
    let method = asked
        .get(header::ACCESS_CONTROL_REQUEST_METHOD)
        .and_then(|value| value.to_str().ok());
    let names: Option<Vec<_>> = asked
        .get_all(header::ACCESS_CONTROL_REQUEST_HEADERS)
        .iter()
        .map(|value| value.to_str().ok())
        .collect();
    let is_allowed = |name: &str| {
        let name = name.trim();
        name.is_empty()
            || HEADERS
                .iter()
                .any(|allowed| allowed.eq_ignore_ascii_case(name))
    };
    let allowed = method.is_some_and(|method| METHODS.contains(&method))
        && names.is_some_and(|names| {
            names
                .iter()
                .flat_map(|names| names.split(','))
                .all(is_allowed)
        });
    if allowed {
        allow_any_origin(headers);
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, POST, HEAD"),
        );
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("Accept, Content-Type, X-Requested-With"),
        );
    }
    response
}

fn allow_any_origin(headers: &mut HeaderMap) {
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
}
