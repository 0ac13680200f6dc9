//! Requests to a transit engine, with bounded time, size and retries.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;

use super::environment::{Location, TokenSource};
use super::uri::TransitUri;
use crate::SignError;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest wait for one answer.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(4);
/// Longest wait for a call with its repetitions.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Waits before a call is repeated; there are no more repetitions than these.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];
/// Longest answer, in bytes: a key with some hundred versions.
const MAX_ANSWER: usize = 256 * 1024;
/// Longest text of a server's error that is repeated.
const MAX_REASON: usize = 300;

/// Why a transit engine did not do what it was asked. Never shows a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransitError {
    /// The URI and the environment do not say enough, or something unusable.
    #[error("{0}")]
    Configuration(String),
    /// 403: the token is unknown or expired, or its policy does not allow this.
    #[error(
        "the server refused the token for {0} (403); it may have expired, or its policy lacks this path"
    )]
    Forbidden(String),
    /// The key cannot be used as it is.
    #[error("{0}")]
    Key(String),
    /// 404: there is no such key, or no transit engine at this path.
    #[error("there is no {0} on the server (404); check the key's name and the engine's mount")]
    NotFound(String),
    /// Another refusal.
    #[error("the server refused {path} ({status}): {reason}")]
    Refused {
        /// What was asked for.
        path: String,
        /// The HTTP status.
        status: u16,
        /// What the server said.
        reason: String,
    },
    /// The server cannot be reached, is sealed or overloaded; repetitions did not help.
    #[error("the server did not answer: {0}")]
    Unavailable(String),
}

impl From<TransitError> for SignError {
    fn from(error: TransitError) -> Self {
        match error {
            TransitError::Unavailable(reason) => Self::Unavailable(reason),
            other => Self::Refused(other.to_string()),
        }
    }
}

/// One transit engine.
pub(super) struct Client {
    http: reqwest::Client,
    /// `https://host/v1/transit`.
    engine: String,
    mount: String,
    namespace: Option<HeaderValue>,
    source: TokenSource,
    token: RwLock<SecretString>,
}

#[derive(serde::Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(serde::Deserialize, Default)]
struct Errors {
    #[serde(default)]
    errors: Vec<String>,
}

/// What became of one attempt.
enum Attempt {
    Final(TransitError),
    /// The token may have been renewed meanwhile.
    Forbidden(TransitError),
    Transient(String),
}

impl Client {
    /// A client for the engine of `uri`.
    pub(super) fn new(uri: &TransitUri) -> Result<Self, TransitError> {
        Self::at(Location::resolve(uri, |name| std::env::var(name).ok())?)
    }

    fn at(location: Location) -> Result<Self, TransitError> {
        let unusable = |error: reqwest::Error| TransitError::Configuration(describe(error));
        // Whichever is installed first stays; all of this program's are the same.
        let _already_installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ATTEMPT_TIMEOUT)
            .tcp_nodelay(true)
            .user_agent(concat!("sigkeep/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = &location.authorities {
            let authorities =
                reqwest::Certificate::from_pem_bundle(pem.as_bytes()).map_err(unusable)?;
            builder = builder.tls_certs_only(authorities);
        } else if location.address.starts_with("http:") {
            // A machine without system roots can still use an agent on itself, which no proxy sees.
            builder = builder.tls_certs_only([]).no_proxy();
        }
        let namespace = location
            .namespace
            .as_deref()
            .map(HeaderValue::from_str)
            .transpose()
            .map_err(|_| {
                TransitError::Configuration("the namespace has unusable characters".to_owned())
            })?;
        let token = RwLock::new(location.token.read()?);
        Ok(Self {
            http: builder.build().map_err(unusable)?,
            engine: format!("{}/v1/{}", location.address, location.mount),
            mount: location.mount,
            namespace,
            source: location.token,
            token,
        })
    }

