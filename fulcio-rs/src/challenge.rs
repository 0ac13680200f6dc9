//! Proof that the client has the private half of the key it wants certified.
//!
//! Either a signature over the identity (the e-mail address or the subject of the token), or a
//! certificate signing request, which the key signs itself and of which nothing but the key counts.

use crypto::{HashAlgorithm, KeyError, KeyKind, PublicKey, WeakKey};
use der::asn1::{AnyRef, ObjectIdentifier, UintRef};
use der::{Decode, Reader, SliceReader, Tag, Tagged};

/// Why a client's key, or its proof, was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChallengeError {
    /// Absent, or not a public key of a known kind.
    #[error("public key: {0}")]
    Key(String),
    /// A key that nobody should certify.
    #[error("insecure public key: {0}")]
    Weak(String),
    /// The proof does not verify.
    #[error("proof of possession does not verify")]
    Signature,
    /// Not a certificate signing request.
    #[error("certificate signing request: {0}")]
    Csr(&'static str),
    /// The request is signed with an algorithm that has no place in the allow-list.
    #[error("unrecognized signature algorithm: {0}")]
    Unrecognized(&'static str),
    /// Key and hash are not in the allow-list.
    #[error("signing algorithm not permitted: {key}, {hash}")]
    NotPermitted {
        /// Kind of key.
        key: &'static str,
        /// Hash.
        hash: &'static str,
    },
}

/// Keys with the hashes (none for Ed25519) that clients may prove possession with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowList(Vec<(KeyKind, Option<HashAlgorithm>)>);

/// An algorithm name that is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("client signing algorithm {0:?} is not supported; known are {known}", known = NAMES.map(|(name, ..)| name).join(", "))]
pub struct UnknownAlgorithm(String);

/// Names in Sigstore's algorithm registry. The last two only fit certificate signing requests,
/// which name their hash, and are not allowed by default.
const NAMES: [(&str, KeyKind, Option<HashAlgorithm>); 9] = [
    (
        "ecdsa-sha2-256-nistp256",
        KeyKind::EcdsaP256,
        Some(HashAlgorithm::Sha256),
    ),
    (
        "ecdsa-sha2-384-nistp384",
        KeyKind::EcdsaP384,
        Some(HashAlgorithm::Sha384),
    ),
    (
        "ecdsa-sha2-512-nistp521",
        KeyKind::EcdsaP521,
        Some(HashAlgorithm::Sha512),
    ),
    (
        "rsa-sign-pkcs1-2048-sha256",
        KeyKind::Rsa { bits: 2048 },
        Some(HashAlgorithm::Sha256),
    ),
    (
        "rsa-sign-pkcs1-3072-sha256",
        KeyKind::Rsa { bits: 3072 },
        Some(HashAlgorithm::Sha256),
    ),
    (
        "rsa-sign-pkcs1-4096-sha256",
        KeyKind::Rsa { bits: 4096 },
        Some(HashAlgorithm::Sha256),
    ),
    ("ed25519", KeyKind::Ed25519, None),
    (
        "ecdsa-sha2-256-nistp384",
        KeyKind::EcdsaP384,
        Some(HashAlgorithm::Sha256),
    ),
    (
        "ecdsa-sha2-256-nistp521",
        KeyKind::EcdsaP521,
        Some(HashAlgorithm::Sha256),
    ),
];

/// How many of [`NAMES`] are allowed by default.
const DEFAULT: usize = 7;

impl Default for AllowList {
    fn default() -> Self {
        Self(
            NAMES
                .iter()
                .take(DEFAULT)
                .map(|(_, kind, hash)| (*kind, *hash))
                .collect(),
        )
    }
}

impl AllowList {
    /// Parses names.
    pub fn from_names<S: AsRef<str>>(names: &[S]) -> Result<Self, UnknownAlgorithm> {
        let find = |name: &S| {
            NAMES
                .iter()
                .find(|(known, ..)| *known == name.as_ref())
                .map(|(_, kind, hash)| (*kind, *hash))
                .ok_or_else(|| UnknownAlgorithm(name.as_ref().to_owned()))
        };
        names.iter().map(find).collect::<Result<_, _>>().map(Self)
    }

    fn check(&self, key: &PublicKey, hash: Option<HashAlgorithm>) -> Result<(), ChallengeError> {
        if self.0.contains(&(key.kind(), hash)) {
            return Ok(());
        }
        // The names are those of the reference implementation's types: clients show them.
        let key = match key.kind() {
            KeyKind::EcdsaP256 | KeyKind::EcdsaP384 | KeyKind::EcdsaP521 => "*ecdsa.PublicKey",
            KeyKind::Rsa { .. } => "*rsa.PublicKey",
            KeyKind::Ed25519 => "ed25519.PublicKey",
        };
        let hash = match hash {
            Some(HashAlgorithm::Sha256) => "SHA-256",
            Some(HashAlgorithm::Sha384) => "SHA-384",
            Some(HashAlgorithm::Sha512) => "SHA-512",
            None => "unknown hash value 0",
        };
        Err(ChallengeError::NotPermitted { key, hash })
    }
}

impl From<KeyError> for ChallengeError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Insecure(_) => Self::Weak(error.to_string()),
            KeyError::Malformed(_) | KeyError::Unsupported(_) => Self::Key(error.to_string()),
        }
    }
}

