//! Everything that can go wrong, and the one place that gives it an HTTP status and body.

use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, StatusCode};
use logstore::StoreError;
use sequencer::AppendError;
use wire::rekor::{ApiError, EntryId, print_json};

use crate::config::{ConfigError, Endpoint};
use crate::entry::EntryError;
use crate::policy::Refusal;
use crate::search::{QueryError, SearchError};
use crate::shard::ShardError;

/// Why the service could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A key.
    #[error("logs[{log}]: {source}")]
    Key {
        /// The log's place in the configuration, from 0.
        log: usize,
        /// What went wrong. Boxed: with every key backend it is larger than all the rest.
        source: Box<keys::OpenError>,
    },
    /// A passphrase.
    #[error(transparent)]
    Passphrase(#[from] keys::PassphraseError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A log does not open.
    #[error("log {id}: {source}")]
    Log {
        /// Tree id.
        id: i64,
        /// What went wrong.
        source: sequencer::OpenError,
    },
    /// A CT log does not open.
    #[error("log {id}: {source}")]
    Ct {
        /// Tree id.
        id: i64,
        /// What went wrong.
        source: crate::ct::OpenError,
    },
    /// The first head of a new log could not be signed.
    #[error("log {id} was not created: {source}")]
    FirstHead {
        /// Tree id.
        id: i64,
        /// What went wrong.
        source: keys::SignError,
    },
    /// A roll-back guard.
    #[error(transparent)]
    Guard(#[from] sequencer::GuardError),
    /// Configuration and database disagree.
    #[error("{0}")]
    Mismatch(String),
    /// Reading or writing a file.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: std::path::PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// Why a request was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    /// An entry, proposed to be appended.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// A parameter or member does not follow its schema; `code` says how.
    #[error("{message}")]
    Schema {
        /// 601 to 612.
        code: u16,
        /// What is wrong.
        message: String,
    },
    /// Anything else that is wrong with the request.
    #[error("{0}")]
    BadRequest(String),
    /// A key that is asked for by an unknown tree.
    #[error("Bad Request")]
    NoSuchKey,
    /// A search request.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// More items than one query may name.
    #[error("more than max allowed {0} entries in request")]
    TooManyItems(usize),
    /// What is asked for is too long for one answer.
    #[error("the entries asked for have more than {0} bytes together; ask for fewer at a time")]
    LongAnswer(usize),
    /// No such entry. Answered with an empty body.
    #[error("no such entry")]
    NoSuchEntry,
    /// No such resource.
    #[error("path {0} was not found")]
    NoSuchPath(String),
    /// The resource has no such method.
    #[error("method {method} is not allowed, but [{allowed}] are")]
    Method {
        /// The method asked for.
        method: Method,
        /// Comma-separated.
        allowed: &'static str,
    },
    /// The client does not take what there is.
    #[error("unsupported media type requested, only [{0}] are available")]
    NotAcceptable(&'static str),
    /// The request body is of another type.
    #[error("unsupported media type {0:?}, only [application/json] are allowed")]
    MediaType(String),
    /// The request body is too long.
    #[error("Request Entity Too Large. Limit set to {0}")]
    TooLarge(usize),
    /// The client stopped sending.
    #[error("the request body could not be read")]
    Truncated,
    /// The entry is in the log already.
    #[error("an equivalent entry already exists in the transparency log with UUID {0}")]
    Exists(EntryId),
    /// Too much is going on.
    #[error("the log is overloaded, try again later")]
    Overloaded,
    /// The configuration disables this part of the API.
    #[error("{} API not enabled in this Rekor instance", .0.title())]
    Disabled(Endpoint),
    /// The write policy says no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The log or its key failed.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The search failed.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// A bug.
    #[error("internal error: {0}")]
    Internal(&'static str),
}

impl RequestError {
    /// A required parameter or member is absent.
    pub(crate) fn required(name: &str, place: &str) -> Self {
        Self::Schema {
            code: 602,
            message: format!("{name} in {place} is required"),
        }
    }

    /// HTTP status, code in the body, and message for the client. What happened inside stays
    /// inside.
    fn answer(&self) -> (StatusCode, u16, String) {
        let same = |status: StatusCode| (status, status.as_u16(), self.to_string());
        let schema = |code| (StatusCode::UNPROCESSABLE_ENTITY, code, self.to_string());
        let fixed =
            |status: StatusCode, message: &str| (status, status.as_u16(), message.to_owned());
        match self {
            Self::Entry(error) => match error {
                EntryError::Required(_) => schema(602),
                EntryError::UnknownKind(_) => schema(422),
                EntryError::VersionSyntax => schema(605),
                _ => fixed(
                    StatusCode::BAD_REQUEST,
                    &format!("error processing entry: {error}"),
                ),
            },
            Self::Schema { code, .. } => schema(*code),
            Self::Query(error) => match error {
                QueryError::Email(_) => schema(601),
                QueryError::FormatRequired => schema(602),
                QueryError::Subject => schema(603),
                QueryError::Hash => schema(605),
                QueryError::Operator | QueryError::Format => schema(606),
                QueryError::PublicKey | QueryError::FormatUnsupported => {
                    same(StatusCode::BAD_REQUEST)
                }
            },
            Self::TooManyItems(_) | Self::LongAnswer(_) => same(StatusCode::UNPROCESSABLE_ENTITY),
            Self::BadRequest(_) | Self::NoSuchKey | Self::Truncated => {
                same(StatusCode::BAD_REQUEST)
            }
            Self::NoSuchEntry | Self::NoSuchPath(_) => same(StatusCode::NOT_FOUND),
            Self::Method { .. } => same(StatusCode::METHOD_NOT_ALLOWED),
            Self::NotAcceptable(_) => same(StatusCode::NOT_ACCEPTABLE),
            Self::MediaType(_) => same(StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Self::TooLarge(_) => same(StatusCode::PAYLOAD_TOO_LARGE),
            Self::Exists(_) => same(StatusCode::CONFLICT),
            Self::Overloaded => same(StatusCode::SERVICE_UNAVAILABLE),
            Self::Disabled(_) => same(StatusCode::NOT_IMPLEMENTED),
            Self::Search(SearchError::Cursor(_)) => same(StatusCode::BAD_REQUEST),
            Self::Search(SearchError::Indexing { .. }) => same(StatusCode::SERVICE_UNAVAILABLE),
            Self::Refused(refusal) => same(match refusal {
                Refusal::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
                Refusal::Client(_) | Refusal::Signer(_) => StatusCode::FORBIDDEN,
                Refusal::Quota { .. } => StatusCode::TOO_MANY_REQUESTS,
                Refusal::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            }),
            Self::Shard(ShardError::Append(error)) => match error {
                AppendError::Overloaded => fixed(
                    StatusCode::SERVICE_UNAVAILABLE,
                    &Self::Overloaded.to_string(),
                ),
                AppendError::Frozen => fixed(StatusCode::SERVICE_UNAVAILABLE, "the log is frozen"),
                // Sending it again is safe, and does no harm where the entry was written.
                AppendError::Unavailable(_) => fixed(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "unexpected error communicating with transparency log",
                ),
                AppendError::Refused(_) => fixed(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "unexpected result from transparency log",
                ),
            },
            Self::Shard(ShardError::Sign(_)) => {
                fixed(StatusCode::INTERNAL_SERVER_ERROR, "error signing")
            }
            Self::Shard(ShardError::Store(_)) | Self::Store(_) => fixed(
                StatusCode::INTERNAL_SERVER_ERROR,
                "unexpected error communicating with transparency log",
            ),
            Self::Search(SearchError::Store(_)) => fixed(
                StatusCode::INTERNAL_SERVER_ERROR,
                "unexpected result from searching index",
            ),
            Self::Internal(_) => fixed(StatusCode::INTERNAL_SERVER_ERROR, "internal error"),
        }
    }
}

impl IntoResponse for RequestError {
    fn into_response(self) -> Response {
        let (status, code, message) = self.answer();
        if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED {
            tracing::error!(error = %self, status = status.as_u16(), "request failed");
        }
        if matches!(self, Self::NoSuchEntry) {
            return status.into_response();
        }
        let mut body = print_json(&ApiError {
            code,
            message: &message,
        });
        body.push(b'\n');
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match &self {
            Self::Method { allowed, .. } => {
                headers.insert(ALLOW, HeaderValue::from_static(allowed));
            }
            Self::Exists(id) => {
                if let Ok(location) = HeaderValue::try_from(entry_location(*id)) {
                    headers.insert(LOCATION, location);
                }
            }
            Self::Refused(Refusal::Unauthenticated(_)) => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::Refused(Refusal::Quota { seconds, .. }) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(*seconds));
            }
            _ => {}
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// Where an entry is read: an absolute path.
pub(crate) fn entry_location(id: EntryId) -> String {
    format!("/api/v1/log/entries/{id}")
}
