//! `fsck`: checking what is stored.

use std::path::PathBuf;
use std::process::ExitCode;

use logstore::{LogId, SharedStore, StoreError};

use super::{CommandError, database};
use crate::config::Config;
use crate::fsck::{self, Findings, GuardState, LogReport, Options, Report};

/// Arguments of `fsck`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes: 0 nothing found, 1 something found (or the check could not be made), 2 wrong usage.")]
pub struct Arguments {
    /// The configuration: database and guards.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Only this log; repeatable. All logs of the database if left out.
    #[arg(long, value_name = "ID")]
    log: Vec<i64>,
    /// A checkpoint that somebody kept: what it signs must be part of the log. Repeatable.
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// Keep the state of the check here. If it is interrupted, the same command goes on with it; it
    /// is removed at the end.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Add missing rows to the search index and remove surplus ones, if the entries are undamaged.
    /// SQLite: stop the service first.
    #[arg(long)]
    repair_index: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(
    arguments: Arguments,
    open: impl AsyncFn(&str) -> Result<SharedStore, StoreError>,
) -> Result<ExitCode, CommandError> {
    let config = Config::load(&arguments.config)?;
    let checkpoints = arguments.checkpoint.iter().map(super::read_text);
    let options = Options {
        logs: arguments.log.iter().copied().map(LogId).collect(),
        guard_dir: Some(config.guard_dir.clone()),
        checkpoints: checkpoints.collect::<Result<_, _>>()?,
        state: arguments.state,
        repair_index: arguments.repair_index,
    };
    let store = database(&config, !arguments.repair_index, open).await?;
    let report = fsck::run(&store, &options).await?;
    store.close().await?;
    if arguments.json {
        super::print_json(&report);
    } else {
        print(&report, arguments.repair_index);
    }
    Ok(match report.ok {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn print(report: &Report, repair: bool) {
    for log in &report.logs {
        print_log(log);
    }
    match &report.search_index {
        Some(index) => {
            println!(
                "search index: {} rows, {}",
                index.rows,
                verdict(&index.findings)
            );
            print_findings(&index.findings);
            if index.repaired > 0 {
                println!("  {} rows were repaired", index.repaired);
            }
        }
        None if repair => println!(
            "search index: not repaired, because it would be made from damaged entries; restore these \
             first"
        ),
        None => {}
    }
}

fn print_log(log: &LogReport) {
    print_copy(log);
    if log.guard == GuardState::Absent {
        println!("  no roll-back guard to compare with");
    }
}

/// Prints what was found in a log that has no guard.
pub(super) fn print_copy(log: &LogReport) {
    println!(
        "log {} ({}, {}): {} entries, root {}, {}",
        log.id,
        log.kind,
        log.origin,
        log.size,
        log.root,
        verdict(&log.findings)
    );
    print_findings(&log.findings);
}

fn verdict(findings: &Findings) -> String {
    match findings.count {
        0 => "sound".to_owned(),
        1 => "1 FINDING".to_owned(),
        count => format!("{count} FINDINGS"),
    }
}

fn print_findings(findings: &Findings) {
    for finding in &findings.list {
        println!("  {}: {}", finding.place, finding.problem);
        println!("    what to do: {}", finding.remedy.text());
    }
    let listed = findings.list.len() as u64;
    if findings.count > listed {
        println!("  and {} more", findings.count - listed);
    }
}
