//! The token endpoint, and the one for scripts.
//!
//! `POST /token` redeems authorization codes and device codes (form-encoded, RFC 6749 §4.1.3 and
//! RFC 8628 §3.4). `POST /dev/token` mints a token without a login, for scripts on this machine:
//!
//! ```text
//! curl -s http://localhost:8080/dev/token -H 'content-type: application/json' \
//!   -d '{"email":"dev@corp.example"}' | jq -r .id_token
//! curl -s … -d '{"issuer":"github","claims":{"repository":"example/other"}}'
//! ```
//!
//! Both answer with the identity token as `id_token` and as `access_token`, because clients differ
//! in which of the two they take.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{FormRejection, JsonRejection};
use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::grants::Decision;
use super::{CLIENT_ID, Claims, Email, Issuer, Shape, TOKEN_LIFETIME};

const GRANT_DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Why no token was issued (RFC 6749 §5.2, RFC 8628 §3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenError {
    InvalidRequest(&'static str),
    InvalidClient,
    InvalidGrant(&'static str),
    UnsupportedGrantType,
    AuthorizationPending,
    AccessDenied,
    ExpiredToken,
    Unavailable,
}

#[derive(Debug, Serialize)]
struct Issued {
    access_token: String,
    id_token: String,
    token_type: &'static str,
    expires_in: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Exchange {
    grant_type: Option<String>,
    client_id: Option<String>,
    code: Option<String>,
    redirect_uri: Option<String>,
    code_verifier: Option<String>,
    device_code: Option<String>,
}

/// `POST /token`
pub(super) async fn exchange(
    State(issuer): State<Arc<Issuer>>,
    headers: HeaderMap,
    form: Result<Form<Exchange>, FormRejection>,
) -> Result<Response, TokenError> {
    let Ok(Form(form)) = form else {
        return Err(TokenError::InvalidRequest(
            "the form is malformed or a parameter is repeated",
        ));
    };
    // Before anything is redeemed: some clients try the header first and the form second.
    check_client(&headers, &form)?;
    match form.grant_type.as_deref() {
        Some("authorization_code") => redeem_code(&issuer, &form),
        Some(GRANT_DEVICE_CODE) => redeem_device_code(&issuer, &form),
        Some(_) => Err(TokenError::UnsupportedGrantType),
        None => Err(TokenError::InvalidRequest("grant_type is missing")),
    }
}

/// A public client names itself in the form or, with an empty secret, by HTTP Basic.
fn check_client(headers: &HeaderMap, form: &Exchange) -> Result<(), TokenError> {
    let basic = match headers.get(header::AUTHORIZATION) {
        None => None,
        Some(value) => Some(basic_user(value.as_bytes()).ok_or(TokenError::InvalidClient)?),
    };
    let named = [basic.as_deref(), form.client_id.as_deref()];
    // Device clients may leave the id out: the device code was given to a client that named itself.
    let anonymous =
        named.iter().all(Option::is_none) && form.grant_type.as_deref() == Some(GRANT_DEVICE_CODE);
    let known =
        named.iter().flatten().all(|name| *name == CLIENT_ID) && named.iter().any(Option::is_some);
    if known || anonymous {
        Ok(())
    } else {
        Err(TokenError::InvalidClient)
    }
}

/// The user of `Basic` credentials without a password.
fn basic_user(value: &[u8]) -> Option<String> {
    let encoded = value.strip_prefix(b"Basic ")?;
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    decoded.strip_suffix(':').map(str::to_owned)
}

fn redeem_code(issuer: &Issuer, form: &Exchange) -> Result<Response, TokenError> {
    let code = form
        .code
        .as_deref()
        .ok_or(TokenError::InvalidRequest("code is missing"))?;
    // A code is gone after the first attempt, right or wrong (RFC 6749 §4.1.2).
    let grant =
        issuer
            .codes()
            .remove(issuer.clock.now_ms(), code)
            .ok_or(TokenError::InvalidGrant(
                "the code is unknown, expired or was used before",
            ))?;
    if form.redirect_uri.as_deref() != Some(grant.redirect_uri.as_str()) {
        return Err(TokenError::InvalidGrant(
            "redirect_uri is not that of the authorization request",
        ));
    }
    if !grant
        .challenge
        .matches(form.code_verifier.as_deref().unwrap_or_default())
    {
        return Err(TokenError::InvalidGrant(
            "code_verifier does not match code_challenge",
        ));
    }
    issue(
        issuer,
        &Claims::of_email(grant.email).with_nonce(grant.nonce),
    )
}

fn redeem_device_code(issuer: &Issuer, form: &Exchange) -> Result<Response, TokenError> {
    let code = form
        .device_code
        .as_deref()
        .ok_or(TokenError::InvalidRequest("device_code is missing"))?;
    let now_ms = issuer.clock.now_ms();
    let grant = issuer
        .devices()
        .get(now_ms, code)
        .cloned()
        .ok_or(TokenError::ExpiredToken)?;
    let verifier = form.code_verifier.as_deref().unwrap_or_default();
    if grant
        .challenge
        .as_ref()
        .is_some_and(|challenge| !challenge.matches(verifier))
    {
        return Err(TokenError::InvalidGrant(
            "code_verifier does not match code_challenge",
        ));
    }
    match grant.decision {
        Decision::Pending => Err(TokenError::AuthorizationPending),
        Decision::Denied => {
            issuer.devices().remove(now_ms, code);
            Err(TokenError::AccessDenied)
        }
        Decision::Approved(email) => {
            // Whoever removes it gets the token; a second poll at the same moment does not.
            issuer
                .devices()
                .remove(now_ms, code)
                .ok_or(TokenError::ExpiredToken)?;
            issue(issuer, &Claims::of_email(email).with_nonce(grant.nonce))
        }
    }
}

/// What a script asks for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mint {
    issuer: Option<String>,
    email: Option<String>,
    #[serde(default)]
    claims: Map<String, Value>,
}

/// `POST /dev/token`
///
/// JSON only: a web page cannot send that to another origin without asking it first, and this
/// issuer never consents.
pub(super) async fn mint(
    State(issuer): State<Arc<Issuer>>,
    request: Result<Json<Mint>, JsonRejection>,
) -> Result<Response, MintError> {
    let Json(request) = request.map_err(|rejection| MintError::Request(rejection.body_text()))?;
    let shape = match request.issuer.as_deref() {
        None | Some("email") => Shape::Email,
        Some(name) => Shape::from_path(name).ok_or_else(|| {
            MintError::Request("issuer must be email, github, gitlab, kubernetes or uri".to_owned())
        })?,
    };
    let claims = match (Claims::of_workload(shape), request.email) {
        (None, Some(email)) => Claims::of_email(
            email
                .parse::<Email>()
                .map_err(|error| MintError::Request(error.to_string()))?,
        ),
        (None, None) => return Err(MintError::Request("email is missing".to_owned())),
        (Some(claims), None) => claims,
        (Some(_), Some(_)) => {
            return Err(MintError::Request(
                "email goes with the issuer email; put it into claims".to_owned(),
            ));
        }
    };
    issue(&issuer, &claims.with(request.claims)).map_err(MintError::Token)
}

/// Why a script gets no token.
#[derive(Debug)]
pub(super) enum MintError {
    Request(String),
    Token(TokenError),
}

fn issue(issuer: &Issuer, claims: &Claims) -> Result<Response, TokenError> {
    let token = issuer.mint(claims).map_err(|error| {
        tracing::error!(%error, "no identity token could be signed");
        TokenError::Unavailable
    })?;
    let expires_in = TOKEN_LIFETIME.as_secs();
    Ok(Json(Issued {
        access_token: token.clone(),
        id_token: token,
        token_type: "Bearer",
        expires_in,
    })
    .into_response())
}

fn error_body(status: StatusCode, error: &str, description: &str) -> Response {
    (
        status,
        Json(serde_json::json!({ "error": error, "error_description": description })),
    )
        .into_response()
}

impl IntoResponse for TokenError {
    fn into_response(self) -> Response {
        use StatusCode as S;
        let (status, error, description) = match self {
            Self::InvalidRequest(description) => (S::BAD_REQUEST, "invalid_request", description),
            Self::InvalidClient => (
                S::UNAUTHORIZED,
                "invalid_client",
                "the client is sigstore, public, without a secret",
            ),
            Self::InvalidGrant(description) => (S::BAD_REQUEST, "invalid_grant", description),
            Self::UnsupportedGrantType => (
                S::BAD_REQUEST,
                "unsupported_grant_type",
                "use authorization_code or device_code",
            ),
            Self::AuthorizationPending => (
                S::BAD_REQUEST,
                "authorization_pending",
                "nobody approved the code yet",
            ),
            Self::AccessDenied => (S::BAD_REQUEST, "access_denied", "the login was denied"),
            Self::ExpiredToken => (
                S::BAD_REQUEST,
                "expired_token",
                "the device code is unknown, expired or was used",
            ),
            Self::Unavailable => (
                S::SERVICE_UNAVAILABLE,
                "temporarily_unavailable",
                "too many logins are under way; try again",
            ),
        };
        let mut response = error_body(status, error, description);
        if self == Self::InvalidClient {
            response.headers_mut().insert(
                header::WWW_AUTHENTICATE,
                header::HeaderValue::from_static("Basic realm=\"sigkeep\""),
            );
        }
        response
    }
}

impl IntoResponse for MintError {
    fn into_response(self) -> Response {
        match self {
            Self::Request(description) => {
                error_body(StatusCode::BAD_REQUEST, "invalid_request", &description)
            }
            Self::Token(error) => error.into_response(),
        }
    }
}
