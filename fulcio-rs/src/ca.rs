//! Creating a certificate authority on disk: a root and an issuing intermediate.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use keys::{Algorithm, FileKeyError, FileSigner, Passphrase, Signer};
use pki::authority::{AuthorityError, Issuer, Purpose, Role, Template, prepare};
use pki::chain::{Chain, ChainError};
use pki::name::Subject;

/// A year, more or less.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
const ROOT_YEARS: u32 = 10;
const INTERMEDIATE_YEARS: u32 = 3;

/// What to create.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Organisation in both certificates.
    pub organization: String,
    /// Algorithm of the root's key: P-256 or P-384.
    pub root: Algorithm,
    /// Algorithm of the intermediate's key: P-256 or P-384.
    pub intermediate: Algorithm,
    /// Start of validity.
    pub not_before: SystemTime,
}

/// Where the parts are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The root's key, encrypted. It signs nothing more until the next intermediate: take it
    /// offline.
    pub root_key: PathBuf,
    /// The intermediate's key, encrypted.
    pub key: PathBuf,
    /// PEM: intermediate, then root.
    pub chain: PathBuf,
}

impl Files {
    /// The parts in `directory`.
    #[must_use]
    pub fn within(directory: &Path) -> Self {
        Self {
            root_key: directory.join("root-key.pem"),
            key: directory.join("intermediate-key.pem"),
            chain: directory.join("chain.pem"),
        }
    }
}

/// Why nothing was created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// A key.
    #[error(transparent)]
    Key(#[from] FileKeyError),
    /// Clients cannot verify certificates signed with such a key.
    #[error("keys of certificate authorities must be P-256 or P-384")]
    Algorithm,
    /// A certificate could not be made.
    #[error("certificate: {0}")]
    Certificate(#[from] AuthorityError),
    /// A certificate could not be signed.
    #[error(transparent)]
    Sign(#[from] keys::SignError),
    /// A signature does not have its form.
    #[error(transparent)]
    Form(#[from] pki::SignatureForm),
    /// The chain does not hold together.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A file could not be written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// Creates a root (ten years) and an intermediate (three years) in `directory`, which is made if
/// it is missing. Nothing that exists is overwritten. The chain is written last, so that a
/// directory with a chain is complete.
pub async fn create(
    directory: &Path,
    passphrase: &Passphrase,
    plan: &Plan,
) -> Result<Files, CreateError> {
    let is_good = |algorithm| {
        matches!(
            algorithm,
            Algorithm::EcdsaP256Sha256 | Algorithm::EcdsaP384Sha384
        )
    };
    if !is_good(plan.root) || !is_good(plan.intermediate) {
        return Err(CreateError::Algorithm);
    }
    let files = Files::within(directory);
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| CreateError::Io { path, source }
    };
    std::fs::create_dir_all(directory).map_err(io(directory))?;
    if files.chain.exists() {
        return Err(io(&files.chain)(std::io::ErrorKind::AlreadyExists.into()));
    }
    let root_key = FileSigner::create(&files.root_key, plan.root, passphrase)?;
    let key = FileSigner::create(&files.key, plan.intermediate, passphrase)?;
    let chain = certify(plan, &root_key, &key).await?;
    write_new(&files.chain, &chain.to_pem().concat()).map_err(io(&files.chain))?;
    Ok(files)
}

async fn certify(
    plan: &Plan,
    root_key: &FileSigner,
    key: &FileSigner,
) -> Result<Chain, CreateError> {
    let template = |role, name: &str, years| Template {
        role,
        subject: Subject {
            organization: plan.organization.clone(),
            common_name: name.to_owned(),
        },
        not_before: plan.not_before,
        not_after: plan.not_before + YEAR * years,
    };
    let root = prepare(
        &template(Role::Root, "code signing root", ROOT_YEARS),
        root_key.public_key(),
        Issuer::SelfSigned,
    )?;
    let signature = root_key.sign(root.tbs()).await?;
    let root = root.finish(&signature)?;
    let intermediate = prepare(
        &template(
            Role::Intermediate {
                purpose: Purpose::CodeSigning,
            },
            "code signing intermediate",
            INTERMEDIATE_YEARS,
        ),
        key.public_key(),
        Issuer::Certificate(&root),
    )?;
    let signature = root_key.sign(intermediate.tbs()).await?;
    let chain = Chain::from_der(vec![intermediate.finish(&signature)?, root])?;
    chain
        .check_certificate_authority(key.public_key(), plan.not_before + Duration::from_secs(1))?;
    Ok(chain)
}

fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let mut file = std::fs::File::create_new(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
