//! The PEM container of a private key: PKCS#8, encrypted (RFC 5958 §3, PBES2 of RFC 8018) or not.

use std::sync::{Mutex, PoisonError};
use std::thread;

use pkcs8::pkcs5::pbes2::{Kdf, Parameters};
use pkcs8::pkcs5::scrypt;
use pkcs8::{EncryptedPrivateKeyInfoRef, LineEnding, PrivateKeyInfoRef, SecretDocument};
use zeroize::Zeroizing;

use crate::Passphrase;

/// scrypt cost, as log2(N): 2^14 × 8 × 128 bytes = 16 MiB, about 30 ms optimised, so that a program
/// that opens ten keys at start stays well under a second. OpenSSL 3 refuses to spend more than
/// 32 MiB, and should be able to read these files.
const SCRYPT_LOG_N: u8 = 14;
const SCRYPT_R: u32 = 8;
const SCRYPT_P: u32 = 1;

/// Most memory that reading a file may cost, in bytes (N × r × 128).
const MAX_SCRYPT_MEMORY: u64 = 1 << 30;
/// Most scrypt lanes, which multiply the time.
const MAX_SCRYPT_LANES: u16 = 16;
/// Most PBKDF2 rounds, a few seconds.
const MAX_PBKDF2_ROUNDS: u32 = 10_000_000;

/// A private key out of its container.
pub(crate) enum Unsealed {
    /// DER `PrivateKeyInfo` that was encrypted.
    Encrypted(SecretDocument),
    /// DER `PrivateKeyInfo` that was not encrypted.
    Plain(SecretDocument),
    /// DER `ECPrivateKey` (RFC 5915) that was not encrypted.
    PlainSec1(SecretDocument),
}

/// Why a container cannot be made or opened, as a sentence for operators.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SealError {
    #[error("it is not a PEM private key: {0}")]
    NotPem(pkcs8::der::Error),
    #[error("the file is a {0}; convert it with `openssl pkcs8 -topk8`")]
    Label(String),
    #[error("the key is encrypted; give its passphrase")]
    PassphraseMissing,
    #[error("wrong passphrase, or the file is damaged")]
    WrongPassphrase,
    #[error(
        "its encryption is not supported ({0}); convert it with `openssl pkcs8 -topk8 -scrypt`"
    )]
    Unsupported(String),
    #[error(
        "its key derivation costs more than this program will spend; convert it with `openssl pkcs8 -topk8 -scrypt`"
    )]
    TooCostly,
    #[error("an empty passphrase protects nothing; choose another")]
    EmptyPassphrase,
    #[error("the private key could not be encrypted")]
    Failed,
}

/// Encrypts a DER `PrivateKeyInfo` (scrypt, AES-256-CBC) into PEM `ENCRYPTED PRIVATE KEY`.
pub(crate) fn seal(
    private_key_info: &[u8],
    passphrase: &Passphrase,
) -> Result<Zeroizing<String>, SealError> {
    if passphrase.expose().is_empty() {
        return Err(SealError::EmptyPassphrase);
    }
    let (mut salt, mut iv) = ([0; 16], [0; 16]);
    for random in [&mut salt, &mut iv] {
        aws_lc_rs::rand::fill(random).map_err(|_| SealError::Failed)?;
    }
    let cost =
        scrypt::Params::new(SCRYPT_LOG_N, SCRYPT_R, SCRYPT_P).map_err(|_| SealError::Failed)?;
    let parameters =
        Parameters::generate_scrypt_aes256cbc(cost, &salt, iv).map_err(|_| SealError::Failed)?;
    let seal = || {
        PrivateKeyInfoRef::try_from(private_key_info)
            .and_then(|info| info.encrypt_with_params(parameters, passphrase.expose()))
            .map_err(|_| SealError::Failed)
    };
    let sealed = in_turn(seal).unwrap_or(Err(SealError::Failed))?;
    sealed
        .to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF)
        .map_err(|_| SealError::Failed)
}

/// Opens a PEM private key; `passphrase` is used only if it is encrypted.
pub(crate) fn unseal(pem: &str, passphrase: Option<&Passphrase>) -> Result<Unsealed, SealError> {
    if pem.contains("Proc-Type:") {
        // The key derivation of this OpenSSL 0.9 form is one round of MD5.
        return Err(SealError::Label(
            "key in a legacy encryption (DEK-Info)".to_owned(),
        ));
    }
    let (label, document) = SecretDocument::from_pem(pem).map_err(SealError::NotPem)?;
    match label {
        "PRIVATE KEY" => Ok(Unsealed::Plain(document)),
        "EC PRIVATE KEY" => Ok(Unsealed::PlainSec1(document)),
        "ENCRYPTED PRIVATE KEY" => {
            decrypt(&document, passphrase.ok_or(SealError::PassphraseMissing)?)
                .map(Unsealed::Encrypted)
        }
        other => Err(SealError::Label(format!("PEM {other}"))),
    }
}

fn decrypt(
    document: &SecretDocument,
    passphrase: &Passphrase,
) -> Result<SecretDocument, SealError> {
    let encrypted: EncryptedPrivateKeyInfoRef<'_> =
        document.decode_msg().map_err(SealError::NotPem)?;
    let parameters = encrypted
        .encryption_algorithm
        .pbes2()
        .ok_or_else(|| SealError::Unsupported("PBES1".to_owned()))?;
    if !affordable(&parameters.kdf) {
        return Err(SealError::TooCostly);
    }
    in_turn(|| encrypted.decrypt(passphrase.expose()))
        .ok_or(SealError::TooCostly)?
        .map_err(|error| match error {
            pkcs8::Error::EncryptedPrivateKey(
                unsupported @ (pkcs8::pkcs5::Error::UnsupportedAlgorithm { .. }
                | pkcs8::pkcs5::Error::AlgorithmParametersInvalid { .. }),
            ) => SealError::Unsupported(unsupported.to_string()),
            // One wrong passphrase in 256 happens to end in valid padding; then the content is not DER.
            _ => SealError::WrongPassphrase,
        })
}

/// One key derivation at a time, on a thread that ends with it; `None` if that thread fails.
///
/// A derivation takes 16 MiB for a moment. glibc keeps that much for ever for each thread that did
/// one, and hands it on when the thread ends: spread over a program's worker threads it would add
/// up to more than all the rest.
fn in_turn<T: Send>(derive: impl FnOnce() -> T + Send) -> Option<T> {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    thread::scope(|scope| scope.spawn(derive).join().ok())
}

fn affordable(kdf: &Kdf) -> bool {
    match kdf {
        Kdf::Scrypt(scrypt) => {
            let memory = u128::from(scrypt.cost_parameter) * u128::from(scrypt.block_size) * 128;
            memory <= u128::from(MAX_SCRYPT_MEMORY) && scrypt.parallelization <= MAX_SCRYPT_LANES
        }
        Kdf::Pbkdf2(pbkdf2) => pbkdf2.iteration_count <= MAX_PBKDF2_ROUNDS,
        _ => false,
    }
}
