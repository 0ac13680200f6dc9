//! Pre-flight: does what was signed in the past still verify under the next trusted root?
//!
//! A client that refuses tomorrow what it accepted yesterday does so because of one line in
//! `trusted_root.json`: a log that ended a day too early, an authority that went. Nobody sees that
//! by reading the file. So past bundles, or a sample of the log, are verified under the trusted root
//! that is published and under the one that is to be, and whatever stops verifying is named.

mod files;
mod log;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Serialize;
use verifier::{Anchors, Evidence, Refusal};
use wire::trust::{TrustError, TrustedRoot};

/// Most bundles that are named in an error.
const NAMED: usize = 20;

/// Where past bundles are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A bundle, or a directory of them.
    Files(PathBuf),
    /// URL of a Rekor log.
    Log(String),
}

impl FromStr for Source {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = text.starts_with("http://") || text.starts_with("https://");
        Ok(match url {
            true => Self::Log(text.trim_end_matches('/').to_owned()),
            false => Self::Files(text.into()),
        })
    }
}

/// Why no past bundles were had.
#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    /// A file or a log could not be read.
    #[error("{at}: {reason}")]
    Read {
        /// Which.
        at: String,
        /// What went wrong.
        reason: String,
    },
    /// A check of nothing would pass.
    #[error(
        "{0} holds no bundle that could be checked; name a directory with bundles of your releases, or the URL of the Rekor log"
    )]
    Nothing(String),
    /// A trusted root that no client reads.
    #[error("trusted_root.json: {0}")]
    TrustedRoot(#[from] TrustError),
    /// A trusted root with a key or chain that cannot be used.
    #[error("trusted_root.json: {0}")]
    Anchors(Refusal),
}

/// A signature that was made.
#[derive(Debug)]
struct Past {
    /// File, or log and index.
    name: String,
    evidence: Evidence,
}

/// Signatures that were made.
#[derive(Debug)]
pub struct PastBundles {
    past: Vec<Past>,
    /// Files that look like bundles, and entries, that say nothing about a trust root.
    skipped: Vec<Stop>,
}

/// A bundle that does not verify, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stop {
    /// File, or log and index.
    pub bundle: String,
    /// Why.
    pub reason: String,
}

/// What a trusted root does to past bundles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How many verify.
    pub verified: usize,
    /// Those that verify under the published trusted root, and would not under the new one.
    pub stopped: Vec<Stop>,
    /// Those that do not verify under the published one either.
    pub refused_before: Vec<Stop>,
    /// What could not be read as a bundle.
    pub skipped: Vec<Stop>,
}

impl PastBundles {
    /// Reads all bundles in `sources`; of a log, `sample` entries, evenly spread.
    pub async fn gather(sources: &[Source], sample: u32) -> Result<Self, PreflightError> {
        let mut gathered = Self {
            past: Vec::new(),
            skipped: Vec::new(),
        };
        for source in sources {
            let before = gathered.past.len();
            let name = match source {
                Source::Files(path) => {
                    files::gather(path, &mut gathered)?;
                    path.display().to_string()
                }
                Source::Log(url) => {
                    log::gather(url, sample, &mut gathered).await?;
                    url.clone()
                }
            };
            if gathered.past.len() == before {
                return Err(PreflightError::Nothing(name));
            }
        }
        Ok(gathered)
    }

    /// Verifies everything under the published trusted root, if there is one, and the new one;
    /// without a new one nothing verifies.
    pub fn compare(
        &self,
        published: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<Report, PreflightError> {
        let old = published.map(anchors).transpose()?;
        let new = new.map(anchors).transpose()?;
        let mut report = Report {
            skipped: self.skipped.clone(),
            ..Report::default()
        };
        for Past { name, evidence } in &self.past {
            let stop = |reason: String| Stop {
                bundle: name.clone(),
                reason,
            };
            let refused = match &new {
                Some(new) => verifier::verify(evidence, new).err().map(|e| e.to_string()),
                None => Some("there would be no trusted root".to_owned()),
            };
            let before = old.as_ref().map(|old| verifier::verify(evidence, old));
            match (refused, before) {
                (None, _) => report.verified += 1,
                (Some(_), Some(Err(before))) => {
                    report.refused_before.push(stop(before.to_string()))
                }
                (Some(reason), _) => report.stopped.push(stop(reason)),
            }
        }
        Ok(report)
    }
}

impl Report {
    /// Whether everything that verified still does.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.stopped.is_empty()
    }
}

/// One line; more if something stopped.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verified, stopped) = (self.verified, self.stopped.len());
        match stopped {
            0 => write!(
                f,
                "{verified} past bundles verify under the new trusted root"
            )?,
            _ => write!(
                f,
                "{stopped} of {} past bundles would stop verifying under the new trusted root",
                stopped + verified
            )?,
        }
        if !self.refused_before.is_empty() {
            write!(
                f,
                "; {} did not verify before either",
                self.refused_before.len()
            )?;
        }
        if !self.skipped.is_empty() {
            write!(f, "; {} were not bundles", self.skipped.len())?;
        }
        for stop in self.stopped.iter().take(NAMED) {
            write!(f, "\n  {}: {}", stop.bundle, stop.reason)?;
        }
        match stopped.checked_sub(NAMED) {
            Some(more) if more > 0 => write!(f, "\n  and {more} more"),
            _ => Ok(()),
        }
    }
}

fn anchors(json: &[u8]) -> Result<Anchors, PreflightError> {
    Anchors::new(&TrustedRoot::from_json(json)?).map_err(PreflightError::Anchors)
}
