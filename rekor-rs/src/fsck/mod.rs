//! Checking logs: whether what is stored is what was signed.
//!
//! Everything that the engine computed when it wrote an entry is computed again from the entries, by
//! another implementation ([`tree`]), and compared: leaf hashes, every tile, the root, the signed
//! checkpoint, the roll-back guard, the unique index and the search index. The check reads; it may run
//! beside the service, because entries below a head never change.
//!
//! ```text
//! walk      one pass over the entries: leaf hashes, tiles, root
//! chunk     the entries of one tile
//! versions  a tile as stored and as computed
//! entry     one entry by itself: canonical body, time, promise
//! head      what was signed
//! index     the search index against the entries
//! state     where an interrupted check goes on
//! ```

mod chunk;
mod entry;
mod finding;
mod head;
mod index;
mod report;
mod source;
mod state;
#[cfg(test)]
mod tests;
mod tree;
mod versions;
mod walk;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use logstore::{Head, LogId, LogKind, LogRecord, SharedStore, StoreError};
use sequencer::{Guard, GuardMark};

pub use finding::{Finding, Findings, Remedy};
pub(crate) use head::open_checkpoint;
pub use report::{GuardState, IndexReport, LogReport, Report};
pub(crate) use source::Source;

use entry::Examiner;
use index::{Scan, Summed};
use source::Stored;
use state::{Saved, SavedLog, SavedScan, Saver};
use walk::{Expected, Mark, Walk};

use crate::progress::Progress;

/// What to check, beside the database.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Only these logs; all if empty.
    pub logs: Vec<LogId>,
    /// Directory of the roll-back guards.
    pub guard_dir: Option<PathBuf>,
    /// Checkpoints that somebody kept: what they sign must be a part of what is there.
    pub checkpoints: Vec<String>,
    /// Where the state is kept.
    pub state: Option<PathBuf>,
    /// Whether to repair the search index.
    pub repair_index: bool,
}

/// Why a check came to no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The state could not be written.
    #[error("the state of the check: {0}")]
    Io(#[from] std::io::Error),
    /// What was asked for makes no sense.
    #[error("{0}")]
    Usage(String),
}

/// Checks the logs of a database.
pub async fn run(store: &SharedStore, options: &Options) -> Result<Report, Error> {
    let all = store.logs().await?;
    let chosen = choose(&all, &options.logs)?;
    check_options(&chosen, &options.checkpoints)?;
    let mut saver = Saver::new(options.state.as_deref());
    let mut saved = saver.load().map_err(Error::Usage)?;
    let mut reports = Vec::new();
    let mut summed = Vec::new();
    for record in chosen {
        let (report, walk) = check_log(store, record, options, &mut saver, &mut saved).await?;
        if record.kind != LogKind::Ct {
            summed.push(Summed {
                log: record.id,
                size: report.size,
                sums: walk.sums,
            });
        }
        reports.push(report);
    }
    let damaged = reports.iter().any(|report| !report.findings.is_empty());
    if options.repair_index && damaged {
        saver.finish()?;
        return Ok(Report {
            ok: false,
            logs: reports,
            search_index: None,
        });
    }
    let ids: Vec<LogId> = all.iter().map(|record| record.id).collect();
    let check = index::Check {
        store,
        logs: &summed,
        all: &ids,
        repair: options.repair_index,
    };
    let scan = check_index(&check, &mut saver, saved).await?;
    saver.finish()?;
    let repaired = scan.findings.count == scan.repaired;
    Ok(Report {
        ok: !damaged && repaired,
        logs: reports,
        search_index: Some(IndexReport {
            rows: scan.rows,
            repaired: scan.repaired,
            findings: scan.findings,
        }),
    })
}

