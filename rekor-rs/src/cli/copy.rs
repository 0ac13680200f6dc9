//! `export`, `verify-export` and `import`: a log in another place.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crypto::PublicKey;
use keys::SharedSigner;
use logstore::{LogId, LogKind, LogRecord, SharedStore, StoreError};

use super::{CommandError, database, print_json, read_text};
use crate::archive;
use crate::config::{Config, Kind};
use crate::import::{self, Imported, Remote};
use crate::service;

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
pub struct Export {
    /// The configuration: database, and keys for --promises.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Only this log; repeatable. All logs of the database if left out.
    #[arg(long, value_name = "ID")]
    log: Vec<i64>,
    /// Sign a promise (signed entry timestamp) for each Rekor entry that has none kept, one signature
    /// each, with the key in the configuration. With promises, the log can be served from the export
    /// where its key is not.
    #[arg(long)]
    promises: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Where to.
    directory: PathBuf,
}

/// Arguments of `verify-export`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes: 0 nothing found, 1 something found (or the check could not be made), 2 wrong usage.")]
pub struct VerifyExport {
    /// The log's public key, PEM.
    #[arg(long, value_name = "FILE")]
    public_key: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// The directory of the log in the export.
    directory: PathBuf,
}

/// Arguments of `import`.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("source").required(true).args(["directory", "from"])))]
pub struct Import {
    /// The configuration: database.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// URL of a Rekor v1 log. Freeze it first: what it logs afterwards is not here.
    #[arg(long, value_name = "URL")]
    from: Option<String>,
    /// The shard to take; the one that takes entries if left out.
    #[arg(long, value_name = "ID", requires = "from")]
    tree_id: Option<i64>,
    /// Requests to the other log at once.
    #[arg(long, default_value_t = import::PARALLEL, requires = "from")]
    parallel: usize,
    /// The log's public key, PEM, as you know it. Without it, the key is taken on trust from where the
    /// entries come from.
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// The directory of the log in an export.
    directory: Option<PathBuf>,
}

pub(super) async fn export(
    arguments: Export,
    open: impl AsyncFn(&str) -> Result<SharedStore, StoreError>,
) -> Result<(), CommandError> {
    let config = Config::load(&arguments.config)?;
    let store = database(&config, true, open).await?;
    let all = store.logs().await?;
    let chosen: Vec<LogId> = arguments.log.iter().copied().map(LogId).collect();
    if let Some(id) = chosen
        .iter()
        .find(|id| all.iter().all(|record| record.id != **id))
    {
        return Err(StoreError::NoSuchLog(*id).into());
    }
    let mut done = Vec::new();
    for record in &all {
        if !chosen.is_empty() && !chosen.contains(&record.id) {
            continue;
        }
        let promises = match arguments.promises && record.kind == LogKind::RekorV1 {
            true => signer(&config, &store, record).await?,
            false => None,
        };
        let directory = arguments.directory.join(record.id.to_string());
        let options = archive::Options { promises };
        let exported = archive::export(&store, record, &directory, &options).await?;
        if !arguments.json {
            println!(
                "log {} ({}): {} entries, {} of them new, in {}",
                record.id,
                record.origin,
                exported.size,
                exported.size - exported.before,
                directory.display()
            );
        }
        done.push(exported);
    }
    if arguments.json {
        print_json(&done);
    }
    Ok(store.close().await?)
}

/// The key of a shard, if the configuration has its private half, and the number of its first entry.
async fn signer(
    config: &Config,
    store: &SharedStore,
    record: &LogRecord,
) -> Result<Option<(SharedSigner, u64)>, CommandError> {
    let records = store.logs().await?;
    let mut offset = 0;
    for (place, log) in config.logs.iter().enumerate() {
        if log.kind != Kind::RekorV1 {
            continue;
        }
        let signer = service::open_key(config, log, place).await?;
        let key = signer.public_key().spki_der();
        let is_this = |record: &LogRecord| {
            record.kind == LogKind::RekorV1
                && record.public_key == key
                && log.id.is_none_or(|id| record.id.0 == id)
        };
        if is_this(record) {
            return Ok(signer.can_sign().then_some((signer, offset)));
        }
        if let Some(earlier) = records.iter().find(|record| is_this(record)) {
            offset += store.head(earlier.id).await?.size;
        }
    }
    Ok(None)
}

pub(super) async fn verify(arguments: VerifyExport) -> Result<ExitCode, CommandError> {
    let key = public_key(&arguments.public_key)?;
    let report = import::verify_archive(&arguments.directory, key.spki_der()).await?;
    if arguments.json {
        print_json(&report);
    } else {
        super::fsck::print_copy(&report);
    }
    Ok(match report.findings.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

pub(super) async fn import(
    arguments: Import,
    open: impl AsyncFn(&str) -> Result<SharedStore, StoreError>,
) -> Result<(), CommandError> {
    let config = Config::load(&arguments.config)?;
    let key = arguments
        .public_key
        .as_deref()
        .map(public_key)
        .transpose()?;
    let key = key.as_ref().map(PublicKey::spki_der);
    // Creates the database: an import may be the first thing that happens to it.
    let store = open(&config.server.database).await?;
    let imported = match (&arguments.from, &arguments.directory) {
        (Some(url), _) => {
            let remote = Remote::open(url, arguments.tree_id, key, arguments.parallel).await?;
            remote.import(&store).await?
        }
        (None, Some(directory)) => import::from_archive(&store, directory, key).await?,
        // clap has refused this.
        (None, None) => return Ok(()),
    };
    store.close().await?;
    if arguments.json {
        print_json(&imported);
    } else {
        print_imported(&imported);
    }
    Ok(())
}

fn print_imported(imported: &Imported) {
    let Imported {
        id,
        origin,
        size,
        before,
        first_index,
        public_key,
    } = imported;
    println!(
        "log {id} ({origin}): {size} entries, {} of them new",
        size - before
    );
    if let Some(first) = first_index {
        println!(
            "Its first entry has the number {first} over all shards: in `logs`, shards with {first} \
             entries in all must stand before it."
        );
    }
    println!(
        "Serve it with the public half of its key, and with `origin: {origin}`:\n{public_key}"
    );
}

fn public_key(path: &Path) -> Result<PublicKey, CommandError> {
    let text = read_text(&path.to_owned())?;
    PublicKey::from_pem(&text).map_err(|error| CommandError::File {
        path: path.to_owned(),
        source: std::io::Error::other(error.to_string()),
    })
}
