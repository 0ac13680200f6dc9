//! Entries: from what a client proposes to what the log keeps.
//!
//! One file per kind parses its `spec`, verifies its signatures and returns a [`Verified`] entry;
//! [`KINDS`] lists them. `docs/adding-an-entry-kind.md` says how to add one.

mod alpine;
mod chain;
mod cose;
mod dsse;
mod envelope;
mod hashedrekord;
#[cfg(feature = "openpgp")]
mod helm;
mod intoto;
mod jar;
mod minisign;
#[cfg(feature = "openpgp")]
mod pgp;
mod rekord;
mod rfc3161;
#[cfg(feature = "openpgp")]
mod rpm;
mod signer;
mod ssh;
mod statement;
mod stored;
mod tuf;
mod verifier;

pub(crate) use chain::Anchors;
pub use signer::Signer;
pub use stored::Stored;
pub(crate) use verifier::subjects_of;
pub use verifier::{Verifier, VerifierError};

use std::time::SystemTime;

use logstore::SearchKey;
use serde_json::value::RawValue;
use tlog::Hash;
use wire::rekor::{Digest, ProposedDigest, ProposedEntry, PublicKeyFormat};

/// A kind of entry with the versions of its schema that this log can verify.
struct Kind {
    name: &'static str,
    versions: &'static [Version],
}

/// One version of a kind.
struct Version {
    number: &'static str,
    verify: fn(&str, Purpose, &Limits) -> Result<Verified, EntryError>,
}

/// What this log can verify.
const KINDS: &[Kind] = &[
    Kind {
        name: wire::rekor::alpine::KIND,
        versions: &[Version {
            number: wire::rekor::alpine::VERSION,
            verify: alpine::verify,
        }],
    },
    Kind {
        name: wire::rekor::cose::KIND,
        versions: &[Version {
            number: wire::rekor::cose::VERSION,
            verify: cose::verify,
        }],
    },
    Kind {
        name: wire::rekor::dsse::KIND,
        versions: &[Version {
            number: wire::rekor::dsse::VERSION,
            verify: dsse::verify,
        }],
    },
    Kind {
        name: wire::rekor::hashedrekord::KIND,
        versions: &[Version {
            number: wire::rekor::hashedrekord::VERSION,
            verify: hashedrekord::verify,
        }],
    },
    #[cfg(feature = "openpgp")]
    Kind {
        name: wire::rekor::helm::KIND,
        versions: &[Version {
            number: wire::rekor::helm::VERSION,
            verify: helm::verify,
        }],
    },
    Kind {
        name: wire::rekor::intoto::KIND,
        versions: &[
            Version {
                number: wire::rekor::intoto::v0_0_1::VERSION,
                verify: intoto::v0_0_1::verify,
            },
            Version {
                number: wire::rekor::intoto::v0_0_2::VERSION,
                verify: intoto::v0_0_2::verify,
            },
        ],
    },
    Kind {
        name: wire::rekor::jar::KIND,
        versions: &[Version {
            number: wire::rekor::jar::VERSION,
            verify: jar::verify,
        }],
    },
    Kind {
        name: wire::rekor::rekord::KIND,
        versions: &[Version {
            number: wire::rekor::rekord::VERSION,
            verify: rekord::verify,
        }],
    },
    Kind {
        name: wire::rekor::rfc3161::KIND,
        versions: &[Version {
            number: wire::rekor::rfc3161::VERSION,
            verify: rfc3161::verify,
        }],
    },
    #[cfg(feature = "openpgp")]
    Kind {
        name: wire::rekor::rpm::KIND,
        versions: &[Version {
            number: wire::rekor::rpm::VERSION,
            verify: rpm::verify,
        }],
    },
    Kind {
        name: wire::rekor::tuf::KIND,
        versions: &[Version {
            number: wire::rekor::tuf::VERSION,
            verify: tuf::verify,
        }],
    },
];

/// Kinds and versions that Rekor v1 defines and this build does not verify; any other kind is
/// unknown.
const NOT_BUILT: &[(&str, &str)] = match cfg!(feature = "openpgp") {
    true => &[],
    false => &[
        (wire::rekor::helm::KIND, wire::rekor::helm::VERSION),
        (wire::rekor::rpm::KIND, wire::rekor::rpm::VERSION),
    ],
};

/// Why an entry is being looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To append it. It must carry all that its signatures cover.
    Insert,
    /// To look it up. The canonical form will do for kinds that drop content.
    Find,
}

