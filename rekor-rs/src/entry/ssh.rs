//! SSH keys and signatures (RFC 4253 section 6.6, RFC 5656, RFC 8709; OpenSSH's PROTOCOL.sshsig
//! and PROTOCOL.u2f).
//!
//! ```text
//! SSHSIG ‖ version (1) ‖ key ‖ namespace ("file") ‖ reserved ‖ hash ("sha512") ‖ signature
//! signed: SSHSIG ‖ namespace ‖ reserved ("") ‖ hash ‖ H(artifact)
//! ```
//!
//! A string is its length (4 bytes, big endian) and its bytes.

use crypto::{HashAlgorithm, PublicKey};
use der::Encode as _;
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, UintRef};

use super::EntryError;
use crate::pem;

/// Longest key line or armoured signature, in bytes.
const MAX_TEXT: usize = 64 * 1024;

const MAGIC: &[u8] = b"SSHSIG";
const LABEL: &str = "SSH SIGNATURE";
const NAMESPACE: &[u8] = b"file";

/// The one hash: the reference implementation prints it into the canonical form whatever the
/// signature says, so that entries with another could never be verified.
const HASH: &[u8] = b"sha512";

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// A public key as `authorized_keys` holds it.
pub(crate) struct Key {
    key: PublicKey,
    kind: Kind,
    blob: Vec<u8>,
    canonical: String,
    subjects: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Rsa,
    Ed25519,
    Ecdsa(HashAlgorithm),
    /// A security key's, bound to an application.
    Sk {
        application: Vec<u8>,
        ecdsa: bool,
    },
}

/// A detached signature.
pub(super) struct Signature {
    key: Vec<u8>,
    algorithm: Vec<u8>,
    blob: Vec<u8>,
    /// After the signature proper: flags and counter of a security key.
    rest: Vec<u8>,
    canonical: String,
}

impl Key {
    /// Parses a line of `authorized_keys` without options: algorithm, base64, comment.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, EntryError> {
        let malformed = || EntryError::invalid("ssh: no key found");
        let text = std::str::from_utf8(bytes)
            .ok()
            .filter(|text| text.len() <= MAX_TEXT)
            .ok_or_else(malformed)?;
        let line = text
            .lines()
            .map(str::trim)
            .find(|line| !line.is_empty() && !line.starts_with('#'))
            .ok_or_else(malformed)?;
        let (name, rest) = line.split_once([' ', '\t']).ok_or_else(malformed)?;
        let rest = rest.trim_start();
        let (digits, comment) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
        let blob = wire::rekor::decode_base64(digits).ok_or_else(malformed)?;
        let (kind, key) = parse_key(&blob)?;
        if Reader(&blob).string() != Some(name.as_bytes()) {
            return Err(malformed());
        }
        let comment = comment.trim();
        let subjects = match crate::search::is_email(comment) {
            true => vec![comment.to_owned()],
            false => Vec::new(),
        };
        Ok(Self {
            key,
            kind,
            canonical: format!("{name} {}\n", wire::rekor::encode_base64(&blob)),
            blob,
            subjects,
        })
    }

    /// The line without its comment.
    pub(crate) fn canonical(&self) -> &str {
        &self.canonical
    }

    /// The comment, if it is an e-mail address.
    pub(super) fn subjects(&self) -> &[String] {
        &self.subjects
    }

    fn verify(&self, message: &[u8], signature: &Signature) -> Option<()> {
        let algorithm = signature.algorithm.as_slice();
        let (hash, raw) = match &self.kind {
            Kind::Rsa => {
                let hash = match algorithm {
                    b"rsa-sha2-256" => HashAlgorithm::Sha256,
                    b"rsa-sha2-512" => HashAlgorithm::Sha512,
                    // SHA-1 is not a choice here, by PROTOCOL.sshsig.
                    _ => return None,
                };
                (hash, signature.blob.clone())
            }
            // Named as the key is.
            _ if Reader(&self.blob).string() != Some(algorithm) => return None,
            Kind::Ed25519 => (HashAlgorithm::Sha512, signature.blob.clone()),
            Kind::Ecdsa(hash) => (*hash, ecdsa(&signature.blob)?),
            Kind::Sk {
                application,
                ecdsa: is_ecdsa,
            } => {
                let (flags_and_counter, _) = signature.rest.split_first_chunk::<5>()?;
                if signature.rest.len() != 5 {
                    return None;
                }
                let message = [
                    &crypto::sha256(application)[..],
                    flags_and_counter,
                    &crypto::sha256(message),
                ]
                .concat();
                let raw = match is_ecdsa {
                    true => ecdsa(&signature.blob)?,
                    false => signature.blob.clone(),
                };
                return self.key.verify(HashAlgorithm::Sha256, &message, &raw).ok();
            }
        };
        match signature.rest.is_empty() {
            true => self.key.verify(hash, message, &raw).ok(),
            false => None,
        }
    }
}

