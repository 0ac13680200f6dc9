//! `--check`: past bundles against the next trusted root.

use clap::Args;

use super::{Failure, say};
use crate::preflight::{PastBundles, Source};
use crate::repository::Repository;

/// Which past bundles must go on verifying.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Refuse if one of these past bundles would stop verifying: a bundle, a directory of them, or
    /// the URL of a Rekor log, of which a sample is taken; may be given several times
    #[arg(long = "check", value_name = "BUNDLES")]
    pub sources: Vec<Source>,
    /// How many entries of a log to take
    #[arg(long, value_name = "N", requires = "sources", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub sample: u32,
}

impl CheckArgs {
    pub(super) async fn gather(&self) -> Result<PastBundles, Failure> {
        (PastBundles::gather(&self.sources, self.sample).await).map_err(say)
    }

    /// The repository that refuses what would break these bundles.
    pub(super) async fn guarded(&self, repository: Repository) -> Result<Repository, Failure> {
        match self.sources.is_empty() {
            true => Ok(repository),
            false => Ok(repository.guarding(self.gather().await?)),
        }
    }
}
