//! What can be said on the command line.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};
use keys::KeyUri;

use crate::metadata::{RoleName, TargetName};
use crate::policy::Period;

/// Makes, publishes, refreshes and checks the TUF repository that hands a private Sigstore's trust
/// root to its clients.
///
/// In order: `init` makes keys and the first root; `target add` stages trusted_root.json and its
/// companions; `publish` signs and puts the tree in place under DIR/published, which any static
/// file server may serve; `refresh`, at least daily, keeps it from expiring; `verify`, from
/// monitoring, tells whether clients accept it. Give every client DIR/published/root.json on a way
/// that you trust, not from the mirror itself.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a repository: its keys, where they do not exist yet, and its first root
    ///
    /// Without options each role gets one key of its own, an encrypted file under DIR/keys. Root
    /// and targets keys should be kept elsewhere: name them with --key (file:PATH; several for a
    /// role with --threshold ROLE=K). Publishes nothing.
    Init(Init),
    /// Add, remove or list the files that the next publication holds
    #[command(subcommand)]
    Target(TargetCommand),
    /// Sign and publish what is staged, and what nears its expiry
    ///
    /// Before anything is put in place the new tree is walked as clients would: by one that is new
    /// and by one that knows what is published now. timestamp.json is replaced last, so a crash
    /// leaves the old state or the new one.
    Publish(Signing),
    /// Sign again what nears its expiry
    ///
    /// Run it at least daily (timestamp is valid for seven days by default). Needs the snapshot
    /// and timestamp keys; warns when root or targets near their end and their keys are not here.
    Refresh(Signing),
    /// Check what is published as a strict client, expiry included
    ///
    /// Reads DIR/published, or with --mirror what a server hands out. Exit code 1 if a client
    /// would refuse anything, or will within --within.
    Verify(Verify),
    /// Serve what is published over HTTP, and refresh it in time
    ///
    /// Serves DIR/published and nothing else, with /healthz, and /readyz that fails once clients
    /// would refuse it. Also does what `refresh` does, for as long as it runs, unless --no-refresh
    /// is given. Any static file server may be used instead, with `refresh` from a timer.
    Serve(Serve),
    /// Write files for clients: root.json, trusted_root.json, signing config, client trust config
    Export(ExportArgs),
}

/// Where the repository is.
#[derive(Debug, Args)]
pub struct Location {
    /// Directory of the repository
    #[arg(long, value_name = "DIR", default_value = "tuf", env = "TUF_ROOT_DIR")]
    pub dir: PathBuf,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// Where the repository and its passphrase are.
#[derive(Debug, Args)]
pub struct Signing {
    /// Where the repository is
    #[command(flatten)]
    pub location: Location,
    /// File with the passphrase of the key files
    #[arg(long, value_name = "FILE", env = "TUF_ROOT_PASSPHRASE_FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// Options of `init`.
#[derive(Debug, Args)]
pub struct Init {
    /// Where the repository and its passphrase are
    #[command(flatten)]
    pub signing: Signing,
    /// Key of a role, such as root=file:/media/stick/root-1.pem; may be given several times. A file
    /// that does not exist is made; a relative path is meant from DIR
    #[arg(long = "key", value_name = "ROLE=URI", value_parser = of_role::<KeyUri>)]
    pub keys: Vec<(RoleName, KeyUri)>,
    /// How many of a role's keys must sign, such as root=2
    #[arg(long = "threshold", value_name = "ROLE=K", value_parser = of_role::<u32>)]
    pub thresholds: Vec<(RoleName, u32)>,
    /// How long a role's metadata is valid, such as timestamp=7d (the default) or root=365d
    #[arg(long = "expiry", value_name = "ROLE=PERIOD", value_parser = of_role::<Period>)]
    pub expiries: Vec<(RoleName, Period)>,
    /// How long before its end a role is signed again, such as timestamp=6d (the default)
    #[arg(long = "window", value_name = "ROLE=PERIOD", value_parser = of_role::<Period>)]
    pub windows: Vec<(RoleName, Period)>,
}

/// `target …`
#[derive(Debug, Subcommand)]
pub enum TargetCommand {
    /// Stage a file for the next publication
    Add {
        /// Where the repository is
        #[command(flatten)]
        location: Location,
        /// The file
        file: PathBuf,
        /// Its name in the repository; by default the file's own
        #[arg(long)]
        name: Option<TargetName>,
        /// What it is for, for older clients that look for keys and certificates by usage
        #[arg(long)]
        usage: Option<UsageArg>,
        /// Whether it is in use
        #[arg(long, requires = "usage", default_value = "active")]
        status: StatusArg,
        /// The service it belongs to
        #[arg(long, requires = "usage", value_name = "URL")]
        uri: Option<String>,
    },
    /// Leave a file out of the next publication
    Remove {
        /// Where the repository is
        #[command(flatten)]
        location: Location,
        /// Its name
        name: TargetName,
    },
    /// Show what is published and what the next publication changes
    List {
        /// Where the repository is
        #[command(flatten)]
        location: Location,
    },
}

/// What a file is for.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum UsageArg {
    /// Certificate authority: PEM certificates.
    Fulcio,
    /// Log: one PEM public key.
    Rekor,
    /// Certificate Transparency log: one PEM public key.
    Ctfe,
    /// Timestamp authority: PEM certificates.
    Tsa,
}

/// Whether a file is in use.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum StatusArg {
    /// In use.
    Active,
    /// For old signatures only.
    Expired,
}

/// Options of `verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// Where the repository is
    #[command(flatten)]
    pub location: Location,
    /// URL of a mirror to check instead of DIR/published; needs --root
    #[arg(long, value_name = "URL", requires = "root")]
    pub mirror: Option<String>,
    /// The root that the client starts from; by default DIR/roots/1.root.json
    #[arg(long, value_name = "FILE")]
    pub root: Option<PathBuf>,
    /// Also fail if a role expires within this time, such as 2d
    #[arg(long, value_name = "PERIOD")]
    pub within: Option<Period>,
}

/// Options of `serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// Where the repository and its passphrase are
    #[command(flatten)]
    pub signing: Signing,
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8085")]
    pub listen: SocketAddr,
    /// Only serve: the keys are elsewhere, and so is the refresh
    #[arg(long)]
    pub no_refresh: bool,
}

/// Options of `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Where the repository is
    #[command(flatten)]
    pub location: Location,
    /// What to print; without it all files are written to --out
    #[arg(value_enum)]
    pub what: Option<ExportKind>,
    /// Directory for the files
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with = "what",
        required_unless_present = "what"
    )]
    pub out: Option<PathBuf>,
    /// URL that clients will find the repository under; needed for the environment
    #[arg(long, value_name = "URL", required_if_eq("what", "env"))]
    pub mirror: Option<String>,
}

/// What to print.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ExportKind {
    /// ClientTrustConfig, for `sigstore --trust-config`.
    ClientTrustConfig,
    /// trusted_root.json, for `cosign --trusted-root`.
    TrustedRoot,
    /// Signing config, for `cosign --signing-config`.
    SigningConfig,
    /// Shell variables for cosign.
    Env,
}

fn of_role<T: FromStr>(text: &str) -> Result<(RoleName, T), String>
where
    T::Err: Display,
{
    let (role, value) = text.split_once('=').ok_or("write ROLE=VALUE")?;
    let role = RoleName::ALL
        .into_iter()
        .find(|r| r.as_str() == role)
        .ok_or("the roles are root, targets, snapshot and timestamp")?;
    Ok((role, value.parse().map_err(|e: T::Err| e.to_string())?))
}
