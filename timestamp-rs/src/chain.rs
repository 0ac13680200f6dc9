//! A timestamp authority's own hierarchy: a root, and the leaf that it certifies.

use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use keys::{Algorithm, FileKeyError, FileSigner, Passphrase, SignError, Signer};
use pki::SignatureForm;
use pki::authority::{AuthorityError, Issuer, Role, Template, prepare};
use pki::chain::certificate_to_pem;
use pki::name::Subject;

/// Ten years: a leaf is as hard to replace as a root, because clients pin it.
const VALIDITY: Duration = Duration::from_secs(3652 * 24 * 60 * 60);

/// Backdating of the certificates, for clients whose clocks are behind.
const BACKDATE: Duration = Duration::from_secs(60);

/// The files of a new hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// PEM certificates, leaf first: `tsa-chain.pem`.
    pub certificate_chain: PathBuf,
    /// The leaf's encrypted key, which the service signs with: `tsa.key.pem`.
    pub key: PathBuf,
    /// The root's encrypted key, to be taken offline: `tsa-root.key.pem`.
    pub root_key: PathBuf,
}

/// Who the authority is.
#[derive(Clone, Debug)]
pub struct Options {
    /// `O` of both certificates.
    pub organization: String,
    /// Of both keys: P-256 or P-384.
    pub algorithm: Algorithm,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            organization: "Sigkeep".to_owned(),
            algorithm: Algorithm::EcdsaP256Sha256,
        }
    }
}

/// Why no hierarchy was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// A key, or that there is one already.
    #[error(transparent)]
    Key(#[from] FileKeyError),
    /// A certificate.
    #[error(transparent)]
    Certificate(#[from] AuthorityError),
    /// A signature.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// A signature of another form.
    #[error(transparent)]
    Form(#[from] SignatureForm),
    /// The directory or the certificates could not be written.
    #[error("{path}: {source}")]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// Makes a root and a timestamping leaf, valid for ten years from `now`, with their keys in files
/// encrypted under `passphrase`. Creates `directory` if need be; it must hold none of [`Files`].
pub async fn create(
    directory: &Path,
    passphrase: &Passphrase,
    options: &Options,
    now: SystemTime,
) -> Result<Files, CreateError> {
    let files = Files {
        certificate_chain: directory.join("tsa-chain.pem"),
        key: directory.join("tsa.key.pem"),
        root_key: directory.join("tsa-root.key.pem"),
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|source| CreateError::Write {
            path: directory.to_owned(),
            source,
        })?;
    // Certificates hold whole seconds.
    let now = now
        - Duration::from_nanos(
            now.duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.subsec_nanos().into()),
        );
    let root_key = FileSigner::create(&files.root_key, options.algorithm, passphrase)?;
    let key = FileSigner::create(&files.key, options.algorithm, passphrase)?;
    let template = |role, common_name: &str| Template {
        role,
        subject: Subject {
            organization: options.organization.clone(),
            common_name: common_name.to_owned(),
        },
        not_before: now - BACKDATE,
        not_after: now + VALIDITY,
    };
    let root = prepare(
        &template(Role::Root, "Timestamping root"),
        root_key.public_key(),
        Issuer::SelfSigned,
    )?;
    let signature = root_key.sign(root.tbs()).await?;
    let root = root.finish(&signature)?;
    let leaf = template(Role::TimestampLeaf, "Timestamping");
    let leaf = prepare(&leaf, key.public_key(), Issuer::Certificate(&root))?;
    let signature = root_key.sign(leaf.tbs()).await?;
    let leaf = leaf.finish(&signature)?;
    let pem = certificate_to_pem(&leaf) + &certificate_to_pem(&root);
    write_new(&files.certificate_chain, pem.as_bytes()).map_err(|source| CreateError::Write {
        path: files.certificate_chain.clone(),
        source,
    })?;
    Ok(files)
}

fn write_new(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::File::create_new(path)?;
    file.write_all(content)?;
    file.sync_all()
}