impl From<WeakKey> for ChallengeError {
    fn from(error: WeakKey) -> Self {
        Self::Weak(error.to_string())
    }
}

/// A client's claim to a key.
#[derive(Debug)]
pub enum Proof<'a> {
    /// A key in PEM (or DER), and a signature by it over the identity.
    Signature {
        /// The key.
        key: &'a [u8],
        /// The signature.
        signature: &'a [u8],
    },
    /// A certificate signing request, PEM.
    Request(&'a [u8]),
}

/// How a key may be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encodings {
    /// PEM only.
    Pem,
    /// PEM or DER.
    PemOrDer,
}

impl Proof<'_> {
    /// The key, once it is known to be fit and the client's; `challenges` are the identities over
    /// any of which a signature counts.
    pub fn verify(
        &self,
        challenges: &[String],
        encodings: Encodings,
        allowed: &AllowList,
    ) -> Result<PublicKey, ChallengeError> {
        match self {
            Self::Signature { key, signature } => {
                let key = public_key(key, encodings)?;
                crypto::check_strength(&key)?;
                let hash = hash_of_curve(key.kind());
                let verifies = |challenge: &String| {
                    !challenge.is_empty()
                        && key
                            .verify(
                                hash.unwrap_or(HashAlgorithm::Sha512),
                                challenge.as_bytes(),
                                signature,
                            )
                            .is_ok()
                };
                if signature.is_empty() || !challenges.iter().any(verifies) {
                    return Err(ChallengeError::Signature);
                }
                allowed.check(&key, hash)?;
                Ok(key)
            }
            Self::Request(pem) => {
                let block = csr_block(pem)?;
                let request = Request::parse(block.contents())?;
                let key = PublicKey::from_spki_der(request.spki).map_err(|error| match error {
                    KeyError::Insecure(_) => ChallengeError::from(error),
                    _ => ChallengeError::Csr("its public key is not understood"),
                })?;
                crypto::check_strength(&key)?;
                let hash = request.verify(&key)?;
                allowed.check(&key, hash)?;
                Ok(key)
            }
        }
    }
}

/// The hash that goes with a kind of key; Ed25519 has none.
const fn hash_of_curve(kind: KeyKind) -> Option<HashAlgorithm> {
    match kind {
        KeyKind::EcdsaP256 | KeyKind::Rsa { .. } => Some(HashAlgorithm::Sha256),
        KeyKind::EcdsaP384 => Some(HashAlgorithm::Sha384),
        KeyKind::EcdsaP521 => Some(HashAlgorithm::Sha512),
        KeyKind::Ed25519 => None,
    }
}

fn public_key(content: &[u8], encodings: Encodings) -> Result<PublicKey, ChallengeError> {
    if encodings == Encodings::PemOrDer && content.first() == Some(&0x30) {
        return Ok(
            PublicKey::from_spki_der(content).or_else(|error| match error {
                KeyError::Malformed(_) => PublicKey::from_pkcs1_der(content),
                error => Err(error),
            })?,
        );
    }
    let text =
        std::str::from_utf8(content).map_err(|_| ChallengeError::Key("not text".to_owned()))?;
    Ok(PublicKey::from_pem(text)?)
}

/// The first PEM block, which must be a request.
fn csr_block(pem: &[u8]) -> Result<pem::Pem, ChallengeError> {
    let block = pem::parse(pem).map_err(|_| ChallengeError::Csr("not PEM"))?;
    if matches!(
        block.tag(),
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST"
    ) {
        Ok(block)
    } else {
        Err(ChallengeError::Csr("the PEM block holds something else"))
    }
}

/// The parts of a PKCS#10 request (RFC 2986 section 4) that count.
struct Request<'a> {
    /// DER CertificationRequestInfo: what is signed.
    info: &'a [u8],
    spki: &'a [u8],
    algorithm: ObjectIdentifier,
    parameters: Option<AnyRef<'a>>,
    signature: &'a [u8],
}

impl<'a> Request<'a> {
    fn parse(der: &'a [u8]) -> Result<Self, ChallengeError> {
        // The typed parser vouches for the structure; the splice below keeps the signed bytes.
        let typed = x509_cert::request::CertReq::from_der(der)
            .map_err(|_| ChallengeError::Csr("not a PKCS#10 request"))?;
        check_names(&typed.info.subject)?;
        Self::splice(der).map_err(|_| ChallengeError::Csr("not a PKCS#10 request"))
    }

    fn splice(der: &'a [u8]) -> Result<Self, der::Error> {
        let mut outer = SliceReader::new(AnyRef::from_der(der)?.value())?;
        let info = outer.tlv_bytes()?;
        let algorithm = spki::AlgorithmIdentifierRef::decode(&mut outer)?;
        let signature = der::asn1::BitStringRef::decode(&mut outer)?;
        let mut fields = SliceReader::new(AnyRef::from_der(info)?.value())?;
        fields.tlv_bytes()?;
        fields.tlv_bytes()?;
        let spki = fields.tlv_bytes()?;
        Ok(Self {
            info,
            spki,
            algorithm: algorithm.oid,
            parameters: algorithm.parameters,
            signature: signature.as_bytes().unwrap_or_default(),
        })
    }

