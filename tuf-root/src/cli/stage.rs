//! `stage`, `unstage`, `diff`.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::{CheckArgs, Failure, Location, print_json, say, tell};
use crate::ceremony::Request;
use crate::metadata::RoleName;

/// `stage …`
#[derive(Debug, Subcommand)]
pub enum StageCommand {
    /// A root with the keys and thresholds that `key` has gathered, and a new validity
    Root {
        /// Where the repository is
        #[command(flatten)]
        location: Location,
    },
    /// Targets metadata for the files that `target` has gathered
    Targets {
        /// Where the repository is
        #[command(flatten)]
        location: Location,
        /// Even if a log or an authority is no longer trusted
        #[arg(long)]
        force: bool,
        /// What must go on verifying
        #[command(flatten)]
        check: CheckArgs,
    },
}

/// What can be staged.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum StagedRole {
    /// Root metadata.
    Root,
    /// Targets metadata.
    Targets,
}

impl From<StagedRole> for RoleName {
    fn from(role: StagedRole) -> Self {
        match role {
            StagedRole::Root => Self::Root,
            StagedRole::Targets => Self::Targets,
        }
    }
}

/// Options of `unstage`.
#[derive(Debug, Args)]
pub struct Unstage {
    /// Where the repository is
    #[command(flatten)]
    pub location: Location,
    /// What to drop
    #[arg(value_enum)]
    pub role: StagedRole,
}

pub(super) async fn stage(command: StageCommand) -> Result<(), Failure> {
    let (location, request) = match command {
        StageCommand::Root { location } => {
            let request = location.open()?.stage_root().await;
            (location, request)
        }
        StageCommand::Targets {
            location,
            force,
            check,
        } => {
            let repository = check.guarded(location.open()?).await?;
            let request = repository.stage_targets(force).await;
            (location, request)
        }
    };
    let request = request?;
    match location.json {
        true => print_json(&json!({
            "role": request.role,
            "version": request.version,
            "sha256": request.sha256,
            "summary": request.summary,
        })),
        false => {
            show(&request);
            tell(format_args!(
                "Next: `tuf-root payload export {} --dir {} --out FILE`",
                request.role,
                location.dir.display()
            ));
        }
    }
    Ok(())
}

pub(super) async fn unstage(args: Unstage) -> Result<(), Failure> {
    let role = args.role.into();
    args.location.open()?.unstage(role).await.map_err(say)?;
    match args.location.json {
        true => print_json(&json!({ "dropped": role })),
        false => println!("Dropped the staged {role}."),
    }
    Ok(())
}

pub(super) async fn diff(location: Location) -> Result<(), Failure> {
    let lines = location.open()?.changes().await.map_err(say)?;
    match location.json {
        true => print_json(&json!({ "changes": lines })),
        false if lines.is_empty() => println!("Nothing changes for clients."),
        false => lines.iter().for_each(|line| println!("{line}")),
    }
    Ok(())
}

/// Shows what is to be signed.
pub(super) fn show(request: &Request) {
    println!("To sign: {} version {}", request.role, request.version);
    for line in &request.summary {
        println!("  {line}");
    }
    for quorum in &request.quorums {
        let of = match quorum.of {
            crate::ceremony::QuorumOf::PublishedRoot => "published",
            crate::ceremony::QuorumOf::NextRoot => "new",
        };
        let (threshold, keys) = (quorum.threshold, quorum.keyids.len());
        println!("  needs {threshold} of the {keys} keys that the {of} root lists");
    }
    println!("  SHA-256 of the payload: {}", request.sha256);
}
