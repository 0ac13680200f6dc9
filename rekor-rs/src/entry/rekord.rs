//! `rekord`: a detached signature over an artifact that is submitted with it.

use wire::rekor::Digest;
use wire::rekor::rekord::{KIND, Proposed, ProposedSignature, body};

#[cfg(feature = "openpgp")]
use super::pgp;
use super::{
    EntryError, Limits, Purpose, Terms, Verified, Verifier, from_spec, minisign, sha256_of, ssh,
};
use crypto::HashAlgorithm;

const FORMATS: &[&str] = &["pgp", "minisign", "x509", "ssh"];

/// Verifies a `spec` of version 0.0.1.
pub(super) fn verify(
    spec: &str,
    _purpose: Purpose,
    _limits: &Limits,
) -> Result<Verified, EntryError> {
    let proposed: Proposed<'_> = from_spec(spec)?;
    let signature = proposed
        .signature
        .ok_or_else(|| EntryError::missing_member("signature"))?;
    let data = proposed
        .data
        .ok_or_else(|| EntryError::missing_member("data"))?;
    let content = data.content.unwrap_or_default().0;
    if content.is_empty() && data.hash.is_none() {
        return Err(EntryError::invalid("'content' must be specified for data"));
    }
    if content.is_empty() {
        return Err(EntryError::NotInsertable("missing data content"));
    }
    let hash = sha256_of(&content, "data.hash", data.hash.as_ref())?;
    let signed = Signed::parse(&signature)?;
    signed.verify(&content)?;

    let mut terms = Terms::default();
    let (format, signature, key, subjects) = signed.canonical();
    match &signed {
        Signed::X509 { verifier, .. } => terms.add_verifier(verifier),
        _ => terms.add_signer(key, subjects),
    }
    terms.add_digest("sha256", &hash);
    let hash = Digest {
        algorithm: "sha256",
        value: &hash,
    };
    let body = body(hash, format, signature, key);
    Ok(Verified::new(KIND, body, Vec::new(), terms))
}

/// A signature and its key, both of one format.
enum Signed {
    X509 {
        signature: Vec<u8>,
        verifier: Box<Verifier>,
    },
    Minisign {
        signature: minisign::Signature,
        key: minisign::Key,
    },
    Ssh {
        signature: ssh::Signature,
        key: ssh::Key,
    },
    #[cfg(feature = "openpgp")]
    Pgp {
        signature: openpgp::DetachedSignature,
        keys: Box<openpgp::Keyring>,
        subjects: Vec<String>,
    },
}

impl Signed {
    fn parse(proposed: &ProposedSignature<'_>) -> Result<Self, EntryError> {
        let format = proposed
            .format
            .as_deref()
            .ok_or_else(|| EntryError::missing_member("signature.format"))?;
        let signature = proposed
            .content
            .as_ref()
            .filter(|content| !content.0.is_empty())
            .ok_or_else(|| EntryError::invalid("'content' must be specified for signature"))?;
        let key = proposed
            .public_key
            .as_ref()
            .ok_or_else(|| EntryError::invalid("missing public key"))?;
        let key = key
            .content
            .as_ref()
            .filter(|content| !content.0.is_empty())
            .ok_or_else(|| EntryError::invalid("'content' must be specified for publicKey"))?;
        match format {
            "x509" => Ok(Self::X509 {
                signature: signature.0.clone(),
                verifier: Box::new(Verifier::parse(&key.0)?),
            }),
            "minisign" => Ok(Self::Minisign {
                signature: minisign::Signature::parse(&signature.0)?,
                key: minisign::Key::parse(&key.0)?,
            }),
            "ssh" => Ok(Self::Ssh {
                signature: ssh::Signature::parse(&signature.0)?,
                key: ssh::Key::parse(&key.0)?,
            }),
            #[cfg(feature = "openpgp")]
            "pgp" => {
                let signature = openpgp::DetachedSignature::parse(&signature.0)?;
                let keys = Box::new(openpgp::Keyring::parse(&key.0)?);
                Ok(Self::Pgp {
                    signature,
                    subjects: pgp::subjects(&keys),
                    keys,
                })
            }
            #[cfg(not(feature = "openpgp"))]
            "pgp" => Err(EntryError::NotBuilt("rekord (format pgp)".to_owned())),
            _ => Err(EntryError::not_listed("signature.format", FORMATS)),
        }
    }

    fn verify(&self, artifact: &[u8]) -> Result<(), EntryError> {
        match self {
            Self::X509 {
                signature,
                verifier,
            } => {
                verifier
                    .verify_chain()
                    .map_err(|error| EntryError::Invalid(error.to_string()))?;
                verifier
                    .key()
                    .verify(HashAlgorithm::Sha256, artifact, signature)
                    .map_err(|error| EntryError::Invalid(error.to_string()))
            }
            Self::Minisign { signature, key } => signature.verify(key, artifact),
            Self::Ssh { signature, key } => signature.verify(key, artifact),
            #[cfg(feature = "openpgp")]
            Self::Pgp {
                signature, keys, ..
            } => Ok(signature.verify(keys, artifact)?),
        }
    }

    /// Format, signature, key and the key's owners, as bodies and searches have them.
    fn canonical(&self) -> (&'static str, &[u8], &[u8], &[String]) {
        match self {
            Self::X509 {
                signature,
                verifier,
            } => (
                "x509",
                signature,
                verifier.canonical().as_bytes(),
                verifier.subjects(),
            ),
            Self::Minisign { signature, key } => (
                "minisign",
                signature.canonical().as_bytes(),
                key.canonical().as_bytes(),
                &[],
            ),
            Self::Ssh { signature, key } => (
                "ssh",
                signature.canonical().as_bytes(),
                key.canonical().as_bytes(),
                key.subjects(),
            ),
            #[cfg(feature = "openpgp")]
            Self::Pgp {
                signature,
                keys,
                subjects,
            } => ("pgp", signature.canonical(), keys.canonical(), subjects),
        }
    }
}
