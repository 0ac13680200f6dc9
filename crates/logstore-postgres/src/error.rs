//! From the driver's errors to the contract's.

use logstore::StoreError;

/// An error of a statement that cannot have committed anything.
pub(crate) fn store(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::Database(database)
            if database.is_unique_violation() || database.is_check_violation() =>
        {
            StoreError::Refused(database.message().to_owned())
        }
        // Class XX of PostgreSQL's codes: data_corrupted, index_corrupted.
        sqlx::Error::Database(database)
            if matches!(database.code().as_deref(), Some("XX001" | "XX002")) =>
        {
            StoreError::Corrupt(database.message().to_owned())
        }
        sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnIndexOutOfBounds { .. } => StoreError::Corrupt(error.to_string()),
        _ => unavailable(error),
    }
}

/// An error of which the caller knows that nothing happened.
pub(crate) fn unavailable(error: sqlx::Error) -> StoreError {
    StoreError::Unavailable(text(&error))
}

/// What an operator can act on: without the driver's categories and the server's line numbers.
pub(crate) fn text(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Configuration(reason) => match reason.downcast_ref() {
            Some(inner) => text(inner),
            None => reason.to_string(),
        },
        sqlx::Error::Database(refusal) => refusal.message().to_owned(),
        sqlx::Error::Io(reason) => reason.to_string(),
        sqlx::Error::Tls(reason) => format!("TLS: {reason}"),
        other => other.to_string(),
    }
}
