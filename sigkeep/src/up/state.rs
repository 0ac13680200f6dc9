//! What a data directory remembers between two runs: `state.json`.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::files;
use super::layout::LayoutError;
use super::ports::Ports;

/// Layout of the directory that this program reads and writes.
const VERSION: u32 = 1;

/// What is remembered between two runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    version: u32,
    /// When the directory was made, in ms since the Unix epoch. Trust material is valid from then.
    pub created_ms: u64,
    /// Where the logs are.
    pub store: StoreKind,
    /// The ids of the logs. Chosen before the logs are made: should the database be exchanged for
    /// an empty one, the logs made in it would have the same ids, and the guards would refuse them.
    pub logs: LogIds,
    /// The ports that URLs inside signed trust material name.
    pub ports: Ports,
    /// Whether everything was created. From then on a missing file is a loss, not a beginning.
    pub complete: bool,
}

/// Ids of the logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogIds {
    /// The Rekor v1 log: its tree id.
    pub rekor: i64,
    /// The CT log.
    pub ct: i64,
}

/// Where the logs are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// In the directory.
    Sqlite,
    /// In the database that `--database` names.
    Postgres,
}

impl State {
    /// The state of a new directory.
    #[must_use]
    pub fn new(created_ms: u64, store: StoreKind, logs: LogIds, ports: Ports) -> Self {
        Self {
            version: VERSION,
            created_ms,
            store,
            logs,
            ports,
            complete: false,
        }
    }

    /// The state of the data directory at `root`, without taking it.
    pub fn of(root: &Path) -> Result<Self, LayoutError> {
        Self::read(&root.join("state.json"))?.ok_or_else(|| LayoutError::NotCreated {
            path: root.to_owned(),
        })
    }

    pub(super) fn read(path: &Path) -> Result<Option<Self>, LayoutError> {
        let Some(text) = files::read_optional(path)? else {
            return Ok(None);
        };
        let refuse = |reason: String| LayoutError::State {
            path: path.to_owned(),
            reason,
        };
        let version: Version =
            serde_json::from_slice(&text).map_err(|error| refuse(error.to_string()))?;
        if version.version != VERSION {
            return Err(refuse(format!(
                "the directory has version {}, and this program works with version {VERSION}; use the program that made it",
                version.version
            )));
        }
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| refuse(error.to_string()))
    }
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

impl LogIds {
    /// Random ids: positive, and with as many digits as Rekor's usual tree ids.
    pub fn random() -> Result<Self, aws_lc_rs::error::Unspecified> {
        let id = || -> Result<i64, aws_lc_rs::error::Unspecified> {
            let mut bytes = [0; 8];
            aws_lc_rs::rand::fill(&mut bytes)?;
            Ok((i64::from_be_bytes(bytes) & ((1 << 60) - 1)) | (1 << 60))
        };
        Ok(Self {
            rekor: id()?,
            ct: id()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_read_back_and_other_versions_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.json");
        assert_eq!(State::read(&path).unwrap(), None);
        assert!(State::of(directory.path()).is_err());
        let logs = LogIds { rekor: 1, ct: 2 };
        let state = State::new(7, StoreKind::Sqlite, logs, Ports::DEFAULT);
        files::replace(&path, &serde_json::to_vec(&state).unwrap()).unwrap();
        assert_eq!(State::of(directory.path()).unwrap(), state);
        files::replace(&path, br#"{"version":2,"future":true}"#).unwrap();
        let refused = State::of(directory.path()).unwrap_err().to_string();
        assert!(refused.contains("version 2"), "{refused}");
    }
}
