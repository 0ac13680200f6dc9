//! The bundle: what is carried in.
//!
//! ```text
//! MANIFEST.json         versions and expiries, for people and for the next apply
//! SHA256SUMS            one line a file, as `sha256sum -c` reads it
//! SHA256SUMS.sig        signature over SHA256SUMS, ASN.1 DER
//! repository/…          the published tree
//! ```

use std::collections::BTreeMap;

use crypto::{HashAlgorithm, PublicKey};
use keys::Signer;
use serde::{Deserialize, Serialize};

use super::archive::{self, ArchiveError};
use super::tree::{self, Tree};
use crate::client::{Expiry, Source, Trusted, UpdateError};
use crate::metadata::{Document, Expires, Metadata, RoleName, Root, Sha256, TargetName, Version};

const MANIFEST: &str = "MANIFEST.json";
const SUMS: &str = "SHA256SUMS";
const SIGNATURE: &str = "SHA256SUMS.sig";
const REPOSITORY: &str = "repository/";

/// What a bundle holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    format: Format,
    /// The program that made it.
    pub tool: String,
    /// SHA-256 of `1.root.json`: names the repository.
    pub first_root: Sha256,
    /// Versions and expiries at the centre.
    pub roles: BTreeMap<RoleName, RoleFacts>,
    /// The target files.
    pub targets: Vec<TargetName>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Format {
    #[serde(rename = "sigkeep-tuf-bundle-1")]
    V1,
}

/// Version and expiry of a role's metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleFacts {
    /// Its version.
    pub version: Version,
    /// The end of its validity.
    pub expires: Expires,
}

/// Why a bundle was not made or was refused.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The archive itself.
    #[error("the bundle is {0}")]
    Archive(#[from] ArchiveError),
    /// A file of the bundle is missing.
    #[error("the bundle has no {0}")]
    Missing(&'static str),
    /// The signature is not the expected key's.
    #[error(
        "the bundle is not signed by the key that was given, or it was changed after it was signed"
    )]
    Signature,
    /// The checksums do not fit the files.
    #[error("the checksums do not fit: {0}")]
    Sums(String),
    /// The manifest does not fit the files.
    #[error("the manifest does not fit: {0}")]
    Manifest(String),
    /// A file that no client comes to.
    #[error("the bundle has a file that belongs to nothing: {0}")]
    Extra(String),
    /// A client would refuse the tree.
    #[error("clients would refuse the repository in the bundle: {0}")]
    Update(#[from] UpdateError),
    /// The key cannot sign.
    #[error("the bundle cannot be signed: {0}")]
    Sign(#[from] keys::SignError),
}

/// A bundle, verified.
#[derive(Clone, Debug, PartialEq)]
pub struct Bundle {
    /// What it says of itself.
    pub manifest: Manifest,
    /// The published tree of the centre.
    pub tree: Tree,
    /// What a client that starts from the first root trusts in it.
    pub trusted: Trusted,
}

impl Bundle {
    /// Reads the published tree of a repository, as clients would now, for carrying it elsewhere.
    pub async fn read(
        source: &impl Source,
        first: &Document<Root>,
        now: Expiry,
    ) -> Result<Self, BundleError> {
        let (tree, trusted) = Tree::read(source, first, now).await?;
        let manifest = Manifest::of(&tree, &trusted)?;
        Ok(Self {
            manifest,
            tree,
            trusted,
        })
    }

    /// The archive, signed. The same tree gives the same archive, but for the signature.
    pub async fn pack(&self, signer: &dyn Signer) -> Result<Vec<u8>, BundleError> {
        let mut files = BTreeMap::new();
        files.insert(MANIFEST.to_owned(), self.manifest.to_json()?);
        for (path, content) in &self.tree.files {
            files.insert(format!("{REPOSITORY}{path}"), content.clone());
        }
        let sums = sums(&files);
        let signature = signer.sign(&sums).await?;
        files.insert(SUMS.to_owned(), sums);
        files.insert(SIGNATURE.to_owned(), signature);
        Ok(archive::pack(&files)?)
    }

    /// Opens an archive: its form, the signature by `key`, the checksums, then the tree, as a
    /// client does that starts from its first root. Which repository that is, and whether it is
    /// newer than what one has, is the caller's to check.
    pub async fn open(bytes: &[u8], key: &PublicKey, now: Expiry) -> Result<Self, BundleError> {
        let mut files = archive::unpack(bytes)?;
        let signature = files
            .remove(SIGNATURE)
            .ok_or(BundleError::Missing(SIGNATURE))?;
        let listed = files.remove(SUMS).ok_or(BundleError::Missing(SUMS))?;
        // Nothing inside is looked at before this.
        verify(key, &listed, &signature)?;
        if sums(&files) != listed {
            return Err(BundleError::Sums(difference(&files, &listed)));
        }
        let manifest = files
            .remove(MANIFEST)
            .ok_or(BundleError::Missing(MANIFEST))?;
        let manifest: Manifest =
            serde_json::from_slice(&manifest).map_err(|e| BundleError::Manifest(e.to_string()))?;
        let mut tree = Tree::default();
        for (path, content) in files {
            match path.strip_prefix(REPOSITORY) {
                Some(name) => tree.files.insert(name.to_owned(), content),
                None => return Err(BundleError::Extra(path)),
            };
        }
        let first = tree
            .files
            .get("1.root.json")
            .ok_or(BundleError::Missing("1.root.json"))?;
        let first: Document<Root> = Document::parse(first).map_err(|error| {
            BundleError::Update(UpdateError::Document {
                file: "1.root.json".to_owned(),
                error,
            })
        })?;
        let (reached, trusted) = Tree::read(&tree, &first, now).await?;
        if let Some(extra) = tree.files.keys().find(|n| !reached.files.contains_key(*n)) {
            return Err(BundleError::Extra(extra.clone()));
        }
        let newest = format!("{}.root.json", trusted.root.signed().version);
        if tree.files.get("root.json") != tree.files.get(&newest) {
            return Err(BundleError::Extra("root.json".to_owned()));
        }
        if Manifest::of(&tree, &trusted)? != manifest.as_if_made_here() {
            return Err(BundleError::Manifest(
                "it says other versions than the repository has".to_owned(),
            ));
        }
        Ok(Self {
            manifest,
            tree,
            trusted,
        })
    }

    /// Paths of the tree's files.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        tree::names(&self.trusted)
    }
}

