//! The command line: `tuf-root …`, also `sigkeep tuf …`.
//!
//! One file for each group of commands: what can be said, and what is done about it.

mod bundle;
mod ceremony;
mod check;
mod collect;
mod copies;
mod export;
mod init;
mod key;
mod publish;
mod recover;
mod rotate;
mod serve;
mod service;
mod stage;
mod status;
mod target;
mod verify;

use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::OnceLock;

use clap::{Args, Subcommand};
use clock::SystemClock;
use keys::Passphrase;

pub use bundle::BundleCommand;
pub use ceremony::{PayloadCommand, Sign, SignatureCommand};
pub use check::CheckArgs;
pub use collect::Collect;
pub use copies::Copies;
pub use export::{AdmissionArgs, ExportArgs, ExportKind};
pub use init::Init;
pub use key::KeyCommand;
pub use publish::{Publish, Refresh};
pub use recover::Recover;
pub use rotate::{NewOnlineKeys, RevokeCommand, Rotate, RotateCommand};
pub use serve::Serve;
pub use service::RotateService;
pub use stage::{StageCommand, StagedRole, Unstage};
pub use target::{StatusArg, TargetCommand, UsageArg};
pub use verify::Verify;

use crate::metadata::RoleName;
use crate::repository::{Repository, RepositoryError};

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
    /// Public keys of the roles: who holds them, and the proof that they do
    #[command(subcommand)]
    Key(KeyCommand),
    /// Freeze a new root or new targets for signatures that are made elsewhere
    #[command(subcommand)]
    Stage(StageCommand),
    /// Drop a staged root or staged targets that nobody needs any more
    Unstage(Unstage),
    /// Say what the next publication changes for clients
    Diff(Location),
    /// Write what is staged to a file for the keyholders
    #[command(subcommand)]
    Payload(PayloadCommand),
    /// On a keyholder's machine: show what is to be signed, ask, and sign
    ///
    /// Needs nothing but the payload file and the key. The summary is made anew from the bytes to
    /// sign. Refuses a lower version than this key signed before, another content under the same
    /// version, a validity that is too long, and anything that some client would refuse.
    Sign(Sign),
    /// Take signatures that were made elsewhere
    #[command(subcommand)]
    Signature(SignatureCommand),
    /// Replace keys in good order; with --check, see what that does to signatures of the past
    ///
    /// `rotate --check BUNDLES` verifies past bundles under the published trusted root and under
    /// the one that is staged: after a log, a certificate authority or a timestamp authority was
    /// rotated, and before anything is signed or published. Exit code 1, and the bundle and the
    /// reason, if one would stop verifying. `stage targets` and `publish` take --check as well,
    /// and then change nothing.
    Rotate(Rotate),
    /// Replace keys that somebody else has
    #[command(subcommand)]
    Revoke(RevokeCommand),
    /// Go on after DIR was restored from a backup: take over the live mirror and jump ahead of it
    Recover(Recover),
    /// Show where the repository is in its life, for people and for monitoring
    ///
    /// Exit code 1 if somebody has to do something now.
    Status(Location),
    /// Print the transcript after checking that no line was changed
    Transcript(Location),
    /// Add, remove or list the files that the next publication holds
    #[command(subcommand)]
    Target(TargetCommand),
    /// Make the trust documents from what running services say of themselves, and stage them
    ///
    /// Shows every key and certificate with its SHA-256 fingerprint: = is published, + is new, - is
    /// published and not offered any more. What is new must be approved: with --approve, or at the
    /// terminal. What is published stays.
    Collect(Box<Collect>),
    /// Sign and publish what is staged, and what nears its expiry
    ///
    /// Before anything is put in place the new tree is walked as clients would: by one that is new
    /// and by one that knows what is published now. timestamp.json is replaced last, so a crash
    /// leaves the old state or the new one.
    ///
    /// What `stage` froze is published once enough keys have signed it; signatures of keys that
    /// this machine can use are added now. Keys of other roles are replaced in two steps, so that
    /// no client is refused in between; if it is interrupted, run it again.
    Publish(Publish),
    /// Sign again what nears its expiry
    ///
    /// Run it at least daily (timestamp is valid for seven days by default). Needs the snapshot
    /// and timestamp keys; warns when root or targets near their end and their keys are not here.
    Refresh(Refresh),
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
    /// Write files for clients: trust documents, environment, gitsign, manifests for clusters
    Export(ExportArgs),
    /// Carry the trust root into an air-gapped network, and keep it alive there
    #[command(subcommand)]
    Bundle(BundleCommand),
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

