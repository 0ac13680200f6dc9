//! Headers that every answer of the API carries: caching and cross-origin requests.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, CACHE_CONTROL, EXPIRES, PRAGMA,
    VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

const X_ACCEL_EXPIRES: HeaderName = HeaderName::from_static("x-accel-expires");

/// Adds to the answer of a GET that nobody may keep it, and to every answer who may read it.
pub(super) fn add(headers: &mut HeaderMap, get: bool, cross_origin: bool) {
    if get {
        let never = "no-cache, no-store, no-transform, must-revalidate, private, max-age=0";
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(never));
        headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
        headers.insert(
            EXPIRES,
            HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 UTC"),
        );
        headers.insert(X_ACCEL_EXPIRES, HeaderValue::from_static("0"));
    }
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if cross_origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    }
}

/// The answer to a browser that asks whether it may send a request. The log has no credentials, so
/// any page may read it and submit to it.
pub(super) fn preflight(request: &Request) -> Option<Response> {
    if request.method() != Method::OPTIONS {
        return None;
    }
    let method = request.headers().get(ACCESS_CONTROL_REQUEST_METHOD)?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    let vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
    headers.insert(VARY, HeaderValue::from_static(vary));
    if matches!(method.as_bytes(), b"GET" | b"POST" | b"HEAD") {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, method.clone());
        if request
            .headers()
            .contains_key(ACCESS_CONTROL_REQUEST_HEADERS)
        {
            let allowed = "accept, content-type, x-requested-with";
            headers.insert(
                ACCESS_CONTROL_ALLOW_HEADERS,
                HeaderValue::from_static(allowed),
            );
        }
    }
    Some(response)
}
