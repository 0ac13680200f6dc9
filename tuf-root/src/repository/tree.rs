//! The published tree: reading it back, and putting a new version in place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::storage::{self, Storage};
use super::{RepositoryError, io};
use crate::client::{self, Directory, Expiry, Source, SourceError, Trusted, UpdateError};
use crate::metadata::{Document, Metadata as _, Root, Sha256, Version};

/// What clients see now.
#[derive(Debug)]
pub(super) struct Current {
    /// Version 1, which everything descends from.
    pub(super) first_root: Document<Root>,
    /// The newest root that was ever signed here, and whether it still has to be published.
    pub(super) root: Document<Root>,
    pub(super) root_pending: bool,
    /// The rest; `None` before the first publication.
    pub(super) trusted: Option<Trusted>,
}

impl Current {
    /// Nothing but the first root, which is about to be published.
    pub(super) fn first(root: Document<Root>) -> Self {
        Self {
            first_root: root.clone(),
            root,
            root_pending: true,
            trusted: None,
        }
    }

    /// Whether clients have yet to see `root`.
    pub(super) fn lacks(&self, root: &Document<Root>) -> bool {
        self.root_pending || *root != self.root
    }

    /// Reads the archive of roots and the published tree and checks that one follows from the
    /// other, signatures and target files included. Expiry does not matter here.
    pub(super) async fn load(dir: &Path, pinned: Sha256) -> Result<Self, RepositoryError> {
        let tampered = |reason: String| RepositoryError::Tampered(reason, dir.to_owned());
        let refuse = |e: UpdateError| tampered(e.to_string());
        let archive = Directory {
            path: dir.join("roots"),
        };
        let published = Directory {
            path: dir.join("published"),
        };

        let first = archive
            .get("1.root.json", Root::MAX_BYTES as u64)
            .await
            .map_err(|e| refuse(e.into()))?;
        let first = first.ok_or_else(|| tampered("roots/1.root.json is missing".to_owned()))?;
        if Sha256::of(&first) != pinned {
            return Err(tampered(
                "roots/1.root.json is another one than at the beginning".to_owned(),
            ));
        }
        let first_root = Document::parse(&first).map_err(|e| tampered(e.to_string()))?;
        let root = client::newest_root(&archive, &first_root)
            .await
            .map_err(refuse)?;
        let newest = root.signed().version.get();

        let mut seen = 0;
        for version in (1..=newest.saturating_add(1)).filter_map(Version::new) {
            let file = format!("{version}.root.json");
            let ours = archive
                .get(&file, Root::MAX_BYTES as u64)
                .await
                .map_err(|e| refuse(e.into()))?;
            match published
                .get(&file, Root::MAX_BYTES as u64)
                .await
                .map_err(|e| refuse(e.into()))?
            {
                Some(theirs) if Some(&theirs) == ours.as_ref() && seen + 1 == version.get() => {
                    seen = version.get()
                }
                Some(_) => {
                    return Err(tampered(format!(
                        "published/{file} is not the one in roots/"
                    )));
                }
                None => {}
            }
        }
        // One root may be signed and not yet in place, if its publication was interrupted.
        if seen + 1 < newest {
            return Err(tampered(format!(
                "roots up to version {newest} were signed, but only {seen} are published"
            )));
        }

        let trusted = match published.path.join("timestamp.json").exists() {
            true => {
                let read = client::update(&published, &first_root, None, Expiry::Ignored).await;
                let trusted = match read {
                    // Keys were revoked, and the publication was interrupted between the root and
                    // the rest, which is still as it was under the root before.
                    Err(UpdateError::Signature(_)) if seen > 1 => {
                        let before = Before {
                            source: &published,
                            root: format!("{seen}.root.json"),
                        };
                        client::update(&before, &first_root, None, Expiry::Ignored).await
                    }
                    other => other,
                };
                let trusted = trusted.map_err(refuse)?;
                for name in trusted.targets.signed().targets.keys() {
                    client::target(&published, &trusted, name)
                        .await
                        .map_err(refuse)?;
                }
                Some(trusted)
            }
            false => None,
        };
        Ok(Self {
            first_root,
            root,
            root_pending: seen < newest,
            trusted,
        })
    }
}

