//! `publish` and `refresh`.

use clap::Args;
use serde_json::json;

use super::{CheckArgs, Copies, Failure, Signing, print_json};
use crate::metadata::{RoleName, Sha256, Version};
use crate::repository::Outcome;

/// Options of `publish`.
#[derive(Debug, Args)]
pub struct Publish {
    /// Where the repository and its passphrase are
    #[command(flatten)]
    pub signing: Signing,
    /// Sign in memory, walk the new tree as clients would, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// What must go on verifying
    #[command(flatten)]
    pub check: CheckArgs,
    /// Where the tree goes besides DIR/published
    #[command(flatten)]
    pub copies: Copies,
}

/// Options of `refresh`.
#[derive(Debug, Args)]
pub struct Refresh {
    /// Where the repository and its passphrase are
    #[command(flatten)]
    pub signing: Signing,
    /// Where the tree goes besides DIR/published
    #[command(flatten)]
    pub copies: Copies,
}

pub(super) async fn publish(args: Publish) -> Result<(), Failure> {
    let repository = args.copies.of(args.signing.open()?)?;
    let repository = args.check.guarded(repository).await?;
    let outcome = match args.dry_run {
        true => repository.simulate().await,
        false => repository.publish().await,
    };
    report(&args.signing, &outcome?);
    Ok(())
}

pub(super) async fn refresh(args: Refresh) -> Result<(), Failure> {
    let repository = args.copies.of(args.signing.open()?)?;
    let outcome = repository.refresh().await?;
    report(&args.signing, &outcome);
    Ok(())
}

pub(super) fn report(args: &Signing, outcome: &Outcome) {
    if args.location.json {
        print_json(&json!(outcome));
        return;
    }
    for (role, version) in &outcome.published {
        println!("{role}: version {version}");
    }
    for client in &outcome.accepted_by {
        println!("accepted by {client}");
    }
    if outcome.published.is_empty() {
        println!("Nothing to do: what is published is current.");
    }
    if outcome.published.get(&RoleName::Root) == Some(&Version::FIRST) {
        let file = args.location.dir.join("roots/1.root.json");
        if let Ok(root) = std::fs::read(&file) {
            let (file, sha256) = (file.display(), Sha256::of(&root));
            println!("Hand out {file} on a way that is not the mirror; its SHA-256 is {sha256}.");
        }
    }
    for warning in &outcome.warnings {
        eprintln!("warning: {warning}");
    }
}
