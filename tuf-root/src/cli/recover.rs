//! `recover`: going on after a restored backup.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::verify::mirror;
use super::{Failure, Location, of_role, print_json, say, tell};
use crate::client::Directory;
use crate::metadata::{RoleName, Version};

/// Options of `recover`.
#[derive(Debug, Args)]
pub struct Recover {
    /// Where the repository is
    #[command(flatten)]
    pub location: Location,
    /// URL of a live mirror: what it has is taken over, after checking it as a client would
    #[arg(long, value_name = "URL")]
    pub mirror: Option<String>,
    /// Directory with a copy of what clients see, instead of a URL
    #[arg(long, value_name = "DIR", conflicts_with = "mirror")]
    pub copy: Option<PathBuf>,
    /// Version that clients have seen, if no mirror is left: timestamp=1234, may be repeated
    #[arg(
        long = "seen",
        value_name = "ROLE=VERSION",
        value_parser = of_role::<u64>,
        conflicts_with_all = ["mirror", "copy"],
        required_unless_present_any = ["mirror", "copy"]
    )]
    pub seen: Vec<(RoleName, u64)>,
}

pub(super) async fn recover(args: Recover) -> Result<(), Failure> {
    let repository = args.location.open()?;
    let recovered = match (&args.mirror, &args.copy) {
        (Some(url), _) => repository.recover(&mirror(url).map_err(say)?).await,
        (None, Some(path)) => repository.recover(&Directory { path: path.clone() }).await,
        (None, None) => {
            let mut versions = BTreeMap::new();
            for (role, version) in args.seen {
                if role == RoleName::Root {
                    return Err("root versions cannot be skipped; find a copy of each N.root.json and use --copy".into());
                }
                let version = Version::new(version).ok_or("not a version")?;
                versions.insert(role, version);
            }
            repository.jump_ahead(&versions).await
        }
    };
    let recovered = recovered.map_err(say)?;
    if args.location.json {
        print_json(&json!(recovered));
        return Ok(());
    }
    for (role, version) in &recovered.taken {
        println!("{role}: the next version is above {version}");
    }
    tell(format_args!(
        "Next: `tuf-root publish --dir {}`",
        args.location.dir.display()
    ));
    Ok(())
}
