//! `TrustedRoot`: the keys and certificates that clients verify with.

use std::collections::BTreeSet;

use crypto::{KeyKind, PublicKey};
use serde::{Deserialize, Serialize};

use super::certificate::Facts;
use super::{Base64, KeyDetails, TimeRange, TrustError, UrlPath, check_url, parse, print};

/// Everything a client trusts, past and present: one entry a key or chain, oldest first.
/// An entry that is out of use gets an end; it is never removed, because old bundles need it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrustedRoot {
    /// Names the document and its version.
    pub media_type: TrustedRootMediaType,
    /// Rekor logs. Present even if empty.
    pub tlogs: Vec<TransparencyLog>,
    /// Fulcio chains: one for each issuing certificate.
    pub certificate_authorities: Vec<CertificateAuthority>,
    /// Certificate Transparency logs. Present even if empty.
    pub ctlogs: Vec<TransparencyLog>,
    /// Timestamp authorities: one for each signing certificate.
    pub timestamp_authorities: Vec<CertificateAuthority>,
}

/// The one media type of [`TrustedRoot`] that clients accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrustedRootMediaType {
    /// Version 0.1, in the form with a parameter.
    #[serde(rename = "application/vnd.dev.sigstore.trustedroot+json;version=0.1")]
    V01,
}

/// A transparency log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TransparencyLog {
    /// URL of the log; its host must occur in the origin of the log's checkpoints.
    pub base_url: String,
    /// Hash of the Merkle tree.
    pub hash_algorithm: LogHash,
    /// The key that signs entries and checkpoints, or SCTs.
    pub public_key: LogPublicKey,
    /// Identifies the log in bundles and SCTs.
    pub log_id: LogId,
}

/// Hash of a log's Merkle tree: the only one clients know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogHash {
    /// SHA-256.
    #[serde(rename = "SHA2_256")]
    Sha256,
}

/// The key of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogPublicKey {
    /// DER `SubjectPublicKeyInfo`.
    pub raw_bytes: Base64,
    /// Type and signature scheme of the key.
    pub key_details: KeyDetails,
    /// When the log signed with this key. Signatures outside are refused.
    pub valid_for: TimeRange,
}

/// Identifier of a log: 32 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogId {
    /// SHA-256 of the DER key for ECDSA, RSA, Rekor v1 and RFC 6962 logs; for an Ed25519 log of
    /// Rekor v2 SHA-256 of `origin ‖ 0x0A ‖ 0x01 ‖ key` (C2SP signed-note).
    pub key_id: Base64,
}

/// A certificate authority or timestamp authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CertificateAuthority {
    /// Subject of the root certificate.
    pub subject: DistinguishedName,
    /// URL of the service.
    pub uri: String,
    /// Signing end first, self-signed trust anchor last.
    pub cert_chain: CertificateChain,
    /// When the authority issued under this chain.
    pub valid_for: TimeRange,
}

/// The two name parts of an authority. Always written, if only as empty strings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DistinguishedName {
    /// `O`.
    pub organization: String,
    /// `CN`.
    pub common_name: String,
}

/// A certificate chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateChain {
    /// The certificates.
    pub certificates: Vec<ChainCertificate>,
}

/// One certificate of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChainCertificate {
    /// DER.
    pub raw_bytes: Base64,
}

impl TrustedRoot {
    /// Reads and checks a trusted root.
    ///
    /// # Errors
    /// If any supported client would refuse it, ignore part of it or misread it.
    pub fn from_json(json: &[u8]) -> Result<Self, TrustError> {
        let root: Self = parse("trusted root", json)?;
        root.check()?;
        Ok(root)
    }

    /// Indented JSON with a final newline; the same document always gives the same bytes.
    #[must_use]
    pub fn to_json(&self) -> String {
        print(self)
    }

    /// Checks what the types cannot express.
    pub fn check(&self) -> Result<(), TrustError> {
        check_logs("tlogs", &self.tlogs, UrlPath::None)?;
        check_logs("ctlogs", &self.ctlogs, UrlPath::Any)?;
        for (i, authority) in self.certificate_authorities.iter().enumerate() {
            authority.check(
                &format!("certificateAuthorities[{i}]"),
                Role::CertificateAuthority,
            )?;
        }
        for (i, authority) in self.timestamp_authorities.iter().enumerate() {
            authority.check(
                &format!("timestampAuthorities[{i}]"),
                Role::TimestampAuthority,
            )?;
        }
        check_order(
            "certificateAuthorities",
            self.certificate_authorities.iter().map(|a| a.valid_for),
        )?;
        check_order(
            "timestampAuthorities",
            self.timestamp_authorities.iter().map(|a| a.valid_for),
        )
    }
}

fn check_logs(list: &str, logs: &[TransparencyLog], path: UrlPath) -> Result<(), TrustError> {
    let mut ids = BTreeSet::new();
    for (i, log) in logs.iter().enumerate() {
        let at = format!("{list}[{i}]");
        log.check(&at, path)?;
        // One client keeps only the last of two entries with one id.
        if !ids.insert(&log.log_id.key_id.0) {
            return Err(TrustError::refused(
                format!("{at}.logId"),
                "two entries have this log id",
            ));
        }
    }
    check_order(list, logs.iter().map(|log| log.public_key.valid_for))
}

