//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use clock::SystemClock;
use keys::{Algorithm, KeyUri, Passphrase};
use serve::logging::Format;
use serve::{Limits, listen, serve};

use crate::chain::{self, Options};
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
    /// Create a timestamp authority on disk: a root and a timestamping certificate (10 years each)
    ///
    /// Prints the beginning of a configuration for `serve`. Overwrites nothing.
    #[command(after_help = "\
Example:
  create-chain --directory tsa --passphrase-file passphrase > timestamp.yaml")]
    CreateChain {
        /// Directory for tsa-chain.pem, tsa.key.pem and tsa-root.key.pem
        #[arg(long, value_name = "DIR")]
        directory: PathBuf,
        /// File with the passphrase that encrypts the keys
        #[arg(long, value_name = "FILE")]
        passphrase_file: PathBuf,
        /// Organisation in the certificates
        #[arg(long, value_name = "NAME", default_value = "Sigkeep")]
        organization: String,
        /// Algorithm of both keys
        #[arg(long, value_name = "ALGORITHM", value_enum, default_value_t = KeyAlgorithm::P256)]
        key_algorithm: KeyAlgorithm,
    },
}

/// Algorithms of keys that every client can verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum KeyAlgorithm {
    /// ECDSA P-256 with SHA-256
    P256,
    /// ECDSA P-384 with SHA-384
    P384,
}

impl From<KeyAlgorithm> for Algorithm {
    fn from(algorithm: KeyAlgorithm) -> Self {
        match algorithm {
            KeyAlgorithm::P256 => Self::EcdsaP256Sha256,
            KeyAlgorithm::P384 => Self::EcdsaP384Sha384,
        }
    }
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
        Command::CreateChain {
            directory,
            passphrase_file,
            organization,
            key_algorithm,
        } => {
            let passphrase = match Passphrase::from_file(&passphrase_file) {
                Ok(passphrase) => passphrase,
                Err(error) => return fail(USAGE, &error),
            };
            let options = Options {
                organization,
                algorithm: key_algorithm.into(),
            };
            match chain::create(&directory, &passphrase, &options, SystemTime::now()).await {
                Ok(files) => {
                    println!("certificate-chain: {}", files.certificate_chain.display());
                    println!("key: {}", KeyUri::file(&files.key));
                    println!(
                        "# Take {} offline: the service does not need it.",
                        files.root_key.display()
                    );
                    ExitCode::SUCCESS
                }
                Err(error) => fail(USAGE, &error),
            }
        }
    }
}

async fn run_service(config: Config) -> ExitCode {
    serve::metrics::install();
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