impl Signature {
    /// Parses an armoured signature.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, EntryError> {
        if bytes.len() > MAX_TEXT {
            return Err(EntryError::invalid("unable to decode pem file"));
        }
        let text = pem::text(bytes);
        let (block, _) = pem::first_block(&text)
            .ok_or_else(|| EntryError::invalid("unable to decode pem file"))?;
        if block.label != LABEL {
            return Err(EntryError::Invalid(format!(
                "wrong pem block type: {}. Expected {LABEL}",
                block.label
            )));
        }
        let malformed = || EntryError::invalid("ssh: malformed signature");
        let mut fields = Reader(
            block
                .der
                .strip_prefix(MAGIC)
                .ok_or_else(|| EntryError::invalid("invalid magic header"))?,
        );
        if fields.take(4) != Some(&[0, 0, 0, 1]) {
            return Err(EntryError::invalid("unsupported signature version"));
        }
        let (Some(key), Some(namespace), Some(_reserved), Some(hash), Some(signature), []) = (
            fields.string(),
            fields.string(),
            fields.string(),
            fields.string(),
            fields.string(),
            fields.0,
        ) else {
            return Err(malformed());
        };
        if namespace != NAMESPACE {
            return Err(EntryError::Invalid(format!(
                "invalid signature namespace: {}",
                String::from_utf8_lossy(namespace)
            )));
        }
        if hash != HASH {
            return Err(EntryError::Invalid(format!(
                "unsupported hash algorithm: {}",
                String::from_utf8_lossy(hash)
            )));
        }
        let mut inner = Reader(signature);
        let (Some(algorithm), Some(blob)) = (inner.string(), inner.string()) else {
            return Err(malformed());
        };
        parse_key(key)?;
        let wrapped: Vec<u8> = [key, NAMESPACE, b"", HASH, signature]
            .iter()
            .flat_map(|part| string(part))
            .collect();
        let canonical = pem::print(LABEL, &[MAGIC, &[0, 0, 0, 1], &wrapped].concat());
        Ok(Self {
            key: key.to_vec(),
            algorithm: algorithm.to_vec(),
            blob: blob.to_vec(),
            rest: inner.0.to_vec(),
            canonical,
        })
    }

    /// The signature, armoured in the one way.
    pub(super) fn canonical(&self) -> &str {
        &self.canonical
    }

    pub(super) fn verify(&self, key: &Key, artifact: &[u8]) -> Result<(), EntryError> {
        let digest = HashAlgorithm::Sha512.digest(artifact);
        let message: Vec<u8> = MAGIC
            .iter()
            .copied()
            .chain(
                [NAMESPACE, b"", HASH, digest.as_bytes()]
                    .iter()
                    .flat_map(|part| string(part)),
            )
            .collect();
        match self.key == key.blob {
            true => key.verify(&message, self),
            false => None,
        }
        .ok_or_else(|| EntryError::invalid("ssh: signature did not verify"))
    }
}

