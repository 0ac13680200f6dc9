//! `collect`: trust documents from running services.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clock::{Clock as _, SystemClock};
use crypto::PublicKey;
use serde_json::json;
use wire::trust::Timestamp;

use super::{Failure, Location, print_json, say, tell};
use crate::client::UpdateError;
use crate::collect::{self, Collection, Deployment, Endpoints, Finding, Standing};
use crate::export::{Export, ExportError};
use crate::metadata::Sha256;

/// Options of `collect`.
#[derive(Debug, Args)]
pub struct Collect {
    /// Where the repository is
    #[command(flatten)]
    pub location: Location,
    /// URL of Fulcio
    #[arg(long, value_name = "URL")]
    pub fulcio: String,
    /// URL of Rekor (API version 1)
    #[arg(long, value_name = "URL")]
    pub rekor: String,
    /// URL of the timestamp endpoint, which ends in /api/v1/timestamp
    #[arg(long, value_name = "URL")]
    pub timestamp: String,
    /// URL of the Certificate Transparency log
    #[arg(long, value_name = "URL")]
    pub ct: String,
    /// PEM file with its public key; such a log does not hand it out
    #[arg(long, value_name = "FILE")]
    pub ct_key: PathBuf,
    /// URL of the OpenID Connect issuer; needed the first time
    #[arg(long, value_name = "URL")]
    pub oidc: Option<String>,
    /// Who runs the services; needed the first time
    #[arg(long, value_name = "NAME")]
    pub operator: Option<String>,
    /// Only compare with what is published: exit code 1 if anything differs
    #[arg(long, conflicts_with = "approve")]
    pub check: bool,
    /// Fingerprint that was compared with one from elsewhere; once for each that is new
    #[arg(long, value_name = "SHA256")]
    pub approve: Vec<Sha256>,
}

pub(super) async fn collect(args: Collect) -> ExitCode {
    match run(&args).await {
        Ok(code) => code,
        Err(failure) => failure.exit(),
    }
}

async fn run(args: &Collect) -> Result<ExitCode, Failure> {
    // The HTTP client takes its TLS library from the process; it may be chosen already.
    let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let repository = args.location.open()?;
    let pem = std::fs::read_to_string(&args.ct_key)
        .map_err(|e| format!("{}: {e}", args.ct_key.display()))?;
    let url = |text: &str| text.trim_end_matches('/').to_owned();
    let endpoints = Endpoints {
        fulcio: url(&args.fulcio),
        rekor: url(&args.rekor),
        timestamp: url(&args.timestamp),
        ct: url(&args.ct),
        ct_key: PublicKey::from_pem(&pem).map_err(say)?,
    };
    let deployment = Deployment {
        operator: args.operator.clone(),
        identity_provider: args.oidc.clone(),
    };
    let published = match Export::read(&repository.published_dir()).await {
        Err(ExportError::NotPublished | ExportError::Update(UpdateError::Missing(_))) => None,
        other => Some(other.map_err(say)?),
    };
    let now = Timestamp::from_secs(SystemClock::default().now_secs()).map_err(say)?;
    let collected = collect::collect(&endpoints, &deployment, published.as_ref(), now)
        .await
        .map_err(say)?;
    show(args, &collected);
    if args.check {
        return Ok(ExitCode::from(u8::from(collected.drifted())));
    }
    let approved = args.approve.iter().copied().collect();
    for open in collected.unapproved(&approved) {
        if !confirmed(open)? {
            return Err(format!(
                "{} {} is not approved: compare the fingerprint with one from elsewhere, then say --approve {0}. Nothing was staged",
                open.fingerprint, open.service
            )
            .into());
        }
    }
    let files = collected.target_files().map_err(say)?;
    for file in files {
        repository.stage_target(file).await.map_err(say)?;
    }
    if !args.location.json {
        tell("Staged. `tuf-root diff` says what the next publication changes.");
    }
    Ok(ExitCode::SUCCESS)
}

fn show(args: &Collect, collected: &Collection) {
    if args.location.json {
        print_json(&json!({ "drift": collected.drifted(), "findings": collected.findings }));
        return;
    }
    for finding in &collected.findings {
        let mark = match finding.standing {
            Standing::Known => '=',
            Standing::New => '+',
            Standing::Gone => '-',
        };
        println!(
            "{mark} {:<9} {}  {}",
            finding.service, finding.fingerprint, finding.url
        );
    }
}

/// Asks the person at the terminal, if there is one.
fn confirmed(finding: &Finding) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    let fingerprint = finding.fingerprint.to_string();
    let (_, last) = fingerprint.split_at(fingerprint.len().saturating_sub(8));
    print!(
        "{} at {} is new. Type the last 8 digits of its fingerprint, as you know it from elsewhere: ",
        finding.service, finding.url
    );
    std::io::stdout().flush().map_err(say)?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(say)?;
    Ok(line.trim() == last)
}
