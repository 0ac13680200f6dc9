//! What is to be signed, as a file that can be carried to another machine, and the answer.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wire::trust::Base64;

use super::words;
use crate::metadata::{
    Document, DocumentError, Key, KeyId, Metadata as _, RoleKeys, RoleName, Root, Sha256,
    SignatureError, Targets, Version,
};
use crate::profile::{self, ProfileError};

/// A payload with everything that is needed to judge it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    format: RequestFormat,
    /// Identifies the repository.
    pub repository: String,
    /// Root or targets.
    pub role: RoleName,
    /// Version of the document to sign.
    pub version: Version,
    /// Hash of the payload.
    pub sha256: Sha256,
    /// What changes for clients, in words.
    pub summary: Vec<String>,
    /// Who must sign.
    pub quorums: Vec<Quorum>,
    /// The bytes to sign.
    payload: Base64,
    /// The newest root that was signed, as published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous_root: Option<Base64>,
    /// Payload of the root that will be published with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_root: Option<Base64>,
    /// The targets that are published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous_targets: Option<Base64>,
    /// Trust documents, old and new, by hash.
    contents: BTreeMap<Sha256, Base64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum RequestFormat {
    #[serde(rename = "sigkeep-tuf-request-1")]
    V1,
}

/// Keys of which enough must sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quorum {
    /// Which root lists the keys.
    pub of: QuorumOf,
    /// The keys.
    pub keyids: Vec<KeyId>,
    /// How many of them.
    pub threshold: u32,
}

/// Which root lists a quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QuorumOf {
    /// The root that clients have.
    PublishedRoot,
    /// The root that they will have.
    NextRoot,
}

/// The document in a proposal.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Root metadata.
    Root(Document<Root>),
    /// Targets metadata.
    Targets(Document<Targets>),
}

/// A document to sign with what it is compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// The document.
    pub content: Content,
    /// The newest root that was signed; `None` before the first.
    pub previous_root: Option<Document<Root>>,
    /// For targets: a root that will be published with them.
    pub next_root: Option<Root>,
    /// The targets that are published.
    pub previous_targets: Option<Document<Targets>>,
    /// Trust documents, old and new, by hash.
    pub contents: BTreeMap<Sha256, Vec<u8>>,
}

