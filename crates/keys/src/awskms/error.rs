//! What goes wrong with KMS.

use aws_sdk_kms::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::SignError;

/// Longest text of an error that is repeated.
const MAX_REASON: usize = 400;

/// Why a key in AWS KMS could not be opened, made or used. Never shows credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AwsKmsError {
    /// The environment is not usable.
    #[error("{0}")]
    Configuration(String),
    /// The key cannot be used as it is.
    #[error("{0}")]
    Key(String),
    /// KMS refused.
    #[error("KMS refused: {code}: {reason}")]
    Refused {
        /// The name of the error.
        code: String,
        /// What KMS said.
        reason: String,
    },
    /// KMS cannot be reached, throttles, or the key is disabled for now; repetitions did not help.
    #[error("KMS is unavailable: {0}")]
    Unavailable(String),
}

/// Errors that may pass: with time, or when an operator enables the key again.
const PASSING: [&str; 8] = [
    "DependencyTimeoutException",
    "DisabledException",
    "KeyUnavailableException",
    "KMSInternalException",
    "KMSInvalidStateException",
    "LimitExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
];

impl<E> From<SdkError<E, HttpResponse>> for AwsKmsError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        let SdkError::ServiceError(refusal) = &error else {
            // No answer, or none that can be read.
            let reason = DisplayErrorContext(&error).to_string();
            return Self::Unavailable(reason.chars().take(MAX_REASON).collect());
        };
        let code = refusal
            .err()
            .code()
            .unwrap_or("an error without a name")
            .to_owned();
        let reason: String = refusal
            .err()
            .message()
            .unwrap_or_default()
            .chars()
            .take(MAX_REASON)
            .collect();
        if PASSING.contains(&code.as_str()) || refusal.raw().status().is_server_error() {
            Self::Unavailable(format!("{code}: {reason}"))
        } else {
            Self::Refused { code, reason }
        }
    }
}

impl AwsKmsError {
    /// Whether KMS said that there is no such key.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == "NotFoundException")
    }
}

impl From<AwsKmsError> for SignError {
    fn from(error: AwsKmsError) -> Self {
        match error {
            AwsKmsError::Unavailable(reason) => Self::Unavailable(reason),
            other => Self::Refused(other.to_string()),
        }
    }
}
