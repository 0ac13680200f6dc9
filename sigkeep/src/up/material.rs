//! Keys and certificates: made once, then only read.
//!
//! Each artefact is made from artefacts that are already durable: passphrase, keys, chains. A
//! start that was interrupted is continued by the next one, which makes what is still missing.
//! Once [`State::complete`] is set, nothing is made any more: a missing file is then an error,
//! since a new key under the old name would cut clients off from everything signed before.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use custody::certify::{CertifyError, issue};
use keys::{Algorithm, FileKeyError, FileSigner, Passphrase, PassphraseError, Signer};
use pki::authority::{Issuer, Purpose, Role, Template};
use pki::chain::{Chain, ChainError};
use pki::name::Subject;

use super::files::{self, FileError};
use super::layout::{Layout, LayoutError};
use super::state::State;
use crate::oidc::{IssuerKey, IssuerKeyError};

/// Every certificate and log is valid from this long before the directory was made, so that
/// neither a clock that is a little slow nor a backdated leaf starts before its issuer.
pub const BACKDATE: Duration = Duration::from_secs(3600);

const DAY: Duration = Duration::from_secs(86_400);

/// Validity of the roots.
const ROOT_LIFETIME: Duration = DAY.saturating_mul(3650);

/// Validity of what the roots sign.
const ISSUED_LIFETIME: Duration = DAY.saturating_mul(1095);

const ORGANIZATION: &str = "sigkeep up (development)";

/// What the services run with.
#[derive(Debug)]
pub struct Material {
    /// File with the passphrase of the keys.
    pub passphrase: PathBuf,
    /// The development issuer's key.
    pub oidc: IssuerKey,
    /// The certificate authority: key of the issuing intermediate, and its chain.
    pub fulcio: Authority,
    /// The timestamp authority: key of the leaf, and its chain.
    pub tsa: Authority,
    /// The CT log.
    pub ct: LogKey,
    /// The Rekor v1 log.
    pub rekor: LogKey,
}

/// A key and the certificates that vouch for it.
#[derive(Debug)]
pub struct Authority {
    /// Encrypted private key.
    pub key: PathBuf,
    /// PEM chain, the key's certificate first, root last.
    pub chain_file: PathBuf,
    /// The chain.
    pub chain: Chain,
}

/// A log's key.
#[derive(Debug)]
pub struct LogKey {
    /// Encrypted private key.
    pub key: PathBuf,
    /// PEM public key.
    pub public_file: PathBuf,
    /// The public key.
    pub public: crypto::PublicKey,
}

