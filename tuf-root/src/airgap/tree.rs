//! A published tree in memory: every file that a client can come to.

use std::collections::BTreeMap;

use crate::client::{self, Expiry, Source, SourceError, Trusted, UpdateError};
use crate::metadata::{Document, Metadata as _, Root, Version};

/// The files of a published tree, by their path under the repository's URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// The files.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Tree {
    /// Reads all that a client reads that starts from the first root: every root, the current
    /// metadata and its target files. What older metadata named is left out.
    pub async fn read(
        source: &impl Source,
        first: &Document<Root>,
        expiry: Expiry,
    ) -> Result<(Self, Trusted), UpdateError> {
        let trusted = client::update(source, first, None, expiry).await?;
        let mut files = BTreeMap::new();
        for name in names(&trusted) {
            let bytes = source.get(&name, crate::profile::MAX_TARGET_BYTES).await?;
            let bytes = bytes.ok_or_else(|| UpdateError::Missing(name.clone()))?;
            files.insert(name, bytes);
        }
        for target in trusted.targets.signed().targets.keys() {
            // Length and hash.
            client::target(source, &trusted, target).await?;
        }
        Ok((Self { files }, trusted))
    }
}

/// The paths of all files that a client can come to.
pub(super) fn names(trusted: &Trusted) -> Vec<String> {
    let newest = trusted.root.signed().version.get();
    let roots = (1..=newest).filter_map(Version::new);
    let mut names: Vec<String> = roots.map(|v| format!("{v}.root.json")).collect();
    names.extend([
        "root.json".to_owned(),
        "timestamp.json".to_owned(),
        trusted.snapshot.signed().file_name(),
        trusted.targets.signed().file_name(),
    ]);
    let targets = trusted.targets.signed().targets.iter();
    names.extend(targets.map(|(name, info)| format!("targets/{}.{name}", info.hashes.sha256)));
    names
}

impl Source for Tree {
    async fn get(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
        match self.files.get(path) {
            Some(bytes) if u64::try_from(bytes.len()).is_ok_and(|length| length > limit) => {
                Err(SourceError {
                    path: path.to_owned(),
                    reason: format!("longer than {limit} bytes"),
                })
            }
            other => Ok(other.cloned()),
        }
    }
}
