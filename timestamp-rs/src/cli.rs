//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clock::SystemClock;
use custody::Purpose;
use serve::logging::Format;
use serve::{Limits, listen, serve};

use crate::config::ServerConfig;
use crate::{Config, Service};

/// Wrong usage or configuration.
const USAGE: u8 = 2;

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Serve timestamps until told to stop
    Serve {
        /// Configuration file (see examples/timestamp.yaml)
        #[arg(long, value_name = "FILE", env = "TIMESTAMP_CONFIG")]
        config: PathBuf,
    },
    /// The key and certificates: make them, prepare and activate a successor, status
    #[command(subcommand)]
    Chain(custody::cli::Command),
}

/// Does it. Exit codes: 0 done, 1 serving failed, 2 wrong usage or configuration.
pub async fn run(command: Command) -> ExitCode {
    match command {
        Command::Serve { config } => {
            serve::logging::init(Format::detect(), "info");
            match Config::load(&config) {
                Ok(config) => run_service(config).await,
                Err(error) => fail(USAGE, &error),
            }
        }
        Command::Chain(command) => {
            custody::cli::run(command, Purpose::TimeStamping, "timestamp-rs chain").await
        }
    }
}

async fn run_service(config: Config) -> ExitCode {
    serve::metrics::install();
    serve::keep_memory_private();
    let ServerConfig {
        listen: address,
        metrics,
        tls,
    } = config.server.clone();
    let limits = Limits {
        body: config.limits.body,
        concurrency: config.limits.concurrency,
        ..Limits::default()
    };
    let service = match Service::open(config, SystemClock::shared()).await {
        Ok(service) => service,
        Err(error) => return fail(USAGE, &error),
    };
    let served = async {
        let stop = serve::stop_on_signals()?;
        let listener = listen(address).await?;
        let operators = match metrics {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        tracing::info!(address = %listener.local_addr()?, tls = tls.is_some(), "serving timestamps");
        let metrics = async {
            match operators {
                Some(listener) => {
                    let router = serve::metrics::router();
                    serve(
                        "timestamp-metrics",
                        listener,
                        router,
                        None,
                        Limits::default(),
                        stop.clone(),
                    )
                    .await
                }
                None => Ok(()),
            }
        };
        let api = serve(
            "timestamp",
            listener,
            service.router(),
            tls,
            limits,
            stop.clone(),
        );
        tokio::try_join!(api, metrics)
    };
    match served.await {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => fail(1, &error),
    }
}

fn fail(code: u8, error: &dyn std::error::Error) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::from(code)
}
