//! What can go wrong, and the one place where it becomes a status and a body.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::challenge::ChallengeError;
use crate::identity::{IdentityError, RegistryError};
use crate::inventory::{InventoryError, SearchError};
use crate::issuance::{CtError, IssueError};
use crate::policy::Refusal;

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The service's own configuration.
    #[error("configuration: {0}")]
    Config(String),
    /// The identity configuration.
    #[error("identity configuration: {0}")]
    Identity(#[from] RegistryError),
    /// The certificate chain.
    #[error("certificate chain: {0}")]
    Chain(#[from] pki::chain::ChainError),
    /// The key and certificates of the certificate authority.
    #[error(transparent)]
    Source(#[from] custody::SourceError),
    /// The passphrase of the key.
    #[error(transparent)]
    Passphrase(#[from] keys::PassphraseError),
    /// The certificate authority cannot be used.
    #[error("certificate authority: {0}")]
    Authority(String),
    /// The certificate transparency log.
    #[error("certificate transparency log: {0}")]
    CtLog(String),
    /// The inventory of issued certificates.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    /// A search of the inventory.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// The server.
    #[error(transparent)]
    Serve(#[from] serve::ServeError),
}

/// Why a request was not answered with what it asked for.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The body is not the message that it should be.
    #[error("malformed request: {0}")]
    Malformed(String),
    /// The body is longer than the limit.
    #[error("the request body is too large")]
    TooLarge,
    /// The token gives no identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// No rule of the issuer's policy allows it.
    #[error(transparent)]
    Policy(#[from] Refusal),
    /// The client's key, or its possession.
    #[error(transparent)]
    Challenge(#[from] ChallengeError),
    /// No certificate could be made.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// The certificate could not be recorded, and was not given out.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    /// No such path.
    #[error("no such path")]
    NotFound,
    /// The path exists, with another method.
    #[error("method not allowed")]
    MethodNotAllowed,
}

/// Status codes of gRPC, which the bodies carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// 3.
    InvalidArgument = 3,
    /// 5.
    NotFound = 5,
    /// 12.
    Unimplemented = 12,
    /// 13.
    Internal = 13,
    /// 14.
    Unavailable = 14,
}

impl Code {
    /// The HTTP status that goes with it.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::InvalidArgument => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Unimplemented => StatusCode::NOT_IMPLEMENTED,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl RequestError {
    /// Code and message for the client. Clients are told what they can act on and nothing about
    /// tokens, keys of others or the inside of the service; the log has the rest.
    #[must_use]
    pub fn public(&self) -> (Code, String) {
        let (code, message) = match self {
            Self::Malformed(reason) => (Code::InvalidArgument, reason.as_str()),
            Self::Policy(refusal) => return (Code::InvalidArgument, refusal.to_string()),
            Self::TooLarge => (Code::InvalidArgument, "http: request body too large"),
            Self::Identity(IdentityError::Token(_)) => (
                Code::InvalidArgument,
                "There was an error processing the identity token",
            ),
            Self::Identity(error) => return (Code::InvalidArgument, error.to_string()),
            Self::Challenge(error) => return (Code::InvalidArgument, challenge(error)),
            Self::Issue(IssueError::Content(reason)) => (Code::InvalidArgument, *reason),
            Self::Issue(IssueError::Ct(error)) => {
                let code = if matches!(error, CtError::Unavailable(_)) {
                    Code::Unavailable
                } else {
                    Code::Internal
                };
                (code, "Error entering certificate in CTL")
            }
            Self::Issue(IssueError::Sct(_)) => (
                Code::Internal,
                "Error marshaling signed certificate timestamp",
            ),
            Self::Issue(IssueError::Build(_)) => {
                (Code::Internal, "Error marshaling code signing certificate")
            }
            // Passes by itself when the key's backend is back.
            Self::Issue(IssueError::Sign(keys::SignError::Unavailable(_))) => {
                (Code::Unavailable, "error communicating with CA backend")
            }
            Self::Issue(IssueError::Authority(_) | IssueError::Sign(_)) => {
                (Code::Internal, "error communicating with CA backend")
            }
            Self::Inventory(_) => (Code::Internal, "the certificate could not be recorded"),
            Self::NotFound => (Code::NotFound, "Not Found"),
            Self::MethodNotAllowed => (Code::Unimplemented, "Method Not Allowed"),
        };
        (code, message.to_owned())
    }
}

impl RequestError {
    /// What it was about, in a word; for metrics.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) | Self::TooLarge => "request",
            Self::Identity(IdentityError::Token(_)) => "token",
            Self::Identity(_) | Self::Issue(IssueError::Content(_)) => "identity",
            Self::Policy(_) => "policy",
            Self::Challenge(ChallengeError::Signature) => "possession",
            Self::Challenge(_) => "key",
            Self::Issue(IssueError::Ct(_)) => "ct",
            Self::Issue(_) => "authority",
            Self::Inventory(_) => "inventory",
            Self::NotFound | Self::MethodNotAllowed => "route",
        }
    }
}

fn challenge(error: &ChallengeError) -> String {
    match error {
        ChallengeError::Key(_) => {
            "The public key supplied in the request could not be parsed".to_owned()
        }
        ChallengeError::Weak(_) => "The public key supplied in the request is insecure".to_owned(),
        ChallengeError::Signature => {
            "The signature supplied in the request could not be verified".to_owned()
        }
        ChallengeError::Csr(_) => "The certificate signing request could not be parsed".to_owned(),
        ChallengeError::Unrecognized(_) | ChallengeError::NotPermitted { .. } => error.to_string(),
    }
}

impl IntoResponse for RequestError {
    fn into_response(self) -> Response {
        let (code, message) = self.public();
        let body =
            Json(serde_json::json!({"code": code as u32, "message": message, "details": []}));
        (code.status(), body).into_response()
    }
}
