//! The arguments.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use keys::Algorithm;

/// Making the signing certificate, its successors, and the switch between them
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Make an authority: a root, the key that the service signs with, and its certificate
    ///
    /// Keys are made where they live: file:PATH, wrapped:PATH?kek=URI, pkcs11:…, awskms://…,
    /// hashivault://…, openbao://…. Nothing is overwritten. What was done is in DIR/transcript.txt.
    #[command(after_help = "\
Examples (fulcio-rs ca …):
  init DIR --organization Corp --url https://fulcio.corp.example --passphrase-file PASSPHRASE
  init DIR --organization Corp --url https://fulcio.corp.example \\
      --root-key 'pkcs11:token=root;object=root?…' --key 'awskms:///alias/sigkeep-ca'
  init DIR --organization Corp --url https://fulcio.corp.example --root-elsewhere --key 'pkcs11:…'")]
    Init(Box<Init>),
    /// Take back the chain that a root elsewhere has signed; it is checked strictly
    Import(Import),
    /// Make the successor, which signs nothing yet: key, certificate (or request), trust-root entry
    Next(Box<Next>),
    /// Let the successor sign, once the published trust root lists it; the service follows
    Activate(Activate),
    /// Say what signs, what is next, when each ends; exit code 1 if something is due
    Status(Status),
    /// Print what was done, after checking that no line was changed
    Transcript(Show),
}

/// Options of `init`.
#[derive(Clone, Debug, Args)]
pub struct Init {
    /// Directory of the authority; made if it is missing
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Organisation in the certificates
    #[arg(long, value_name = "NAME")]
    pub organization: String,
    /// URL at which clients reach the service; of a timestamp authority with /api/v1/timestamp
    #[arg(long)]
    pub url: String,
    /// The key that the service signs with
    #[command(flatten)]
    pub signing: SigningKey,
    /// The root's key [default: file:DIR/root-key.pem]
    #[arg(long, value_name = "URI")]
    pub root_key: Option<String>,
    /// What the root's key is
    #[arg(long, value_enum, default_value_t = KeyAlgorithm::P384)]
    pub root_algorithm: KeyAlgorithm,
    /// The root's key is there already: take it instead of making it
    #[arg(long)]
    pub use_existing_root_key: bool,
    /// Days that the root is valid
    #[arg(long, value_name = "DAYS", default_value_t = 3650, value_parser = clap::value_parser!(u32).range(30..=36500))]
    pub root_lifetime: u32,
    /// PEM of the authority whose key --root-key is, with those above it, instead of a new root
    #[arg(long, value_name = "FILE", requires = "root_key")]
    pub root_certificate: Option<PathBuf>,
    /// The root is elsewhere: make the key and a certificate signing request
    #[arg(long, conflicts_with_all = ["root_key", "root_certificate", "use_existing_root_key"])]
    pub root_elsewhere: bool,
    /// Print what was made as JSON
    #[arg(long)]
    pub json: bool,
}

/// The key that signs, its certificate, and what opens the keys.
#[derive(Clone, Debug, Args)]
pub struct SigningKey {
    /// Key that the service signs with [default: file:DIR/N/key.pem, N the generation]
    // Text until `run` reads it: clap's errors repeat values, and this one may hold a PIN.
    #[arg(long, value_name = "URI")]
    pub key: Option<String>,
    /// What that key is
    #[arg(long, value_enum, default_value_t = KeyAlgorithm::P256)]
    pub algorithm: KeyAlgorithm,
    /// That key is there already: take it instead of making it
    #[arg(long)]
    pub use_existing_key: bool,
    /// File with the passphrase of key files, or with the PIN of a token; as for the service
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// The same for the root's key [default: --passphrase-file]
    #[arg(long, value_name = "FILE")]
    pub root_passphrase_file: Option<PathBuf>,
    /// Days that the certificate is valid [default: 1095; of a timestamp authority 3650]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(7..=36500))]
    pub lifetime: Option<u32>,
}

/// Options of `import`.
#[derive(Clone, Debug, Args)]
pub struct Import {
    /// Directory of the authority
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// PEM: the certificate that the root signed, those above it, the root last
    #[arg(value_name = "CHAIN")]
    pub chain: PathBuf,
    /// Print what was taken as JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `next`.
#[derive(Clone, Debug, Args)]
pub struct Next {
    /// Directory of the authority
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// The key that is to sign next
    #[command(flatten)]
    pub signing: SigningKey,
    /// The root's key, if it is not where it was [default: as for init]
    #[arg(long, value_name = "URI")]
    pub root_key: Option<String>,
    /// Make a certificate signing request for a root elsewhere
    #[arg(long, conflicts_with = "root_key")]
    pub request: bool,
    /// Print what was made as JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `activate`.
#[derive(Clone, Debug, Args)]
pub struct Activate {
    /// Directory of the authority
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// trusted_root.json as it is published
    #[arg(long, value_name = "FILE")]
    pub trusted_root: PathBuf,
    /// Which generation, if not the newest: the way back
    #[arg(long, value_name = "NUMBER")]
    pub generation: Option<u32>,
    /// Print what signs now as JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `status`.
#[derive(Clone, Debug, Args)]
pub struct Status {
    /// Directory of the authority
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// What ends within so many days is due
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    pub within: u32,
    /// trusted_root.json as it is published: also say whether it lists what signs
    #[arg(long, value_name = "FILE")]
    pub trusted_root: Option<PathBuf>,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Which authority.
#[derive(Clone, Debug, Args)]
pub struct Show {
    /// Directory of the authority
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}

/// Algorithms of keys that every client can verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeyAlgorithm {
    /// ECDSA P-256 with SHA-256
    #[value(name = "ecdsa-p256")]
    P256,
    /// ECDSA P-384 with SHA-384
    #[value(name = "ecdsa-p384")]
    P384,
}

impl KeyAlgorithm {
    /// As it is written on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::P256 => "ecdsa-p256",
            Self::P384 => "ecdsa-p384",
        }
    }
}

impl From<KeyAlgorithm> for Algorithm {
    fn from(algorithm: KeyAlgorithm) -> Self {
        match algorithm {
            KeyAlgorithm::P256 => Self::EcdsaP256Sha256,
            KeyAlgorithm::P384 => Self::EcdsaP384Sha384,
        }
    }
}