/// Why a request or an answer was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Not a request or answer.
    #[error("not a file as `tuf-root` writes it: {0}")]
    Malformed(String),
    /// The other kind of file.
    #[error("this is {found}; wanted is {wanted}")]
    Kind {
        /// What it is.
        found: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
    /// A document in it is outside the profile.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A rule of the profile is broken.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The root in it is not signed by its own quorum.
    #[error("the earlier root in the request: {0}")]
    PreviousRoot(SignatureError),
    /// The version does not follow.
    #[error("{role} version {found} does not follow version {previous}")]
    Version {
        /// The role.
        role: RoleName,
        /// The version to sign.
        found: Version,
        /// The version before, 0 if there is none.
        previous: u64,
    },
    /// What the request says of itself is not what its bytes say.
    #[error("the request does not say of itself what its bytes say: {0} differs")]
    Inconsistent(&'static str),
    /// Snapshot and timestamp are signed online.
    #[error("only root and targets are signed by people, not {0}")]
    Role(RoleName),
}

impl Request {
    /// The file for `proposal`.
    pub fn of(repository: &str, proposal: &Proposal) -> Result<Self, RequestError> {
        let (role, version, payload) = match &proposal.content {
            Content::Root(d) => (RoleName::Root, d.signed().version, d.payload()?),
            Content::Targets(d) => (RoleName::Targets, d.signed().version, d.payload()?),
        };
        let whole = |d: &Document<Root>| d.to_json().map(Base64);
        let base64 = |(hash, bytes): (&Sha256, &Vec<u8>)| (*hash, Base64(bytes.clone()));
        Ok(Self {
            format: RequestFormat::V1,
            repository: repository.to_owned(),
            role,
            version,
            sha256: Sha256::of(&payload),
            summary: words::summary(proposal),
            quorums: proposal.quorums(),
            payload: Base64(payload),
            previous_root: proposal.previous_root.as_ref().map(whole).transpose()?,
            next_root: match &proposal.next_root {
                Some(root) => Some(Base64(Document::unsigned(root.clone()).payload()?)),
                None => None,
            },
            previous_targets: match &proposal.previous_targets {
                Some(targets) => Some(Base64(targets.to_json()?)),
                None => None,
            },
            contents: proposal.contents.iter().map(base64).collect(),
        })
    }

    /// Reads a request, every document in it strictly, and checks that what it says in words and
    /// in quorums is what its bytes say.
    pub fn read(bytes: &[u8]) -> Result<(Self, Proposal), RequestError> {
        let request: Self = parse(bytes, REQUEST)?;
        let content = match request.role {
            RoleName::Root => Content::Root(Document::from_payload(&request.payload.0)?),
            RoleName::Targets => Content::Targets(Document::from_payload(&request.payload.0)?),
            role => return Err(RequestError::Role(role)),
        };
        let root = |bytes: &Base64| Document::parse(&bytes.0);
        let next =
            |bytes: &Base64| Document::<Root>::from_payload(&bytes.0).map(|d| d.signed().clone());
        let targets = |bytes: &Base64| Document::parse(&bytes.0);
        let proposal = Proposal {
            content,
            previous_root: request.previous_root.as_ref().map(root).transpose()?,
            next_root: request.next_root.as_ref().map(next).transpose()?,
            previous_targets: request.previous_targets.as_ref().map(targets).transpose()?,
            contents: request
                .contents
                .iter()
                .map(|(hash, bytes)| (*hash, bytes.0.clone()))
                .collect(),
        };
        proposal.check()?;
        let rebuilt = Self::of(&request.repository, &proposal)?;
        let differs = match () {
            () if rebuilt.sha256 != request.sha256 => Some("the hash of the payload"),
            () if rebuilt.version != request.version => Some("the version"),
            () if rebuilt.summary != request.summary => Some("the summary"),
            () if rebuilt.quorums != request.quorums => Some("who must sign"),
            () if rebuilt != request => Some("a document"),
            () => None,
        };
        match differs {
            Some(what) => Err(RequestError::Inconsistent(what)),
            None => Ok((request, proposal)),
        }
    }

    /// The bytes to sign.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload.0
    }

    /// The file's bytes.
    pub fn to_json(&self) -> Result<Vec<u8>, RequestError> {
        to_json(self)
    }
}

impl Proposal {
    /// Who must sign: the keys that clients know now, and those that they will know then.
    #[must_use]
    pub fn quorums(&self) -> Vec<Quorum> {
        let old = self.previous_root.as_ref().map(Document::signed);
        let (role, next) = match &self.content {
            Content::Root(document) => (RoleName::Root, Some(document.signed())),
            Content::Targets(_) => (RoleName::Targets, self.next_root.as_ref()),
        };
        let quorum = |of, keys: &RoleKeys| Quorum {
            of,
            keyids: keys.keyids.clone(),
            threshold: keys.threshold,
        };
        let old = old.map(|root| root.roles.get(role));
        let next = next
            .map(|root| root.roles.get(role))
            .filter(|next| old != Some(*next));
        old.map(|keys| quorum(QuorumOf::PublishedRoot, keys))
            .into_iter()
            .chain(next.map(|keys| quorum(QuorumOf::NextRoot, keys)))
            .collect()
    }

    /// The key of this id in any quorum.
    #[must_use]
    pub fn key(&self, id: KeyId) -> Option<&Key> {
        let asked = self.quorums().iter().any(|q| q.keyids.contains(&id));
        let new = match &self.content {
            Content::Root(document) => Some(document.signed()),
            Content::Targets(_) => self.next_root.as_ref(),
        };
        let old = self.previous_root.as_ref().map(Document::signed);
        old.into_iter()
            .chain(new)
            .find_map(|root| root.keys.get(&id))
            .filter(|_| asked)
    }