fn check_order(list: &str, ranges: impl Iterator<Item = TimeRange>) -> Result<(), TrustError> {
    let mut last = None;
    for range in ranges {
        if range.is_empty() {
            return Err(TrustError::refused(list, "validFor ends before it starts"));
        }
        if last.is_some_and(|last| range.start < last) {
            return Err(TrustError::refused(
                list,
                "entries must be sorted by validFor.start, oldest first",
            ));
        }
        last = Some(range.start);
    }
    Ok(())
}

impl TransparencyLog {
    /// The log's key.
    pub fn key(&self) -> Result<PublicKey, TrustError> {
        PublicKey::from_spki_der(&self.public_key.raw_bytes.0).map_err(|e| {
            TrustError::refused("publicKey.rawBytes", format!("not a DER public key: {e}"))
        })
    }

    fn check(&self, at: &str, path: UrlPath) -> Result<(), TrustError> {
        check_url(&format!("{at}.baseUrl"), &self.base_url, path)?;
        let key = self
            .key()
            .map_err(|e| TrustError::refused(at, e.to_string()))?;
        if KeyDetails::of(&key) != Some(self.public_key.key_details) {
            return Err(TrustError::refused(
                format!("{at}.publicKey.keyDetails"),
                "does not describe rawBytes",
            ));
        }
        let id = self.log_id.key_id.0.as_slice();
        let host = self.base_url.split_once("://").map_or("", |(_, rest)| rest);
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let known = id == key.key_id()
            || [host, name]
                .iter()
                .any(|origin| ed25519_log_id(origin, &key).is_some_and(|expected| id == expected));
        if !known {
            return Err(TrustError::refused(
                format!("{at}.logId"),
                "does not belong to publicKey and baseUrl",
            ));
        }
        Ok(())
    }
}

/// The log id of an Ed25519 key of a Rekor v2 log; `None` for other keys.
pub(super) fn ed25519_log_id(origin: &str, key: &PublicKey) -> Option<[u8; 32]> {
    if key.kind() != KeyKind::Ed25519 {
        return None;
    }
    // An Ed25519 SPKI is a fixed header of 12 bytes and the key (RFC 8410 §4).
    let raw = key.spki_der().get(12..44)?;
    let mut message = Vec::with_capacity(origin.len() + 34);
    message.extend_from_slice(origin.as_bytes());
    message.extend_from_slice(b"\n\x01");
    message.extend_from_slice(raw);
    Some(crypto::sha256(&message))
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    CertificateAuthority,
    TimestampAuthority,
}

impl CertificateAuthority {
    fn check(&self, at: &str, role: Role) -> Result<(), TrustError> {
        let path = match role {
            Role::CertificateAuthority => UrlPath::None,
            Role::TimestampAuthority => UrlPath::Any,
        };
        check_url(&format!("{at}.uri"), &self.uri, path)?;
        let chain: Vec<&[u8]> = self
            .cert_chain
            .certificates
            .iter()
            .map(|c| c.raw_bytes.0.as_slice())
            .collect();
        let facts = check_chain(&format!("{at}.certChain"), &chain, role)?;
        if facts.subject != self.subject {
            return Err(TrustError::refused(
                format!("{at}.subject"),
                "is not the subject of the root certificate",
            ));
        }
        Ok(())
    }
}

/// What a well-formed chain says about its authority.
pub(super) struct ChainFacts {
    /// Subject of the root.
    pub(super) subject: DistinguishedName,
    /// From the latest `notBefore` of the chain: before that nothing can have been issued.
    pub(super) not_before: super::Timestamp,
    /// The `notAfter` of the signing end, if it can be written.
    pub(super) not_after: Option<super::Timestamp>,
}

/// Checks the order of a chain by names: signing end first, self-issued root last. A Fulcio
/// chain holds CA certificates only; a timestamp authority's starts with its leaf.
pub(super) fn check_chain(at: &str, chain: &[&[u8]], role: Role) -> Result<ChainFacts, TrustError> {
    let refuse = |reason: &str| Err(TrustError::refused(at, reason));
    let mut parsed = Vec::with_capacity(chain.len());
    for (i, der) in chain.iter().enumerate() {
        parsed.push(Facts::parse(&format!("{at}.certificates[{i}]"), der)?);
    }
    let (Some(first), Some(root)) = (parsed.first(), parsed.last()) else {
        return refuse("no certificates");
    };
    match role {
        Role::CertificateAuthority if !first.is_ca => {
            return refuse("a Fulcio chain has no leaf certificate");
        }
        Role::TimestampAuthority if first.is_ca || parsed.len() < 2 => {
            return refuse(
                "a timestamp chain starts with the signing certificate and ends with its root",
            );
        }
        _ => {}
    }
    if parsed.iter().skip(1).any(|c| !c.is_ca) {
        return refuse("a certificate other than the first is not a CA");
    }
    if !root.is_self_issued() {
        return refuse("the last certificate must be the self-signed root");
    }
    for (subject, issuer) in parsed.iter().zip(parsed.iter().skip(1)) {
        if !subject.is_issued_by(issuer) || subject.is_self_issued() {
            return refuse("certificates out of order: signing end first, root last");
        }
    }
    let not_before = parsed
        .iter()
        .map(|c| c.not_before)
        .max()
        .unwrap_or(first.not_before);
    Ok(ChainFacts {
        subject: root.subject(),
        not_before,
        not_after: first.not_after,
    })
}
