//! The result of a check.

use logstore::{Head, LogRecord};
use serde::Serialize;

use super::finding::Findings;

/// The result of a check.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Whether nothing was found, or all of it was repaired.
    pub ok: bool,
    /// Each log.
    pub logs: Vec<LogReport>,
    /// The search index, which all logs share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search_index: Option<IndexReport>,
}

/// The result for one log.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogReport {
    /// Its id; text, because JSON's numbers are not exact enough.
    pub id: String,
    /// Its kind.
    pub kind: &'static str,
    /// Its name.
    pub origin: String,
    /// Entries that were checked: all up to a head.
    pub size: u64,
    /// The root of that head, hexadecimal.
    pub root: String,
    /// Whether the roll-back guard was compared.
    pub guard: GuardState,
    /// What is wrong.
    pub findings: Findings,
}

impl LogReport {
    pub(super) fn new(
        record: &LogRecord,
        head: &Head,
        guard: GuardState,
        findings: Findings,
    ) -> Self {
        Self {
            id: record.id.to_string(),
            kind: record.kind.as_str(),
            origin: record.origin.clone(),
            size: head.size,
            root: head.root.to_string(),
            guard,
            findings,
        }
    }
}

/// What became of the roll-back guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuardState {
    /// It was compared with the log.
    Compared,
    /// It is of a larger tree than the one that was checked, which was begun before.
    Newer,
    /// There is none, or it remembers nothing.
    Absent,
}

/// The result for the search index.
#[derive(Clone, Debug, Serialize)]
pub struct IndexReport {
    /// Rows that were read.
    pub rows: u64,
    /// Rows that were added and removed.
    pub repaired: u64,
    /// What is wrong, or was.
    pub findings: Findings,
}
