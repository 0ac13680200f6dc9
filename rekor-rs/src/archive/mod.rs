//! A log in a directory: for backups, for auditors, for whoever wants a copy that no server is needed
//! to verify.
//!
//! The layout is that of tiled logs (C2SP tlog-tiles, and static-ct-api for certificates), so that any
//! web server can publish it and any verifier of such logs can read it. Beside it is what the API of
//! the log shows of an entry and its leaf does not hold:
//!
//! ```text
//! log.json                   kind, id, name, key; checked by nobody, the key is the reader's to know
//! checkpoint                 the signed head, as a note
//! tile/<level>/<tile>        hashes
//! tile/entries/<tile>        Rekor: bodies, each after its length (u16)
//! tile/data/<tile>           CT: TileLeaf structures; chains by the SHA-256 of their certificates
//! issuer/<SHA-256, hex>      CT: certificates of chains
//! restore/<tile>             Rekor: a line of JSON for each entry: time, attestation, promise, keys
//! ```
//!
//! Tiles that are not full have `.p/<width>` after their number. A tile of bodies one of which is longer
//! than 65535 bytes has no form in tlog-tiles: there, the lines of `restore` hold the bodies.

mod bundle;
mod checkpoint;
mod export;
mod read;

use std::num::NonZeroU8;
use std::path::{Path, PathBuf};

use logstore::{LogId, LogKind, LogRecord, LogState};
use serde::{Deserialize, Serialize};
use tlog::{BundlePath, TILE_WIDTH, TileId, TilePath, Width};

pub use export::{Exported, Options, export};
pub(crate) use read::Archive;

/// Version of the layout.
const VERSION: u32 = 1;

/// Longest `log.json` and `checkpoint`.
const MAX_SMALL: u64 = 1 << 20;

/// Why a log was not exported, or an export not read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] logstore::StoreError),
    /// A file failed.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It cannot be done.
    #[error("{0}")]
    Refused(String),
    /// A key failed.
    #[error(transparent)]
    Sign(#[from] keys::SignError),
}

/// `log.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LogFile {
    version: u32,
    id: String,
    kind: String,
    origin: String,
    public_key: String,
    created_ms: u64,
}

impl LogFile {
    fn new(record: &LogRecord) -> Result<Self, ArchiveError> {
        let key = crypto::PublicKey::from_spki_der(&record.public_key)
            .map_err(|error| ArchiveError::Refused(format!("the log's key: {error}")))?;
        Ok(Self {
            version: VERSION,
            id: record.id.to_string(),
            kind: record.kind.as_str().to_owned(),
            origin: record.origin.clone(),
            public_key: key.to_pem(),
            created_ms: record.created_ms,
        })
    }

    fn record(&self) -> Result<LogRecord, String> {
        if self.version != VERSION {
            return Err(format!(
                "version {} of an export is not known",
                self.version
            ));
        }
        let id = self.id.parse().ok().filter(|id| *id > 0);
        let key =
            crypto::PublicKey::from_pem(&self.public_key).map_err(|error| error.to_string())?;
        let is_name = tlog::note::is_key_name(&self.origin);
        Ok(LogRecord {
            id: LogId(id.ok_or("the id is not a positive number")?),
            kind: LogKind::from_row(&self.kind).map_err(|error| error.to_string())?,
            origin: is_name
                .then(|| self.origin.clone())
                .ok_or("the origin is not a name")?,
            public_key: key.spki_der().to_vec(),
            state: LogState::Frozen,
            created_ms: self.created_ms.min(i64::MAX as u64),
        })
    }
}

/// The directory of an export.
#[derive(Clone, Debug)]
pub(crate) struct Layout(PathBuf);

impl Layout {
    pub(crate) fn new(directory: &Path) -> Self {
        Self(directory.to_owned())
    }

    fn log(&self) -> PathBuf {
        self.0.join("log.json")
    }

    fn checkpoint(&self) -> PathBuf {
        self.0.join("checkpoint")
    }

    /// A tile of hashes in the tree of `size` leaves.
    fn tile(&self, tile: TileId, size: u64) -> Option<PathBuf> {
        let width = width(tile.width(size))?;
        Some(
            self.0
                .join("tile")
                .join(TilePath { tile, width }.to_string()),
        )
    }

    /// A tile of something else that there is for each leaf.
    fn bundle(&self, what: &str, index: u64, size: u64) -> Option<PathBuf> {
        let tile = TileId { level: 0, index };
        let width = width(tile.width(size))?;
        Some(
            self.0
                .join(what)
                .join(BundlePath { index, width }.to_string()),
        )
    }

    /// Bodies, or certificates, of a tile.
    fn entries(&self, kind: LogKind, index: u64, size: u64) -> Option<PathBuf> {
        let what = match kind {
            LogKind::Ct => "tile/data",
            LogKind::RekorV1 | LogKind::RekorV2 => "tile/entries",
        };
        self.bundle(what, index, size)
    }

    /// What is kept beside the bodies of a tile.
    fn restore(&self, index: u64, size: u64) -> Option<PathBuf> {
        self.bundle("restore", index, size)
    }

    fn issuer(&self, fingerprint: &[u8; 32]) -> PathBuf {
        self.0.join("issuer").join(hex::encode(fingerprint))
    }
}

/// A width as paths have it; `None` for a tile that does not exist.
fn width(width: usize) -> Option<Width> {
    match width {
        TILE_WIDTH => Some(Width::Full),
        _ => NonZeroU8::new(u8::try_from(width).ok()?).map(Width::Partial),
    }
}
