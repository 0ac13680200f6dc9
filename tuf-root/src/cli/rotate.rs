//! `rotate …` and `revoke …`: replacing keys.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use keys::KeyUri;
use serde_json::json;

use super::key::read_claim;
use super::service::RotateService;
use super::{
    CheckArgs, Copies, Failure, Location, Signing, of_role, print_json, publish, say, tell,
};
use crate::metadata::RoleName;
use crate::repository::{NewKey, Rotation};

/// `rotate …`, or `rotate --check`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub struct Rotate {
    /// What to replace
    #[command(subcommand)]
    pub command: Option<RotateCommand>,
    /// Where the repository is
    #[command(flatten)]
    pub location: Location,
    /// What must go on verifying
    #[command(flatten)]
    pub check: CheckArgs,
}

/// `rotate …`
#[derive(Debug, Subcommand)]
pub enum RotateCommand {
    /// Stage a root with other root keys, or another threshold
    ///
    /// It needs the signatures of the published root's quorum and of its own.
    Root {
        /// Where the repository is
        #[command(flatten)]
        location: Location,
        /// File of `key claim` with a key that comes in; may be given several times
        #[arg(long, value_name = "FILE")]
        add: Vec<PathBuf>,
        /// Beginning of the id of a key that goes; may be given several times
        #[arg(long, value_name = "ID")]
        remove: Vec<String>,
        /// How many keys must sign
        #[arg(long, value_name = "K")]
        threshold: Option<u32>,
    },
    /// Replace the keys of snapshot and timestamp, without a moment in which clients are refused
    ///
    /// If the root needs signatures from elsewhere it stops there and says so; run it again when
    /// they are imported, or after any interruption.
    Online(NewOnlineKeys),
    /// Publish the next key or certificate of a service before it signs; end the old one
    ///
    /// In this order, and no client notices: --next and publish; wait a day, until every client
    /// has it; switch the service; --end and publish. Without either, lists what there is. Nothing
    /// is ever removed: what an entry signed is verified with it.
    Service(RotateService),
}

/// `revoke …`
#[derive(Debug, Subcommand)]
pub enum RevokeCommand {
    /// Replace the keys of snapshot and timestamp, which never sign again
    Online(NewOnlineKeys),
}

/// Where new online keys are.
#[derive(Debug, Args)]
pub struct NewOnlineKeys {
    /// Where the repository and its passphrase are
    #[command(flatten)]
    pub signing: Signing,
    /// New key, such as timestamp=pkcs11:…; by default a new file under DIR/keys
    #[arg(long = "key", value_name = "ROLE=URI", value_parser = of_role::<KeyUri>)]
    pub keys: Vec<(RoleName, KeyUri)>,
    /// Where the tree goes besides DIR/published
    #[command(flatten)]
    pub copies: Copies,
}

pub(super) async fn rotate(args: Rotate) -> Result<ExitCode, Failure> {
    let Some(command) = args.command else {
        return check(&args.location, &args.check).await;
    };
    replace(command).await.map(|()| ExitCode::SUCCESS)
}

/// Verifies past bundles under what is staged; changes nothing.
async fn check(location: &Location, check: &CheckArgs) -> Result<ExitCode, Failure> {
    if check.sources.is_empty() {
        return Err(
            "say what to replace, root, online or service, or name past bundles with --check"
                .into(),
        );
    }
    let past = check.gather().await?;
    let report = location.open()?.preflight(&past).await?;
    match (location.json, report.passed()) {
        (true, passed) => print_json(&json!({ "ok": passed, "report": report })),
        (false, true) => println!("{report}"),
        (false, false) => eprintln!("{report}"),
    }
    Ok(ExitCode::from(u8::from(!report.passed())))
}

async fn replace(command: RotateCommand) -> Result<(), Failure> {
    match command {
        RotateCommand::Root {
            location,
            add,
            remove,
            threshold,
        } => {
            let repository = location.open()?;
            let claims = add
                .iter()
                .map(|file| read_claim(file))
                .collect::<Result<Vec<_>, _>>()?;
            for claim in claims {
                repository
                    .add_key(&[RoleName::Root], NewKey::Claim(claim))
                    .await
                    .map_err(say)?;
            }
            for id in &remove {
                repository
                    .remove_key(&[RoleName::Root], id)
                    .await
                    .map_err(say)?;
            }
            if let Some(threshold) = threshold {
                repository
                    .set_threshold(RoleName::Root, threshold)
                    .await
                    .map_err(say)?;
            }
            super::stage::stage(super::StageCommand::Root { location }).await
        }
        RotateCommand::Online(args) => online(args, false).await,
        RotateCommand::Service(args) => super::service::rotate(args).await,
    }
}

pub(super) async fn revoke(command: RevokeCommand) -> Result<(), Failure> {
    let RevokeCommand::Online(args) = command;
    online(args, true).await
}

async fn online(args: NewOnlineKeys, revoke: bool) -> Result<(), Failure> {
    let mut keys: BTreeMap<RoleName, Vec<KeyUri>> = BTreeMap::new();
    for (role, uri) in args.keys {
        if !matches!(role, RoleName::Snapshot | RoleName::Timestamp) {
            return Err("the online roles are snapshot and timestamp".into());
        }
        keys.entry(role).or_default().push(uri);
    }
    let repository = args.copies.of(args.signing.open()?)?;
    let rotation = match revoke {
        true => repository.revoke_online(&keys).await,
        false => repository.rotate_online(&keys).await,
    };
    match rotation.map_err(say)? {
        Rotation::Done(outcome) => publish::report(&args.signing, &outcome),
        Rotation::Waiting(why) if args.signing.location.json => {
            print_json(&json!({ "waiting": why }));
        }
        Rotation::Waiting(why) => {
            tell(format_args!(
                "The new keys are in a staged root: {why}. Then run this command again."
            ));
        }
    }
    Ok(())
}
