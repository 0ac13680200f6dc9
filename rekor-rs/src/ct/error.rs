//! What goes wrong in a CT log, and how clients are told.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use logstore::StoreError;
use sequencer::AppendError;

use super::chain::RejectedChain;

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is malformed.
    #[error("{0}")]
    Request(&'static str),
    /// The chain is not accepted.
    #[error(transparent)]
    Chain(#[from] RejectedChain),
    /// The body is too long.
    #[error("the body is too long")]
    TooLong,
    /// There is no such entry, proof or call.
    #[error("{0}")]
    NotFound(&'static str),
    /// Another method is needed.
    #[error("method not allowed")]
    Method,
    /// The batch loop did not take the entry.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log's key failed.
    #[error(transparent)]
    Sign(#[from] keys::SignError),
    /// The log holds something else than it should.
    #[error("the log is inconsistent: {0}")]
    Inconsistent(&'static str),
}

impl Error {
    /// Status, and a message that says nothing of the log's insides.
    fn answer(&self) -> (StatusCode, String) {
        const UNAVAILABLE: (StatusCode, &str) = (
            StatusCode::SERVICE_UNAVAILABLE,
            "the log is unavailable, try again",
        );
        const STOPPED: (StatusCode, &str) =
            (StatusCode::INTERNAL_SERVER_ERROR, "the log has stopped");
        let (status, message) = match self {
            Self::Request(_) | Self::Chain(_) => {
                return (StatusCode::BAD_REQUEST, self.to_string());
            }
            Self::TooLong => return (StatusCode::PAYLOAD_TOO_LARGE, self.to_string()),
            Self::NotFound(_) => return (StatusCode::NOT_FOUND, self.to_string()),
            Self::Method => return (StatusCode::METHOD_NOT_ALLOWED, self.to_string()),
            // Not 503: submitters repeat that for ever.
            Self::Append(AppendError::Frozen) => (StatusCode::FORBIDDEN, "the log is frozen"),
            Self::Append(AppendError::Refused(_))
            | Self::Store(StoreError::Corrupt(_) | StoreError::NoSuchLog(_))
            | Self::Inconsistent(_) => STOPPED,
            Self::Append(AppendError::Overloaded | AppendError::Unavailable(_))
            | Self::Store(_)
            | Self::Sign(_) => UNAVAILABLE,
        };
        (status, message.to_owned())
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, message) = self.answer();
        if status.is_server_error() {
            tracing::warn!(error = %self, "a CT request failed");
        }
        // RFC 6962 section 4.
        let body = Json(serde_json::json!({ "error_message": message, "success": false }));
        let mut response = (status, body).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
