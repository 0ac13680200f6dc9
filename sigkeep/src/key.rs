//! `sigkeep key`: making keys where they will live.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use custody::cli::KeyAlgorithm;
use keys::{KeyUri, KeyUriError, OpenError, Passphrase, PassphraseError};

/// What to do with keys.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a key and print its public half in PEM
    ///
    /// The key is made where it lives: a file is encrypted with the passphrase, an HSM's or KMS's
    /// key never leaves it. Overwrites nothing.
    #[command(after_help = "\
Example:
  sigkeep key create file:rekor.key.pem --passphrase-file passphrase > rekor.pub")]
    Create(Create),
}

/// Options of `key create`.
#[derive(Debug, clap::Args)]
pub struct Create {
    /// Where it is to be: file:PATH, wrapped:PATH?kek=URI, pkcs11:…, awskms://…, hashivault://…
    // Text until `make` reads it: clap's errors repeat values, and this one may hold a PIN.
    uri: String,

    /// What it signs with; Rekor v1 and CT logs take ecdsa-p256 only
    #[arg(long, value_enum, default_value_t = KeyAlgorithm::P256)]
    algorithm: KeyAlgorithm,

    /// File with the passphrase that encrypts a key file, or with the PIN of a PKCS#11 token
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,

    /// Print {"key", "algorithm", "public_key"} as JSON
    #[arg(long)]
    json: bool,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
enum KeyError {
    #[error("a key file is encrypted: name a file with its passphrase by --passphrase-file")]
    NoPassphrase,
    #[error(transparent)]
    Uri(#[from] KeyUriError),
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    #[error(transparent)]
    Create(OpenError),
    #[error("the key was made, and its public half could not be printed: {0}")]
    Print(#[from] std::io::Error),
}

impl From<OpenError> for KeyError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::PassphraseMissing(_) => Self::NoPassphrase,
            other => Self::Create(other),
        }
    }
}

impl KeyError {
    /// 2: used or configured wrongly; 1: it failed.
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::NoPassphrase
            | Self::Uri(_)
            | Self::Passphrase(_)
            | Self::Create(OpenError::File(_) | OpenError::NotBuilt(_)) => ExitCode::from(2),
            Self::Create(_) | Self::Print(_) => ExitCode::from(1),
        }
    }
}

/// Does it. Exit codes: 0 done, 1 the key's backend failed, 2 wrong usage.
pub async fn run(command: Command) -> ExitCode {
    let Command::Create(create) = command;
    match make(create).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            error.exit_code()
        }
    }
}

async fn make(create: Create) -> Result<(), KeyError> {
    let Create {
        uri,
        algorithm,
        passphrase_file,
        json,
    } = create;
    let uri: KeyUri = uri.parse()?;
    let passphrase = passphrase_file
        .map(|path| Passphrase::from_file(&path))
        .transpose()?;
    let signer = keys::create(&uri, algorithm.into(), passphrase.as_ref()).await?;
    let pem = signer.public_key().to_pem();
    let text = match json {
        true => format!(
            "{}\n",
            serde_json::json!({
                "key": uri.to_string(),
                "algorithm": algorithm.name(),
                "public_key": pem,
            })
        ),
        false => pem,
    };
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
