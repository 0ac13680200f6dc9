//! `init`: makes a repository.

use std::num::NonZeroU32;

use clap::Args;
use clock::SystemClock;
use keys::KeyUri;
use serde_json::json;

use super::{Failure, Signing, of_role, print_json, say, tell};
use crate::metadata::RoleName;
use crate::policy::{Period, Policy};
use crate::repository::Repository;

/// Options of `init`.
#[derive(Debug, Args)]
pub struct Init {
    /// Where the repository and its passphrase are
    #[command(flatten)]
    pub signing: Signing,
    /// Leave root and targets without keys: their holders bring them with `key import`
    ///
    /// The keys of snapshot and timestamp are made here, and the first root is staged, signed by
    /// its keyholders and published with `stage root`, `sign` and `publish`.
    #[arg(long)]
    pub ceremony: bool,
    /// Key of a role, such as root=file:/media/stick/root-1.pem; may be given several times. A file
    /// that does not exist is made; a relative path is meant from DIR
    #[arg(long = "key", value_name = "ROLE=URI", value_parser = of_role::<KeyUri>)]
    pub keys: Vec<(RoleName, KeyUri)>,
    /// How many of a role's keys must sign, such as root=2
    #[arg(long = "threshold", value_name = "ROLE=K", value_parser = of_role::<NonZeroU32>)]
    pub thresholds: Vec<(RoleName, NonZeroU32)>,
    /// How long a role's metadata is valid, such as timestamp=7d (the default) or root=365d
    #[arg(long = "expiry", value_name = "ROLE=PERIOD", value_parser = of_role::<Period>)]
    pub expiries: Vec<(RoleName, Period)>,
    /// How long before its end a role is signed again, such as timestamp=6d (the default)
    #[arg(long = "window", value_name = "ROLE=PERIOD", value_parser = of_role::<Period>)]
    pub windows: Vec<(RoleName, Period)>,
}

pub(super) async fn init(args: Init) -> Result<(), Failure> {
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
        if !keys.is_empty() || (args.ceremony && is_offline(role)) {
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
            entry.threshold = threshold.get();
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
    } else if args.ceremony {
        println!(
            "Made a repository in {}, without a root yet.",
            dir.display()
        );
        tell(format_args!(
            "Next, each keyholder: `tuf-root key claim`; here: `tuf-root key import --dir {}`, then `tuf-root stage root`.",
            dir.display()
        ));
    } else {
        println!("Made a repository in {}.", dir.display());
        tell(format_args!(
            "Next: `tuf-root target add --dir {0} trusted_root.json`, then `tuf-root publish --dir {0}`.",
            dir.display()
        ));
    }
    Ok(())
}

const fn is_offline(role: RoleName) -> bool {
    matches!(role, RoleName::Root | RoleName::Targets)
}
