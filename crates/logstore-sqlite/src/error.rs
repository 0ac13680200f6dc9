//! From the driver's errors to the contract's.

use logstore::StoreError;

/// An error of a statement that cannot have changed anything that was committed.
pub(crate) fn store(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::Database(database)
            if database.is_unique_violation()
                || database.is_check_violation()
                || database.is_foreign_key_violation() =>
        {
            StoreError::Refused(database.message().to_owned())
        }
        // SQLITE_CORRUPT and what extends it.
        sqlx::Error::Database(database)
            if database
                .code()
                .and_then(|code| code.parse::<u32>().ok())
                .is_some_and(|code| code & 0xff == 11) =>
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
    StoreError::Unavailable(error.to_string())
}
