//! Keys in encrypted PKCS#8 files (PBES2: scrypt, AES-256-CBC), used in memory.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::ParsedPublicKey;
use zeroize::Zeroizing;

use crate::pair::{Pair, PairError};
use crate::sealed::{SealError, Unsealed, seal, unseal};
use crate::{Algorithm, Passphrase, SignError, Signer, durable};

/// Longest key file that is read, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// A key that was read from a file into memory.
pub struct FileSigner {
    algorithm: Algorithm,
    public_key: crypto::PublicKey,
    pair: Pair,
    /// The public half as the library verifies with it.
    verifier: ParsedPublicKey,
}

/// Why a key file could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum FileKeyError {
    /// Reading or writing failed.
    #[error("key file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// There is no such file.
    #[error(
        "key file {path} does not exist: restore it, or, if there never was one, make it with \
         `sigkeep key create file:{path}`"
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// There is already something at this path; keys are never overwritten.
    #[error("key file {path} exists; keys are never overwritten: use it, or move it away")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The content is not a key this can use, or the passphrase is wrong.
    #[error("key file {path}: {reason}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The system could not make a key.
    #[error("a new {0} key could not be made")]
    Generate(Algorithm),
}

/// What is wrong with the content of a key file.
#[derive(Debug, thiserror::Error)]
enum ContentError {
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Pair(#[from] PairError),
}

impl std::fmt::Debug for FileSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileSigner")
            .field("algorithm", &self.algorithm)
            .field("public_key", &self.public_key)
            .finish_non_exhaustive()
    }
}

impl FileSigner {
    /// Makes a new key in memory only. For tests; services refuse such keys.
    pub fn generate(algorithm: Algorithm) -> Result<Self, FileKeyError> {
        Pair::generate(algorithm)
            .and_then(Self::new)
            .map_err(|_| FileKeyError::Generate(algorithm))
    }

