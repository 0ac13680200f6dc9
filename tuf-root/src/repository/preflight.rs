//! The trusted root that is to be published, against signatures of the past.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::draft::Drafts;
use super::publish::staged_targets;
use super::state::State;
use super::tree::Current;
use super::{Repository, RepositoryError, io, storage};
use crate::metadata::{TargetInfo, TargetName};
use crate::preflight::{PastBundles, Report};
use crate::profile::MAX_TARGET_BYTES;
use crate::trust::TRUSTED_ROOT;

impl Repository {
    /// From now on refuses to stage or publish a trusted root under which one of `past` would stop
    /// verifying.
    #[must_use]
    pub fn guarding(mut self, past: PastBundles) -> Self {
        self.past = Some(Arc::new(past));
        self
    }

    /// Verifies `past` under the published trusted root and under the one that is staged.
    pub async fn preflight(&self, past: &PastBundles) -> Result<Report, RepositoryError> {
        let state = State::load(&self.dir)?;
        let current = self.current(&state).await?;
        let published = self.published_trusted_root(current.as_ref()).await?;
        let new = self.staged_trusted_root(&state, current.as_ref())?;
        Ok(past.compare(published.as_deref(), new.as_deref())?)
    }

    /// Refuses `new` if it breaks what is guarded; says what was checked.
    pub(super) async fn guard(
        &self,
        current: Option<&Current>,
        new: Option<&[u8]>,
    ) -> Result<Option<Report>, RepositoryError> {
        let Some(past) = &self.past else {
            return Ok(None);
        };
        let published = self.published_trusted_root(current).await?;
        let report = past.compare(published.as_deref(), new)?;
        match report.passed() {
            true => Ok(Some(report)),
            false => Err(RepositoryError::Preflight(report)),
        }
    }

    /// What the next publication holds as trusted root.
    fn staged_trusted_root(
        &self,
        state: &State,
        current: Option<&Current>,
    ) -> Result<Option<Vec<u8>>, RepositoryError> {
        let trusted = current.and_then(|current| current.trusted.as_ref());
        let published = trusted.map(|trusted| trusted.targets.signed().version);
        match Drafts::load(&self.dir)?.targets {
            Some(draft) if Some(draft.signed().version) > published => {
                self.staged_trusted_root_of(&draft.signed().targets)
            }
            _ => self.staged_trusted_root_of(&staged_targets(state)),
        }
    }

    pub(super) fn staged_trusted_root_of(
        &self,
        targets: &BTreeMap<TargetName, TargetInfo>,
    ) -> Result<Option<Vec<u8>>, RepositoryError> {
        let Some(info) = targets.get(&trusted_root()?) else {
            return Ok(None);
        };
        let path = self.dir.join("staged").join(info.hashes.sha256.to_string());
        let content = storage::read(&path, MAX_TARGET_BYTES).map_err(io(&path))?;
        Ok(Some(content))
    }

    async fn published_trusted_root(
        &self,
        current: Option<&Current>,
    ) -> Result<Option<Vec<u8>>, RepositoryError> {
        let published = self.published_target(&trusted_root()?, current).await?;
        Ok(published.map(|(_, content)| content))
    }
}

fn trusted_root() -> Result<TargetName, RepositoryError> {
    TRUSTED_ROOT
        .parse()
        .map_err(|e: crate::metadata::NameError| RepositoryError::State {
            path: TRUSTED_ROOT.into(),
            reason: e.to_string(),
        })
}
