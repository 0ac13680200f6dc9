//! The device-code flow (RFC 8628): for terminals without a browser. PKCE is accepted, as clients
//! send it here too.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::grants::{
    Challenge, Decision, DeviceGrant, normalize_user_code, random_code, random_user_code,
};
use super::token::TokenError;
use super::{CLIENT_ID, DEVICE_LIFETIME, EmailError, Issuer, page};

/// Seconds between two polls.
const POLL_INTERVAL: u64 = 1;

#[derive(Debug, Deserialize)]
pub(super) struct Begin {
    client_id: Option<String>,
    nonce: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
}

#[derive(Debug, Serialize)]
struct Begun {
    device_code: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: String,
    expires_in: u64,
    interval: u64,
}

/// `POST /device/code`
pub(super) async fn begin(
    State(issuer): State<Arc<Issuer>>,
    form: Result<Form<Begin>, FormRejection>,
) -> Result<Response, TokenError> {
    let Ok(Form(form)) = form else {
        return Err(TokenError::InvalidRequest(
            "the form is malformed or a parameter is repeated",
        ));
    };
    if form.client_id.as_deref() != Some(CLIENT_ID) {
        return Err(TokenError::InvalidClient);
    }
    let challenge = match (
        form.code_challenge_method.as_deref(),
        form.code_challenge.as_deref(),
    ) {
        (None, None) => None,
        (Some("S256"), Some(challenge)) => Some(Challenge::from_s256(challenge).ok_or(
            TokenError::InvalidRequest("code_challenge is not a SHA-256 digest"),
        )?),
        _ => {
            return Err(TokenError::InvalidRequest(
                "code_challenge_method must be S256",
            ));
        }
    };
    if form.nonce.as_ref().is_some_and(|nonce| nonce.len() > 2048) {
        return Err(TokenError::InvalidRequest("nonce is too long"));
    }
    let device_code = random_code().map_err(|_| TokenError::Unavailable)?;
    let user_code = random_user_code().map_err(|_| TokenError::Unavailable)?;
    let grant = DeviceGrant {
        user_code: user_code.clone(),
        nonce: form.nonce,
        challenge,
        decision: Decision::Pending,
    };
    issuer
        .devices()
        .insert(issuer.clock.now_ms(), device_code.clone(), grant)
        .map_err(|_| TokenError::Unavailable)?;
    let verification_uri = format!("{}/device", issuer.base);
    Ok(Json(Begun {
        verification_uri_complete: format!("{verification_uri}?user_code={user_code}"),
        device_code,
        user_code,
        verification_uri,
        expires_in: DEVICE_LIFETIME.as_secs(),
        interval: POLL_INTERVAL,
    })
    .into_response())
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Shown {
    user_code: Option<String>,
}

/// `GET /device`
pub(super) async fn show(query: Result<Query<Shown>, QueryRejection>) -> Response {
    let code = query
        .ok()
        .and_then(|Query(shown)| shown.user_code)
        .unwrap_or_default();
    let code = if code.is_empty() {
        code
    } else {
        normalize_user_code(&code)
    };
    page::device(StatusCode::OK, &code, "", None)
}

#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    user_code: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    decision: String,
}

/// `POST /device`
pub(super) async fn submit(
    State(issuer): State<Arc<Issuer>>,
    answer: Result<Form<Answer>, FormRejection>,
) -> Response {
    let Ok(Form(answer)) = answer else {
        return page::device(
            StatusCode::BAD_REQUEST,
            "",
            "",
            Some("The form is incomplete."),
        );
    };
    let code = normalize_user_code(&answer.user_code);
    let typed = answer.email.trim();
    let decision = if answer.decision == "deny" {
        Decision::Denied
    } else {
        match typed.parse() {
            Ok(email) => Decision::Approved(email),
            Err(error) => {
                let error: EmailError = error;
                return page::device(
                    StatusCode::BAD_REQUEST,
                    &code,
                    typed,
                    Some(&error.to_string()),
                );
            }
        }
    };
    let text = match decision {
        Decision::Denied => "The terminal gets no token.",
        _ => "The terminal continues by itself; this page can be closed.",
    };
    let now_ms = issuer.clock.now_ms();
    let mut devices = issuer.devices();
    let waiting = devices.find(now_ms, |grant| {
        grant.user_code == code && grant.decision == Decision::Pending
    });
    match waiting {
        None => page::device(
            StatusCode::BAD_REQUEST,
            "",
            typed,
            Some("No terminal waits under this code. Codes are valid for ten minutes and once."),
        ),
        Some(grant) => {
            grant.decision = decision;
            page::message(StatusCode::OK, "Done", text, None)
        }
    }
}
