//! The command line: `rekor-rs …`, and `sigkeep rekor …`.

mod copy;
mod fsck;
mod log;
mod search;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clock::SystemClock;
use logstore::{SharedStore, StoreError};
use serve::CheckConfig;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, ConfigError, Kind};
use crate::{Error, Service, service};

pub use log::LogCommand;

/// Commands of the log service.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Serve the configured logs until stopped.
    Serve {
        /// The configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Check a configuration.
    ///
    /// Nothing is started, no key or database opened and nobody asked.
    CheckConfig(CheckConfig),
    /// Search a log by signer, issuer, digest, kind and time
    ///
    /// Options of several kinds narrow the search; those that may be repeated widen or narrow it as
    /// --any says. The table is for people; --json prints one object a line and is complete.
    Search(Box<search::Arguments>),
    /// Create, freeze, rotate and list logs.
    #[command(subcommand)]
    Log(LogCommand),
    /// Check that what is stored is what was signed
    ///
    /// Reads every entry up to the head and computes everything again with another implementation: leaf
    /// hashes, tiles, root, search index. Compares with what is stored, the signed checkpoint and the
    /// roll-back guard, says which entry or tile is damaged and what to do. Changes nothing, and may run
    /// beside the service.
    Fsck(fsck::Arguments),
    /// Write logs into a directory, as tiles that any web server can publish
    ///
    /// Each log gets a directory of its own, named by its id: checkpoint, tiles of hashes and of entries,
    /// and what restores it. Run again, it adds what is new; interrupted, it goes on. Whoever has the log's
    /// public key can verify it (`verify-export`) without any server. Changes nothing in the database, and
    /// may run beside the service.
    Export(copy::Export),
    /// Verify the export of one log with nothing but the log's public key
    VerifyExport(copy::VerifyExport),
    /// Take over a log from an export, or from another Rekor's API
    ///
    /// The log keeps its tree id, the order and times of its entries and what its key signed, so that old
    /// bundles and entry ids stay valid. It arrives frozen. Every entry, and the root under the signed
    /// checkpoint, is verified. Interrupted, the same command goes on; run again later, it adds what is new.
    /// SQLite: stop the service first.
    Import(copy::Import),
}

