//! What is published, and for how long.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::publish::{is_due, staged_targets};
use super::state::State;
use super::tree::Current;
use super::{Repository, RepositoryError};
use crate::metadata::{Document, Expires, Metadata, RoleName, TargetName, Version};

/// The state of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The four roles; only root before the first publication.
    pub roles: Vec<RoleStatus>,
    /// Names of the published target files.
    pub targets: Vec<TargetName>,
    /// Names of the target files that the next publication adds, changes or removes.
    pub unpublished: BTreeSet<TargetName>,
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
}

impl Repository {
    /// Versions and expiries, and what is not published yet. Checks the whole published tree.
    pub async fn status(&self) -> Result<Status, RepositoryError> {
        let state = State::load(&self.dir)?;
        let current = Current::load(&self.dir, state.first_root).await?;
        let now = self.clock.now_secs();
        let mut roles = vec![role_status(&current.root, &state, now)?];
        let mut published = BTreeMap::new();
        if let Some(trusted) = &current.trusted {
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
        Ok(Status {
            roles,
            unpublished: unpublished.cloned().collect(),
            targets: published.into_keys().collect(),
        })
    }
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
    })
}
