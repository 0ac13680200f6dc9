//! The command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use clock::SystemClock;
use custody::Purpose;
use serve::logging::Format;
use serve::{CheckConfig, Limits, listen, serve};

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
    /// Check a configuration
    ///
    /// Nothing is started, no key opened and nobody asked.
    CheckConfig(CheckConfig),
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
        Command::CheckConfig(arguments) => arguments.conclude(check_config(&arguments.file)),
    }
}

/// What a configuration says, once it is known to be in order.
fn check_config(path: &Path) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let config = Config::load(path)?;
    let chain = config.source()?.chain()?;
    // The key stays closed: its owner may be elsewhere. The chain is checked against itself.
    chain.check_timestamp_authority(
        chain.public_key(),
        SystemTime::now(),
        config.enforce_intermediate_eku,
    )?;
    if let Some(tls) = &config.server.tls {
        tls.check()?;
    }
    let clock = &config.clock;
    let servers = clock.ntp_servers.join(", ");
    Ok(vec![
        "the certificate chain is in order".to_owned(),
        match (servers.is_empty(), clock.fail_closed) {
            (true, _) => "the clock is trusted as it is: no ntp-servers".to_owned(),
            (false, true) => format!(
                "without {servers} within {} ms of the clock there are no timestamps",
                clock.max_offset_ms
            ),
            (false, false) => format!("the clock is compared with {servers} and only reported"),
        },
    ])
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
