//! Checkpoints: the text of a note that commits to a tree (C2SP tlog-checkpoint).

use crate::Hash;

/// A checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log. Rekor v1 writes `<host> - <tree id>`.
    pub origin: String,
    /// Leaves.
    pub size: u64,
    /// Root.
    pub root: Hash,
    /// Further lines, none of them empty.
    pub extensions: Vec<String>,
}

/// Not a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed checkpoint: {0}")]
pub struct CheckpointError(pub &'static str);

impl Checkpoint {
    /// Parses the text of a note.
    pub fn parse(_text: &str) -> Result<Self, CheckpointError> {
        unimplemented!()
    }

    /// The text that is signed, ending in a newline.
    #[must_use]
    pub fn text(&self) -> String {
        unimplemented!()
    }
}
