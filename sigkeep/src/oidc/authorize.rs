//! The authorization-code flow (RFC 6749 §4.1) with PKCE (RFC 7636): a page on which a person
//! types an e-mail address.

use std::sync::Arc;

use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Form, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use url::{Host, Url};

use super::grants::{Challenge, CodeGrant, random_code};
use super::{CLIENT_ID, Issuer, page};

/// Longest parameter that is accepted; `state` and `nonce` are some tens of characters.
const MAX_PARAMETER: usize = 2048;

/// Clients without a browser ask for the code to be shown, and take it from the terminal.
const OUT_OF_BAND: &str = "urn:ietf:wg:oauth:2.0:oob";

/// An authorization request as it arrives, in the query and again in the submitted form.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Parameters {
    client_id: Option<String>,
    redirect_uri: Option<String>,
    response_type: Option<String>,
    scope: Option<String>,
    state: Option<String>,
    nonce: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
    login_hint: Option<String>,
    email: Option<String>,
}

/// A request that may be granted.
#[derive(Debug)]
pub(super) struct Request {
    target: Target,
    redirect_uri: String,
    state: Option<String>,
    nonce: Option<String>,
    challenge: Challenge,
}

/// Where the code goes.
#[derive(Clone, Debug)]
enum Target {
    /// A listener on this machine.
    Loopback(Box<Url>),
    /// The page itself.
    Page,
}

/// Why a request is not granted.
#[derive(Debug)]
enum Refusal {
    /// The redirect target cannot be trusted with an answer: a page says what is wrong.
    Page(String),
    /// The client is told (RFC 6749 §4.1.2.1).
    Client {
        target: Target,
        state: Option<String>,
        error: &'static str,
        description: &'static str,
    },
}

impl Parameters {
    fn parse(&self) -> Result<Request, Refusal> {
        let all = [
            &self.client_id,
            &self.redirect_uri,
            &self.response_type,
            &self.scope,
            &self.state,
            &self.nonce,
            &self.code_challenge,
            &self.code_challenge_method,
            &self.login_hint,
            &self.email,
        ];
        if all
            .into_iter()
            .flatten()
            .any(|value| value.len() > MAX_PARAMETER)
        {
            return Err(Refusal::Page(
                "A parameter of the request is too long.".to_owned(),
            ));
        }
        if self.client_id.as_deref() != Some(CLIENT_ID) {
            return Err(Refusal::Page(format!("The client id must be {CLIENT_ID}.")));
        }
        let redirect_uri = self.redirect_uri.clone().unwrap_or_default();
        let target = parse_target(&redirect_uri).ok_or_else(|| {
            Refusal::Page(
                "The redirect URI must be http on localhost or 127.0.0.1, on any port.".to_owned(),
            )
        })?;
        let refuse = |error, description| {
            Err(Refusal::Client {
                target: target.clone(),
                state: self.state.clone(),
                error,
                description,
            })
        };
        if self.response_type.as_deref() != Some("code") {
            return refuse("unsupported_response_type", "response_type must be code");
        }
        if !self
            .scope
            .as_deref()
            .unwrap_or_default()
            .split(' ')
            .any(|scope| scope == "openid")
        {
            return refuse("invalid_scope", "scope must include openid");
        }
        let challenge = match (
            self.code_challenge_method.as_deref(),
            self.code_challenge.as_deref(),
        ) {
            (Some("S256"), Some(challenge)) => Challenge::from_s256(challenge),
            _ => {
                return refuse(
                    "invalid_request",
                    "PKCE with code_challenge_method S256 is required",
                );
            }
        };
        let Some(challenge) = challenge else {
            return refuse(
                "invalid_request",
                "code_challenge is not the base64url of a SHA-256 digest",
            );
        };
        Ok(Request {
            target,
            redirect_uri,
            state: self.state.clone(),
            nonce: self.nonce.clone(),
            challenge,
        })
    }

