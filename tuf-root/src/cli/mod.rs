//! The command line: `tuf-root …`, also `sigkeep tuf …`.

mod arguments;

pub use arguments::{
    Command, ExportArgs, ExportKind, Init, Location, Serve, Signing, StatusArg, TargetCommand,
    UsageArg, Verify,
};

use std::path::Path;
use std::process::ExitCode;

use clock::{Clock as _, SystemClock};
use keys::{KeyUri, Passphrase};
use serde_json::json;

use crate::client::{self, Directory, Expiry, Mirror, Source, Trusted, UpdateError};
use crate::export::Export;
use crate::metadata::{
    Custom, Document, Metadata, RoleName, Root, SigstoreCustom, Status, TargetName, Usage,
};
use crate::policy::{Period, Policy};
use crate::repository::{Outcome, Repository, TargetFile};
use crate::{refresh, server, trust};

/// Runs one command. Exit codes: 0 done, 1 the check failed, 2 wrong usage or configuration.
pub async fn run(command: Command) -> ExitCode {
    let done = match command {
        Command::Init(args) => init(args).await,
        Command::Target(command) => target(command).await,
        Command::Publish(args) => publish(args, false).await,
        Command::Refresh(args) => publish(args, true).await,
        Command::Verify(args) => return verify(args).await,
        Command::Serve(args) => serve(args).await,
        Command::Export(args) => export(args).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
    }
}

/// Anything that went wrong, in words for the person at the terminal.
type Message = String;

fn say(error: impl std::fmt::Display) -> Message {
    error.to_string()
}

impl Signing {
    fn passphrase(&self) -> Result<Option<Passphrase>, Message> {
        self.passphrase_file
            .as_deref()
            .map(Passphrase::from_file)
            .transpose()
            .map_err(say)
    }

    fn open(&self) -> Result<Repository, Message> {
        Repository::open(
            &self.location.dir,
            self.passphrase()?,
            SystemClock::shared(),
        )
        .map_err(say)
    }
}

impl Location {
    fn open(&self) -> Result<Repository, Message> {
        Repository::open(&self.dir, None, SystemClock::shared()).map_err(say)
    }
}

async fn init(args: Init) -> Result<(), Message> {
    let mut policy = Policy::default();
    for role in RoleName::ALL {
        let Some(entry) = policy.roles.get_mut(&role) else {
            continue;
        };
        let keys: Vec<KeyUri> = args
            .keys
            .iter()
            .filter(|(r, _)| *r == role)
            .map(|(_, uri)| uri.clone())
            .collect();
        if !keys.is_empty() {
            entry.keys = keys;
        }
        let last = |periods: &[(RoleName, Period)]| {
            periods.iter().rfind(|(r, _)| *r == role).map(|(_, p)| *p)
        };
        if let Some(expiry) = last(&args.expiries) {
            entry.expiry = expiry;
            // Half of a shorter life than the default window allows for.
            entry.window = entry.window.min(expiry.half());
        }
        entry.window = last(&args.windows).unwrap_or(entry.window);
        if let Some((_, threshold)) = args.thresholds.iter().rfind(|(r, _)| *r == role) {
            entry.threshold = *threshold;
        }
    }
    let dir = &args.signing.location.dir;
    let repository = Repository::init(
        dir,
        &policy,
        args.signing.passphrase()?,
        SystemClock::shared(),
    )
    .await
    .map_err(say)?;
    if args.signing.location.json {
        print_json(&json!({ "dir": dir, "root": repository.first_root_json() }));
    } else {
        println!("Made a repository in {}.", dir.display());
        println!(
            "Next: tuf-root target add --dir {} trusted_root.json, then publish.",
            dir.display()
        );
    }
    Ok(())
}

async fn target(command: TargetCommand) -> Result<(), Message> {
    match command {
        TargetCommand::Add {
            location,
            file,
            name,
            usage,
            status,
            uri,
        } => {
            let name = match name {
                Some(name) => name,
                None => file
                    .file_name()
                    .and_then(|n| n.to_str())
                    .unwrap_or_default()
                    .parse()
                    .map_err(say)?,
            };
            let content = std::fs::read(&file).map_err(|e| format!("{}: {e}", file.display()))?;
            trust::check_document(&name, &content)
                .map_err(|e| format!("{name}: {e}; clients would refuse it"))?;
            let custom = usage.map(|usage| Custom {
                sigstore: SigstoreCustom {
                    status: match status {
                        StatusArg::Active => Status::Active,
                        StatusArg::Expired => Status::Expired,
                    },
                    uri,
                    usage: match usage {
                        UsageArg::Fulcio => Usage::Fulcio,
                        UsageArg::Rekor => Usage::Rekor,
                        UsageArg::Ctfe => Usage::Ctfe,
                        UsageArg::Tsa => Usage::Tsa,
                    },
                },
            });
            let target = TargetFile {
                name: name.clone(),
                content,
                custom,
            };
            location.open()?.stage_target(target).await.map_err(say)?;
            staged(&location, "Staged", &name);
        }
        TargetCommand::Remove { location, name } => {
            location.open()?.unstage_target(&name).await.map_err(say)?;
            staged(&location, "Removed", &name);
        }
        TargetCommand::List { location } => {
            let status = location.open()?.status().await.map_err(say)?;
            if location.json {
                print_json(
                    &json!({ "published": status.targets, "unpublished": status.unpublished }),
                );
            } else {
                for name in &status.targets {
                    println!("{name}");
                }
                for name in &status.unpublished {
                    println!("{name} (changes with the next publication)");
                }
            }
        }
    }
    Ok(())
}

