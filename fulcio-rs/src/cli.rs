//! The command line: `fulcio-rs …`, and `sigkeep fulcio …`.

use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use clock::{Clock, SystemClock};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, GrpcConfig, Issuers, read};
use crate::error::Error;
use crate::identity::{self, Registry, extension_name};
use crate::inventory::{self, Filter, Time};
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
    CheckConfig {
        /// The file
        file: PathBuf,
    },
    /// Say what a token would become, without asking its provider (so its signature is not checked)
    ExplainToken {
        /// Configuration file: the service's, or an identity configuration
        #[arg(long, env = "FULCIO_CONFIG")]
        config: PathBuf,
        /// File with the token; standard input if left out
        token: Option<PathBuf>,
    },
    /// Search the inventory of issued certificates; prints one JSON object a line
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
    },
    /// The authority itself: make root and intermediate, prepare and activate a successor, status
    #[command(subcommand)]
    Ca(custody::cli::Command),
}

/// Runs a command.
pub async fn run(command: Command) -> ExitCode {
    match command {
        Command::Serve { config } => report(serve(&config).await),
        Command::CheckConfig { file } => report(check_config(&file)),
        Command::ExplainToken { config, token } => match explain(&config, token.as_deref()).await {
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
        } => {
            let filter = Filter {
                identity,
                issuer,
                serial,
                since_ms: since.map(|time| time.ms),
                until_ms: until.map(|time| time.ms),
            };
            match search_inventory(&files, &filter, limit) {
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

#[expect(clippy::print_stdout, reason = "the command line's own output")]
fn check_config(path: &Path) -> Result<(), Error> {
    let (registry, config) = registry(path)?;
    for issuer in registry.issuers() {
        println!(
            "issuer {} ({}, audience {})",
            issuer.url(),
            issuer.kind().name(),
            issuer.client_id()
        );
    }
    if let Some(config) = config {
        config.policy.check(&registry).map_err(Error::Config)?;
        let chain = config.source()?.chain()?;
        // The key stays closed: its owner may be elsewhere. The chain is checked against itself.
        chain.check_certificate_authority(chain.public_key(), SystemClock::default().now())?;
        if let Some(key) = &config.ct_log_public_key {
            crypto::PublicKey::from_pem(&read(key)?)
                .map_err(|error| Error::CtLog(error.to_string()))?;
        }
        println!("the certificate chain is in order");
    }
    println!("the configuration is in order");
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the command line's own output")]
async fn explain(config: &Path, token: Option<&Path>) -> Result<bool, Error> {
    let (registry, config) = registry(config)?;
    let (pinned, policy) = config
        .map(|config| (config.pinned_jwks, config.policy))
        .unwrap_or_default();
    policy.check(&registry).map_err(Error::Config)?;
    let token = match token {
        Some(path) => read(path)?,
        None => {
            let mut text = String::new();
            std::io::stdin()
                .take(1 << 20)
                .read_to_string(&mut text)
                .map_err(|source| Error::File {
                    path: "standard input".into(),
                    source,
                })?;
            text
        }
    };
    let explanation = match identity::explain(&registry, &pinned, &token, SystemTime::now()).await {
        Ok(explanation) => explanation,
        Err(error) => {
            println!("refused: {error}");
            return Ok(false);
        }
    };
    println!("claims:");
    for (name, value) in explanation.claims.iter() {
        println!("  {name} = {value}");
    }
    println!("checks:");
    for (name, outcome) in &explanation.checks {
        match outcome {
            Ok(text) => println!("  {name}: ok, {text}"),
            Err(text) => println!("  {name}: FAILED, {text}"),
        }
    }
    if !explanation
        .checks
        .iter()
        .any(|(name, _)| *name == "signature")
    {
        println!("  signature: not checked (that needs the provider's keys)");
    }
    let decision = explanation
        .issuer
        .as_ref()
        .map(|issuer| policy.decide(issuer.url(), &explanation.claims));
    match &decision {
        Some(Ok(allowed)) => match &allowed.rule {
            Some(rule) => println!("  policy: ok, rule {rule:?} decides"),
            None => println!("  policy: ok, the issuer has none"),
        },
        Some(Err(refusal)) => println!("  policy: FAILED, {refusal}"),
        None => {}
    }
    if let Some(principal) = &explanation.principal {
        println!("certificate:");
        println!("  subject alternative name: {:?}", principal.san);
        for (number, value) in principal.extensions.iter() {
            println!(
                "  1.3.6.1.4.1.57264.1.{number} {}: {value}",
                extension_name(number)
            );
        }
        if let Some(Ok(allowed)) = &decision {
            println!("  lifetime: {} s", allowed.lifetime.as_secs());
        }
        println!(
            "  possession is proved over: {}",
            principal.challenges.join(" or ")
        );
    }
    Ok(matches!(decision, Some(Ok(_)))
        && explanation
            .checks
            .iter()
            .all(|(_, outcome)| outcome.is_ok()))
}

/// Prints what is found; the number of certificates.
#[expect(clippy::print_stderr, reason = "the command line's own output")]
fn search_inventory(files: &[PathBuf], filter: &Filter, limit: usize) -> Result<usize, Error> {
    use std::io::Write;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut count = 0;
    for file in files {
        let skipped = inventory::search(file, filter, |record| {
            if count >= limit {
                return false;
            }
            count += 1;
            // Fails if the reader went away.
            serde_json::to_string(&record).is_ok_and(|line| writeln!(out, "{line}").is_ok())
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