    fn check(&self) -> Result<(), RequestError> {
        if let Some(root) = &self.previous_root {
            let signed = root.signed();
            root.verify(&signed.keys, &signed.roles.root)
                .map_err(RequestError::PreviousRoot)?;
            profile::check_root(signed)?;
        }
        if let Some(root) = &self.next_root {
            profile::check_root(root)?;
        }
        match &self.content {
            Content::Root(document) => {
                profile::check_root(document.signed())?;
                let previous = self.previous_root.as_ref().map(|d| d.signed().version);
                let found = document.signed().version;
                if found != previous.map_or(Version::FIRST, Version::next) {
                    return Err(RequestError::Version {
                        role: RoleName::Root,
                        found,
                        previous: previous.map_or(0, Version::get),
                    });
                }
            }
            Content::Targets(document) => {
                profile::check_targets(document.signed())?;
                let previous = self.previous_targets.as_ref().map(|d| d.signed().version());
                let found = document.signed().version;
                if previous.is_some_and(|previous| found <= previous) {
                    return Err(RequestError::Version {
                        role: RoleName::Targets,
                        found,
                        previous: previous.map_or(0, Version::get),
                    });
                }
            }
        }
        match self.contents.iter().any(|(h, c)| Sha256::of(c) != *h) {
            true => Err(RequestError::Inconsistent("the hash of a trust document")),
            false => Ok(()),
        }
    }
}

/// One signature, as a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    format: AnswerFormat,
    /// Identifies the repository.
    pub repository: String,
    /// Root or targets.
    pub role: RoleName,
    /// Version of what was signed.
    pub version: Version,
    /// Hash of the bytes that were signed.
    pub sha256: Sha256,
    /// The key that signed.
    pub keyid: KeyId,
    /// ASN.1 DER signature.
    pub signature: Base64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum AnswerFormat {
    #[serde(rename = "sigkeep-tuf-signature-1")]
    V1,
}

impl Answer {
    /// The answer to `request`.
    #[must_use]
    pub fn to(request: &Request, keyid: KeyId, signature: Vec<u8>) -> Self {
        Self {
            format: AnswerFormat::V1,
            repository: request.repository.clone(),
            role: request.role,
            version: request.version,
            sha256: request.sha256,
            keyid,
            signature: Base64(signature),
        }
    }

    /// Reads an answer. Its signature is verified when it is imported.
    pub fn read(bytes: &[u8]) -> Result<Self, RequestError> {
        parse(bytes, ANSWER)
    }

    /// The file's bytes.
    pub fn to_json(&self) -> Result<Vec<u8>, RequestError> {
        to_json(self)
    }
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>, RequestError> {
    let mut bytes =
        serde_json::to_vec_pretty(value).map_err(|e| RequestError::Malformed(e.to_string()))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// What [`RequestFormat`] and [`AnswerFormat`] write.
const REQUEST: &str = "sigkeep-tuf-request-1";
const ANSWER: &str = "sigkeep-tuf-signature-1";

/// The ceremony's files: how each names its format, and what it is.
const FILES: [(&str, &str); 3] = [
    (REQUEST, "a request, which `tuf-root payload export` writes"),
    (ANSWER, "a signature, which `tuf-root sign` writes"),
    (
        "sigkeep-tuf-key-1",
        "a claim to a key, which `tuf-root key claim` writes",
    ),
];

/// Parses a file of the format `own`. If it is another of [`FILES`], the error says which.
fn parse<T: DeserializeOwned>(bytes: &[u8], own: &str) -> Result<T, RequestError> {
    #[derive(Deserialize)]
    struct File {
        format: String,
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let is = |format: &str| FILES.iter().find(|(name, _)| *name == format);
        let file = serde_json::from_slice(bytes).ok();
        let found = file.and_then(|file: File| is(&file.format).copied());
        match (found, is(own)) {
            (Some((name, found)), Some((_, wanted))) if name != own => {
                RequestError::Kind { found, wanted }
            }
            _ => RequestError::Malformed(error.to_string()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formats_are_what_files_are_told_apart_by() {
        let written = |format: serde_json::Value| format.as_str().map(str::to_owned);
        let formats = [
            written(serde_json::to_value(RequestFormat::V1).unwrap()),
            written(serde_json::to_value(AnswerFormat::V1).unwrap()),
        ];
        assert_eq!(formats, [Some(REQUEST.to_owned()), Some(ANSWER.to_owned())]);
    }
}
