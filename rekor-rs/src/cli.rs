//! The command line: `rekor-rs …`, and `sigkeep rekor …`.

mod log;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clock::SystemClock;
use logstore::{SharedStore, StoreError};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, ConfigError};
use crate::{Error, Service};

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
    /// Create, freeze, rotate and list logs.
    #[command(subcommand)]
    Log(LogCommand),
}

/// What a command failed with.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Service(#[from] Error),
    #[error(transparent)]
    Serve(#[from] serve::ServeError),
    #[error("signals: {0}")]
    Signals(std::io::Error),
    #[error("--key: {0}")]
    NewKey(Box<keys::OpenError>),
    #[error("the next shard's entry in the trusted root: {0}")]
    TrustEntry(String),
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
            Self::NoDatabase(_)
            | Self::TrustEntry(_)
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
    let done = match command {
        Command::Serve { config } => serve(config, open).await,
        Command::Log(command) => log::run(command, open).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            error.exit_code()
        }
    }
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
    let database = Config::load(config)?.server.database;
    if let Some(("sqlite", path)) = database.split_once(':')
        && !Path::new(path).exists()
    {
        return Err(CommandError::NoDatabase(path.into()));
    }
    Ok(open(&database).await?)
}
