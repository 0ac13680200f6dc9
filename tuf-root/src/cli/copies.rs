//! `--to`: where the published tree goes besides its directory.

use clap::Args;

use super::Failure;
use crate::repository::Repository;

/// Where the published tree goes besides its directory.
#[derive(Debug, Args)]
pub struct Copies {
    /// Also publish to this bucket, such as s3://trust/tuf
    ///
    /// Region, endpoint and credentials come from AWS_REGION, AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID,
    /// AWS_SECRET_ACCESS_KEY and the like. Files are uploaded in the order in which clients need
    /// them, timestamp.json last and only in the place of the one that was read before; then all
    /// is read back and verified.
    #[arg(long, value_name = "URL", env = "TUF_ROOT_TO")]
    pub to: Option<String>,
}

impl Copies {
    pub(super) fn of(&self, repository: Repository) -> Result<Repository, Failure> {
        match &self.to {
            None => Ok(repository),
            Some(url) => follow(repository, url),
        }
    }
}

#[cfg(feature = "s3")]
fn follow(repository: Repository, url: &str) -> Result<Repository, Failure> {
    let bucket = crate::bucket::Bucket::open(url).map_err(super::say)?;
    Ok(repository.publishing_to(bucket))
}

#[cfg(not(feature = "s3"))]
fn follow(_: Repository, _: &str) -> Result<Repository, Failure> {
    Err("this build cannot publish to a bucket: build it with --features s3".into())
}