/// Checks a copy of a log up to its signed head, whose signature was verified.
pub(crate) async fn check_copy(
    source: &dyn Source,
    record: &LogRecord,
    head: &Head,
) -> Result<LogReport, Error> {
    let expected = Expected {
        size: head.size,
        root: head.root,
        marks: &BTreeMap::new(),
    };
    let mut walk = Walk::new(head.size);
    let progress = Progress::new(format!("copy of log {}", record.id), head.size, 0);
    let examiner = Examiner::new(record);
    walk.run(source, &examiner, &expected, |walk| {
        progress.rows(walk.next);
        Ok(())
    })
    .await?;
    for finding in &mut walk.findings.list {
        finding.remedy = Remedy::CopyAgain;
    }
    Ok(LogReport::new(
        record,
        head,
        GuardState::Absent,
        walk.findings,
    ))
}

fn choose<'a>(all: &'a [LogRecord], ids: &[LogId]) -> Result<Vec<&'a LogRecord>, Error> {
    for id in ids {
        if all.iter().all(|record| record.id != *id) {
            return Err(Error::Usage(format!(
                "no log has the id {id}; `log list` shows those there are"
            )));
        }
    }
    let is_chosen = |record: &&LogRecord| ids.is_empty() || ids.contains(&record.id);
    Ok(all.iter().filter(is_chosen).collect())
}

/// Refuses checkpoints that none of these logs signed: they would be compared with nothing.
fn check_options(logs: &[&LogRecord], checkpoints: &[String]) -> Result<(), Error> {
    for (number, note) in (1..).zip(checkpoints) {
        let signed = |record: &&LogRecord| {
            let key = crypto::PublicKey::from_spki_der(&record.public_key);
            key.is_ok_and(|key| head::open_checkpoint(record, &key, note).is_ok())
        };
        if !logs.iter().any(signed) {
            return Err(Error::Usage(format!(
                "checkpoint {number} of those that were given is not signed by any of the logs"
            )));
        }
    }
    Ok(())
}

/// Checks one log up to its head, or to that of the check that is resumed.
async fn check_log(
    store: &SharedStore,
    record: &LogRecord,
    options: &Options,
    saver: &mut Saver<'_>,
    saved: &mut Saved,
) -> Result<(LogReport, Walk), Error> {
    // Before the head: the guard moves after it.
    let guard = options
        .guard_dir
        .as_deref()
        .map(|directory| read_guard(directory, record.id));
    let current = store.head(record.id).await?;
    let resumed = saved.logs.get(&record.id.0);
    let done = resumed.is_some_and(|log| log.done);
    let (head, mut walk) = match resumed.map(SavedLog::resume) {
        None => (current.clone(), Walk::new(current.size)),
        Some(Some((head, walk))) if head.size <= current.size => (head, walk),
        Some(_) => {
            return Err(Error::Usage(format!(
                "the state is not of a check of log {}; remove it to begin again",
                record.id
            )));
        }
    };
    if !done {
        let mut marks: BTreeMap<u64, Vec<Mark>> = BTreeMap::new();
        let remembered = match guard.clone().transpose() {
            Ok(mark) => mark.flatten(),
            Err(problem) => {
                walk.findings
                    .add("roll-back guard", problem, Remedy::CheckConfiguration);
                None
            }
        };
        if let Some(mark) = remembered {
            check_guard(record, &current, &mark, &mut marks, &mut walk.findings);
        }
        check_kept(
            record,
            &options.checkpoints,
            head.size,
            &mut marks,
            &mut walk.findings,
        );
        if walk.next == 0 {
            head::check_signature(record, &head, &mut walk.findings);
        }
        let expected = Expected {
            size: head.size,
            root: head.root,
            marks: &marks,
        };
        let source = Stored {
            store: store.clone(),
            log: record.id,
        };
        let progress = Progress::new(format!("log {}", record.id), head.size, walk.next);
        let logs = &saved.logs;
        walk.run(&source, &Examiner::new(record), &expected, |walk| {
            progress.rows(walk.next);
            saver.save(|| {
                let mut logs = logs.clone();
                logs.insert(record.id.0, SavedLog::new(&head, walk, false));
                Saved {
                    logs,
                    ..Saved::default()
                }
            })
        })
        .await?;
        beyond(store, record, &source, &mut walk.findings).await?;
        saved
            .logs
            .insert(record.id.0, SavedLog::new(&head, &walk, true));
        saver.save_now(saved)?;
    }
    let guard = match guard {
        Some(Ok(Some(mark))) if mark.size > head.size => GuardState::Newer,
        Some(Ok(Some(_))) => GuardState::Compared,
        _ => GuardState::Absent,
    };
    let report = LogReport::new(record, &head, guard, walk.findings.clone());
    Ok((report, walk))
}