fn staged(location: &Location, done: &str, name: &TargetName) {
    match location.json {
        true => print_json(&json!({ "staged": name })),
        false => println!(
            "{done} {name}. Clients see it after: tuf-root publish --dir {}",
            location.dir.display()
        ),
    }
}

async fn publish(args: Signing, refresh: bool) -> Result<(), Message> {
    let repository = args.open()?;
    let outcome = match refresh {
        true => repository.refresh().await,
        false => repository.publish().await,
    };
    let Outcome {
        published,
        warnings,
    } = outcome.map_err(say)?;
    if args.location.json {
        print_json(&json!({ "published": published, "warnings": warnings }));
        return Ok(());
    }
    for (role, version) in &published {
        println!("{role}: version {version}");
    }
    if published.is_empty() {
        println!("Nothing to do: what is published is current.");
    }
    for warning in &warnings {
        eprintln!("warning: {warning}");
    }
    Ok(())
}

async fn serve(args: Serve) -> Result<(), Message> {
    serve::logging::init(serve::logging::Format::detect(), "info");
    let repository = args.signing.open()?;
    let router = server::router(repository.published_dir(), SystemClock::shared());
    let stop = serve::stop_on_signals().map_err(say)?;
    let listener = serve::listen(args.listen).await.map_err(say)?;
    let address = listener.local_addr().map_err(say)?;
    match args.signing.location.json {
        true => print_json(&json!({ "listening": format!("http://{address}") })),
        false => println!(
            "Serving {} on http://{address}",
            repository.published_dir().display()
        ),
    }
    let refresh = async {
        if !args.no_refresh {
            refresh::run(repository, stop.clone()).await;
        }
    };
    let limits = serve::Limits::default();
    let served = serve::serve("tuf", listener, router, None, limits, stop.clone());
    let (served, ()) = tokio::join!(served, refresh);
    served.map_err(say)
}

async fn verify(args: Verify) -> ExitCode {
    let bootstrap = args
        .root
        .clone()
        .unwrap_or_else(|| args.location.dir.join("roots").join("1.root.json"));
    let root = match std::fs::read(&bootstrap) {
        Ok(bytes) => bytes,
        Err(e) => {
            eprintln!(
                "error: {}: {e}; name the root that clients start from with --root",
                bootstrap.display()
            );
            return ExitCode::from(2);
        }
    };
    let checked = match &args.mirror {
        Some(url) => match mirror(url) {
            Ok(mirror) => walk(&mirror, &root).await,
            Err(e) => Err(e.into()),
        },
        None => {
            walk(
                &Directory {
                    path: args.location.dir.join("published"),
                },
                &root,
            )
            .await
        }
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
    let now = SystemClock::default().now_secs();
    let within = args.within.map_or(0, Period::as_secs);
    let rows = [
        row(&trusted.root),
        row(&trusted.targets),
        row(&trusted.snapshot),
        row(&trusted.timestamp),
    ];
    let soon: Vec<&Row> = rows
        .iter()
        .filter(|r| r.expires.seconds_left(now) <= within)
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
            eprintln!("{} expires at {}: run tuf-root refresh", r.role, r.expires);
        }
    }
    ExitCode::from(u8::from(!soon.is_empty()))
}

fn mirror(url: &str) -> Result<Mirror, client::SourceError> {
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

async fn walk(source: &impl Source, root: &[u8]) -> Result<Trusted, UpdateError> {
    let document = |error| UpdateError::Document {
        file: "the root to start from".to_owned(),
        error,
    };
    let bootstrap: Document<Root> = Document::parse(root).map_err(document)?;
    let now = Expiry::At(SystemClock::default().now_secs());
    let trusted = client::update(source, &bootstrap, None, now).await?;
    for name in trusted.targets.signed().targets.keys() {
        let content = client::target(source, &trusted, name).await?;
        trust::check_document(name, &content).map_err(|e| client::SourceError {
            path: name.to_string(),
            reason: e.to_string(),
        })?;
    }
    Ok(trusted)
}

async fn export(args: ExportArgs) -> Result<(), Message> {
    let published = args.location.dir.join("published");
    let export = Export::read(&published).await.map_err(say)?;
    match args.what {
        Some(ExportKind::ClientTrustConfig) => print!("{}", export.client_trust_config().to_json()),
        Some(ExportKind::TrustedRoot) => print!("{}", export.trusted_root.to_json()),
        Some(ExportKind::SigningConfig) => print!("{}", export.signing_config.to_json()),
        Some(ExportKind::Env) => {
            let root = std::path::absolute(published.join("root.json")).map_err(say)?;
            print!(
                "{}",
                Export::client_env(args.mirror.as_deref().unwrap_or_default(), &root)
            );
        }
        None => {
            let out = args.out.as_deref().unwrap_or(Path::new("."));
            let names = export.write(out, args.mirror.as_deref()).map_err(say)?;
            match args.location.json {
                true => print_json(&json!({ "dir": out, "files": names })),
                false => names
                    .iter()
                    .for_each(|name| println!("{}", out.join(name).display())),
            }
        }
    }
    Ok(())
}

fn print_json(value: &serde_json::Value) {
    println!("{value:#}");
}