/// Why keys and certificates could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum MaterialError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The data directory.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A key.
    #[error(transparent)]
    Key(#[from] FileKeyError),
    /// The passphrase.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    /// The issuer's key.
    #[error(transparent)]
    Oidc(#[from] IssuerKeyError),
    /// A certificate could not be made.
    #[error("a certificate could not be made: {0}")]
    Certify(#[from] CertifyError),
    /// A chain is not one.
    #[error("{path}: {source}")]
    Chain {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ChainError,
    },
    /// A public key is not one.
    #[error("{path}: {source}")]
    Public {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: crypto::KeyError,
    },
}

impl Material {
    /// Reads everything; makes what is missing unless the directory is complete.
    pub async fn ensure(layout: &Layout, state: &State) -> Result<Self, MaterialError> {
        let maker = Maker {
            layout,
            complete: state.complete,
            passphrase: passphrase(layout, state.complete)?,
            start: UNIX_EPOCH + Duration::from_millis(state.created_ms) - BACKDATE,
        };
        Ok(Self {
            passphrase: layout.passphrase(),
            oidc: maker.oidc()?,
            fulcio: maker
                .authority(
                    "fulcio",
                    "Sigkeep code-signing",
                    Role::Intermediate {
                        purpose: Purpose::CodeSigning,
                    },
                )
                .await?,
            tsa: maker
                .authority("tsa", "Sigkeep timestamping", Role::TimestampLeaf)
                .await?,
            ct: maker.log("ct")?,
            rekor: maker.log("rekor")?,
        })
    }
}

fn passphrase(layout: &Layout, complete: bool) -> Result<Passphrase, MaterialError> {
    let path = layout.passphrase();
    if exists(&path, complete)? {
        Ok(Passphrase::from_file(&path)?)
    } else {
        Ok(Passphrase::create_file(&path)?)
    }
}

/// Whether `path` is there. Where it must be, an error if it is not.
fn exists(path: &Path, complete: bool) -> Result<bool, LayoutError> {
    match path.try_exists() {
        Ok(false) if complete => Err(LayoutError::Lost {
            path: path.to_owned(),
        }),
        Ok(there) => Ok(there),
        Err(source) => Err(files::io_at(path)(source).into()),
    }
}

struct Maker<'a> {
    layout: &'a Layout,
    complete: bool,
    passphrase: Passphrase,
    start: SystemTime,
}

impl Maker<'_> {
    /// The one key that is kept without encryption: it lies beside the passphrase anyway, it
    /// vouches for anybody who asks, and `sigkeep token` signs with it, thousands of times in a
    /// test run, so it should not cost a key derivation.
    fn oidc(&self) -> Result<IssuerKey, MaterialError> {
        let path = self.layout.oidc_key();
        if exists(&path, self.complete)? {
            return read_oidc_key(&path);
        }
        let key = IssuerKey::generate()?;
        files::create(&path, key.to_pkcs8_pem().as_bytes())?;
        Ok(key)
    }

    async fn authority(
        &self,
        name: &str,
        title: &str,
        role: Role,
    ) -> Result<Authority, MaterialError> {
        let key = self.layout.key(name);
        let chain_file = self.layout.certificates().join(format!("{name}-chain.pem"));
        exists(&key, self.complete)?;
        if !exists(&chain_file, self.complete)? {
            let root_key = self.signer(&self.layout.key(&format!("{name}-root")))?;
            let issued_key = self.signer(&key)?;
            let root = self.template(Role::Root, &format!("{title} root"), ROOT_LIFETIME);
            let root = issue(&root, root_key.public_key(), Issuer::SelfSigned, &root_key).await?;
            let issued = self.template(role, title, ISSUED_LIFETIME);
            let issued = issue(
                &issued,
                issued_key.public_key(),
                Issuer::Certificate(&root),
                &root_key,
            )
            .await?;
            let chain = Chain::from_der(vec![issued, root])
                .map_err(|source| chain_error(&chain_file, source))?;
            files::create(&chain_file, chain.to_pem().concat().as_bytes())?;
        }
        let pem = files::read(&chain_file)?;
        let chain = Chain::from_pem(&String::from_utf8_lossy(&pem))
            .map_err(|source| chain_error(&chain_file, source))?;
        Ok(Authority {
            key,
            chain_file,
            chain,
        })
    }

    fn log(&self, name: &str) -> Result<LogKey, MaterialError> {
        let key = self.layout.key(name);
        let public_file = self.layout.certificates().join(format!("{name}.pub"));
        exists(&key, self.complete)?;
        if !exists(&public_file, self.complete)? {
            let signer = self.signer(&key)?;
            files::create(&public_file, signer.public_key().to_pem().as_bytes())?;
        }
        let pem = files::read(&public_file)?;
        let public =
            crypto::PublicKey::from_pem(&String::from_utf8_lossy(&pem)).map_err(|source| {
                MaterialError::Public {
                    path: public_file.clone(),
                    source,
                }
            })?;
        Ok(LogKey {
            key,
            public_file,
            public,
        })
    }

    /// P-256 throughout: the one curve that every client takes for every role.
    fn signer(&self, path: &Path) -> Result<FileSigner, MaterialError> {
        if exists(path, self.complete)? {
            Ok(FileSigner::load(path, &self.passphrase)?)
        } else {
            Ok(FileSigner::create(
                path,
                Algorithm::EcdsaP256Sha256,
                &self.passphrase,
            )?)
        }
    }

    fn template(&self, role: Role, common_name: &str, lifetime: Duration) -> Template {
        let subject = Subject {
            organization: ORGANIZATION.to_owned(),
            common_name: common_name.to_owned(),
        };
        Template {
            role,
            subject,
            not_before: self.start,
            not_after: self.start + lifetime,
        }
    }
}