/// Bounds that verification applies.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest attestation that is kept beside its entry, in bytes.
    pub attestation: usize,
    /// Longest part of a package that is unpacked to be read, in bytes.
    pub package_metadata: usize,
    /// Documents that state when they expire must do so after this.
    pub now: SystemTime,
}

/// An entry whose signatures hold, ready to be a leaf.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The kind's name.
    pub kind: &'static str,
    /// The canonical body: the leaf.
    pub body: Vec<u8>,
    /// RFC 6962 leaf hash of the body.
    pub leaf_hash: Hash,
    /// The attestation to keep, empty if none.
    pub attestation: Vec<u8>,
    /// What the entry is to be found by, without repetition.
    pub keys: Vec<SearchKey>,
    /// Whose signatures were verified.
    pub signers: Vec<Signer>,
}

impl Verified {
    fn new(kind: &'static str, body: Vec<u8>, attestation: Vec<u8>, mut terms: Terms) -> Self {
        terms.keys.extend(crate::search::kind_key(kind));
        let leaf_hash = tlog::leaf_hash(&body);
        Self {
            kind,
            body,
            leaf_hash,
            attestation,
            signers: std::mem::take(&mut terms.signers),
            keys: terms.into_keys(),
        }
    }
}

/// Why an entry was refused. Texts are answers to clients.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Not JSON, or a member of another type than its schema says.
    #[error("{0}")]
    Json(String),
    /// `kind`, `apiVersion` or `spec` is absent.
    #[error("{0} in body is required")]
    Required(&'static str),
    /// No such kind.
    #[error("invalid kind value: {0:?}")]
    UnknownKind(String),
    /// `apiVersion` is not a semantic version.
    #[error("apiVersion in body should match '{pattern}'", pattern = SEMANTIC_VERSION)]
    VersionSyntax,
    /// The kind has no such version.
    #[error(
        "{kind} implementation for version '{version}' not found: unable to locate entry for version {version}"
    )]
    UnknownVersion {
        /// The kind.
        kind: String,
        /// The version asked for.
        version: String,
    },
    /// A kind that the configuration disables.
    #[error("entry kind '{0}' is not enabled for submission on this server")]
    KindNotEnabled(String),
    /// A kind, or a format of signature, that needs a feature which this build lacks.
    #[error(
        "entry kind '{0}' is not enabled for submission on this server: it was built without OpenPGP; release builds have it (cargo feature `openpgp`)"
    )]
    NotBuilt(String),
    /// The `spec` does not follow its schema.
    #[error("validation failure list:\n{0}")]
    Schema(String),
    /// The `spec` is well-formed and wrong.
    #[error("{0}")]
    Invalid(String),
    /// A key or certificate cannot be used.
    #[error(transparent)]
    Verifier(#[from] VerifierError),
    /// Complete enough to be looked up, not to be appended.
    #[error("entry not insertable into log: {0}")]
    NotInsertable(&'static str),
}

const SEMANTIC_VERSION: &str = r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?$";

impl EntryError {
    fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid(reason.into())
    }

    fn missing_member(path: &str) -> Self {
        Self::Schema(format!("{path} in body is required"))
    }

    /// A string that is not one of the values that its schema lists.
    fn not_listed(path: &str, listed: &[&str]) -> Self {
        Self::Schema(format!(
            "{path} in body should be one of [{}]",
            listed.join(" ")
        ))
    }
}

/// A proposed entry whose kind and version are known; its `spec` is not parsed yet.
#[derive(Clone, Copy)]
pub struct Submission<'a> {
    kind: &'static str,
    verify: fn(&str, Purpose, &Limits) -> Result<Verified, EntryError>,
    spec: &'a RawValue,
    cheap: bool,
}

/// Longest canonical body, in bytes. Bodies are kept for ever, and an answer holds up to ten of
/// them: with nothing but the limit on requests (32 MiB, most of which may be a key hint that
/// nobody checks), 150 bytes of a query would be answered with 400 MiB. Long chains of certificates
/// with several signatures reach some 100 KiB.
const MAX_BODY: usize = 1 << 20;

/// Largest `spec` of a single-signature kind that counts as cheap, in bytes: a certificate with
/// room to spare, or a chain of three, but not one of ten.
const CHEAP_SPEC: usize = 4 * 1024;

