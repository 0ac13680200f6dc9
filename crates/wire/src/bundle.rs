//! Sigstore bundles, versions 0.1 to 0.3 (protobuf-specs `sigstore_bundle.proto`, in its JSON
//! form).
//!
//! ```text
//! {"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json",
//!  "verificationMaterial":{"certificate":{…},"tlogEntries":[…],"timestampVerificationData":{…}},
//!  "messageSignature":{…} | "dsseEnvelope":{…}}
//! ```
//!
//! Members that are unknown are skipped: a reader that only wants to know whether a bundle still
//! verifies has no reason to be narrower than the most tolerant client.

use serde::{Deserialize, Deserializer};

use crate::trust::Base64;

/// Longest bundle that is read, in bytes: attestations carry whole documents.
pub const MAX_BUNDLE: usize = 16 << 20;

/// Most log entries, certificates, timestamps or signatures of one bundle.
pub const MAX_ITEMS: usize = 32;

/// Most hashes of an inclusion proof: one for each level of the largest tree.
pub const MAX_PROOF: usize = 64;

/// Why a bundle could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a Sigstore bundle: {0}")]
pub struct BundleError(pub String);

/// A bundle.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bundle {
    /// Names the document and its version.
    pub media_type: BundleMediaType,
    /// Who signed, and what vouches for when.
    pub verification_material: VerificationMaterial,
    /// A signature over a digest.
    #[serde(default)]
    pub message_signature: Option<MessageSignature>,
    /// A signed envelope, instead.
    #[serde(default)]
    pub dsse_envelope: Option<DsseEnvelope>,
}

/// The media types of bundles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum BundleMediaType {
    /// Version 0.1: a signed entry timestamp is required, an inclusion proof is not.
    #[serde(rename = "application/vnd.dev.sigstore.bundle+json;version=0.1")]
    V01,
    /// Version 0.2: an inclusion proof with a checkpoint is required.
    #[serde(rename = "application/vnd.dev.sigstore.bundle+json;version=0.2")]
    V02,
    /// Version 0.3: one certificate instead of a chain.
    #[serde(
        rename = "application/vnd.dev.sigstore.bundle.v0.3+json",
        alias = "application/vnd.dev.sigstore.bundle+json;version=0.3"
    )]
    V03,
}

/// Who signed, and what vouches for when.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerificationMaterial {
    /// The signer's certificate.
    #[serde(default)]
    pub certificate: Option<Certificate>,
    /// The signer's certificate and perhaps its issuers, in versions 0.1 and 0.2.
    #[serde(default)]
    pub x509_certificate_chain: Option<CertificateChain>,
    /// A key that verifiers have from elsewhere.
    #[serde(default)]
    pub public_key: Option<PublicKeyIdentifier>,
    /// Entries of transparency logs.
    #[serde(default)]
    pub tlog_entries: Vec<LogEntry>,
    /// Timestamps.
    #[serde(default)]
    pub timestamp_verification_data: Option<TimestampVerificationData>,
}

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    /// DER.
    pub raw_bytes: Base64,
}

/// Certificates, the signer's first.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CertificateChain {
    /// The certificates.
    pub certificates: Vec<Certificate>,
}

/// Names a key that is elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PublicKeyIdentifier {
    /// For whoever has the key.
    #[serde(default)]
    pub hint: String,
}

/// An entry of a transparency log, with its proofs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogEntry {
    /// Index over all shards. Absent if zero, as protobuf writes it.
    #[serde(default, deserialize_with = "number")]
    pub log_index: u64,
    /// Which log.
    pub log_id: LogId,
    /// Kind of entry.
    pub kind_version: KindVersion,
    /// When it was logged, in seconds; zero in a Rekor v2 log.
    #[serde(default, deserialize_with = "number")]
    pub integrated_time: u64,
    /// The log's promise.
    #[serde(default)]
    pub inclusion_promise: Option<InclusionPromise>,
    /// The log's proof.
    #[serde(default)]
    pub inclusion_proof: Option<InclusionProof>,
    /// The leaf.
    pub canonicalized_body: Base64,
}

/// Identifier of a log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogId {
    /// 32 bytes.
    pub key_id: Base64,
}

/// Kind of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct KindVersion {
    /// Such as `hashedrekord`.
    pub kind: String,
    /// Such as `0.0.1`.
    pub version: String,
}

/// A signed entry timestamp.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InclusionPromise {
    /// The signature.
    pub signed_entry_timestamp: Base64,
}

/// That a leaf is in a tree.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InclusionProof {
    /// Index in the tree.
    #[serde(default, deserialize_with = "number")]
    pub log_index: u64,
    /// Root of the tree.
    pub root_hash: Base64,
    /// Leaves of the tree.
    #[serde(default, deserialize_with = "number")]
    pub tree_size: u64,
    /// Leaf to root. Absent if empty, as protobuf writes it.
    #[serde(default)]
    pub hashes: Vec<Base64>,
    /// The signed head that the proof leads to.
    #[serde(default)]
    pub checkpoint: Option<Checkpoint>,
}

/// A signed note.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Checkpoint {
    /// The note.
    pub envelope: String,
}

