//! `rotate service …`: keys and certificates of the services that come and go.

use std::path::{Path, PathBuf};

use clap::Args;
use clock::{Clock as _, SystemClock};
use serde_json::json;
use wire::trust::Timestamp;

use super::{Failure, Location, print_json, say, tell};
use crate::metadata::Sha256;
use crate::repository::Repository;
use crate::services::{Entry, Kind, MARGIN_SECS, Next, Services};

/// Longest PEM file that is read, in bytes.
const MAX_PEM: u64 = 1 << 20;

/// Options of `rotate service`.
#[derive(Debug, Args)]
pub struct RotateService {
    /// Where the repository is
    #[command(flatten)]
    pub location: Location,
    /// Whose key or certificate
    #[arg(value_enum)]
    pub service: Kind,
    /// PEM file of what comes next: the key of a log, or the chain of an authority, signing
    /// certificate first
    #[arg(long, value_name = "FILE", conflicts_with_all = ["end", "at"])]
    pub next: Option<PathBuf>,
    /// When it may sign for the first time; by default now, or the start of the certificate
    #[arg(long, value_name = "TIME", requires = "next")]
    pub from: Option<Timestamp>,
    /// Where it will be; by default where the newest one of its kind is
    #[arg(long, value_name = "URL", requires = "next")]
    pub url: Option<String>,
    /// Fingerprint of the entry that signs no more
    #[arg(long, value_name = "SHA256")]
    pub end: Option<Sha256>,
    /// When it signed for the last time, by default now; trust ends an hour later
    #[arg(long, value_name = "TIME", requires = "end")]
    pub at: Option<Timestamp>,
}

pub(super) async fn rotate(args: RotateService) -> Result<(), Failure> {
    let repository = args.location.open()?;
    let now = Timestamp::from_secs(SystemClock::default().now_secs()).map_err(say)?;
    let files = repository.next_files().await.map_err(say)?;
    let mut services = Services::read(&files).map_err(say)?;
    let made = services.target_files(now).map_err(say)?;
    let changes = args.next.is_some() || args.end.is_some();
    if let Some(file) = &args.next {
        let next = Next {
            pem: read(file)?,
            url: args.url.clone(),
            from: args.from,
        };
        services.announce(args.service, &next, now).map_err(say)?;
    }
    if let Some(fingerprint) = args.end {
        let last = args.at.unwrap_or(now);
        services.end(args.service, fingerprint, last).map_err(say)?;
    }
    if changes {
        let gone = made.into_iter().map(|file| file.name);
        let gone = gone.filter(|name| files.contains_key(name)).collect();
        stage(&repository, &services, gone, now).await?;
    }
    let entries = services.entries(args.service);
    if args.location.json {
        print_json(&json!({ "service": args.service, "entries": entries, "staged": changes }));
        return Ok(());
    }
    for entry in &entries {
        show(entry);
    }
    if args.end.is_some() {
        println!(
            "It is trusted for {} minutes after its last signature.",
            MARGIN_SECS / 60
        );
    }
    if changes {
        tell(
            "Staged. `tuf-root diff` says what changes for clients; then `stage targets`, signatures and `publish`.",
        );
    }
    Ok(())
}

/// Stages the documents anew. `gone`: files that were made before, and may not be any more.
async fn stage(
    repository: &Repository,
    services: &Services,
    mut gone: std::collections::BTreeSet<crate::metadata::TargetName>,
    now: Timestamp,
) -> Result<(), Failure> {
    for file in services.target_files(now).map_err(say)? {
        gone.remove(&file.name);
        repository.stage_target(file).await.map_err(say)?;
    }
    for name in gone {
        repository.unstage_target(&name).await.map_err(say)?;
    }
    Ok(())
}

fn show(entry: &Entry) {
    let Entry {
        fingerprint,
        url,
        valid_for,
    } = entry;
    match valid_for.end {
        Some(end) => println!("{fingerprint}  {url}  from {} to {end}", valid_for.start),
        None => println!("{fingerprint}  {url}  from {} on", valid_for.start),
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    use std::io::Read as _;
    let fail = |e: std::io::Error| say(format_args!("{}: {e}", path.display()));
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(fail)?;
    file.take(MAX_PEM).read_to_string(&mut text).map_err(fail)?;
    Ok(text)
}