    /// Makes a new key and writes it, encrypted, to `path`, which must not exist (mode 0600,
    /// file and directory fsynced).
    pub fn create(
        path: &Path,
        algorithm: Algorithm,
        passphrase: &Passphrase,
    ) -> Result<Self, FileKeyError> {
        let signer = Self::generate(algorithm)?;
        let sealed = signer
            .pair
            .private_key_info()
            .map_err(|_| FileKeyError::Generate(algorithm))
            .and_then(|key| seal(&key, passphrase).map_err(|error| unusable(path, &error)))?;
        match durable::create_private(path, sealed.as_bytes()) {
            Ok(()) => Ok(signer),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(FileKeyError::Exists {
                    path: path.to_owned(),
                })
            }
            Err(source) => Err(FileKeyError::Io {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// Reads a PEM key: `ENCRYPTED PRIVATE KEY` (PBES2), `PRIVATE KEY` or `EC PRIVATE KEY`. A key
    /// that is not encrypted is used, with a warning in the log.
    pub fn load(path: &Path, passphrase: &Passphrase) -> Result<Self, FileKeyError> {
        Self::read(path, Some(passphrase))
    }

    /// Reads a PEM key that is not encrypted, with a warning in the log.
    pub fn load_unencrypted(path: &Path) -> Result<Self, FileKeyError> {
        Self::read(path, None)
    }

    fn read(path: &Path, passphrase: Option<&Passphrase>) -> Result<Self, FileKeyError> {
        let io = |source| FileKeyError::Io {
            path: path.to_owned(),
            source,
        };
        let file = match File::open(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(FileKeyError::Missing {
                    path: path.to_owned(),
                });
            }
            opened => opened.map_err(io)?,
        };
        warn_of_open_permissions(path, &file);
        let mut pem = Zeroizing::new(String::with_capacity(4096));
        file.take(MAX_FILE).read_to_string(&mut pem).map_err(io)?;
        let (signer, encrypted) =
            Self::from_pem(&pem, passphrase).map_err(|error| unusable(path, &error))?;
        if !encrypted {
            tracing::warn!(path = %path.display(), "the private key is not encrypted; encrypt it with `openssl pkcs8 -topk8 -scrypt`");
        }
        Ok(signer)
    }

    /// The key in `pem`, and whether it was encrypted.
    fn from_pem(pem: &str, passphrase: Option<&Passphrase>) -> Result<(Self, bool), ContentError> {
        let (pair, encrypted) = match unseal(pem, passphrase)? {
            Unsealed::Encrypted(info) => (Pair::from_private_key_info(info.as_bytes())?, true),
            Unsealed::Plain(info) => (Pair::from_private_key_info(info.as_bytes())?, false),
            Unsealed::PlainSec1(key) => (Pair::from_sec1(key.as_bytes())?, false),
        };
        Ok((Self::new(pair)?, encrypted))
    }

    /// The signer over a DER `PrivateKeyInfo` that was decrypted elsewhere.
    #[cfg(feature = "remote")]
    pub(crate) fn from_private_key_info(der: &[u8]) -> Result<Self, PairError> {
        Pair::from_private_key_info(der).and_then(Self::new)
    }

    /// The DER `PrivateKeyInfo`, to encrypt it elsewhere.
    #[cfg(feature = "remote")]
    pub(crate) fn private_key_info(&self) -> Result<Zeroizing<Vec<u8>>, PairError> {
        self.pair.private_key_info()
    }

    fn new(pair: Pair) -> Result<Self, PairError> {
        let public_key =
            crypto::PublicKey::from_spki_der(&pair.public_key()?).map_err(|_| PairError::Key)?;
        Ok(Self {
            algorithm: pair.algorithm(),
            public_key,
            verifier: pair.verifier()?,
            pair,
        })
    }
}

#[async_trait::async_trait]
impl Signer for FileSigner {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn public_key(&self) -> &crypto::PublicKey {
        &self.public_key
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let failed = |_| SignError::Refused("the signature could not be computed".to_owned());
        let signature = self.pair.sign_unchecked(message).map_err(failed)?;
        // A fault in memory or processor during signing can give the key away.
        self.verifier
            .verify_sig(message, signature.as_ref())
            .map_err(|_| SignError::BadSignature)?;
        Ok(signature.as_ref().to_vec())
    }
}

fn unusable(path: &Path, error: &impl std::fmt::Display) -> FileKeyError {
    FileKeyError::Unusable {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

fn warn_of_open_permissions(path: &Path, file: &File) {
    let mode = file
        .metadata()
        .map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o077 != 0 {
        tracing::warn!(path = %path.display(), mode = format_args!("{:03o}", mode & 0o777), "other users may read the private key; chmod 600");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Algorithm; 3] = [
        Algorithm::EcdsaP256Sha256,
        Algorithm::EcdsaP384Sha384,
        Algorithm::Ed25519,
    ];

    fn passphrase() -> Passphrase {
        Passphrase::new("correct horse")
    }

    fn verifies(signer: &FileSigner, message: &[u8], signature: &[u8]) -> bool {
        let hash = signer
            .algorithm()
            .hash()
            .unwrap_or(crypto::HashAlgorithm::Sha512);
        signer.public_key().verify(hash, message, signature).is_ok()
    }

    #[tokio::test]
    async fn signatures_verify_under_the_public_key_only_for_their_message() {
        for algorithm in ALL {
            let signer = FileSigner::generate(algorithm).unwrap();
            let signature = signer.sign(b"message").await.unwrap();
            assert!(verifies(&signer, b"message", &signature), "{algorithm}");
            assert!(!verifies(&signer, b"other", &signature), "{algorithm}");
        }
    }

    #[tokio::test]
    async fn a_created_key_is_the_one_loaded() {
        let directory = tempfile::tempdir().unwrap();
        for (index, algorithm) in ALL.into_iter().enumerate() {
            let path = directory.path().join(format!("{index}.pem"));
            let created = FileSigner::create(&path, algorithm, &passphrase()).unwrap();
            let loaded = FileSigner::load(&path, &passphrase()).unwrap();
            assert_eq!(loaded.algorithm(), algorithm);
            assert_eq!(loaded.public_key(), created.public_key());
            let signature = loaded.sign(b"message").await.unwrap();
            assert!(verifies(&created, b"message", &signature));
            assert!(
                std::fs::read_to_string(&path)
                    .unwrap()
                    .starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
            );
            assert_eq!(
                std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
    }

    #[test]
    fn an_existing_key_is_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        let first = FileSigner::create(&path, Algorithm::EcdsaP256Sha256, &passphrase()).unwrap();
        let error =
            FileSigner::create(&path, Algorithm::EcdsaP256Sha256, &passphrase()).unwrap_err();
        assert!(matches!(error, FileKeyError::Exists { .. }), "{error}");
        assert_eq!(
            FileSigner::load(&path, &passphrase()).unwrap().public_key(),
            first.public_key()
        );
    }

    #[test]
    fn a_wrong_or_missing_passphrase_is_named_as_such() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        FileSigner::create(&path, Algorithm::Ed25519, &passphrase()).unwrap();
        let wrong = FileSigner::load(&path, &Passphrase::new("wrong"))
            .unwrap_err()
            .to_string();
        assert!(
            wrong.contains("wrong passphrase") && wrong.contains("key.pem"),
            "{wrong}"
        );
        let missing = FileSigner::load_unencrypted(&path).unwrap_err().to_string();
        assert!(missing.contains("give its passphrase"), "{missing}");
    }

    #[test]
    fn an_empty_passphrase_is_refused_and_leaves_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        assert!(FileSigner::create(&path, Algorithm::Ed25519, &Passphrase::new("")).is_err());
        assert!(!path.exists());
    }

    #[test]
    fn a_key_that_is_not_encrypted_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        let signer = FileSigner::generate(Algorithm::EcdsaP384Sha384).unwrap();
        let der = signer.pair.private_key_info().unwrap();
        let pem = pkcs8::SecretDocument::try_from(der.as_slice()).unwrap();
        std::fs::write(
            &path,
            pem.to_pem("PRIVATE KEY", pkcs8::LineEnding::LF).unwrap(),
        )
        .unwrap();
        assert_eq!(
            FileSigner::load_unencrypted(&path).unwrap().public_key(),
            signer.public_key()
        );
        assert_eq!(
            FileSigner::load(&path, &passphrase()).unwrap().public_key(),
            signer.public_key()
        );
    }

    #[test]
    fn other_files_are_refused_with_a_reason() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        for (content, says) in [
            ("", "not a PEM private key"),
            (
                "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
                "PEM CERTIFICATE",
            ),
            (
                "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n",
                "valid private key",
            ),
            (
                "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nMAA=\n-----END EC PRIVATE KEY-----\n",
                "legacy encryption",
            ),
        ] {
            std::fs::write(&path, content).unwrap();
            let error = FileSigner::load(&path, &passphrase())
                .unwrap_err()
                .to_string();
            assert!(error.contains(says), "{content:?}: {error}");
        }
    }

    #[test]
    fn debug_shows_nothing_private() {
        let signer = FileSigner::generate(Algorithm::EcdsaP256Sha256).unwrap();
        let shown = format!("{signer:?}");
        assert!(
            shown.starts_with("FileSigner { algorithm: EcdsaP256Sha256, public_key: PublicKey("),
            "{shown}"
        );
        assert!(!shown.contains("pair"), "{shown}");
    }
}
