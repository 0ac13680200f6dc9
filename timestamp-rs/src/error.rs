//! Why there is no timestamp, and how that is said.
//!
//! Errors are HTTP errors, never a 200 with a `PKIStatus` of rejection: some clients store whatever
//! a 200 brings.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use keys::SignError;
use pki::rfc3161::{RequestError, TokenError};
use serde_json::json;

/// Why there is no timestamp.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(
        "unsupported media type, only [application/json application/timestamp-query] are allowed"
    )]
    MediaType,
    #[error("request in body is required")]
    EmptyBody,
    #[error("timestamp request is too large")]
    TooLarge,
    /// The connection broke, or the body is not what its headers say.
    #[error("the request body could not be read")]
    Body,
    #[error("not a JSON timestamp request: {0}")]
    Json(&'static str),
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("unaccepted policy")]
    Policy,
    #[error("the clock is not synchronised: {0}")]
    Clock(String),
    #[error("the time is outside the validity of the certificates")]
    Validity,
    #[error(transparent)]
    Sign(#[from] SignError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("the signature has another form than the key's")]
    SignatureForm,
    #[error("no randomness for a serial number")]
    Randomness,
}

impl Error {
    /// For the label of a metric.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::MediaType | Self::EmptyBody | Self::TooLarge | Self::Body | Self::Json(_) => {
                "malformed"
            }
            Self::Request(RequestError::Malformed(_)) => "malformed",
            Self::Request(_) | Self::Policy => "refused",
            Self::Clock(_) => "clock",
            Self::Validity => "validity",
            Self::Sign(_) | Self::SignatureForm => "key",
            Self::Token(_) | Self::Randomness => "internal",
        }
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::EmptyBody => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooLarge | Self::Body | Self::Json(_) | Self::Request(_) | Self::Policy => {
                StatusCode::BAD_REQUEST
            }
            Self::Clock(_) | Self::Validity | Self::Sign(SignError::Unavailable(_)) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Sign(_) | Self::Token(_) | Self::SignatureForm | Self::Randomness => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }

    /// What clients are told, in the words that they know from the public service.
    fn message(&self) -> String {
        match self {
            Self::MediaType | Self::EmptyBody | Self::TooLarge => self.to_string(),
            Self::Request(RequestError::DigestLength) => {
                "Message digest has incorrect length for specified algorithm".to_owned()
            }
            Self::Request(RequestError::WeakHash) => {
                "Weak hash algorithm in timestamp request".to_owned()
            }
            Self::Request(RequestError::Extension) => {
                "unaccepted extension: requested extension is not supported by the TSA".to_owned()
            }
            Self::Policy => {
                "unaccepted policy: requested TSA policy is not supported by the TSA".to_owned()
            }
            Self::Body | Self::Json(_) | Self::Request(_) => {
                "Error generating timestamp response".to_owned()
            }
            Self::Clock(_) => "the timestamp authority's clock is not synchronised".to_owned(),
            Self::Validity => "the timestamp authority's certificate is not valid now".to_owned(),
            Self::Sign(SignError::Unavailable(_)) => {
                "the timestamp authority's key is unavailable".to_owned()
            }
            Self::Sign(_) | Self::Token(_) | Self::SignatureForm | Self::Randomness => {
                "internal error".to_owned()
            }
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = self.status();
        if status.is_server_error() {
            tracing::error!(error = %self, "no timestamp");
        } else {
            tracing::debug!(error = %self, "no timestamp");
        }
        metrics::counter!("timestamps_refused_total", "reason" => self.reason()).increment(1);
        // A required body that is missing has a code of its own in the public service's framework.
        let code = if matches!(self, Self::EmptyBody) {
            602
        } else {
            status.as_u16()
        };
        let mut response = (
            status,
            Json(json!({"code": code, "message": self.message()})),
        )
            .into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}
