//! What is to be verified: a signature, who made it, and what vouches for when.

use crypto::{Digest, HashAlgorithm, KeyKind, PublicKey};
use pki::certificate::Certificate;
use tlog::Hash;
use wire::bundle::{Bundle, BundleMediaType, DsseEnvelope, HashOutput, InclusionProof, LogEntry};

use crate::body;
use crate::refusal::Refusal;

/// A signature with all that came along.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// Who signed.
    pub signer: Signer,
    /// What was signed.
    pub content: Content,
    /// The signature.
    pub signature: Vec<u8>,
    /// Entries of transparency logs.
    pub entries: Vec<Entry>,
    /// DER `TimeStampResp`, over the signature.
    pub timestamps: Vec<Vec<u8>>,
}

/// Who signed.
#[derive(Clone, Debug)]
pub enum Signer {
    /// The holder of a DER certificate.
    Certificate(Vec<u8>),
    /// The holder of a key that verifiers have from elsewhere; the trust root does not know it.
    Key,
}

/// What was signed.
#[derive(Clone, Debug)]
pub enum Content {
    /// Something with this digest.
    Digest(Digest),
    /// Something of which the bundle holds no digest; the log entry may.
    Unsaid,
    /// A DSSE envelope.
    Envelope {
        /// What was signed.
        payload: Vec<u8>,
        /// Its media type.
        payload_type: String,
    },
}

/// An entry of a transparency log.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Which log.
    pub log_id: Vec<u8>,
    /// Index over all shards.
    pub index: u64,
    /// When it was logged, in seconds since the Unix epoch; zero in a Rekor v2 log.
    pub integrated_time: u64,
    /// The signed entry timestamp.
    pub promise: Option<Vec<u8>>,
    /// The inclusion proof.
    pub proof: Option<Proof>,
    /// The leaf.
    pub body: Vec<u8>,
}

/// An inclusion proof.
#[derive(Clone, Debug)]
pub struct Proof {
    /// Index in the tree.
    pub index: u64,
    /// Leaves of the tree.
    pub size: u64,
    /// Root of the tree.
    pub root: Hash,
    /// Leaf to root.
    pub hashes: Vec<Hash>,
    /// The signed note for root and size; old bundles have none.
    pub checkpoint: Option<String>,
}

/// Not something that can be verified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EvidenceError(pub String);

impl TryFrom<Bundle> for Evidence {
    type Error = EvidenceError;

    fn try_from(bundle: Bundle) -> Result<Self, EvidenceError> {
        let fail = |reason: &str| EvidenceError(reason.to_owned());
        let material = bundle.verification_material;
        let first = (material.x509_certificate_chain)
            .and_then(|chain| chain.certificates.into_iter().next());
        let signer = match (material.certificate.or(first), material.public_key) {
            (Some(certificate), _) => Signer::Certificate(certificate.raw_bytes.0),
            (None, Some(_)) => Signer::Key,
            (None, None) => return Err(fail("it has neither a certificate nor a key")),
        };
        let (content, signature) = match (bundle.message_signature, bundle.dsse_envelope) {
            (Some(message), None) => {
                let digest = message.message_digest.map(digest).transpose()?;
                let content = digest.map_or(Content::Unsaid, Content::Digest);
                (content, message.signature.0)
            }
            (None, Some(envelope)) => content_of(envelope)?,
            _ => {
                return Err(fail(
                    "it must have a signature or an envelope, and not both",
                ));
            }
        };
        let mut entries = Vec::with_capacity(material.tlog_entries.len());
        for entry in material.tlog_entries {
            let entry = Entry::try_from(entry)?;
            let proved = entry.proof.as_ref().is_some_and(|p| p.checkpoint.is_some());
            match bundle.media_type {
                BundleMediaType::V01 if entry.promise.is_none() => {
                    return Err(fail("a bundle of version 0.1 needs an inclusion promise"));
                }
                BundleMediaType::V02 | BundleMediaType::V03 if !proved => {
                    return Err(fail(
                        "its log entry has no inclusion proof with a checkpoint",
                    ));
                }
                _ => entries.push(entry),
            }
        }
        let stamps = material.timestamp_verification_data.unwrap_or_default();
        let stamps = stamps.rfc3161_timestamps.into_iter();
        Ok(Self {
            signer,
            content,
            signature,
            entries,
            timestamps: stamps.map(|one| one.signed_timestamp.0).collect(),
        })
    }
}

