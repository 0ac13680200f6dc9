//! The keys and thresholds that the next root will have.

use keys::KeyUri;
use serde::Serialize;

use super::state::{RoleKey, RoleState, State};
use super::{Keyring, Repository, RepositoryError};
use crate::ceremony::{Claim, ClaimError};
use crate::metadata::{Key, KeyId, RoleName};

/// A key to add.
#[derive(Clone, Debug)]
pub enum NewKey {
    /// A public key with its owner and a proof of possession.
    Claim(Claim),
    /// A public key that proves itself with its first signature.
    Public {
        /// The key.
        key: Key,
        /// Who holds it.
        owner: String,
    },
    /// A private key that this machine can use.
    Here {
        /// Where it is; a file that does not exist is made.
        uri: KeyUri,
        /// Who holds it.
        owner: Option<String>,
    },
}

/// A key of a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyEntry {
    /// The role.
    pub role: RoleName,
    /// The key.
    pub keyid: KeyId,
    /// Who holds it.
    pub owner: Option<String>,
    /// Where its private half is, if this machine can use it.
    pub uri: Option<String>,
}

impl Repository {
    /// Adds a key to roles of the next root. Clients know it after `stage root`, its signatures
    /// and `publish`.
    pub async fn add_key(&self, roles: &[RoleName], key: NewKey) -> Result<KeyId, RepositoryError> {
        let _lock = self.lock().await?;
        let mut state = State::load(&self.dir)?;
        let entry = match key {
            NewKey::Claim(claim) => RoleKey {
                keyid: claim.key()?.id(),
                uri: None,
                owner: Some(claim.owner().to_owned()),
                public: Some(claim.key()?),
            },
            NewKey::Public { key, owner } => RoleKey {
                keyid: key.id(),
                uri: None,
                owner: Some(crate::ceremony::checked_owner(&owner)?),
                public: Some(key),
            },
            NewKey::Here { uri, owner } => {
                let passphrase = self.passphrase.as_ref();
                let mut keyring = Keyring::default();
                let key = keyring.enrol(&self.dir, &uri, passphrase).await?;
                let owner = owner.as_deref().map(crate::ceremony::checked_owner);
                RoleKey {
                    keyid: key.id(),
                    uri: Some(uri.to_string()),
                    owner: owner.transpose().map_err(|_| ClaimError::Owner)?,
                    public: Some(key),
                }
            }
        };
        let keyid = entry.keyid;
        for role in roles {
            let known = &mut state.role_mut(*role)?.keys;
            if let Some(same) = known.iter().find(|key| key.keyid == keyid) {
                return Err(RepositoryError::KnownKey {
                    keyid,
                    role: *role,
                    owner: same.owner.clone(),
                });
            }
            known.push(entry.clone());
        }
        for (role, other) in [
            (RoleName::Root, RoleName::Snapshot),
            (RoleName::Root, RoleName::Timestamp),
            (RoleName::Targets, RoleName::Snapshot),
            (RoleName::Targets, RoleName::Timestamp),
        ] {
            let holds = |role| state.role(role).map(|r: &RoleState| r.holds(keyid));
            if holds(role)? && holds(other)? {
                return Err(crate::profile::ProfileError::Shared {
                    keyid,
                    offline: role,
                    online: other,
                }
                .into());
            }
        }
        state.save(self.storage.as_ref(), &self.dir)?;
        let (owner, roles) = (
            entry.owner.as_deref().unwrap_or("nobody named"),
            names(roles),
        );
        self.transcribe(&format!("added key {keyid}, held by {owner}, to {roles}"))?;
        Ok(keyid)
    }

    /// Leaves the key whose id begins with `id` out of roles of the next root.
    pub async fn remove_key(&self, roles: &[RoleName], id: &str) -> Result<KeyId, RepositoryError> {
        let _lock = self.lock().await?;
        let mut state = State::load(&self.dir)?;
        let unknown = || RepositoryError::UnknownKey(id.to_owned());
        let mut found: Vec<KeyId> = Vec::new();
        for role in roles {
            let keys = state.role(*role)?.keys.iter().map(|key| key.keyid);
            found.extend(keys.filter(|keyid| keyid.to_string().starts_with(id)));
        }
        found.sort_unstable();
        found.dedup();
        let [keyid] = <[KeyId; 1]>::try_from(found).map_err(|_| unknown())?;
        for role in roles {
            state.role_mut(*role)?.retire(|key| key.keyid == keyid);
        }
        state.save(self.storage.as_ref(), &self.dir)?;
        self.transcribe(&format!("removed key {keyid} from {}", names(roles)))?;
        Ok(keyid)
    }

    /// The keys that the next root will have.
    pub fn keys(&self) -> Result<Vec<KeyEntry>, RepositoryError> {
        let state = State::load(&self.dir)?;
        let entries = state.roles.iter().flat_map(|(role, policy)| {
            policy.keys.iter().map(|key| KeyEntry {
                role: *role,
                keyid: key.keyid,
                owner: key.owner.clone(),
                uri: key.uri.clone(),
            })
        });
        Ok(entries.collect())
    }

    /// Changes how many keys of a role must sign, from the next root on.
    pub async fn set_threshold(
        &self,
        role: RoleName,
        threshold: u32,
    ) -> Result<(), RepositoryError> {
        let _lock = self.lock().await?;
        let mut state = State::load(&self.dir)?;
        state.role_mut(role)?.threshold = Some(threshold);
        state.save(self.storage.as_ref(), &self.dir)?;
        self.transcribe(&format!("{role} will need {threshold} signatures"))
    }
}

impl RoleState {
    pub(super) fn holds(&self, keyid: KeyId) -> bool {
        self.keys.iter().any(|key| key.keyid == keyid)
    }

    /// Takes keys out of the next root. Those that are here can still sign for the old quorum.
    pub(super) fn retire(&mut self, which: impl Fn(&RoleKey) -> bool) {
        let (out, keep) = std::mem::take(&mut self.keys).into_iter().partition(&which);
        self.keys = keep;
        let out: Vec<RoleKey> = out;
        for key in out.into_iter().filter(|key| key.uri.is_some()) {
            if !self.retired.iter().any(|known| known.keyid == key.keyid) {
                self.retired.push(key);
            }
        }
    }
}

fn names(roles: &[RoleName]) -> String {
    let names: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
    names.join(" and ")
}