/// The development issuer's key in `path`.
pub fn read_oidc_key(path: &Path) -> Result<IssuerKey, MaterialError> {
    let pem = zeroize::Zeroizing::new(files::read(path)?);
    Ok(IssuerKey::from_pkcs8_pem(
        std::str::from_utf8(&pem).unwrap_or_default(),
    )?)
}

fn chain_error(path: &Path, source: ChainError) -> MaterialError {
    MaterialError::Chain {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::ports::Ports;
    use super::super::state::{LogIds, StoreKind};
    use super::*;

    fn state() -> State {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        State::new(
            u64::try_from(now.as_millis()).unwrap(),
            StoreKind::Sqlite,
            LogIds { rekor: 1, ct: 2 },
            Ports::DEFAULT,
        )
    }

    #[tokio::test]
    async fn what_was_made_is_read_back_and_passes_the_services_checks() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::open(directory.path()).unwrap();
        let mut state = state();
        let made = Material::ensure(&layout, &state).await.unwrap();
        state.complete = true;
        let read = Material::ensure(&layout, &state).await.unwrap();
        assert_eq!(made.fulcio.chain, read.fulcio.chain);
        assert_eq!(made.tsa.chain, read.tsa.chain);
        assert_eq!(made.ct.public, read.ct.public);
        assert_eq!(made.rekor.public, read.rekor.public);

        let passphrase = Passphrase::from_file(&read.passphrase).unwrap();
        let key = |path: &Path| {
            FileSigner::load(path, &passphrase)
                .unwrap()
                .public_key()
                .clone()
        };
        let now = SystemTime::now();
        read.fulcio
            .chain
            .check_certificate_authority(&key(&read.fulcio.key), now)
            .unwrap();
        read.tsa
            .chain
            .check_timestamp_authority(&key(&read.tsa.key), now, true)
            .unwrap();
        assert_eq!(key(&read.ct.key), read.ct.public);
    }

    #[tokio::test]
    async fn an_interrupted_creation_is_continued_with_the_keys_it_made() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::open(directory.path()).unwrap();
        let state = state();
        let first = Material::ensure(&layout, &state).await.unwrap();
        // As if the crash had come before these two were written.
        fs::remove_file(&first.tsa.chain_file).unwrap();
        fs::remove_file(&first.rekor.public_file).unwrap();
        let second = Material::ensure(&layout, &state).await.unwrap();
        assert_eq!(first.fulcio.chain, second.fulcio.chain);
        assert_eq!(first.tsa.chain.public_key(), second.tsa.chain.public_key());
        assert_eq!(first.rekor.public, second.rekor.public);
    }

    #[tokio::test]
    async fn in_a_complete_directory_nothing_lost_is_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::open(directory.path()).unwrap();
        let mut state = state();
        let material = Material::ensure(&layout, &state).await.unwrap();
        state.complete = true;
        for path in [
            material.fulcio.key.clone(),
            material.tsa.chain_file.clone(),
            material.rekor.key.clone(),
            layout.oidc_key(),
            layout.passphrase(),
        ] {
            let content = fs::read(&path).unwrap();
            fs::remove_file(&path).unwrap();
            let error = Material::ensure(&layout, &state).await.unwrap_err();
            assert!(
                matches!(error, MaterialError::Layout(LayoutError::Lost { .. })),
                "{}: {error}",
                path.display()
            );
            assert!(!path.exists());
            fs::write(&path, content).unwrap();
        }
        Material::ensure(&layout, &state).await.unwrap();
    }
}
