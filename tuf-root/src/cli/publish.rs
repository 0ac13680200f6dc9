//! `publish` and `refresh`.

use serde_json::json;

use super::{Message, Signing, print_json, say};
use crate::repository::Outcome;

pub(super) async fn publish(args: Signing, refresh: bool) -> Result<(), Message> {
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
