//! The PostgreSQL database that a run is given, as its operator sees it.

use std::process::Command;

use crate::Error;

/// An empty database at the start of the run.
#[derive(Clone, Debug)]
pub(crate) struct Database(String);

impl Database {
    pub(crate) fn at(url: String) -> Self {
        Self(url)
    }

    pub(crate) fn url(&self) -> &str {
        &self.0
    }

    /// What it takes on disk: tables, indexes, everything but the write-ahead log.
    pub(crate) fn bytes(&self) -> Result<u64, Error> {
        let output = Command::new("psql")
            .args(["--no-psqlrc", "--tuples-only", "--no-align"])
            .args([
                "--command",
                "SELECT pg_database_size(current_database())",
                self.url(),
            ])
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        text.trim().parse().map_err(|_| {
            let said = String::from_utf8_lossy(&output.stderr);
            Error::Stack(format!("psql did not tell the database's size: {said}"))
        })
    }
}