impl Evidence {
    /// What an entry of a log says of the signature it is about: its certificate, the signature,
    /// and the digest if it holds one.
    pub fn from_entry(entry: Entry) -> Result<Self, EvidenceError> {
        let said = body::read(&entry.body).map_err(EvidenceError)?;
        Ok(Self {
            signer: said.certificate.map_or(Signer::Key, Signer::Certificate),
            content: said.digest.map_or(Content::Unsaid, Content::Digest),
            signature: said.signature.unwrap_or_default(),
            entries: vec![entry],
            timestamps: Vec::new(),
        })
    }

    /// Checks the signature, as far as what was signed is known. A pure Ed25519 signature needs the
    /// artifact itself.
    pub(crate) fn check_signature(&self, certificate: &[u8]) -> Result<(), Refusal> {
        let certificate = Certificate::from_der(certificate).map_err(certificate_error)?;
        let key = certificate.public_key().map_err(certificate_error)?;
        let verified = match &self.content {
            Content::Unsaid => return Ok(()),
            Content::Digest(_) if key.kind() == KeyKind::Ed25519 => return Ok(()),
            Content::Digest(digest) => key.verify_digest(digest, &self.signature).is_ok(),
            Content::Envelope {
                payload,
                payload_type,
            } => {
                let message = pae(payload_type, payload);
                // The hash as strong as the key, or SHA-256, which older signers always used.
                let hashes = [hash_of(&key), HashAlgorithm::Sha256];
                (hashes.into_iter()).any(|hash| key.verify(hash, &message, &self.signature).is_ok())
            }
        };
        match verified {
            true => Ok(()),
            false => Err(Refusal::Signature(
                "is not by the certificate's key over what was signed".to_owned(),
            )),
        }
    }
}

impl TryFrom<LogEntry> for Entry {
    type Error = EvidenceError;

    fn try_from(entry: LogEntry) -> Result<Self, EvidenceError> {
        Ok(Self {
            log_id: entry.log_id.key_id.0,
            index: entry.log_index,
            integrated_time: entry.integrated_time,
            promise: entry.inclusion_promise.map(|p| p.signed_entry_timestamp.0),
            proof: entry.inclusion_proof.map(Proof::try_from).transpose()?,
            body: entry.canonicalized_body.0,
        })
    }
}

impl TryFrom<InclusionProof> for Proof {
    type Error = EvidenceError;

    fn try_from(proof: InclusionProof) -> Result<Self, EvidenceError> {
        let hash = |bytes: &[u8]| {
            Hash::try_from(bytes)
                .map_err(|_| EvidenceError("a hash of the inclusion proof has not 32 bytes".into()))
        };
        Ok(Self {
            index: proof.log_index,
            size: proof.tree_size,
            root: hash(&proof.root_hash.0)?,
            hashes: (proof.hashes.iter().map(|h| hash(&h.0))).collect::<Result<_, _>>()?,
            checkpoint: proof.checkpoint.map(|c| c.envelope),
        })
    }
}

/// DSSE's pre-authentication encoding: what is signed.
pub(crate) fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    );
    [head.as_bytes(), payload].concat()
}

pub(crate) fn certificate_error(error: pki::certificate::CertificateError) -> Refusal {
    Refusal::Certificate(format!("cannot be used: {error}"))
}

/// The hash that goes with a key.
fn hash_of(key: &PublicKey) -> HashAlgorithm {
    match key.kind() {
        KeyKind::EcdsaP384 => HashAlgorithm::Sha384,
        KeyKind::EcdsaP521 => HashAlgorithm::Sha512,
        _ => HashAlgorithm::Sha256,
    }
}

/// The name of a digest's algorithm in protobuf messages and in Rekor's bodies.
pub(crate) fn algorithm(name: &str) -> Option<HashAlgorithm> {
    match name {
        "SHA2_256" | "sha256" => Some(HashAlgorithm::Sha256),
        "SHA2_384" | "sha384" => Some(HashAlgorithm::Sha384),
        "SHA2_512" | "sha512" => Some(HashAlgorithm::Sha512),
        _ => None,
    }
}

fn digest(output: HashOutput) -> Result<Digest, EvidenceError> {
    algorithm(&output.algorithm)
        .and_then(|algorithm| Digest::new(algorithm, output.digest.0))
        .ok_or_else(|| EvidenceError("its digest is not one of SHA-256, SHA-384 or SHA-512".into()))
}

fn content_of(envelope: DsseEnvelope) -> Result<(Content, Vec<u8>), EvidenceError> {
    let mut signatures = envelope.signatures.into_iter();
    match (signatures.next(), signatures.next()) {
        (Some(one), None) => Ok((
            Content::Envelope {
                payload: envelope.payload.0,
                payload_type: envelope.payload_type,
            },
            one.sig.0,
        )),
        _ => Err(EvidenceError("its envelope must have one signature".into())),
    }
}
