//! Staging root and targets for signatures that are made elsewhere.

use std::collections::BTreeMap;

use super::draft::{Drafts, Progress};
use super::publish::staged_targets;
use super::state::State;
use super::tree::Current;
use super::{Repository, RepositoryError, io, storage};
use crate::ceremony::{Answer, Content, Proposal, Request, is_trust_document, lost_anchors};
use crate::client::{self, Directory};
use crate::metadata::{
    Document, Metadata, RoleName, Root, Sha256, SpecVersion, TargetName, Targets, TargetsType,
};
use crate::profile::{self, MAX_TARGET_BYTES};
use crate::trust::TRUSTED_ROOT;
use wire::trust::TrustedRoot;

impl Repository {
    /// Stages the root that the policy asks for. Its content is final; people sign it next.
    pub async fn stage_root(&self) -> Result<Request, RepositoryError> {
        let _lock = self.lock().await?;
        let state = State::load(&self.dir)?;
        let current = self.current(&state).await?;
        self.stage_root_locked(&state, current.as_ref())?;
        self.request_locked(RoleName::Root, &state, current.as_ref())
            .await
    }

    pub(super) fn stage_root_locked(
        &self,
        state: &State,
        current: Option<&Current>,
    ) -> Result<(), RepositoryError> {
        if let Some(current) =
            current.filter(|current| current.root_pending && current.trusted.is_some())
        {
            return Err(RepositoryError::RootWaits(current.root.signed().version));
        }
        let newest = current.map(|current| current.root.signed());
        if let Some(draft) = Drafts::load(&self.dir)?.root
            && newest.is_none_or(|root| root.version < draft.signed().version)
        {
            refuse_signed(&draft)?;
        }
        let document = Document::unsigned(self.next_root_of(state, newest)?);
        Drafts::save(self.storage.as_ref(), &self.dir, &document)?;
        self.transcribe_staged(&document)
    }

    /// Stages targets metadata for the files that are staged. Refuses to drop a log or an
    /// authority from the trusted root unless `force`.
    pub async fn stage_targets(&self, force: bool) -> Result<Request, RepositoryError> {
        let _lock = self.lock().await?;
        let mut state = State::load(&self.dir)?;
        let current = self.current(&state).await?;
        let published = (current.as_ref())
            .and_then(|current| current.trusted.as_ref())
            .map(|trusted| &trusted.targets);
        if let Some(draft) = Drafts::load(&self.dir)?.targets
            && published.is_none_or(|old| old.signed().version < draft.signed().version)
        {
            refuse_signed(&draft)?;
        }
        let expires = self.expires(Some(state.role(RoleName::Targets)?))?;
        let targets = Targets {
            kind: TargetsType::Targets,
            expires,
            spec_version: SpecVersion::V1_0_31,
            targets: staged_targets(&state),
            version: state.take(RoleName::Targets, published.map(|old| old.signed().version)),
        };
        profile::check_targets(&targets)?;
        if !force {
            self.refuse_removal(&state, current.as_ref()).await?;
        }
        let new = self.staged_trusted_root_of(&targets.targets)?;
        self.guard(current.as_ref(), new.as_deref()).await?;
        // The version first: it is never used for another content.
        state.save(self.storage.as_ref(), &self.dir)?;
        let document = Document::unsigned(targets);
        Drafts::save(self.storage.as_ref(), &self.dir, &document)?;
        self.transcribe_staged(&document)?;
        self.request_locked(RoleName::Targets, &state, current.as_ref())
            .await
    }

    /// Drops what is staged for root or targets.
    pub async fn unstage(&self, role: RoleName) -> Result<(), RepositoryError> {
        let _lock = self.lock().await?;
        match self.drop_draft(role)? {
            true => Ok(()),
            false => Err(RepositoryError::NothingToUnstage(role)),
        }
    }

    /// Drops what is staged for root or targets, under the lock; whether anything was.
    pub(super) fn drop_draft(&self, role: RoleName) -> Result<bool, RepositoryError> {
        let drafts = Drafts::load(&self.dir)?;
        let version = match role {
            RoleName::Root => drafts.root.map(|d| d.signed().version),
            _ => drafts.targets.map(|d| d.signed().version),
        };
        let Some(version) = version else {
            return Ok(false);
        };
        match role {
            RoleName::Root => Drafts::remove::<Root>(&self.dir)?,
            _ => Drafts::remove::<Targets>(&self.dir)?,
        }
        self.transcribe(&format!(
            "dropped {role} version {version}, never published"
        ))?;
        Ok(true)
    }

    /// What keyholders are given to sign for a staged document.
    pub async fn request(&self, role: RoleName) -> Result<Request, RepositoryError> {
        let state = State::load(&self.dir)?;
        let current = self.current(&state).await?;
        self.request_locked(role, &state, current.as_ref()).await
    }

