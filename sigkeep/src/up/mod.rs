//! `sigkeep up`: every service in one process, on loopback, for development and tests.
//!
//! A start is one line of steps, in [`run`]: take the directory, bind the ports, make or read keys
//! and certificates, open the services, serve, wait until each says that it is ready, announce.
//! A crash between any two steps leaves a directory that the next start continues from.

mod announce;
pub mod compose;
pub mod files;
pub mod first_entry;
pub mod issuers;
pub mod layout;
pub mod material;
pub mod ports;
pub mod servers;
pub mod state;
pub mod trust;

use std::io::Write;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clock::SystemClock;
use logstore::StoreError;
use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;

pub use announce::Endpoints;
pub use material::MaterialError;

use compose::{ComposeError, Plan};
use files::FileError;
use layout::{Layout, LayoutError};
use material::Material;
use ports::{Bound, Loopback, OffLoopback, PortError, Ports};
use servers::{Servers, ServersError};
use state::{LogIds, State, StoreKind};

/// Run everything in one process, for development and tests
///
/// Starts a certificate authority (Fulcio), a transparency log (Rekor, CT), a timestamp authority,
/// a TUF repository and a development identity provider on loopback. Creates what is missing in
/// the data directory, reuses what is there, and prints how to sign and verify when it is ready.
/// Stop it with Ctrl-C or SIGTERM; start it again and everything is still there.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Where keys, logs and trust root are kept
    #[arg(
        long,
        value_name = "DIR",
        env = "SIGKEEP_DATA_DIR",
        default_value = "./sigkeep-data"
    )]
    data_dir: PathBuf,

    /// Take any free ports instead of 5555, 3000, 3004, 8080 and 8085; the directory keeps them
    #[arg(long)]
    free_ports: bool,

    /// Keep the logs in PostgreSQL (postgres://…) instead of in a file of the directory
    #[arg(
        long,
        value_name = "URL",
        env = "SIGKEEP_DATABASE",
        hide_env_values = true
    )]
    // Text until `run` checks it: clap's errors repeat values, and this one may hold a password.
    database: Option<SecretString>,

    /// Listen on this loopback address only [default: 127.0.0.1 and, where there is one, ::1]
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<IpAddr>,
}