fn parse_key(blob: &[u8]) -> Result<(Kind, PublicKey), EntryError> {
    let malformed = || EntryError::invalid("ssh: malformed or unsupported key");
    let mut fields = Reader(blob);
    let name = fields.string().ok_or_else(malformed)?;
    let mut field = || fields.string().ok_or_else(malformed);
    let unusable = |error: crypto::KeyError| EntryError::Invalid(format!("ssh: {error}"));
    let ed25519 = |key: &[u8]| {
        let bytes = key.try_into().map_err(|_| malformed())?;
        PublicKey::from_ed25519_bytes(bytes).map_err(unusable)
    };
    let (kind, key) = match name {
        b"ssh-rsa" => {
            let (exponent, modulus) = (field()?, field()?);
            let pkcs1 = sequence(modulus, exponent).ok_or_else(malformed)?;
            (
                Kind::Rsa,
                PublicKey::from_pkcs1_der(&pkcs1).map_err(unusable)?,
            )
        }
        b"ssh-ed25519" => (Kind::Ed25519, ed25519(field()?)?),
        b"ecdsa-sha2-nistp256" | b"ecdsa-sha2-nistp384" | b"ecdsa-sha2-nistp521" => {
            let curve = field()?;
            if name.strip_prefix(b"ecdsa-sha2-") != Some(curve) {
                return Err(malformed());
            }
            // RFC 5656 section 6.2.1.
            let (oid, hash) = match curve {
                b"nistp256" => (P256, HashAlgorithm::Sha256),
                b"nistp384" => (P384, HashAlgorithm::Sha384),
                _ => (P521, HashAlgorithm::Sha512),
            };
            (Kind::Ecdsa(hash), ec(oid, field()?)?)
        }
        b"sk-ssh-ed25519@openssh.com" => {
            let key = ed25519(field()?)?;
            let application = field()?.to_vec();
            (
                Kind::Sk {
                    application,
                    ecdsa: false,
                },
                key,
            )
        }
        b"sk-ecdsa-sha2-nistp256@openssh.com" => {
            if field()? != b"nistp256" {
                return Err(malformed());
            }
            let key = ec(P256, field()?)?;
            let application = field()?.to_vec();
            (
                Kind::Sk {
                    application,
                    ecdsa: true,
                },
                key,
            )
        }
        _ => return Err(malformed()),
    };
    match fields.0 {
        [] => Ok((kind, key)),
        _ => Err(malformed()),
    }
}

fn ec(curve: ObjectIdentifier, point: &[u8]) -> Result<PublicKey, EntryError> {
    let malformed = |_| EntryError::invalid("ssh: malformed elliptic curve key");
    let spki = x509_cert::spki::SubjectPublicKeyInfoRef {
        algorithm: x509_cert::spki::AlgorithmIdentifierRef {
            oid: EC_PUBLIC_KEY,
            parameters: Some(AnyRef::from(&curve)),
        },
        subject_public_key: BitStringRef::from_bytes(point).map_err(malformed)?,
    };
    let der = spki.to_der().map_err(malformed)?;
    PublicKey::from_spki_der(&der).map_err(|error| EntryError::Invalid(format!("ssh: {error}")))
}

/// DER `Ecdsa-Sig-Value` of `mpint r ‖ mpint s` (RFC 5656 section 3.1.2).
fn ecdsa(blob: &[u8]) -> Option<Vec<u8>> {
    let mut fields = Reader(blob);
    let (r, s) = (fields.string()?, fields.string()?);
    if !fields.0.is_empty() {
        return None;
    }
    sequence(r, s)
}

/// DER of two `mpint`s. A negative one becomes another, positive one, which verifies nothing.
fn sequence(first: &[u8], second: &[u8]) -> Option<Vec<u8>> {
    [UintRef::new(first).ok()?, UintRef::new(second).ok()?]
        .to_der()
        .ok()
}

/// A string: length and bytes.
fn string(bytes: &[u8]) -> Vec<u8> {
    // Every text here is shorter than MAX_TEXT.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], bytes].concat()
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.take(4)?.try_into().ok().map(u32::from_be_bytes)?;
        self.take(usize::try_from(length).ok()?)
    }
}
