//! The development OpenID Connect issuer.
//!
//! It vouches for whoever types an e-mail address, which is what makes `sigkeep up` usable without
//! an identity provider, and why nothing outside the machine may ever reach it: it answers only
//! requests addressed to a loopback name (see [`router`]), and `up` binds it to loopback only.
//!
//! One RS256 key signs for five issuers, which differ in the claims of their tokens ([`Shape`]):
//!
//! ```text
//! http://localhost:8080              e-mail addresses; authorization code, device code
//! http://localhost:8080/github       GitHub Actions workflows
//! http://localhost:8080/gitlab       GitLab CI jobs
//! http://localhost:8080/kubernetes   service accounts
//! http://localhost:8080/uri          URIs under the issuer's own host
//! ```
//!
//! Each has its own `/.well-known/openid-configuration`. Only the first has login pages; scripts
//! get tokens of all of them from `POST /dev/token` or from `sigkeep token`.

mod authorize;
mod claims;
mod device;
mod discovery;
mod grants;
mod key;
mod page;
mod token;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use clock::SharedClock;
use url::Url;

pub use claims::{Claims, Email, EmailError, Shape, parse_claim};
pub use key::{IssuerKey, IssuerKeyError};

use grants::{Bounded, CodeGrant, DeviceGrant};

/// The only client: Sigstore clients all use this id and have no secret.
pub const CLIENT_ID: &str = "sigstore";

/// The audience of every token; Fulcio checks it.
pub const AUDIENCE: &str = "sigstore";

/// How long an identity token is valid.
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(600);

/// How long an authorization code may wait to be redeemed (RFC 6749 §4.1.2 allows ten minutes).
const CODE_LIFETIME: Duration = Duration::from_secs(60);

/// How long a device code may wait for its approval.
const DEVICE_LIFETIME: Duration = Duration::from_secs(600);

/// Most logins under way at once; a person needs one.
const MAX_PENDING: usize = 1024;

/// Longest request body: a form with an e-mail address and the parameters of a login.
const MAX_BODY: usize = 64 << 10;

/// The issuer: a key, a URL, and the logins under way.
#[derive(Debug)]
pub struct Issuer {
    base: String,
    key: IssuerKey,
    clock: SharedClock,
    codes: Mutex<Bounded<CodeGrant>>,
    devices: Mutex<Bounded<DeviceGrant>>,
}

/// Why an issuer was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the development issuer cannot be {url}: it must be http on localhost, without a path")]
pub struct NotLoopback {
    /// The URL asked for.
    pub url: String,
}

impl Issuer {
    /// An issuer at `base`, which must be on this machine. A trailing slash is dropped: tokens
    /// name the issuer without one.
    pub fn new(base: &Url, key: IssuerKey, clock: SharedClock) -> Result<Self, NotLoopback> {
        let plain = base.scheme() == "http"
            && base.path() == "/"
            && base.query().is_none()
            && base.fragment().is_none()
            && base.username().is_empty();
        if !plain || !base.host_str().is_some_and(is_loopback_host) {
            return Err(NotLoopback {
                url: base.to_string(),
            });
        }
        Ok(Self {
            base: base.as_str().trim_end_matches('/').to_owned(),
            key,
            clock,
            codes: Mutex::new(Bounded::new(MAX_PENDING, CODE_LIFETIME)),
            devices: Mutex::new(Bounded::new(MAX_PENDING, DEVICE_LIFETIME)),
        })
    }

    /// The `iss` of a shape's tokens.
    #[must_use]
    pub fn url(&self, shape: Shape) -> String {
        shape.issuer_url(&self.base)
    }

    /// Signs an identity token.
    pub fn mint(&self, claims: &Claims) -> Result<String, IssuerKeyError> {
        self.key
            .sign(&claims.to_json(&self.base, self.clock.now_secs()))
    }

    fn codes(&self) -> MutexGuard<'_, Bounded<CodeGrant>> {
        self.codes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn devices(&self) -> MutexGuard<'_, Bounded<DeviceGrant>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The issuer's HTTP interface.
pub fn router(issuer: Arc<Issuer>) -> Router {
    Router::new()
        .route("/", get(page::front))
        .route("/.well-known/openid-configuration", get(discovery::root))
        .route(
            "/{shape}/.well-known/openid-configuration",
            get(discovery::shaped),
        )
        .route("/keys", get(discovery::keys))
        .route("/authorize", get(authorize::show).post(authorize::submit))
        .route("/device", get(device::show).post(device::submit))
        .route("/device/code", post(device::begin))
        .route("/token", post(token::exchange))
        .route("/dev/token", post(token::mint))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(axum::middleware::from_fn(only_loopback_hosts))
        .with_state(issuer)
}

/// Refuses requests that were addressed to another name.
///
/// A web page can make its own domain resolve to 127.0.0.1 and then read what this issuer answers
/// (DNS rebinding): it would sign in as anybody. The name it was fetched under gives it away.
async fn only_loopback_hosts(request: Request, next: Next) -> Response {
    let authority = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .or_else(|| {
            request
                .uri()
                .authority()
                .map(axum::http::uri::Authority::as_str)
        });
    if !authority.is_some_and(|authority| is_loopback_host(host_of(authority))) {
        return (
            StatusCode::MISDIRECTED_REQUEST,
            "the development issuer answers only to localhost\n",
        )
            .into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in SECURITY_HEADERS {
        headers.entry(name).or_insert(value);
    }
    response
}

/// `form-action` names the redirect targets: browsers apply it to redirects that follow a form.
const SECURITY_HEADERS: [(HeaderName, HeaderValue); 5] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'; \
             form-action 'self' http://localhost:* http://127.0.0.1:*",
        ),
    ),
];

/// The host of `host[:port]`.
fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

fn is_loopback_host(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for authority in [
            "localhost",
            "localhost:8080",
            "127.0.0.1:1",
            "[::1]",
            "[::1]:8080",
        ] {
            assert!(is_loopback_host(host_of(authority)), "{authority}");
        }
        for authority in [
            "example.com",
            "localhost.example.com:8080",
            "127.0.0.1.nip.io",
            "::1",
            "",
            "10.0.0.1:8080",
        ] {
            assert!(!is_loopback_host(host_of(authority)), "{authority}");
        }
    }

    #[test]
    fn an_issuer_off_loopback_is_refused() {
        let key = IssuerKey::generate().unwrap();
        for url in [
            "http://sigstore.example/",
            "https://localhost/",
            "http://localhost:1/path",
            "http://u@localhost/",
        ] {
            let url = Url::parse(url).unwrap();
            let key = IssuerKey::from_pkcs8_pem(key.to_pkcs8_pem()).unwrap();
            assert!(
                Issuer::new(&url, key, clock::SystemClock::shared()).is_err(),
                "{url}"
            );
        }
    }
}
