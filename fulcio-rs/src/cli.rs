//! The command line: `fulcio-rs …`, and `sigkeep fulcio …`.

mod explain;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clock::{Clock, SystemClock};
use serve::CheckConfig;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, GrpcConfig, Issuers, read};
use crate::error::Error;
use crate::identity::{Identities, Registry};
use crate::inventory::{self, Filter, Time};
use crate::service::install_crypto;
use crate::{Service, limits};

/// A check failed.
const FAILED: u8 = 1;
/// Wrong usage or configuration.
const WRONG: u8 = 2;

/// Commands of the certificate authority.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Serve the API until told to stop
    Serve {
        /// Configuration file (see examples/fulcio.yaml)
        #[arg(long, env = "FULCIO_CONFIG")]
        config: PathBuf,
    },
    /// Check a configuration: the service's, or an identity configuration
    ///
    /// Nothing is started, no key opened and nobody asked.
    CheckConfig(CheckConfig),
    /// Say, claim by claim, why a token would be accepted or refused and what the certificate would say
    ///
    /// Nobody is asked: the signature is checked only under keys that the configuration pins. Exit
    /// code 0 if nothing speaks against a certificate, 1 if something does.
    #[command(after_help = "\
Examples:
  explain-token --config fulcio.yaml token.jwt
  sigkeep token --email dev@corp.example | fulcio-rs explain-token --config identity.yaml --json")]
    ExplainToken {
        /// Configuration file: the service's, or an identity configuration
        #[arg(long, env = "FULCIO_CONFIG")]
        config: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// File with the token; standard input if left out
        token: Option<PathBuf>,
    },
    /// Search the inventory of issued certificates
    ///
    /// Exit code 0 if something is found, 1 if nothing is.
    #[command(after_help = "\
