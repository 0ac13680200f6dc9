//! `publish` and `refresh`.

use clap::Args;
use serde_json::json;

use super::{Message, Signing, print_json, say};
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
}

pub(super) async fn publish(args: Publish) -> Result<(), Message> {
    let repository = args.signing.open()?;
    let outcome = match args.dry_run {
        true => repository.simulate().await,
        false => repository.publish().await,
    };
    report(&args.signing, &outcome.map_err(say)?);
    Ok(())
}

pub(super) async fn refresh(args: Signing) -> Result<(), Message> {
    let outcome = args.open()?.refresh().await.map_err(say)?;
    report(&args, &outcome);
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
    for warning in &outcome.warnings {
        eprintln!("warning: {warning}");
    }
}