/// What the person typed to get here: `tuf-root`, or `sigkeep tuf`.
static PROGRAM: OnceLock<&'static str> = OnceLock::new();

/// Runs one command of `program`, which is how messages name the commands to type next.
///
/// Exit codes: 0 done, 1 the check failed, 2 wrong usage or configuration.
pub async fn run(command: Command, program: &'static str) -> ExitCode {
    PROGRAM.get_or_init(|| program);
    let done = match command {
        Command::Init(args) => init::init(args).await,
        Command::Target(command) => target::target(command).await,
        Command::Key(command) => key::key(command).await,
        Command::Stage(command) => stage::stage(command).await,
        Command::Unstage(args) => stage::unstage(args).await,
        Command::Diff(args) => stage::diff(args).await,
        Command::Payload(command) => ceremony::payload(command).await,
        Command::Sign(args) => ceremony::sign(args).await,
        Command::Signature(command) => ceremony::signature(command).await,
        Command::Rotate(args) => {
            return rotate::rotate(args).await.unwrap_or_else(Failure::exit);
        }
        Command::Revoke(command) => rotate::revoke(command).await,
        Command::Recover(args) => recover::recover(args).await,
        Command::Status(args) => return status::status(args).await,
        Command::Transcript(args) => status::transcript(&args),
        Command::Publish(args) => publish::publish(args).await,
        Command::Refresh(args) => publish::refresh(args).await,
        Command::Verify(args) => return verify::verify(args).await,
        Command::Serve(args) => serve::serve(args).await,
        Command::Collect(args) => return collect::collect(*args).await,
        Command::Export(args) => export::export(args).await,
        Command::Bundle(command) => bundle::bundle(command).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.exit(),
    }
}

/// Anything that went wrong, in words for the person at the terminal.
#[derive(Debug)]
struct Failure {
    text: String,
    code: u8,
}

impl Failure {
    /// Prints it; the exit code.
    fn exit(self) -> ExitCode {
        eprintln!("error: {}", typed(&self.text));
        ExitCode::from(self.code)
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self { text, code: 2 }
    }
}

impl From<&str> for Failure {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<RepositoryError> for Failure {
    fn from(error: RepositoryError) -> Self {
        let code = match error {
            // Nothing is wrong with the command: this is what it was asked to find out.
            RepositoryError::Preflight(_) => 1,
            _ => 2,
        };
        Self {
            text: error.to_string(),
            code,
        }
    }
}

fn say(error: impl Display) -> Failure {
    error.to_string().into()
}

/// Prints what to do next, and the like.
fn tell(text: impl Display) {
    println!("{}", typed(&text.to_string()));
}

/// Texts name commands as `tuf-root …`; the person has to type what they typed this time.
fn typed(text: &str) -> String {
    match PROGRAM.get().copied() {
        Some(program) => text.replace("`tuf-root ", &format!("`{program} ")),
        None => text.to_owned(),
    }
}

impl Signing {
    fn passphrase(&self) -> Result<Option<Passphrase>, Failure> {
        self.passphrase_file
            .as_deref()
            .map(Passphrase::from_file)
            .transpose()
            .map_err(say)
    }

    fn open(&self) -> Result<Repository, Failure> {
        Repository::open(
            &self.location.dir,
            self.passphrase()?,
            SystemClock::shared(),
        )
        .map_err(say)
    }
}

impl Location {
    fn open(&self) -> Result<Repository, Failure> {
        Repository::open(&self.dir, None, SystemClock::shared()).map_err(say)
    }
}

fn of_role<T: FromStr>(text: &str) -> Result<(RoleName, T), String>
where
    T::Err: Display,
{
    let (role, value) = text.split_once('=').ok_or("write ROLE=VALUE")?;
    Ok((
        role_name(role)?,
        value.parse().map_err(|e: T::Err| e.to_string())?,
    ))
}

fn role_name(text: &str) -> Result<RoleName, String> {
    let role = RoleName::ALL.into_iter().find(|r| r.as_str() == text);
    role.ok_or_else(|| "the roles are root, targets, snapshot and timestamp".to_owned())
}

fn print_json(value: &serde_json::Value) {
    println!("{value:#}");
}