    /// `GET` under the engine's path.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, TransitError> {
        self.call(Method::GET, path, None).await
    }

    /// `POST` under the engine's path.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<T, TransitError> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// `POST` where the answer does not matter.
    pub(super) async fn send(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<(), TransitError> {
        self.bounded(Method::POST, path, Some(body)).await?;
        Ok(())
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<T, TransitError> {
        let answer = self.bounded(method, path, body).await?;
        let Answer { data } =
            serde_json::from_slice(&answer).map_err(|_| TransitError::Refused {
                path: self.shown(path),
                status: 200,
                reason: "the answer is not of a transit engine".to_owned(),
            })?;
        Ok(data)
    }

    async fn bounded(
        &self,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<Vec<u8>, TransitError> {
        let repeated = self.repeated(method, path, body);
        tokio::time::timeout(CALL_TIMEOUT, repeated)
            .await
            .unwrap_or_else(|_| {
                Err(TransitError::Unavailable(format!(
                    "nothing came within {} s",
                    CALL_TIMEOUT.as_secs()
                )))
            })
    }

    /// Every call may be repeated: signing and encrypting change nothing, and creating a key that
    /// exists is no error to the server.
    async fn repeated(
        &self,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<Vec<u8>, TransitError> {
        let mut pauses = PAUSES.into_iter();
        let mut renewed = false;
        loop {
            let reason = match self.attempt(method.clone(), path, body).await {
                Ok(answer) => return Ok(answer),
                Err(Attempt::Final(error)) => return Err(error),
                Err(Attempt::Forbidden(_)) if !renewed && self.renew_token() => {
                    renewed = true;
                    continue;
                }
                Err(Attempt::Forbidden(error)) => return Err(error),
                Err(Attempt::Transient(reason)) => reason,
            };
            let Some(pause) = pauses.next() else {
                return Err(TransitError::Unavailable(reason));
            };
            tracing::warn!(
                path = self.shown(path),
                reason,
                "transit engine did not answer; trying again"
            );
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(
        &self,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<Vec<u8>, Attempt> {
        let mut request = self
            .http
            .request(method, format!("{}/{path}", self.engine))
            .headers(self.headers()?);
        if let Some(body) = body {
            request = request.json(body);
        }
        let mut response = request
            .send()
            .await
            .map_err(|error| Attempt::Transient(describe(error)))?;
        let status = response.status();
        let mut answer = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| Attempt::Transient(describe(error)))?
        {
            if answer.len() + chunk.len() > MAX_ANSWER {
                return Err(Attempt::Final(self.refused(
                    path,
                    status,
                    "the answer is too long",
                )));
            }
            answer.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return Ok(answer);
        }
        let Errors { errors } = serde_json::from_slice(&answer).unwrap_or_default();
        let reason: String = errors.join("; ").chars().take(MAX_REASON).collect();
        Err(match status {
            StatusCode::FORBIDDEN => Attempt::Forbidden(TransitError::Forbidden(self.shown(path))),
            StatusCode::NOT_FOUND => Attempt::Final(TransitError::NotFound(self.shown(path))),
            // 412 and 472, 473: a standby that has not caught up, or will not answer.
            StatusCode::TOO_MANY_REQUESTS | StatusCode::PRECONDITION_FAILED => {
                Attempt::Transient(format!("{status} {reason}"))
            }
            _ if status.is_server_error() || matches!(status.as_u16(), 472 | 473) => {
                Attempt::Transient(format!("{status} {reason}"))
            }
            _ => Attempt::Final(self.refused(path, status, &reason)),
        })
    }

    fn headers(&self) -> Result<HeaderMap, Attempt> {
        let mut headers = HeaderMap::new();
        let token = self.token.read().unwrap_or_else(PoisonError::into_inner);
        let mut token = HeaderValue::from_str(token.expose_secret()).map_err(|_| {
            Attempt::Final(TransitError::Configuration(
                "the token has unusable characters".to_owned(),
            ))
        })?;
        token.set_sensitive(true);
        headers.insert("x-vault-token", token);
        // Agents and proxies of Vault refuse requests without it, against forgery by browsers.
        headers.insert("x-vault-request", HeaderValue::from_static("true"));
        if let Some(namespace) = &self.namespace {
            headers.insert("x-vault-namespace", namespace.clone());
        }
        Ok(headers)
    }

    /// Reads the token's file again; whether it holds another token now.
    fn renew_token(&self) -> bool {
        let Ok(token) = self.source.read() else {
            return false;
        };
        let mut current = self.token.write().unwrap_or_else(PoisonError::into_inner);
        let changed = current.expose_secret() != token.expose_secret();
        *current = token;
        changed
    }

    fn refused(&self, path: &str, status: StatusCode, reason: &str) -> TransitError {
        TransitError::Refused {
            path: self.shown(path),
            status: status.as_u16(),
            reason: reason.to_owned(),
        }
    }

    /// `path` as policies write it.
    fn shown(&self, path: &str) -> String {
        format!("{}/{path}", self.mount)
    }
}

/// An error of the HTTP client with its causes, without the URL.
fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