/// What a command failed with.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Service(#[from] Error),
    #[error(transparent)]
    Serve(#[from] serve::ServeError),
    #[error(transparent)]
    Search(#[from] search::SearchError),
    #[error("signals: {0}")]
    Signals(std::io::Error),
    #[error("--key: {0}")]
    NewKey(Box<keys::OpenError>),
    #[error("the next shard's entry in the trusted root: {0}")]
    TrustEntry(String),
    #[error(transparent)]
    Fsck(#[from] crate::fsck::Error),
    #[error(transparent)]
    Export(#[from] crate::archive::ArchiveError),
    #[error(transparent)]
    Import(#[from] crate::import::ImportError),
    #[error("{path}: {source}")]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("there is no database {0}; only `serve` and `log create` make one")]
    NoDatabase(PathBuf),
}

impl CommandError {
    /// 2: used or configured wrongly; 1: it failed.
    fn exit_code(&self) -> ExitCode {
        use keys::OpenError::{File, NotBuilt, PassphraseMissing};
        let wrong = match self {
            Self::NewKey(source) | Self::Service(Error::Key { source, .. }) => {
                matches!(**source, File(_) | NotBuilt(_) | PassphraseMissing(_))
            }
            Self::Search(error) => error.is_usage(),
            Self::NoDatabase(_)
            | Self::TrustEntry(_)
            | Self::File { .. }
            | Self::Fsck(crate::fsck::Error::Usage(_))
            | Self::Service(
                Error::Config(_)
                | Error::Passphrase(_)
                | Error::Mismatch(_)
                | Error::Io { .. }
                | Error::Store(StoreError::Address(_) | StoreError::NoSuchLog(_)),
            ) => true,
            _ => false,
        };
        if wrong {
            ExitCode::from(2)
        } else {
            ExitCode::FAILURE
        }
    }
}

impl From<ConfigError> for CommandError {
    fn from(error: ConfigError) -> Self {
        Self::Service(error.into())
    }
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        Self::Service(error.into())
    }
}

/// Runs a command. `open` opens the store at a database URL.
pub async fn run(
    command: Command,
    open: impl AsyncFn(&str) -> Result<SharedStore, StoreError>,
) -> ExitCode {
    let success = |()| ExitCode::SUCCESS;
    let done = match command {
        Command::Serve { config } => serve(config, open).await.map(success),
        Command::CheckConfig(arguments) => {
            return arguments.conclude(check_config(&arguments.file));
        }
        Command::Log(command) => log::run(command, open).await.map(success),
        Command::Fsck(arguments) => fsck::run(arguments, open).await,
        Command::Export(arguments) => copy::export(arguments, open).await.map(success),
        Command::VerifyExport(arguments) => copy::verify(arguments).await,
        Command::Import(arguments) => copy::import(arguments, open).await.map(success),
        Command::Search(arguments) => search::run(*arguments)
            .await
            .map(success)
            .map_err(Into::into),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            error.exit_code()
        }
    }
}

/// What a configuration says, once it is known to be in order.
fn check_config(path: &Path) -> Result<Vec<String>, CommandError> {
    let config = Config::load(path)?;
    let mut found: Vec<_> = config
        .logs
        .iter()
        .map(|log| {
            let origin = log.origin.as_deref().unwrap_or(&config.hostname);
            let kind = logstore::LogKind::from(log.kind);
            format!("log {origin} ({})", kind.as_str())
        })
        .collect();
    if config.logs.iter().any(|log| log.kind == Kind::Ct) {
        let roots = service::ct_roots(&config)?.len();
        found.push(format!("{roots} accepted roots of CT logs"));
    }
    if let Some(tls) = &config.server.tls {
        tls.check().map_err(|reason| ConfigError::Value {
            key: "server.tls",
            reason,
        })?;
    }
    Ok(found)
}

async fn serve(
    path: PathBuf,
    open: impl AsyncFn(&str) -> Result<SharedStore, StoreError>,
) -> Result<(), CommandError> {
    serve::logging::init(serve::logging::Format::detect(), "info");
    let config = Config::load(&path)?;
    let server = config.server.clone();
    if server.metrics.is_some() {
        serve::metrics::install();
    }
    let limits = serve::Limits {
        body: config.limits.body,
        ..serve::Limits::default()
    };
    let store = open(&server.database).await?;
    let service = Service::open(config, store, SystemClock::shared()).await?;
    let stop = serve::stop_on_signals().map_err(CommandError::Signals)?;
    let listener = serve::listen(server.listen).await?;
    tracing::info!(address = %server.listen, "serving");
    let api = serve::serve(
        "rekor",
        listener,
        service.router(),
        server.tls,
        limits,
        stop.clone(),
    );
    match server.metrics {
        None => api.await?,
        Some(address) => {
            let listener = serve::listen(address).await?;
            let metrics = serve_metrics(listener, stop);
            let (api, metrics) = tokio::join!(api, metrics);
            api.and(metrics)?;
        }
    }
    Ok(())
}

async fn serve_metrics(
    listener: tokio::net::TcpListener,
    stop: CancellationToken,
) -> Result<(), serve::ServeError> {
    let limits = serve::Limits::default();
    serve::serve(
        "rekor-metrics",
        listener,
        serve::metrics::router(),
        None,
        limits,
        stop,
    )
    .await
}

/// Opens the configured store without making a database file: a mistyped path is an error, and not
/// an empty database.
async fn open_existing(
    config: &Path,
    open: impl AsyncFn(&str) -> Result<SharedStore, StoreError>,
) -> Result<SharedStore, CommandError> {
    database(&Config::load(config)?, false, open).await
}

/// The same, for reading beside the service if nothing is to be changed.
async fn database(
    config: &Config,
    read_only: bool,
    open: impl AsyncFn(&str) -> Result<SharedStore, StoreError>,
) -> Result<SharedStore, CommandError> {
    let database = &config.server.database;
    let Some(("sqlite", path)) = database.split_once(':') else {
        return Ok(open(database).await?);
    };
    if !Path::new(path).exists() {
        return Err(CommandError::NoDatabase(path.into()));
    }
    Ok(match read_only {
        false => open(database).await?,
        true => open(&format!("{database}?mode=ro")).await?,
    })
}

/// Longest file of text that a command is given.
const MAX_TEXT: u64 = 1 << 20;

/// Reads a small file.
fn read_text(path: &PathBuf) -> Result<String, CommandError> {
    let read = || {
        let mut text = String::new();
        let mut file = std::fs::File::open(path)?.take(MAX_TEXT + 1);
        file.read_to_string(&mut text)?;
        match text.len() as u64 {
            0..=MAX_TEXT => Ok(text),
            _ => Err(std::io::Error::other("longer than 1 MiB")),
        }
    };
    read().map_err(|source| CommandError::File {
        path: path.clone(),
        source,
    })
}

fn print_json(value: &impl serde::Serialize) {
    // Strings and numbers: there is nothing here that could not be printed.
    println!(
        "{}",
        serde_json::to_string_pretty(value).unwrap_or_default()
    );
}