impl<'a> Submission<'a> {
    /// Finds out what is proposed. Does not look into `spec`.
    pub fn parse(json: &'a [u8]) -> Result<Self, EntryError> {
        let proposed: Option<ProposedEntry<'a>> = from_object(json)?;
        let proposed = proposed.unwrap_or_default();
        let kind = proposed
            .kind
            .as_deref()
            .filter(|kind| !kind.is_empty())
            .ok_or(EntryError::Required("kind"))?;
        let here = KINDS.iter().find(|known| known.name == kind);
        if here.is_none() && !NOT_BUILT.iter().any(|(name, _)| *name == kind) {
            return Err(EntryError::UnknownKind(kind.to_owned()));
        }
        let version = proposed
            .api_version
            .as_deref()
            .ok_or(EntryError::Required("apiVersion"))?;
        if !is_semantic_version(version) {
            return Err(EntryError::VersionSyntax);
        }
        let spec = proposed.spec.ok_or(EntryError::Required("spec"))?;
        // Build metadata does not make a version another one.
        let number = version
            .split_once('+')
            .map_or(version, |(number, _)| number);
        let found = here.and_then(|kind| {
            let version = kind.versions.iter().find(|known| known.number == number)?;
            Some((kind.name, version))
        });
        match found {
            Some((name, found)) => Ok(Self {
                kind: name,
                verify: found.verify,
                spec,
                cheap: kind == wire::rekor::hashedrekord::KIND && spec.get().len() <= CHEAP_SPEC,
            }),
            None if NOT_BUILT.contains(&(kind, number)) => {
                Err(EntryError::NotBuilt(kind.to_owned()))
            }
            None => Err(EntryError::UnknownVersion {
                kind: kind.to_owned(),
                version: version.to_owned(),
            }),
        }
    }

    /// The kind's name.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Whether verification takes less time than handing it to another thread.
    #[must_use]
    pub fn is_cheap(&self) -> bool {
        self.cheap
    }

    /// Parses `spec`, verifies the signatures and prints the canonical body.
    pub fn verify(self, purpose: Purpose, limits: &Limits) -> Result<Verified, EntryError> {
        let verified = (self.verify)(self.spec.get(), purpose, limits)?;
        match verified.body.len() {
            0..=MAX_BODY => Ok(verified),
            _ => Err(EntryError::invalid(
                "the entry is too large: what the log would keep is longer than 1 MiB",
            )),
        }
    }
}

/// Whether Rekor v1 defines a kind of this name.
#[must_use]
pub fn is_kind(name: &str) -> bool {
    KINDS.iter().any(|kind| kind.name == name) || NOT_BUILT.iter().any(|(kind, _)| *kind == name)
}

/// The search keys of the digests that an in-toto statement names; none of what is no statement.
pub(crate) fn statement_keys(statement: &[u8]) -> Vec<SearchKey> {
    let mut terms = Terms::default();
    statement::add_digests(statement, &mut terms);
    terms.into_keys()
}

/// The canonical form of a key, whose SHA-256 is a term of the entries that it signed; `None` for
/// formats that this build does not verify.
pub fn canonical_key(format: PublicKeyFormat, key: &[u8]) -> Option<Result<Vec<u8>, EntryError>> {
    let text = |text: &str| text.as_bytes().to_vec();
    match format {
        PublicKeyFormat::X509 => Some(
            Verifier::parse(key)
                .map(|verifier| text(verifier.canonical()))
                .map_err(Into::into),
        ),
        PublicKeyFormat::Minisign => {
            Some(minisign::Key::parse(key).map(|key| text(key.canonical())))
        }
        PublicKeyFormat::Ssh => Some(ssh::Key::parse(key).map(|key| text(key.canonical()))),
        PublicKeyFormat::Tuf => Some(tuf::canonical_root(key)),
        #[cfg(feature = "openpgp")]
        PublicKeyFormat::Pgp => Some(
            openpgp::Keyring::parse(key)
                .map(|keys| keys.canonical().to_vec())
                .map_err(Into::into),
        ),
        #[cfg(not(feature = "openpgp"))]
        PublicKeyFormat::Pgp => None,
    }
}

/// Deserializes a JSON object or null. (Derived structures would take an array, too.)
pub fn from_object<'a, T: serde::Deserialize<'a>>(json: &'a [u8]) -> Result<Option<T>, EntryError> {
    let first = json.iter().find(|byte| !byte.is_ascii_whitespace());
    if let Some(first) = first.filter(|first| !matches!(first, b'{' | b'n')) {
        return Err(EntryError::Json(format!(
            "expected a JSON object, found {:?}",
            char::from(*first)
        )));
    }
    serde_json::from_slice(json).map_err(|error| EntryError::Json(error.to_string()))
}

