//! What signs, what is to sign next, when each ends, and what is due.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use pki::certificate::Certificate;
use pki::chain::Chain;
use serde::Serialize;
use wire::trust::{Timestamp, TrustedRoot};

use crate::work::fingerprint;
use crate::{Directory, Error, Generation, trust};

const DAY: u64 = 86_400;

/// An authority at a moment.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Organisation in its certificates.
    pub organization: String,
    /// Where clients reach the service.
    pub url: String,
    /// The generation that signs.
    pub active: Option<Standing>,
    /// The generation that is to sign next.
    pub next: Option<Standing>,
    /// What somebody has to do, most urgent first; empty if nothing.
    pub due: Vec<String>,
}

/// A generation at a moment.
#[derive(Clone, Debug, Serialize)]
pub struct Standing {
    /// Which.
    pub generation: u32,
    /// Where its key is.
    pub key: String,
    /// SHA-256 of its public key (SPKI).
    pub key_sha256: String,
    /// The request that waits for its chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<PathBuf>,
    /// SHA-256 of the signing certificate; none while the request waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_sha256: Option<String>,
    /// Start of the signing certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    /// End of the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_not_after: Option<Timestamp>,
    /// Whole days that are left of the chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days_left: Option<u64>,
    /// Whether the trust root lists it as valid now, if a trust root was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published: Option<bool>,
}

impl Status {
    /// The authority in `directory` at `now`. What ends within `within` wants a successor.
    pub fn of(
        directory: &Directory,
        trusted_root: Option<&TrustedRoot>,
        within: Duration,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let active = directory.active()?;
        let newest = directory.newest();
        let standing = |number: u32| {
            let generation = directory.generation(number)?;
            Standing::of(directory, &generation, trusted_root, now)
        };
        let mut status = Self {
            organization: directory.about().organization.clone(),
            url: directory.about().url.clone(),
            active: active.map(standing).transpose()?,
            next: Some(newest)
                .filter(|newest| *newest > active.unwrap_or(0))
                .map(standing)
                .transpose()?,
            due: Vec::new(),
        };
        status.due = status.what_is_due(within, now);
        Ok(status)
    }

    fn what_is_due(&self, within: Duration, now: Timestamp) -> Vec<String> {
        let mut due = Vec::new();
        let soon = now.as_secs().saturating_add(within.as_secs());
        let ends = |end: Option<Timestamp>| end.is_some_and(|end| end.as_secs() <= soon);
        if let Some(next) = &self.next
            && next.not_after.is_none()
        {
            let number = next.generation;
            due.push(match &next.request {
                Some(request) => format!(
                    "generation {number} waits for its chain: have the root sign {}, then `import` the chain",
                    request.display()
                ),
                None => format!(
                    "generation {number} was interrupted while it was made: remove {number}/key.json (keep the key), if it is the first also authority.json, and repeat the command with --use-existing-key"
                ),
            });
        }
        let Some(active) = &self.active else {
            if self.next.is_none() {
                due.push("nothing can sign: `init` was not completed".to_owned());
            }
            return due;
        };
        let left = match active.days_left {
            Some(0) => "ends today, or has ended".to_owned(),
            days => format!("ends in {} days", days.unwrap_or_default()),
        };
        if ends(active.not_after) {
            due.push(match &self.next {
                None => format!(
                    "the signing certificate {left}, and there is no successor: make one with `next`"
                ),
                Some(next) if next.not_after.is_none() => {
                    format!("the signing certificate {left}, and its successor is not certified yet")
                }
                Some(next) => format!(
                    "the signing certificate {left}: publish generation {} in the trust root, then `activate` it",
                    next.generation
                ),
            });
        }
        if ends(active.root_not_after) {
            due.push("the root ends: begin a new authority with a new root, and publish it beside this one".to_owned());
        }
        if active.published == Some(false) {
            due.push("clients refuse what is signed: the trust root does not list the active chain as valid now".to_owned());
        }
        due
    }
}

impl Standing {
    fn of(
        directory: &Directory,
        generation: &Generation,
        trusted_root: Option<&TrustedRoot>,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let chain = generation.chain.as_ref();
        let first = chain.map(|chain| times(chain.first())).transpose()?;
        let root = chain.map(|chain| times(chain.root())).transpose()?;
        let left = chain.map(|chain| {
            let end = chain.validity().1;
            let left = end.duration_since(SystemTime::from(now));
            left.unwrap_or_default().as_secs() / DAY
        });
        let purpose = directory.purpose();
        let request = directory.folder(generation.number).join("request.pem");
        Ok(Self {
            request: Some(request).filter(|path| chain.is_none() && path.exists()),
            generation: generation.number,
            key: generation.key.to_string(),
            key_sha256: hex::encode(generation.public_key.key_id()),
            certificate_sha256: chain.map(|chain: &Chain| fingerprint(chain.first())),
            not_before: first.map(|(from, _)| from),
            not_after: first.map(|(_, until)| until),
            root_not_after: root.map(|(_, until)| until),
            days_left: left,
            published: trusted_root
                .zip(chain)
                .map(|(root, chain)| trust::check_listed(purpose, root, chain, now).is_ok()),
        })
    }
}

fn times(der: &[u8]) -> Result<(Timestamp, Timestamp), Error> {
    let malformed = |reason: String| Error::Malformed {
        path: "chain.pem".into(),
        reason,
    };
    let certificate = Certificate::from_der(der).map_err(|error| malformed(error.to_string()))?;
    let time =
        |at: SystemTime| Timestamp::try_from(at).map_err(|error| malformed(error.to_string()));
    Ok((
        time(certificate.not_before())?,
        time(certificate.not_after())?,
    ))
}
