//! Where a service takes its key and chain from.

use std::io::Read;
use std::path::{Path, PathBuf};

use keys::{KeyUri, Passphrase, SharedSigner};
use pki::authority::Purpose;
use pki::chain::Chain;

use crate::directory::MAX_FILE;
use crate::{Directory, Error};

/// Where a service takes its key and chain from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A directory that [`crate::Begin`] made.
    Directory {
        /// It.
        path: PathBuf,
        /// What it has to be for.
        purpose: Purpose,
    },
    /// A chain and a key.
    Files {
        /// PEM: signing certificate first, root last.
        chain: PathBuf,
        /// The key of the first certificate.
        key: KeyUri,
    },
}

/// A key that is open, and its certificates.
#[derive(Debug)]
pub struct Material {
    /// Signing certificate first, root last.
    pub chain: Chain,
    /// The key of the first certificate.
    pub signer: SharedSigner,
    /// Chains that were prepared to succeed it. They sign nothing, but may be published.
    pub successors: Vec<Chain>,
}

/// Why there is nothing to sign with.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The directory or the chain.
    #[error(transparent)]
    Authority(#[from] Error),
    /// The directory has no generation that signs.
    #[error("{0}: nothing is active; `status` says what is missing")]
    Inactive(PathBuf),
    /// The key. Boxed: with every backend it is larger than all the rest.
    #[error(transparent)]
    Key(Box<keys::OpenError>),
}

/// What a source was at a moment: differs when its content does, however that was changed (written
/// over, renamed, a symbolic link turned).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp([u8; 32]);

impl Source {
    /// What a configuration names: either a directory, or a chain and a key; `None` for anything
    /// else.
    #[must_use]
    pub fn named(
        purpose: Purpose,
        directory: Option<&Path>,
        chain: Option<&Path>,
        key: Option<&KeyUri>,
    ) -> Option<Self> {
        match (directory, chain, key) {
            (Some(path), None, None) => Some(Self::Directory {
                path: path.to_owned(),
                purpose,
            }),
            (None, Some(chain), Some(key)) => Some(Self::Files {
                chain: chain.to_owned(),
                key: key.clone(),
            }),
            _ => None,
        }
    }

    /// Opens the key and reads the chain. Whether they fit each other, and the service, is the
    /// service's to check.
    pub async fn open(&self, passphrase: Option<&Passphrase>) -> Result<Material, SourceError> {
        let (chain, key, successors) = self.read()?;
        let signer = keys::open(&key, passphrase)
            .await
            .map_err(|error| SourceError::Key(Box::new(error)))?;
        Ok(Material {
            chain,
            signer,
            successors,
        })
    }

    /// The chain alone: the key stays closed.
    pub fn chain(&self) -> Result<Chain, SourceError> {
        self.read().map(|(chain, _, _)| chain)
    }

    fn read(&self) -> Result<(Chain, KeyUri, Vec<Chain>), SourceError> {
        Ok(match self {
            Self::Files { chain, key } => {
                let pem = crate::directory::read(chain)?;
                let chain = crate::directory::chain_from_pem(chain, &pem)?;
                (chain, key.clone(), Vec::new())
            }
            Self::Directory { path, purpose } => {
                let directory = Directory::open(path, *purpose)?;
                let inactive = || SourceError::Inactive(path.clone());
                let number = directory.active()?.ok_or_else(inactive)?;
                let generation = directory.generation(number)?;
                let mut successors = Vec::new();
                for later in number + 1..=directory.newest() {
                    successors.extend(directory.generation(later)?.chain);
                }
                let chain = generation.chain.ok_or_else(inactive)?;
                (chain, generation.key, successors)
            }
        })
    }

    /// What it is now. Reads files; blocks.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        let mut seen = Vec::new();
        match self {
            Self::Files { chain, key } => {
                content(chain, &mut seen);
                key_content(key, &mut seen);
            }
            Self::Directory { path, purpose } => {
                if let Ok(directory) = Directory::open(path, *purpose)
                    && let Ok(Some(active)) = directory.active()
                {
                    for number in active..=directory.newest() {
                        let folder = directory.folder(number);
                        seen.extend(number.to_be_bytes());
                        content(&folder.join("key.json"), &mut seen);
                        content(&folder.join("chain.pem"), &mut seen);
                    }
                    if let Ok(generation) = directory.generation(active) {
                        key_content(&generation.key, &mut seen);
                    }
                }
            }
        }
        Stamp(crypto::sha256(&seen))
    }
}

/// What can be seen of a key from here: the file that it is in.
fn key_content(key: &KeyUri, seen: &mut Vec<u8>) {
    match key {
        KeyUri::File(path) => content(path, seen),
        KeyUri::Wrapped(wrapped) => content(&wrapped.path, seen),
        _ => {}
    }
}

/// The hash of a file, or that it cannot be read.
fn content(path: &Path, seen: &mut Vec<u8>) {
    let mut bytes = Vec::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes));
    match read {
        Ok(_) => seen.extend(crypto::sha256(&bytes)),
        Err(_) => seen.push(0),
    }
}