/// Timestamps over the signature.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TimestampVerificationData {
    /// RFC 3161.
    #[serde(default)]
    pub rfc3161_timestamps: Vec<Rfc3161Timestamp>,
}

/// A timestamp.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rfc3161Timestamp {
    /// DER `TimeStampResp`.
    pub signed_timestamp: Base64,
}

/// A signature over a digest.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageSignature {
    /// Of what was signed; a hint only.
    #[serde(default)]
    pub message_digest: Option<HashOutput>,
    /// The signature.
    pub signature: Base64,
}

/// A digest.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct HashOutput {
    /// Such as `SHA2_256`.
    pub algorithm: String,
    /// The digest.
    pub digest: Base64,
}

/// A DSSE envelope.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DsseEnvelope {
    /// What was signed.
    pub payload: Base64,
    /// Its media type.
    pub payload_type: String,
    /// Signatures; bundles have exactly one.
    pub signatures: Vec<DsseSignature>,
}

/// A signature of an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DsseSignature {
    /// The signature.
    pub sig: Base64,
}

impl Bundle {
    /// Reads a bundle of at most [`MAX_BUNDLE`] bytes.
    ///
    /// # Errors
    /// If it is not one of the versions above, or a list in it is longer than any client writes.
    pub fn from_json(json: &[u8]) -> Result<Self, BundleError> {
        if json.len() > MAX_BUNDLE {
            return Err(BundleError(format!("longer than {MAX_BUNDLE} bytes")));
        }
        let bundle: Self = serde_json::from_slice(json).map_err(|e| BundleError(e.to_string()))?;
        let material = &bundle.verification_material;
        let stamps = material.timestamp_verification_data.as_ref();
        let chain = material.x509_certificate_chain.as_ref();
        let lists = [
            ("tlogEntries", material.tlog_entries.len()),
            (
                "rfc3161Timestamps",
                stamps.map_or(0, |data| data.rfc3161_timestamps.len()),
            ),
            ("certificates", chain.map_or(0, |c| c.certificates.len())),
            (
                "signatures",
                (bundle.dsse_envelope.as_ref()).map_or(0, |e| e.signatures.len()),
            ),
        ];
        if let Some((name, _)) = lists.iter().find(|(_, length)| *length > MAX_ITEMS) {
            return Err(BundleError(format!("more than {MAX_ITEMS} {name}")));
        }
        let proofs = (material.tlog_entries.iter()).filter_map(|e| e.inclusion_proof.as_ref());
        if proofs.into_iter().any(|p| p.hashes.len() > MAX_PROOF) {
            return Err(BundleError(format!(
                "an inclusion proof of more than {MAX_PROOF} hashes"
            )));
        }
        Ok(bundle)
    }
}

/// A 64-bit number, which protobuf writes as a string and reads in both forms.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Text(String),
        Plain(u64),
    }
    match Number::deserialize(deserializer)? {
        Number::Plain(number) => Ok(number),
        Number::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(entry: &str) -> String {
        format!(
            r#"{{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","more":1,
            "verificationMaterial":{{"certificate":{{"rawBytes":"AQ=="}},"tlogEntries":[{entry}]}},
            "messageSignature":{{"signature":"Ag=="}}}}"#
        )
    }

    const ENTRY: &str = r#"{"logIndex":"7","logId":{"keyId":"AA=="},"kindVersion":{"kind":"k","version":"v"},
        "integratedTime":1700000000,"inclusionProof":{"rootHash":"AA==","treeSize":"8"},"canonicalizedBody":"e30="}"#;

    #[test]
    fn numbers_are_strings_or_numbers_and_zeros_may_be_absent() {
        let read = Bundle::from_json(bundle(ENTRY).as_bytes()).unwrap();
        let entry = &read.verification_material.tlog_entries[0];
        assert_eq!((entry.log_index, entry.integrated_time), (7, 1_700_000_000));
        let proof = entry.inclusion_proof.as_ref().unwrap();
        assert_eq!((proof.log_index, proof.tree_size), (0, 8));
        assert!(proof.hashes.is_empty());
    }

    #[test]
    fn lists_are_bounded() {
        let many = vec![ENTRY; MAX_ITEMS + 1].join(",");
        let error = Bundle::from_json(bundle(&many).as_bytes()).unwrap_err();
        assert!(error.to_string().contains("tlogEntries"), "{error}");
        let long = vec!["\"AA==\""; MAX_PROOF + 1].join(",");
        let entry = ENTRY.replace(r#""treeSize""#, &format!(r#""hashes":[{long}],"treeSize""#));
        assert!(Bundle::from_json(bundle(&entry).as_bytes()).is_err());
        let deep = "[".repeat(10_000);
        assert!(Bundle::from_json(deep.as_bytes()).is_err());
        assert!(Bundle::from_json(&vec![b' '; MAX_BUNDLE + 1]).is_err());
    }

    #[test]
    fn another_version_is_refused() {
        let next = bundle(ENTRY).replace("v0.3", "v0.9");
        assert!(Bundle::from_json(next.as_bytes()).is_err());
        let old = bundle(ENTRY).replace(".v0.3+json", "+json;version=0.1");
        let read = Bundle::from_json(old.as_bytes()).unwrap();
        assert_eq!(read.media_type, BundleMediaType::V01);
    }
}