/// What a guard remembers, without taking it from the service that uses it.
fn read_guard(directory: &Path, log: LogId) -> Result<Option<GuardMark>, String> {
    let path = crate::service::guard_path(directory, log);
    Guard::read(&path).map_err(|error| error.to_string())
}

fn check_guard(
    record: &LogRecord,
    current: &Head,
    mark: &GuardMark,
    marks: &mut BTreeMap<u64, Vec<Mark>>,
    findings: &mut Findings,
) {
    match head::guard_problem(record, current, mark) {
        Some((problem, remedy)) => findings.add("roll-back guard", problem, remedy),
        None => marks.entry(mark.size).or_default().push(Mark {
            whose: "roll-back guard".to_owned(),
            root: mark.root,
        }),
    }
}

/// Takes the checkpoints that are of this log.
fn check_kept(
    record: &LogRecord,
    checkpoints: &[String],
    size: u64,
    marks: &mut BTreeMap<u64, Vec<Mark>>,
    findings: &mut Findings,
) {
    let Ok(key) = crypto::PublicKey::from_spki_der(&record.public_key) else {
        return;
    };
    for note in checkpoints {
        let Ok(checkpoint) = head::open_checkpoint(record, &key, note) else {
            continue;
        };
        let whose = format!("kept checkpoint of {} entries", checkpoint.size);
        if checkpoint.size > size {
            let problem = format!("the database holds only {size} entries");
            findings.add(whose, problem, Remedy::RolledBack);
        } else {
            let root = checkpoint.root;
            marks
                .entry(checkpoint.size)
                .or_default()
                .push(Mark { whose, root });
        }
    }
}

/// Entries and leaf hashes that no head covers.
async fn beyond(
    store: &SharedStore,
    record: &LogRecord,
    source: &Stored,
    findings: &mut Findings,
) -> Result<(), Error> {
    loop {
        let size = store.head(record.id).await?.size;
        let more = source.records(size, size.saturating_add(1)).await;
        let edge = tlog::TileId {
            level: 0,
            index: size / tlog::TILE_WIDTH as u64,
        };
        let width = match source::tile(source, edge).await? {
            Ok(tile) => tile.map_or(0, |tile| tile.len()),
            Err(_) => 0,
        };
        // A batch that was committed in between moved the head.
        if store.head(record.id).await?.size != size {
            continue;
        }
        let there = match more {
            Ok(records) => !records.is_empty(),
            Err(StoreError::Corrupt(_)) => true,
            Err(error) => return Err(error.into()),
        };
        if there {
            let problem =
                format!("it is there, and the head covers only {size} entries: an old head");
            findings.add(finding::entry_place(size), problem, Remedy::RestoreDatabase);
        }
        if width > edge.width(size) {
            let problem = format!(
                "it holds {width} hashes, of which the head covers {}",
                edge.width(size)
            );
            findings.add(finding::tile_place(edge), problem, Remedy::RestoreDatabase);
        }
        return Ok(());
    }
}

async fn check_index(
    check: &index::Check<'_>,
    saver: &mut Saver<'_>,
    saved: Saved,
) -> Result<Scan, Error> {
    let mut scan = saved
        .index
        .as_ref()
        .and_then(SavedScan::resume)
        .unwrap_or_default();
    let progress = Progress::counter("search index".to_owned());
    check
        .run(&mut scan, &progress, |scan| {
            saver.save(|| Saved {
                index: Some(SavedScan::new(scan)),
                ..saved.clone()
            })
        })
        .await?;
    Ok(scan)
}