Examples:
  inventory --identity dev@corp.example --since 2026-11-01 inventory.jsonl
  inventory --serial 4ac1… --json old/*.jsonl inventory.jsonl")]
    Inventory {
        /// The files, oldest first
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Identity in the certificate, or subject of the token; exactly
        #[arg(long)]
        identity: Option<String>,
        /// Issuer of the token; exactly
        #[arg(long)]
        issuer: Option<String>,
        /// Serial number, hexadecimal
        #[arg(long)]
        serial: Option<String>,
        /// Issued then or later: 2026-11-21, 2026-11-21T04:05:06Z, or seconds since 1970
        #[arg(long)]
        since: Option<Time>,
        /// Issued before
        #[arg(long)]
        until: Option<Time>,
        /// Most certificates to print
        #[arg(long, default_value_t = 1000)]
        limit: usize,
        /// Print the records as they are in the file, one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// The authority itself: make root and intermediate, prepare and activate a successor, status
    #[command(subcommand)]
    Ca(custody::cli::Command),
}

/// Runs a command.
pub async fn run(command: Command) -> ExitCode {
    match command {
        Command::Serve { config } => report(serve(&config).await),
        Command::CheckConfig(arguments) => arguments.conclude(check_config(&arguments.file)),
        Command::ExplainToken {
            config,
            json,
            token,
        } => match explain::run(&config, token.as_deref(), json).await {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::from(FAILED),
            Err(error) => report(Err(error)),
        },
        Command::Inventory {
            files,
            identity,
            issuer,
            serial,
            since,
            until,
            limit,
            json,
        } => {
            let filter = Filter {
                identity,
                issuer,
                serial,
                since_ms: since.map(|time| time.ms),
                until_ms: until.map(|time| time.ms),
            };
            match search_inventory(&files, &filter, limit, json) {
                Ok(0) => ExitCode::from(FAILED),
                Ok(_) => ExitCode::SUCCESS,
                Err(error) => report(Err(error)),
            }
        }
        Command::Ca(command) => {
            custody::cli::run(command, custody::Purpose::CodeSigning, "fulcio-rs ca").await
        }
    }
}

#[expect(clippy::print_stderr, reason = "the command line's own output")]
fn report(result: Result<(), Error>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(if matches!(error, Error::Serve(_)) {
                FAILED
            } else {
                WRONG
            })
        }
    }
}

async fn serve(path: &Path) -> Result<(), Error> {
    serve::logging::init(serve::logging::Format::detect(), "info");
    serve::metrics::install();
    serve::keep_memory_private();
    let config = Config::load(path)?;
    let server = config.server.clone();
    let service = Service::open(config, SystemClock::shared()).await?;
    let stop = serve::stop_on_signals().map_err(serve::ServeError::Io)?;
    let listener = serve::listen(server.listen).await?;
    let address = listener.local_addr().map_err(serve::ServeError::Io)?;
    tracing::info!(%address, "serving");
    let api = serve::serve(
        "fulcio",
        listener,
        service.router(),
        server.tls,
        limits(),
        stop.clone(),
    );
    let grpc = serve_grpc(server.grpc, &service, stop.clone());
    let metrics = serve_metrics(server.metrics, stop);
    tokio::try_join!(async { Ok(api.await?) }, grpc, metrics)?;
    Ok(())
}

async fn serve_grpc(
    config: Option<GrpcConfig>,
    service: &Service,
    stop: CancellationToken,
) -> Result<(), Error> {
    let Some(GrpcConfig { listen, tls }) = config else {
        return Ok(());
    };
    let listener = serve::listen(listen).await?;
    let address = listener.local_addr().map_err(serve::ServeError::Io)?;
    tracing::info!(%address, "serving gRPC");
    let router = service.grpc_router();
    Ok(serve::serve("fulcio-grpc", listener, router, tls, limits(), stop).await?)
}

async fn serve_metrics(address: Option<SocketAddr>, stop: CancellationToken) -> Result<(), Error> {
    let Some(address) = address else {
        return Ok(());
    };
    let listener = serve::listen(address).await?;
    let router = serve::metrics::router();
    let limits = serve::Limits::default();
    Ok(serve::serve("metrics", listener, router, None, limits, stop).await?)
}

/// The identity configuration that a file is or names. A service's configuration is known by
/// its key `issuers`.
fn registry(path: &Path) -> Result<(Registry, Option<Config>), Error> {
    let text = read(path)?;
    if text.lines().any(|line| line.starts_with("issuers:")) {
        let config = Config::load(path)?;
        return Ok((config.issuers.load()?, Some(config)));
    }
    Ok((Issuers::Inline(text).load()?, None))
}

/// What a configuration says, once it is known to be in order.
fn check_config(path: &Path) -> Result<Vec<String>, Error> {
    let (registry, config) = registry(path)?;
    let mut found: Vec<_> = registry
        .issuers()
        .map(|issuer| {
            format!(
                "issuer {} ({}, audience {})",
                issuer.url(),
                issuer.kind().name(),
                issuer.client_id()
            )
        })
        .collect();
    let Some(config) = config else {
        return Ok(found);
    };
    config.policy.check(&registry).map_err(Error::Config)?;
    install_crypto();
    Identities::new(registry, config.refresh, &config.pinned_jwks)?;
    let chain = config.source()?.chain()?;
    // The key stays closed: its owner may be elsewhere. The chain is checked against itself.
    chain.check_certificate_authority(chain.public_key(), SystemClock::default().now())?;
    found.push("the certificate chain is in order".to_owned());
    if let Some(key) = &config.ct_log_public_key {
        crypto::PublicKey::from_pem(&read(key)?)
            .map_err(|error| Error::CtLog(error.to_string()))?;
    }
    let grpc = config
        .server
        .grpc
        .as_ref()
        .and_then(|grpc| grpc.tls.as_ref());
    for tls in config.server.tls.iter().chain(grpc) {
        tls.check().map_err(Error::Config)?;
    }
    Ok(found)
}

/// Prints what is found; the number of certificates.
#[expect(clippy::print_stderr, reason = "the command line's own output")]
fn search_inventory(
    files: &[PathBuf],
    filter: &Filter,
    limit: usize,
    json: bool,
) -> Result<usize, Error> {
    use std::io::Write;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut count = 0;
    for file in files {
        let skipped = inventory::search(file, filter, |record| {
            if count >= limit {
                return false;
            }
            count += 1;
            // Writing fails if the reader went away.
            if json {
                serde_json::to_string(&record).is_ok_and(|line| writeln!(out, "{line}").is_ok())
            } else {
                writeln!(out, "{record}").is_ok()
            }
        })?;
        if skipped > 0 {
            eprintln!("{}: {skipped} lines are not records", file.display());
        }
    }
    let _reader_gone = out.flush();
    if count >= limit {
        eprintln!("stopped after {limit} certificates (--limit)");
    }
    Ok(count)
}
