//! `verify`: what a strict client makes of what is published.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clock::{Clock as _, SystemClock};
use serde_json::json;
use wire::trust::Timestamp;

use super::{Location, print_json, say, typed};
use crate::client::{self, Directory, Expiry, Mirror, Source, Trusted, UpdateError};
use crate::metadata::{Document, Metadata, RoleName, Root};
use crate::policy::Period;
use crate::repository::RepositoryError;
use crate::trust;

/// Options of `verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// Where the repository is
    #[command(flatten)]
    pub location: Location,
    /// URL of a mirror to check instead of DIR/published; needs --root
    #[arg(long, value_name = "URL", requires = "root")]
    pub mirror: Option<String>,
    /// The root that the client starts from; by default DIR/roots/1.root.json
    #[arg(long, value_name = "FILE")]
    pub root: Option<PathBuf>,
    /// Fail if a role expires within this time, such as 2d; by default if timestamp or snapshot
    /// should have been signed again long ago, as far as DIR says when that is
    #[arg(long, value_name = "PERIOD")]
    pub within: Option<Period>,
    /// As if it were this time, such as 2027-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    pub at: Option<Timestamp>,
}

pub(super) async fn verify(args: Verify) -> ExitCode {
    let bootstrap = args
        .root
        .clone()
        .unwrap_or_else(|| args.location.dir.join("roots").join("1.root.json"));
    let root = match std::fs::read(&bootstrap) {
        Ok(bytes) => bytes,
        Err(_) if args.root.is_none() => {
            let why = args.location.open().err();
            return why
                .unwrap_or_else(|| say(RepositoryError::NotPublished))
                .exit();
        }
        Err(e) => {
            let bootstrap = bootstrap.display();
            let why =
                format!("{bootstrap}: {e}; name the root that clients start from with --root");
            return say(why).exit();
        }
    };
    let system = SystemClock::default().now_secs();
    let now = args.at.map_or(system, Timestamp::as_secs);
    let checked = match &args.mirror {
        Some(url) => match mirror(url) {
            Ok(mirror) => walk(&mirror, &root, now).await,
            Err(e) => Err(e.into()),
        },
        None => {
            walk(
                &Directory {
                    path: args.location.dir.join("published"),
                },
                &root,
                now,
            )
            .await
        }
    };
    // Somebody who knows the policy sees the absence of the refresh long before clients do.
    let late = match (args.at, args.within) {
        (None, None) => online_windows(&args.location),
        _ => BTreeMap::new(),
    };
    let trusted = match checked {
        Ok(trusted) => trusted,
        Err(error) => {
            match args.location.json {
                true => print_json(&json!({ "ok": false, "error": error.to_string() })),
                false => eprintln!("clients refuse this repository: {error}"),
            }
            return ExitCode::from(1);
        }
    };
    let limit = |role: RoleName| {
        let within = args.within.map_or(0, Period::as_secs);
        // Half of the window gone is what `status` takes for a refresh that does not run.
        let late = late.get(&role).map_or(0, |window| window.half().as_secs());
        within.max(late)
    };
    let rows = [
        row(&trusted.root),
        row(&trusted.targets),
        row(&trusted.snapshot),
        row(&trusted.timestamp),
    ];
    let soon: Vec<&Row> = rows
        .iter()
        .filter(|r| r.expires.seconds_left(now) <= limit(r.role))
        .collect();
    if args.location.json {
        let roles: Vec<_> = rows
            .iter()
            .map(|r| json!({ "role": r.role, "version": r.version, "expires": r.expires, "seconds_left": r.expires.seconds_left(now) }))
            .collect();
        print_json(&json!({ "ok": soon.is_empty(), "roles": roles }));
    } else {
        for r in &rows {
            let days = r.expires.seconds_left(now) / 86_400;
            println!(
                "{:<9} version {:<4} expires {} (in {days} days)",
                r.role.as_str(),
                r.version,
                r.expires
            );
        }
        for r in &soon {
            let next = match r.role {
                RoleName::Root | RoleName::Targets => "stage it and have it signed",
                _ => "does the refresh run? `tuf-root refresh` does it once",
            };
            eprintln!(
                "{}",
                typed(&format!("{} expires at {}: {next}", r.role, r.expires))
            );
        }
    }
    ExitCode::from(u8::from(!soon.is_empty()))
}

/// When the roles that the refresh signs are signed again, if the repository is here.
fn online_windows(location: &Location) -> BTreeMap<RoleName, Period> {
    let windows = location.open().ok().and_then(|r| r.windows().ok());
    let mut windows = windows.unwrap_or_default();
    windows.retain(|role, _| matches!(role, RoleName::Snapshot | RoleName::Timestamp));
    windows
}

pub(super) fn mirror(url: &str) -> Result<Mirror, client::SourceError> {
    // The HTTP client takes its TLS library from the process; it may be chosen already.
    let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Mirror::new(url)
}

struct Row {
    role: RoleName,
    version: crate::metadata::Version,
    expires: crate::metadata::Expires,
}

fn row<T: Metadata>(document: &Document<T>) -> Row {
    Row {
        role: T::ROLE,
        version: document.signed().version(),
        expires: document.signed().expires(),
    }
}

async fn walk(source: &impl Source, root: &[u8], now: u64) -> Result<Trusted, UpdateError> {
    let document = |error| UpdateError::Document {
        file: "the root to start from".to_owned(),
        error,
    };
    let bootstrap: Document<Root> = Document::parse(root).map_err(document)?;
    let trusted = client::update(source, &bootstrap, None, Expiry::At(now)).await?;
    for name in trusted.targets.signed().targets.keys() {
        let content = client::target(source, &trusted, name).await?;
        trust::check_document(name, &content).map_err(|e| client::SourceError {
            path: name.to_string(),
            reason: e.to_string(),
        })?;
    }
    Ok(trusted)
}
