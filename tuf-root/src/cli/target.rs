//! `target …`: the files that the next publication holds.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use serde_json::json;

use super::{Failure, Location, print_json, say, tell};
use crate::metadata::{Custom, SigstoreCustom, Status, TargetName, Usage};
use crate::repository::TargetFile;
use crate::trust;

/// `target …`
#[derive(Debug, Subcommand)]
pub enum TargetCommand {
    /// Stage a file for the next publication
    Add {
        /// Where the repository is
        #[command(flatten)]
        location: Location,
        /// The file
        file: PathBuf,
        /// Its name in the repository; by default the file's own
        #[arg(long)]
        name: Option<TargetName>,
        /// What it is for, for older clients that look for keys and certificates by usage
        #[arg(long)]
        usage: Option<UsageArg>,
        /// Whether it is in use
        #[arg(long, requires = "usage", default_value = "active")]
        status: StatusArg,
        /// The service it belongs to
        #[arg(long, requires = "usage", value_name = "URL")]
        uri: Option<String>,
    },
    /// Leave a file out of the next publication
    Remove {
        /// Where the repository is
        #[command(flatten)]
        location: Location,
        /// Its name
        name: TargetName,
    },
    /// Show what is published and what the next publication changes
    List {
        /// Where the repository is
        #[command(flatten)]
        location: Location,
    },
}

/// What a file is for.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum UsageArg {
    /// Certificate authority: PEM certificates.
    Fulcio,
    /// Log: one PEM public key.
    Rekor,
    /// Certificate Transparency log: one PEM public key.
    Ctfe,
    /// Timestamp authority: PEM certificates.
    Tsa,
}

/// Whether a file is in use.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum StatusArg {
    /// In use.
    Active,
    /// For old signatures only.
    Expired,
}

pub(super) async fn target(command: TargetCommand) -> Result<(), Failure> {
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
            if usage.is_none() && !trust::is_asked_for(&name) && !location.json {
                println!(
                    "No client asks for a file of the name {name}; they ask for {}, {} and, with --usage, for \
                     keys and certificates.",
                    trust::TRUSTED_ROOT,
                    trust::SIGNING_CONFIG
                );
            }
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
        false => tell(format_args!(
            "{done} {name}. Clients see it after: `tuf-root publish --dir {}`",
            location.dir.display()
        )),
    }
}
