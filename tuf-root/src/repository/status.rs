//! What is published, and for how long.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::draft::{Drafts, Progress};
use super::publish::{is_due, staged_targets};
use super::state::State;
use super::tree::Current;
use super::{Repository, RepositoryError};
use crate::metadata::{Document, Expires, Metadata, RoleName, TargetName, Version};
use crate::policy::Period;

/// The state of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Where the repository is in its life.
    pub phase: Phase,
    /// The four roles; only root before the first publication.
    pub roles: Vec<RoleStatus>,
    /// Names of the published target files.
    pub targets: Vec<TargetName>,
    /// Names of the target files that the next publication adds, changes or removes.
    pub unpublished: BTreeSet<TargetName>,
    /// What is staged, and how far its signing is.
    pub staged: Vec<Progress>,
    /// What is decided and not in what is staged or published, and how it gets there.
    pub pending: Vec<String>,
    /// What somebody has to do now; empty if all is well.
    pub attention: Vec<String>,
}

/// Where a repository is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Nothing is published yet.
    Ceremony,
    /// All is well.
    Live,
    /// Clients are well, but something should have been signed by now.
    Degraded,
    /// Clients refuse what is published: it has expired.
    Stalled,
}

impl Phase {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ceremony => "ceremony",
            Self::Live => "live",
            Self::Degraded => "degraded",
            Self::Stalled => "stalled",
        }
    }
}

/// The state of one role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RoleStatus {
    /// The role.
    pub role: RoleName,
    /// Its published version.
    pub version: Version,
    /// When clients begin to refuse it.
    pub expires: Expires,
    /// Seconds until then; 0 if it has passed.
    pub seconds_left: u64,
    /// Whether it should be signed again now.
    pub due: bool,
    /// How long before its expiry it should be, in seconds.
    #[serde(rename = "window_seconds")]
    pub window: Period,
}

impl Repository {
    /// Versions and expiries, and what is not published yet. Checks the whole published tree.
    pub async fn status(&self) -> Result<Status, RepositoryError> {
        let state = State::load(&self.dir)?;
        let current = self.current(&state).await?;
        let staged_documents = self.progress_of(&state, current.as_ref()).await?;
        let now = self.clock.now_secs();
        let mut roles = Vec::new();
        if let Some(current) = &current {
            roles.push(role_status(&current.root, &state, now)?);
        }
        let mut published = BTreeMap::new();
        let trusted = current
            .as_ref()
            .and_then(|current| current.trusted.as_ref());
        if let Some(trusted) = trusted {
            roles.push(role_status(&trusted.targets, &state, now)?);
            roles.push(role_status(&trusted.snapshot, &state, now)?);
            roles.push(role_status(&trusted.timestamp, &state, now)?);
            published = trusted.targets.signed().targets.clone();
        }
        let staged = staged_targets(&state);
        let names: BTreeSet<&TargetName> = staged.keys().chain(published.keys()).collect();
        let unpublished = names
            .into_iter()
            .filter(|name| staged.get(*name) != published.get(*name));
        let attention: Vec<String> = match trusted {
            Some(_) => roles
                .iter()
                .filter_map(|role| attention(role, &state))
                .collect(),
            None => Vec::new(),
        };
        let phase = match (trusted, attention.is_empty()) {
            (None, _) => Phase::Ceremony,
            _ if roles.iter().any(|role| role.seconds_left == 0) => Phase::Stalled,
            (_, true) => Phase::Live,
            (_, false) => Phase::Degraded,
        };
        Ok(Status {
            phase,
            staged: staged_documents,
            pending: self.pending(&state, current.as_ref())?,
            attention,
            roles,
            unpublished: unpublished.cloned().collect(),
            targets: published.into_keys().collect(),
        })
    }
}

impl Repository {
    /// What the next root will say and the newest does not, and what a ceremony waits for.
    fn pending(
        &self,
        state: &State,
        current: Option<&Current>,
    ) -> Result<Vec<String>, RepositoryError> {
        let drafts = Drafts::load(&self.dir)?;
        let published = current.map(|current| current.root.signed());
        let draft = drafts.root.as_ref().map(|draft| draft.signed());
        let draft = draft.filter(|draft| published.is_none_or(|root| root.version < draft.version));
        let mut lines = Vec::new();
        for role in RoleName::ALL {
            let policy = state.role(role)?;
            let keys: BTreeSet<_> = policy.keys.iter().map(|key| key.keyid).collect();
            let Some(newest) = draft.or(published).map(|root| root.roles.get(role)) else {
                let need = policy.threshold.unwrap_or_default();
                lines.push(format!("{role}: {} keys, {need} must sign", keys.len()));
                continue;
            };
            let threshold = policy.threshold.unwrap_or(newest.threshold);
            let listed: BTreeSet<_> = newest.keyids.iter().copied().collect();
            if (keys, threshold) != (listed, newest.threshold) {
                let remedy = match draft {
                    Some(_) => "`tuf-root unstage root`, then `tuf-root stage root`",
                    None => "`tuf-root stage root`",
                };
                lines.push(format!(
                    "{role}: its keys or its threshold were changed since the newest root was made: {remedy}"
                ));
            }
        }
        if published.is_none() && draft.is_none() {
            lines.push(
                "next: `tuf-root key import` until enough can sign, then `tuf-root stage root`"
                    .to_owned(),
            );
        } else if published.is_none() && drafts.targets.is_none() {
            lines.push("nothing is staged for targets: `tuf-root target add`, then `tuf-root stage targets`".to_owned());
        }
        Ok(lines)
    }

    /// How long before the end of its validity each role is signed again.
    pub fn windows(&self) -> Result<BTreeMap<RoleName, Period>, RepositoryError> {
        let state = State::load(&self.dir)?;
        let windows = state.roles.iter().map(|(role, r)| (*role, r.window_secs));
        Ok(windows.collect())
    }
}

/// What is wrong with a role. Root and targets want people once their window opens; snapshot and
/// timestamp are refreshed by themselves, and something is wrong when half of the window is gone.
fn attention(role: &RoleStatus, state: &State) -> Option<String> {
    let window = state.role(role.role).ok()?.window_secs.as_secs();
    let (late, what) = match role.role {
        RoleName::Root | RoleName::Targets => (role.due, "stage it and have it signed"),
        _ => (role.seconds_left <= window / 2, "the refresh does not run"),
    };
    let days = role.seconds_left / 86_400;
    late.then(|| {
        format!(
            "{} expires at {}, in {days} days: {what}",
            role.role, role.expires
        )
    })
}

fn role_status<T: Metadata>(
    document: &Document<T>,
    state: &State,
    now: u64,
) -> Result<RoleStatus, RepositoryError> {
    let expires = document.signed().expires();
    Ok(RoleStatus {
        role: T::ROLE,
        version: document.signed().version(),
        expires,
        seconds_left: expires.seconds_left(now),
        due: is_due(expires, state.role(T::ROLE)?, now),
        window: state.role(T::ROLE)?.window_secs,
    })
}