    /// What the next publication changes for clients, in words.
    pub async fn changes(&self) -> Result<Vec<String>, RepositoryError> {
        let state = State::load(&self.dir)?;
        let current = self.current(&state).await?;
        let drafts = Drafts::load(&self.dir)?;
        let mut lines = Vec::new();
        for role in [RoleName::Root, RoleName::Targets] {
            let proposal = self
                .proposal(role, &drafts, current.as_ref(), &state)
                .await?;
            if let Some(proposal) = proposal {
                lines.extend(Request::of(&state.id(), &proposal)?.summary);
            }
        }
        // Files that are staged, without targets metadata that is.
        if drafts.targets.is_none() {
            let trusted = current
                .as_ref()
                .and_then(|current| current.trusted.as_ref());
            let old = trusted.map(|trusted| trusted.targets.signed());
            let listed = staged_targets(&state);
            if old.map(|old| &old.targets) != Some(&listed) && !listed.is_empty() {
                let next = Targets {
                    kind: TargetsType::Targets,
                    expires: self.expires(Some(state.role(RoleName::Targets)?))?,
                    spec_version: SpecVersion::V1_0_31,
                    targets: listed,
                    version: state
                        .clone()
                        .take(RoleName::Targets, old.map(|old| old.version)),
                };
                let contents = self.contents(&next, current.as_ref()).await?;
                lines.extend(crate::ceremony::targets_changes(old, &next, &contents));
            }
        }
        Ok(lines)
    }

    /// Takes a signature that was made elsewhere; verifies it first.
    pub async fn import_signature(&self, answer: &Answer) -> Result<Progress, RepositoryError> {
        let _lock = self.lock().await?;
        let state = State::load(&self.dir)?;
        let current = self.current(&state).await?;
        let mut drafts = Drafts::load(&self.dir)?;
        let role = answer.role;
        let proposal = self
            .proposal(role, &drafts, current.as_ref(), &state)
            .await?;
        let proposal = proposal.ok_or(RepositoryError::NotStaged(role))?;
        let differs = |what: String| RepositoryError::Answer { role, what };
        if answer.repository != state.id() {
            return Err(differs("of another repository".to_owned()));
        }
        let key = proposal.key(answer.keyid);
        let key =
            key.ok_or_else(|| differs(format!("by key {}, which is not asked for", answer.keyid)))?;
        let storage = self.storage.as_ref();
        let progress = match (&mut drafts.root, &mut drafts.targets) {
            (Some(draft), _) if role == RoleName::Root => {
                add(draft, answer, key)?;
                Drafts::save(storage, &self.dir, draft)?;
                Progress::of(draft, &proposal)?
            }
            (_, Some(draft)) if role == RoleName::Targets => {
                add(draft, answer, key)?;
                Drafts::save(storage, &self.dir, draft)?;
                Progress::of(draft, &proposal)?
            }
            _ => return Err(RepositoryError::NotStaged(role)),
        };
        let owner = state.owner(answer.keyid).unwrap_or("nobody named");
        self.transcribe(&format!(
            "signature of key {}, held by {owner}, over {role} version {}, payload SHA-256 {}",
            answer.keyid, answer.version, answer.sha256
        ))?;
        Ok(progress)
    }

    /// How far the signing of what is staged is.
    pub async fn progress(&self) -> Result<Vec<Progress>, RepositoryError> {
        let state = State::load(&self.dir)?;
        let current = self.current(&state).await?;
        self.progress_of(&state, current.as_ref()).await
    }

    pub(super) async fn progress_of(
        &self,
        state: &State,
        current: Option<&Current>,
    ) -> Result<Vec<Progress>, RepositoryError> {
        let drafts = Drafts::load(&self.dir)?;
        let mut all = Vec::new();
        for role in [RoleName::Root, RoleName::Targets] {
            if let Some(proposal) = self.proposal(role, &drafts, current, state).await? {
                all.push(match &proposal.content {
                    Content::Root(document) => Progress::of(document, &proposal)?,
                    Content::Targets(document) => Progress::of(document, &proposal)?,
                });
            }
        }
        Ok(all)
    }

    /// What is published, if there is a first root.
    pub(super) async fn current(&self, state: &State) -> Result<Option<Current>, RepositoryError> {
        match state.first_root {
            Some(pinned) => Ok(Some(Current::load(&self.dir, pinned).await?)),
            None => Ok(None),
        }
    }

    async fn request_locked(
        &self,
        role: RoleName,
        state: &State,
        current: Option<&Current>,
    ) -> Result<Request, RepositoryError> {
        let drafts = Drafts::load(&self.dir)?;
        let stale = |draft: &Document<Targets>| draft.signed().targets != staged_targets(state);
        if role == RoleName::Targets && drafts.targets.as_ref().is_some_and(stale) {
            // Nobody should sign what cannot be published.
            return Err(RepositoryError::StaleTargets);
        }
        let proposal = self.proposal(role, &drafts, current, state).await?;
        let proposal = proposal.ok_or(RepositoryError::NotStaged(role))?;
        Ok(Request::of(&state.id(), &proposal)?)
    }