/// Why `up` did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum UpError {
    /// An address that others can reach.
    #[error(transparent)]
    OffLoopback(#[from] OffLoopback),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The data directory.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A port.
    #[error(transparent)]
    Port(#[from] PortError),
    /// `--database` is not the URL of a database.
    #[error("--database: write postgres://USER@HOST/DATABASE")]
    Database,
    /// The logs of this directory are elsewhere.
    #[error("{0}")]
    OtherStore(&'static str),
    /// Keys and certificates.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// A service could not be opened. Boxed: with every key backend it is larger than all the rest.
    #[error(transparent)]
    Compose(Box<ComposeError>),
    /// A service does not run.
    #[error(transparent)]
    Servers(#[from] ServersError),
    /// The operating system gives no random numbers.
    #[error("the system's random number generator failed")]
    NoRandomness,
    /// Signals cannot be caught.
    #[error("signals cannot be caught: {0}")]
    Signals(std::io::Error),
}

impl UpError {
    /// 2: used or configured wrongly; 1: it failed.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::OffLoopback(_)
            | Self::File(_)
            | Self::Layout(_)
            | Self::Port(_)
            | Self::Database
            | Self::OtherStore(_) => ExitCode::from(2),
            Self::Compose(error) => match **error {
                ComposeError::Store(StoreError::Address(_)) => ExitCode::from(2),
                _ => ExitCode::from(1),
            },
            Self::Material(_) | Self::Servers(_) | Self::NoRandomness | Self::Signals(_) => {
                ExitCode::from(1)
            }
        }
    }
}

impl From<ComposeError> for UpError {
    fn from(error: ComposeError) -> Self {
        Self::Compose(Box::new(error))
    }
}

/// Runs until told to stop.
pub async fn run(arguments: Arguments) -> Result<(), UpError> {
    let begun = Instant::now();
    let stop = serve::stop_on_signals().map_err(UpError::Signals)?;
    let loopback = arguments
        .bind
        .map(Loopback::only)
        .transpose()?
        .unwrap_or_default();
    let database = arguments
        .database
        .as_ref()
        .map(|url| check_database(url.expose_secret()))
        .transpose()?;
    let layout = Layout::open(&arguments.data_dir)?;
    // A process that was killed could not remove it.
    files::remove(&layout.endpoints())?;

    let store = match database {
        None => StoreKind::Sqlite,
        Some(_) => StoreKind::Postgres,
    };
    let clock = SystemClock::shared();
    let (mut state, bound) = match layout.state()? {
        Some(state) => {
            check_store(state.store, store)?;
            let bound = Bound::at(state.ports, loopback, true).await?;
            (state, bound)
        }
        None => {
            let bound = match arguments.free_ports {
                true => Bound::free(loopback).await?,
                false => Bound::at(Ports::DEFAULT, loopback, false).await?,
            };
            let state = State::new(
                clock.now_ms(),
                store,
                LogIds::random().map_err(|_| UpError::NoRandomness)?,
                bound.ports,
            );
            // Before anything names a port: an interrupted start keeps its choice.
            layout.save(&state)?;
            (state, bound)
        }
    };
    // The screen says so, too.
    tracing::info!(
        "the identity provider of `up` is for development: it signs in whoever reaches it, without a password"
    );

    let material = Material::ensure(&layout, &state).await?;
    let plan = Plan {
        layout: &layout,
        state: &state,
        material,
        database,
        clock,
    };
    let servers = Servers::start(plan.open().await?, bound)?;
    let ended = operate(
        &servers,
        &layout,
        &mut state,
        &arguments.data_dir,
        begun,
        &stop,
    )
    .await;
    // First of all: nobody should find services that are going away.
    let removed = files::remove(&layout.endpoints());
    servers.stop().await;
    ended?;
    Ok(removed?)
}

/// From the first service that answers to the signal to stop.
async fn operate(
    servers: &Servers,
    layout: &Layout,
    state: &mut State,
    directory: &std::path::Path,
    begun: Instant,
    stop: &CancellationToken,
) -> Result<(), UpError> {
    tokio::select! {
        ready = servers.ready(READY_WITHIN) => ready?,
        () = stop.cancelled() => return Ok(()),
    }
    if !state.complete {
        state.complete = true;
        layout.save(state)?;
    }
    let endpoints = Endpoints::on(&state.ports);
    endpoints.publish(layout)?;
    // Nobody may be reading; that is no reason to stop.
    let _unread = writeln!(
        std::io::stdout(),
        "{}",
        endpoints.screen(directory, begun.elapsed())
    );
    tokio::select! {
        failure = servers.failed() => Err(failure.into()),
        () = stop.cancelled() => Ok(()),
    }
}

/// Longest time from the first service that serves to the last that is ready.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// The URL may hold a password, so no error repeats it.
fn check_database(url: &str) -> Result<&str, UpError> {
    match url.split_once("://") {
        Some(("postgres" | "postgresql", _)) => Ok(url),
        _ => Err(UpError::Database),
    }
}

fn check_store(made_with: StoreKind, asked: StoreKind) -> Result<(), UpError> {
    match (made_with, asked) {
        (StoreKind::Postgres, StoreKind::Sqlite) => Err(UpError::OtherStore(
            "the logs of this data directory are in PostgreSQL: give its --database URL again",
        )),
        (StoreKind::Sqlite, StoreKind::Postgres) => Err(UpError::OtherStore(
            "the logs of this data directory are in its own file: leave out --database, or choose a new --data-dir",
        )),
        _ => Ok(()),
    }
}