/// Deserializes a `spec`.
fn from_spec<'a, T: serde::Deserialize<'a>>(spec: &'a str) -> Result<T, EntryError> {
    from_object(spec.as_bytes())?.ok_or(EntryError::Required("spec"))
}

/// A digest that must be SHA-256.
fn sha256_digest<'a>(path: &str, digest: &'a ProposedDigest<'_>) -> Result<Digest<'a>, EntryError> {
    match (digest.algorithm.as_deref(), digest.value.as_deref()) {
        (Some("sha256"), Some(value)) => Ok(Digest {
            algorithm: "sha256",
            value,
        }),
        (Some(_), Some(_)) => Err(EntryError::not_listed(
            &format!("{path}.algorithm"),
            &["sha256"],
        )),
        (None, _) => Err(EntryError::missing_member(&format!("{path}.algorithm"))),
        (_, None) => Err(EntryError::missing_member(&format!("{path}.value"))),
    }
}

/// SHA-256 of an artifact, which must be what the submission says it is, if it says so.
fn sha256_of(
    content: &[u8],
    path: &str,
    stated: Option<&ProposedDigest<'_>>,
) -> Result<String, EntryError> {
    let computed = hex::encode(crypto::sha256(content));
    let Some(stated) = stated else {
        return Ok(computed);
    };
    let stated = sha256_digest(path, stated)?.value;
    if stated.len() != computed.len() || !stated.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(EntryError::invalid("invalid value for hash"));
    }
    match stated == computed {
        true => Ok(computed),
        false => Err(EntryError::Invalid(format!(
            "SHA mismatch: {computed} != {stated}"
        ))),
    }
}

/// Semantic Versioning 2.0.0: three numbers without leading zeros, then `-pre.release` and
/// `+build.metadata`, each optional.
fn is_semantic_version(text: &str) -> bool {
    let identifier = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = |text: &str| digits(text) && (text == "0" || !text.starts_with('0'));
    let (rest, build_ok) = match text.split_once('+') {
        Some((rest, build)) => (rest, build.split('.').all(identifier)),
        None => (text, true),
    };
    let (core, pre_ok) = match rest.split_once('-') {
        Some((core, pre)) => (
            core,
            pre.split('.')
                .all(|part| identifier(part) && (!digits(part) || number(part))),
        ),
        None => (rest, true),
    };
    build_ok && pre_ok && core.split('.').count() == 3 && core.split('.').all(number)
}

/// The terms that an entry is found by, and the signers that some of them are of.
#[derive(Debug, Default)]
struct Terms {
    keys: Vec<SearchKey>,
    signers: Vec<Signer>,
}

impl Terms {
    /// Adds a term.
    fn add(&mut self, term: &str) {
        self.keys.push(crate::search::key(term));
    }

    /// Adds a digest as `algorithm:digits`.
    fn add_digest(&mut self, algorithm: &str, value: &str) {
        self.add(&format!("{algorithm}:{value}"));
    }

    /// Adds a signer: its key, its subjects, and the issuer of its certificate.
    fn add_verifier(&mut self, verifier: &Verifier) {
        self.signers.push(Signer::of(verifier));
        self.add_key(verifier.canonical().as_bytes(), verifier.subjects());
        let issuer = verifier.issuer().map(crate::search::issuer_key);
        self.keys.extend(issuer);
    }

    /// The same for any form of key: what its format defines as canonical, and its owner's names.
    fn add_signer(&mut self, canonical: &[u8], subjects: &[String]) {
        self.signers.push(Signer::bare(crypto::sha256(canonical)));
        self.add_key(canonical, subjects);
    }

    /// Adds a key that is no signer's, or that is counted as one already.
    fn add_key(&mut self, canonical: &[u8], subjects: &[String]) {
        // A search for it as a `sha256:` digest looks for this form, too.
        self.add(&hex::encode(crypto::sha256(canonical)));
        subjects.iter().for_each(|subject| self.add(subject));
    }

    fn into_keys(mut self) -> Vec<SearchKey> {
        self.keys.sort_unstable();
        self.keys.dedup();
        self.keys
    }
}

#[cfg(test)]
mod mutations;
#[cfg(test)]
mod tests;