    async fn proposal(
        &self,
        role: RoleName,
        drafts: &Drafts,
        current: Option<&Current>,
        state: &State,
    ) -> Result<Option<Proposal>, RepositoryError> {
        let previous_root = current.map(|current| current.root.clone());
        let newest = previous_root.as_ref().map(|root| root.signed().version);
        let root = (drafts.root.as_ref()).filter(|draft| Some(draft.signed().version) > newest);
        let trusted = current.and_then(|current| current.trusted.as_ref());
        let published = trusted.map(|trusted| trusted.targets.clone());
        let version = published.as_ref().map(|targets| targets.signed().version);
        let targets = (drafts.targets.as_ref()).filter(|d| Some(d.signed().version) > version);
        Ok(match (role, root, targets) {
            (RoleName::Root, Some(draft), _) => Some(Proposal {
                content: Content::Root(draft.clone()),
                previous_root,
                next_root: None,
                previous_targets: None,
                contents: BTreeMap::new(),
            }),
            (RoleName::Targets, root, Some(draft)) => Some(Proposal {
                content: Content::Targets(draft.clone()),
                contents: self.contents(draft.signed(), current).await?,
                // Keys that are revoked are not asked once more.
                previous_root: previous_root.filter(|_| !state.emergency || root.is_none()),
                next_root: root.map(|draft| draft.signed().clone()),
                previous_targets: published,
            }),
            _ => None,
        })
    }

    /// The trust documents that `targets` lists, and those that are published, by hash.
    async fn contents(
        &self,
        targets: &Targets,
        current: Option<&Current>,
    ) -> Result<BTreeMap<Sha256, Vec<u8>>, RepositoryError> {
        let mut contents = BTreeMap::new();
        for (name, info) in targets.targets.iter().filter(|(n, _)| is_trust_document(n)) {
            let sha256 = info.hashes.sha256;
            let path = self.dir.join("staged").join(sha256.to_string());
            let content = storage::read(&path, MAX_TARGET_BYTES).map_err(io(&path))?;
            contents.insert(sha256, content);
            if let Some((sha256, content)) = self.published_target(name, current).await? {
                contents.insert(sha256, content);
            }
        }
        Ok(contents)
    }

    pub(super) async fn published_target(
        &self,
        name: &TargetName,
        current: Option<&Current>,
    ) -> Result<Option<(Sha256, Vec<u8>)>, RepositoryError> {
        let trusted = current.and_then(|current| current.trusted.as_ref());
        let Some(trusted) = trusted.filter(|t| t.targets.signed().targets.contains_key(name))
        else {
            return Ok(None);
        };
        let source = Directory {
            path: self.published_dir(),
        };
        let content = client::target(&source, trusted, name)
            .await
            .map_err(|e| RepositoryError::Tampered(e.to_string(), self.dir.clone()))?;
        Ok(Some((Sha256::of(&content), content)))
    }

    async fn refuse_removal(
        &self,
        state: &State,
        current: Option<&Current>,
    ) -> Result<(), RepositoryError> {
        let name: TargetName = match TRUSTED_ROOT.parse() {
            Ok(name) => name,
            Err(_) => return Ok(()),
        };
        let Some((_, old)) = self.published_target(&name, current).await? else {
            return Ok(());
        };
        let refuse = |lost: Vec<String>| RepositoryError::Removal(lost.join(", "));
        let Some(staged) = state.staged.get(&name) else {
            return Err(refuse(vec!["everything in the trusted root".to_owned()]));
        };
        let path = self.dir.join("staged").join(staged.sha256.to_string());
        let new = storage::read(&path, MAX_TARGET_BYTES).map_err(io(&path))?;
        match (TrustedRoot::from_json(&old), TrustedRoot::from_json(&new)) {
            (Ok(old), Ok(new)) => match lost_anchors(&old, &new) {
                lost if lost.is_empty() => Ok(()),
                lost => Err(refuse(lost)),
            },
            // Publication refuses what cannot be read.
            _ => Ok(()),
        }
    }

    fn transcribe_staged<T: Metadata>(
        &self,
        document: &Document<T>,
    ) -> Result<(), RepositoryError> {
        let payload = document.payload().map_err(RepositoryError::Document)?;
        self.transcribe(&format!(
            "staged {} version {}, valid until {}, payload SHA-256 {}",
            T::ROLE,
            document.signed().version(),
            document.signed().expires(),
            Sha256::of(&payload)
        ))
    }
}

fn refuse_signed<T: Metadata>(draft: &Document<T>) -> Result<(), RepositoryError> {
    match draft.signers().next() {
        Some(_) => Err(RepositoryError::AlreadyStaged {
            role: T::ROLE,
            version: draft.signed().version(),
        }),
        None => Ok(()),
    }
}

fn add<T: Metadata>(
    draft: &mut Document<T>,
    answer: &Answer,
    key: &crate::metadata::Key,
) -> Result<(), RepositoryError> {
    let payload = draft.payload().map_err(RepositoryError::Document)?;
    if Sha256::of(&payload) != answer.sha256 {
        let (role, version) = (T::ROLE, draft.signed().version());
        return Err(RepositoryError::Answer {
            role,
            what: format!(
                "another payload (version {}) than version {version} that is staged",
                answer.version
            ),
        });
    }
    draft
        .add_signature(key, answer.signature.0.clone())
        .map_err(RepositoryError::Signature)
}