    /// The request's parameters, to be carried through the form.
    fn hidden(&self) -> [(&'static str, Option<&str>); 8] {
        [
            ("client_id", self.client_id.as_deref()),
            ("redirect_uri", self.redirect_uri.as_deref()),
            ("response_type", self.response_type.as_deref()),
            ("scope", self.scope.as_deref()),
            ("state", self.state.as_deref()),
            ("nonce", self.nonce.as_deref()),
            ("code_challenge", self.code_challenge.as_deref()),
            (
                "code_challenge_method",
                self.code_challenge_method.as_deref(),
            ),
        ]
    }
}

/// `GET /authorize`
pub(super) async fn show(parameters: Result<Query<Parameters>, QueryRejection>) -> Response {
    let Ok(Query(parameters)) = parameters else {
        return malformed();
    };
    match parameters.parse() {
        Ok(_) => {
            let hint = parameters.login_hint.as_deref().unwrap_or_default();
            page::sign_in(StatusCode::OK, &parameters.hidden(), hint, None)
        }
        Err(refusal) => refusal.into_response(),
    }
}

/// `POST /authorize`
pub(super) async fn submit(
    State(issuer): State<Arc<Issuer>>,
    parameters: Result<Form<Parameters>, FormRejection>,
) -> Response {
    let Ok(Form(parameters)) = parameters else {
        return malformed();
    };
    let request = match parameters.parse() {
        Ok(request) => request,
        Err(refusal) => return refusal.into_response(),
    };
    let typed = parameters.email.as_deref().unwrap_or_default().trim();
    let email = match typed.parse() {
        Ok(email) => email,
        Err(error) => {
            let error: super::EmailError = error;
            return page::sign_in(
                StatusCode::BAD_REQUEST,
                &parameters.hidden(),
                typed,
                Some(&error.to_string()),
            );
        }
    };
    let Request {
        target,
        redirect_uri,
        state,
        nonce,
        challenge,
    } = request;
    let unavailable = Refusal::Client {
        target: target.clone(),
        state: state.clone(),
        error: "temporarily_unavailable",
        description: "too many logins are under way; try again in a minute",
    };
    let Ok(code) = random_code() else {
        return unavailable.into_response();
    };
    let grant = CodeGrant {
        email,
        redirect_uri,
        nonce,
        challenge,
    };
    if issuer
        .codes()
        .insert(issuer.clock.now_ms(), code.clone(), grant)
        .is_err()
    {
        return unavailable.into_response();
    }
    match target {
        Target::Page => page::message(
            StatusCode::OK,
            "Your code",
            "Paste this code into the terminal:",
            Some(&code),
        ),
        Target::Loopback(url) => redirect(*url, &[("code", &code)], state.as_deref()),
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Page(text) => page::message(
                StatusCode::BAD_REQUEST,
                "This login cannot go on",
                &text,
                None,
            ),
            Self::Client {
                target: Target::Page,
                description,
                ..
            } => page::message(
                StatusCode::BAD_REQUEST,
                "This login cannot go on",
                description,
                None,
            ),
            Self::Client {
                target: Target::Loopback(url),
                state,
                error,
                description,
            } => redirect(
                *url,
                &[("error", error), ("error_description", description)],
                state.as_deref(),
            ),
        }
    }
}

fn malformed() -> Response {
    Refusal::Page("The request's parameters are malformed or repeated.".to_owned()).into_response()
}

/// Where `redirect_uri` leads, if it stays on this machine (RFC 8252 §7.3: any port, http).
fn parse_target(redirect_uri: &str) -> Option<Target> {
    if redirect_uri == OUT_OF_BAND {
        return Some(Target::Page);
    }
    let url = Url::parse(redirect_uri).ok()?;
    let local = match url.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address == std::net::Ipv4Addr::LOCALHOST,
        Host::Ipv6(address) => address == std::net::Ipv6Addr::LOCALHOST,
    };
    let plain = url.scheme() == "http"
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none();
    (local && plain).then(|| Target::Loopback(Box::new(url)))
}

fn redirect(mut url: Url, answer: &[(&str, &str)], state: Option<&str>) -> Response {
    url.query_pairs_mut()
        .extend_pairs(answer)
        .extend_pairs(state.map(|state| ("state", state)));
    (
        StatusCode::SEE_OTHER,
        [(header::LOCATION, String::from(url))],
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_only_sent_to_this_machine() {
        for good in [
            "http://localhost:49152/auth/callback",
            "http://127.0.0.1:1/",
            "http://localhost/cb?keep=1",
            "http://[::1]:9/",
            OUT_OF_BAND,
        ] {
            assert!(parse_target(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "/cb",
            "https://localhost:1/cb",
            "http://localhost.example.com/cb",
            "http://example.com/cb",
            "http://localhost@example.com/cb",
            "http://user@localhost/cb",
            "http://localhost:1/cb#fragment",
            "http://127.0.0.2/cb",
            "javascript:alert(1)",
        ] {
            assert!(parse_target(bad).is_none(), "{bad}");
        }
    }
}
