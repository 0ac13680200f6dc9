//! Checkpoints: the text of a note that commits to a tree (C2SP tlog-checkpoint).
//!
//! ```text
//! example.com/log
//! 42
//! q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=
//! extension lines, if any
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Hash;
use crate::tile::canonical_number;

/// A checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log; one line, not empty. Rekor v1 writes `<host> - <tree id>`.
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
    /// A checkpoint without extension lines.
    #[must_use]
    pub fn new(origin: impl Into<String>, size: u64, root: Hash) -> Self {
        Self {
            origin: origin.into(),
            size,
            root,
            extensions: Vec::new(),
        }
    }

    /// Parses the text of a note.
    ///
    /// Strict: [`Self::text`] gives back the same text. That the root of an empty tree is
    /// [`crate::empty_root`] is not checked.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let text = text
            .strip_suffix('\n')
            .ok_or(CheckpointError("no final newline"))?;
        let mut lines = text.split('\n');
        let origin = lines
            .next()
            .filter(|line| !line.is_empty())
            .ok_or(CheckpointError("no origin"))?;
        let size = lines
            .next()
            .and_then(canonical_number)
            .ok_or(CheckpointError("size"))?;
        let root = lines
            .next()
            .and_then(|line| STANDARD.decode(line).ok())
            .and_then(|root| Hash::try_from(root.as_slice()).ok())
            .ok_or(CheckpointError("root hash"))?;
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(CheckpointError("empty extension line"));
        }
        Ok(Self {
            origin: origin.to_owned(),
            size,
            root,
            extensions,
        })
    }

    /// The text that is signed, ending in a newline.
    #[must_use]
    pub fn text(&self) -> String {
        let root = STANDARD.encode(self.root.as_bytes());
        let mut text = format!("{}\n{}\n{root}\n", self.origin, self.size);
        for line in &self.extensions {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

/// The origin of a Rekor v1 log, `<host> - <tree id>`. (Its notes are signed as `<host>`.)
#[must_use]
pub fn rekor_v1_origin(host: &str, tree_id: i64) -> String {
    format!("{host} - {tree_id}")
}
