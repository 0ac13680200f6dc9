//! Going on after a restored backup.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::draft::Drafts;
use super::state::{RoleKey, State};
use super::tree::Changes;
use super::{Repository, RepositoryError, TargetFile};
use crate::client::{self, Expiry, Source, Trusted};
use crate::metadata::{Document, Metadata as _, RoleName, Root, Targets, Version};

/// How far beyond the mirror's versions the next ones are: another mirror, or a copy in a cache,
/// may be newer than the one that answered.
const MARGIN: u64 = 100;

/// What a recovery found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recovered {
    /// The versions on the mirror.
    pub live: BTreeMap<RoleName, Version>,
    /// The next versions are higher than these.
    pub taken: BTreeMap<RoleName, Version>,
}

impl Repository {
    /// Takes over what clients see on a live mirror, which is newer than this directory, and makes
    /// the next publication jump ahead of it.
    ///
    /// The mirror is read as a client would, from the first root, so it cannot hand over anything
    /// that the keys did not sign.
    pub async fn recover(&self, mirror: &impl Source) -> Result<Recovered, RepositoryError> {
        let _lock = self.lock().await?;
        let mut state = State::load(&self.dir)?;
        let refuse = RepositoryError::Mirror;
        let first =
            std::fs::read(self.first_root_json()).map_err(super::io(&self.first_root_json()))?;
        let first: Document<Root> = Document::parse(&first).map_err(RepositoryError::Document)?;
        let live = client::update(mirror, &first, None, Expiry::Ignored)
            .await
            .map_err(refuse)?;

        let mut changes = Changes {
            overwrite: true,
            ..Changes::default()
        };
        let mut staged = BTreeMap::new();
        for (name, info) in &live.targets.signed().targets {
            let content = client::target(mirror, &live, name).await.map_err(refuse)?;
            let path = format!("targets/{}.{name}", info.hashes.sha256);
            changes.targets.insert(path, content.clone());
            let (name, entry) = self.keep(TargetFile {
                name: name.clone(),
                content,
                custom: info.custom.clone(),
            })?;
            staged.insert(name, entry);
        }
        for version in (1..=live.root.signed().version.get()).filter_map(Version::new) {
            let name = format!("{version}.root.json");
            let limit = Root::MAX_BYTES as u64;
            let bytes = mirror
                .get(&name, limit)
                .await
                .map_err(|e| refuse(e.into()))?;
            let bytes = bytes.ok_or_else(|| refuse(client::UpdateError::Missing(name.clone())))?;
            let root: Document<Root> =
                Document::parse(&bytes).map_err(RepositoryError::Document)?;
            self.archive_root(&root, &bytes)?;
            changes.versioned.push((name, bytes));
        }
        let json = RepositoryError::Document;
        changes.versioned.push((
            live.targets.signed().file_name(),
            live.targets.to_json().map_err(json)?,
        ));
        changes.versioned.push((
            live.snapshot.signed().file_name(),
            live.snapshot.to_json().map_err(json)?,
        ));
        changes.root = Some(live.root.to_json().map_err(json)?);
        changes.timestamp = Some(live.timestamp.to_json().map_err(json)?);
        changes.apply(self.storage.as_ref(), &self.published_dir())?;

        state.staged = staged;
        adopt_keys(&mut state, live.root.signed())?;
        let versions = versions(&live);
        for (role, version) in &versions {
            let margin = if *role == RoleName::Targets {
                0
            } else {
                MARGIN
            };
            if *role != RoleName::Root {
                let ahead = Version::new(version.get().saturating_add(margin));
                jump(&mut state, *role, ahead.unwrap_or(*version));
            }
        }
        state.overtake = BTreeSet::from([RoleName::Snapshot, RoleName::Timestamp]);
        state.save(self.storage.as_ref(), &self.dir)?;
        Drafts::remove::<Root>(&self.dir)?;
        Drafts::remove::<Targets>(&self.dir)?;
        let timestamp = live.timestamp.signed().version;
        self.transcribe(&format!(
            "took over a mirror at timestamp version {timestamp}"
        ))?;
        Ok(Recovered {
            live: versions,
            taken: state.taken,
        })
    }

    /// Makes the next publication use versions above `versions`, which clients are known to have
    /// seen, for when no mirror is left to read them from.
    pub async fn jump_ahead(
        &self,
        versions: &BTreeMap<RoleName, Version>,
    ) -> Result<Recovered, RepositoryError> {
        let _lock = self.lock().await?;
        let mut state = State::load(&self.dir)?;
        for (role, version) in versions {
            jump(&mut state, *role, *version);
            state.overtake.insert(*role);
        }
        // What names another role's version has to follow it.
        state
            .overtake
            .extend([RoleName::Snapshot, RoleName::Timestamp]);
        state.save(self.storage.as_ref(), &self.dir)?;
        let said: Vec<String> = versions.iter().map(|(r, v)| format!("{r} {v}")).collect();
        self.transcribe(&format!("jumped ahead of {}", said.join(", ")))?;
        Ok(Recovered {
            live: versions.clone(),
            taken: state.taken,
        })
    }
}

fn jump(state: &mut State, role: RoleName, version: Version) {
    let taken = state.taken.entry(role).or_insert(version);
    *taken = version.max(*taken);
}

/// The policy's keys and thresholds become those of a root that this directory had not seen.
fn adopt_keys(state: &mut State, root: &Root) -> Result<(), RepositoryError> {
    for role in RoleName::ALL {
        let authority = root.roles.get(role);
        let policy = state.role_mut(role)?;
        policy.retire(|key| !authority.keyids.contains(&key.keyid));
        for keyid in &authority.keyids {
            if policy.holds(*keyid) {
                continue;
            }
            let known = policy
                .retired
                .iter()
                .find(|key| key.keyid == *keyid)
                .cloned();
            policy.keys.push(known.unwrap_or(RoleKey {
                keyid: *keyid,
                uri: None,
                owner: None,
                public: root.keys.get(keyid).cloned(),
            }));
        }
        policy.threshold = Some(authority.threshold);
    }
    Ok(())
}

fn versions(trusted: &Trusted) -> BTreeMap<RoleName, Version> {
    BTreeMap::from([
        (RoleName::Root, trusted.root.signed().version),
        (RoleName::Targets, trusted.targets.signed().version),
        (RoleName::Snapshot, trusted.snapshot.signed().version),
        (RoleName::Timestamp, trusted.timestamp.signed().version),
    ])
}
