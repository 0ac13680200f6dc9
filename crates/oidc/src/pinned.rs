//! Keys of a provider that cannot be asked, pinned in a file: a JSON Web Key Set (RFC 7517).
//!
//! For issuers that a network's border hides. Their discovery document is never fetched; tokens are
//! verified with the file's keys alone, with any asymmetric algorithm that fits a key. The file is
//! looked at again while it is used; one that cannot be read, or holds no usable key, changes
//! nothing and is logged.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::io::AsyncReadExt;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::TokenError;
use crate::discovery::MAX_DOCUMENT;
use crate::jwks::KeySet;
use crate::token::Unverified;

/// Least time between two looks at the file.
const LOOK: Duration = Duration::from_secs(1);

/// A file's keys.
#[derive(Debug)]
pub struct PinnedKeys {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    keys: Arc<KeySet>,
    /// What the file was when it was last read, well or not.
    stamp: Option<Stamp>,
    looked: Instant,
}

/// What changes when a file is written, or another one is put in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
}

impl PinnedKeys {
    /// Reads the file; it must hold a key that can verify a token.
    pub fn open(path: &Path) -> Result<Self, String> {
        let read = std::fs::File::open(path).and_then(|file| {
            let stamp = Stamp::of(&file.metadata()?);
            let mut text = Vec::new();
            std::io::Read::read_to_end(
                &mut std::io::Read::take(file, MAX_DOCUMENT as u64 + 1),
                &mut text,
            )?;
            Ok((stamp, text))
        });
        let (stamp, text) = read.map_err(|error| format!("{}: {error}", path.display()))?;
        let keys = parse(&text).map_err(|reason| format!("{}: {reason}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            state: Mutex::new(State {
                keys: Arc::new(keys),
                stamp: Some(stamp),
                looked: Instant::now(),
            }),
        })
    }

    /// Verifies the signature of a token.
    pub async fn verify(&self, token: &Unverified<'_>) -> Result<(), TokenError> {
        if self.current().await.verifies(token) {
            Ok(())
        } else {
            Err(TokenError::Signature)
        }
    }

    async fn current(&self) -> Arc<KeySet> {
        let mut state = self.state.lock().await;
        if state.looked.elapsed() >= LOOK {
            state.looked = Instant::now();
            self.look(&mut state).await;
        }
        Arc::clone(&state.keys)
    }

    /// Reads the file again if it is not what it was.
    async fn look(&self, state: &mut State) {
        let stamp = tokio::fs::metadata(&self.path)
            .await
            .ok()
            .map(|metadata| Stamp::of(&metadata));
        if stamp == state.stamp {
            return;
        }
        state.stamp = stamp;
        let path = self.path.display();
        match self.read().await {
            Ok(keys) => {
                tracing::info!(%path, keys = keys.len(), "read an issuer's pinned keys again");
                state.keys = Arc::new(keys);
            }
            Err(reason) => {
                tracing::error!(%path, reason, "an issuer's pinned keys cannot be read; those from before stay");
            }
        }
    }

    async fn read(&self) -> Result<KeySet, String> {
        let mut text = Vec::new();
        let file = tokio::fs::File::open(&self.path)
            .await
            .map_err(|error| error.to_string())?;
        file.take(MAX_DOCUMENT as u64 + 1)
            .read_to_end(&mut text)
            .await
            .map_err(|error| error.to_string())?;
        parse(&text)
    }
}

impl Stamp {
    fn of(metadata: &std::fs::Metadata) -> Self {
        Self {
            modified: metadata.modified().ok(),
            length: metadata.len(),
        }
    }
}

fn parse(text: &[u8]) -> Result<KeySet, String> {
    if text.len() > MAX_DOCUMENT {
        return Err(format!("longer than {MAX_DOCUMENT} bytes"));
    }
    let keys = KeySet::parse(text).map_err(|error| format!("not a JSON Web Key Set: {error}"))?;
    if keys.len() == 0 {
        return Err("holds no key that could verify a token".to_owned());
    }
    Ok(keys)
}