/// A tree as it was before one root came.
struct Before<'a> {
    source: &'a Directory,
    root: String,
}

impl Source for Before<'_> {
    async fn get(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
        match path == self.root {
            true => Ok(None),
            false => self.source.get(path, limit).await,
        }
    }
}

/// New files, by their path under the published directory.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) targets: BTreeMap<String, Vec<u8>>,
    /// `V.targets.json`, `V.snapshot.json`, `N.root.json`, in this order.
    pub(super) versioned: Vec<(String, Vec<u8>)>,
    /// The newest root, for people; no client asks for it.
    pub(super) root: Option<Vec<u8>>,
    pub(super) timestamp: Option<Vec<u8>>,
    /// Replace files of the same name: another directory was published, and clients know its files.
    pub(super) overwrite: bool,
}

impl Changes {
    pub(super) fn is_empty(&self) -> bool {
        self.targets.is_empty()
            && self.versioned.is_empty()
            && self.root.is_none()
            && self.timestamp.is_none()
    }

    /// Puts the files in place.
    ///
    /// A crash at any point leaves a tree that clients accept: the files that nobody knows of yet
    /// come first, and each is durable before the next stage starts. Until `timestamp.json` is
    /// replaced, in one step, clients see the old state; a new root on its own changes nothing for
    /// them, since it names the same keys for the other roles.
    pub(super) fn apply(
        &self,
        storage: &dyn Storage,
        published: &Path,
    ) -> Result<(), RepositoryError> {
        let targets = published.join("targets");
        for dir in [published, &targets] {
            std::fs::create_dir_all(dir).map_err(io(dir))?;
            storage::remove_temporaries(dir).map_err(io(dir))?;
        }
        let put = if self.overwrite {
            storage::put
        } else {
            storage::put_once
        };
        for (path, bytes) in &self.targets {
            let path = published.join(path);
            put(storage, &path, bytes).map_err(io(&path))?;
        }
        storage.sync_dir(&targets).map_err(io(&targets))?;
        for (path, bytes) in &self.versioned {
            let path = published.join(path);
            put(storage, &path, bytes).map_err(io(&path))?;
        }
        let replaced = |name: &str, bytes: &Option<Vec<u8>>| match bytes {
            Some(bytes) => {
                let path: PathBuf = published.join(name);
                storage::put(storage, &path, bytes).map_err(io(&path))
            }
            None => Ok(()),
        };
        replaced("root.json", &self.root)?;
        storage.sync_dir(published).map_err(io(published))?;
        replaced("timestamp.json", &self.timestamp)?;
        storage.sync_dir(published).map_err(io(published))
    }
}

/// The tree as it will be: the new files over the published ones.
pub(super) struct Preview<'a> {
    pub(super) changes: &'a Changes,
    pub(super) published: Directory,
}

impl Source for Preview<'_> {
    async fn get(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
        let changes = self.changes;
        let new = match path {
            "timestamp.json" => changes.timestamp.as_ref(),
            "root.json" => changes.root.as_ref(),
            _ => changes.targets.get(path).or_else(|| {
                changes
                    .versioned
                    .iter()
                    .find(|(name, _)| name == path)
                    .map(|(_, bytes)| bytes)
            }),
        };
        match new {
            Some(bytes) if u64::try_from(bytes.len()).is_ok_and(|length| length <= limit) => {
                Ok(Some(bytes.clone()))
            }
            Some(_) => Err(SourceError {
                path: path.to_owned(),
                reason: format!("longer than {limit} bytes"),
            }),
            None => self.published.get(path, limit).await,
        }
    }
}