impl Manifest {
    fn of(tree: &Tree, trusted: &Trusted) -> Result<Self, BundleError> {
        let first = tree
            .files
            .get("1.root.json")
            .ok_or(BundleError::Missing("1.root.json"))?;
        let roles = [
            facts(&trusted.root),
            facts(&trusted.targets),
            facts(&trusted.snapshot),
            facts(&trusted.timestamp),
        ];
        Ok(Self {
            format: Format::V1,
            tool: concat!("tuf-root ", env!("CARGO_PKG_VERSION")).to_owned(),
            first_root: Sha256::of(first),
            roles: roles.into(),
            targets: trusted.targets.signed().targets.keys().cloned().collect(),
        })
    }

    /// Version of a role's metadata at the centre.
    #[must_use]
    pub fn version(&self, role: RoleName) -> Option<Version> {
        self.roles.get(&role).map(|facts| facts.version)
    }

    /// Indented JSON with a final newline.
    pub fn to_json(&self) -> Result<Vec<u8>, BundleError> {
        let mut json =
            serde_json::to_vec_pretty(self).map_err(|e| BundleError::Manifest(e.to_string()))?;
        json.push(b'\n');
        Ok(json)
    }

    fn as_if_made_here(&self) -> Self {
        Self {
            tool: concat!("tuf-root ", env!("CARGO_PKG_VERSION")).to_owned(),
            ..self.clone()
        }
    }
}

fn facts<T: Metadata>(document: &Document<T>) -> (RoleName, RoleFacts) {
    let facts = RoleFacts {
        version: document.signed().version(),
        expires: document.signed().expires(),
    };
    (T::ROLE, facts)
}

/// `HASH  PATH` a line, sorted by path.
fn sums(files: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let line = |(path, content): (&String, &Vec<u8>)| format!("{}  {path}\n", Sha256::of(content));
    files.iter().map(line).collect::<String>().into_bytes()
}

/// In words, where files and checksums part.
fn difference(files: &BTreeMap<String, Vec<u8>>, listed: &[u8]) -> String {
    let listed = String::from_utf8_lossy(listed);
    let mut known: BTreeMap<&str, &str> = listed
        .lines()
        .filter_map(|line| line.split_once("  ").map(|(hash, path)| (path, hash)))
        .collect();
    for (path, content) in files {
        match known.remove(path.as_str()) {
            Some(hash) if hash == Sha256::of(content).to_string() => {}
            Some(_) => return format!("{path} was changed"),
            None => return format!("{path} is not listed"),
        }
    }
    match known.keys().next() {
        Some(path) => format!("{path} is missing"),
        None => format!("{SUMS} is not in its normal form"),
    }
}

fn verify(key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<(), BundleError> {
    let algorithm = keys::Algorithm::of_key(key.kind()).ok_or(BundleError::Signature)?;
    let hash = algorithm.hash().unwrap_or(HashAlgorithm::Sha256);
    key.verify(hash, message, signature)
        .map_err(|_| BundleError::Signature)
}