    /// Checks the request's signature; says with which hash it was made.
    fn verify(&self, key: &PublicKey) -> Result<Option<HashAlgorithm>, ChallengeError> {
        use HashAlgorithm::{Sha256, Sha384, Sha512};
        let (hash, fits) = match self.algorithm {
            oid::ECDSA_SHA256 => (Some(Sha256), is_ecdsa(key)),
            oid::ECDSA_SHA384 => (Some(Sha384), is_ecdsa(key)),
            oid::ECDSA_SHA512 => (Some(Sha512), is_ecdsa(key)),
            oid::RSA_SHA256 => (Some(Sha256), matches!(key.kind(), KeyKind::Rsa { .. })),
            oid::RSA_SHA384 => (Some(Sha384), matches!(key.kind(), KeyKind::Rsa { .. })),
            oid::RSA_SHA512 => (Some(Sha512), matches!(key.kind(), KeyKind::Rsa { .. })),
            oid::ED25519 => (None, key.kind() == KeyKind::Ed25519),
            oid::RSA_PSS => return Err(ChallengeError::Unrecognized(self.pss_name())),
            // SHA-1 and what nobody has heard of.
            _ => return Err(ChallengeError::Signature),
        };
        // RFC 5758 section 3.2 has the DER form only; the raw one is for proofs outside a request.
        let formed = !is_ecdsa(key) || is_ecdsa_sig_value(self.signature);
        if !fits
            || !formed
            || key
                .verify(hash.unwrap_or(Sha512), self.info, self.signature)
                .is_err()
        {
            return Err(ChallengeError::Signature);
        }
        Ok(hash)
    }

    /// The name of a PSS algorithm by its hash, which is the first OID in the parameters' [0].
    fn pss_name(&self) -> &'static str {
        let hash = self.parameters.and_then(|parameters| {
            let mut fields = SliceReader::new(parameters.value()).ok()?;
            let tagged = AnyRef::from_der(fields.tlv_bytes().ok()?).ok()?;
            let mut inner = SliceReader::new(tagged.value()).ok()?;
            spki::AlgorithmIdentifierRef::decode(&mut inner)
                .ok()
                .map(|identifier| identifier.oid)
        });
        match hash {
            Some(oid::SHA384) => "SHA384-RSAPSS",
            Some(oid::SHA512) => "SHA512-RSAPSS",
            _ => "SHA256-RSAPSS",
        }
    }
}

fn is_ecdsa(key: &PublicKey) -> bool {
    matches!(
        key.kind(),
        KeyKind::EcdsaP256 | KeyKind::EcdsaP384 | KeyKind::EcdsaP521
    )
}

/// Strings in the subject must be what their tags say. The names are not used, but a request that
/// lies about its own encoding is not one.
fn check_names(subject: &x509_cert::name::Name) -> Result<(), ChallengeError> {
    for attribute in subject.iter_rdn().flat_map(|rdn| rdn.iter()) {
        let value = attribute.value.value();
        let is_good = match attribute.value.tag() {
            Tag::Ia5String => value.is_ascii(),
            Tag::PrintableString => value
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b" '()+,-./:=?*&".contains(byte)),
            Tag::Utf8String => std::str::from_utf8(value).is_ok(),
            _ => true,
        };
        if !is_good {
            return Err(ChallengeError::Csr(
                "a string in the subject is not what its tag says",
            ));
        }
    }
    Ok(())
}

/// Whether these are two integers in DER: `ECDSA-Sig-Value` of RFC 3279 section 2.2.3.
fn is_ecdsa_sig_value(signature: &[u8]) -> bool {
    let two_integers = |der: &[u8]| {
        let sequence = AnyRef::from_der(der)?;
        sequence.tag().assert_eq(Tag::Sequence)?;
        let mut fields = SliceReader::new(sequence.value())?;
        UintRef::decode(&mut fields)?;
        UintRef::decode(&mut fields)?;
        Ok::<_, der::Error>(fields.is_finished())
    };
    two_integers(signature).unwrap_or(false)
}

mod oid {
    use der::asn1::ObjectIdentifier;

    pub(super) const ECDSA_SHA256: ObjectIdentifier =
        ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
    pub(super) const ECDSA_SHA384: ObjectIdentifier =
        ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
    pub(super) const ECDSA_SHA512: ObjectIdentifier =
        ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");
    pub(super) const RSA_PSS: ObjectIdentifier =
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
    pub(super) const RSA_SHA256: ObjectIdentifier =
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
    pub(super) const RSA_SHA384: ObjectIdentifier =
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
    pub(super) const RSA_SHA512: ObjectIdentifier =
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
    pub(super) const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
    pub(super) const SHA384: ObjectIdentifier =
        ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
    pub(super) const SHA512: ObjectIdentifier =
        ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");
}
