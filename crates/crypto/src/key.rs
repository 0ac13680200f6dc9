//! Public keys: parsing, canonical encodings, identity.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::signature::ParsedPublicKey;
use der::asn1::{AnyRef, ObjectIdentifier, UintRef};
use der::{Decode, Encode, Reader, SliceReader, Tag, TagNumber, Tagged};
use spki::SubjectPublicKeyInfoRef;

use crate::HashAlgorithm;
use crate::curve::Curve;

/// What kind of key a [`PublicKey`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// ECDSA on NIST P-256.
    EcdsaP256,
    /// ECDSA on NIST P-384.
    EcdsaP384,
    /// ECDSA on NIST P-521.
    EcdsaP521,
    /// Ed25519.
    Ed25519,
    /// RSA with a modulus of this many bits.
    Rsa {
        /// Length of the modulus, in bits.
        bits: usize,
    },
}

/// A public key, parsed and kept with its DER `SubjectPublicKeyInfo` (RFC 5280 section 4.1.2.7).
///
/// Parsing does the costly part of verification's set-up once; clones share it.
#[derive(Clone)]
pub struct PublicKey {
    inner: Arc<Inner>,
}

struct Inner {
    kind: KeyKind,
    spki_der: Vec<u8>,
    material: Material,
}

/// What verification works with.
pub(crate) enum Material {
    Ecdsa {
        curve: Curve,
        keys: PerHash,
    },
    Ed25519 {
        pure: ParsedPublicKey,
        prehash: ed25519_dalek::VerifyingKey,
    },
    Rsa {
        modulus: Vec<u8>,
        exponent: u64,
        keys: PerHash,
    },
}

/// An aws-lc-rs key is bound to one hash; each is made when first used.
pub(crate) struct PerHash {
    /// The uncompressed point, or the PKCS#1 `RSAPublicKey`.
    encoded: Vec<u8>,
    parsed: [OnceLock<Option<ParsedPublicKey>>; 3],
}

/// Why a public key was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not the expected encoding.
    #[error("not a public key: {0}")]
    Malformed(String),
    /// Well formed, but of a kind that nothing here can verify with.
    #[error("unsupported public key algorithm: {0}")]
    Unsupported(String),
    /// Well formed and of a known kind that must not be used: P-224, X25519, DSA, or RSA outside
    /// 1024 to 8192 bits.
    #[error("insecure public key: {0}")]
    Insecure(&'static str),
}

/// Bounds of the RSA modulus, in bits. [`PublicKey::verify`] has narrower ones.
const RSA_BITS: std::ops::RangeInclusive<usize> = 1024..=8192;

mod oid {
    use der::asn1::ObjectIdentifier;

    pub(super) const EC_PUBLIC_KEY: ObjectIdentifier =
        ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
    pub(super) const RSA_ENCRYPTION: ObjectIdentifier =
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
    pub(super) const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
    pub(super) const X25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.110");
    pub(super) const DSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10040.4.1");
    pub(super) const SECP224R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.33");
}

impl PublicKey {
    /// Parses a DER `SubjectPublicKeyInfo`.
    ///
    /// Strict: DER only, no trailing bytes, named curves only, uncompressed points that are on
    /// their curve. What is accepted is therefore already in its canonical encoding.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        let spki = SubjectPublicKeyInfoRef::from_der(der).map_err(malformed)?;
        let key = spki
            .subject_public_key
            .as_bytes()
            .ok_or_else(|| KeyError::Malformed("the key is not a whole number of bytes".into()))?;
        let parameters = spki.algorithm.parameters;
        let (kind, material) = match spki.algorithm.oid {
            oid::EC_PUBLIC_KEY => ecdsa(parameters, key)?,
            oid::RSA_ENCRYPTION => {
                if !parameters.is_some_and(|any| any.is_null()) {
                    return Err(KeyError::Malformed("RSA parameters are not NULL".into()));
                }
                rsa(key)?
            }
            oid::ED25519 => {
                if parameters.is_some() {
                    return Err(KeyError::Malformed("Ed25519 parameters are present".into()));
                }
                ed25519(key)?
            }
            oid::X25519 => return Err(KeyError::Insecure("X25519 keys cannot sign")),
            oid::DSA => return Err(KeyError::Insecure("DSA")),
            other => return Err(KeyError::Unsupported(other.to_string())),
        };
        Ok(Self::new(kind, der.to_vec(), material))
    }

    /// Parses a DER PKCS#1 `RSAPublicKey` (RFC 8017 appendix A.1.1).
    pub fn from_pkcs1_der(der: &[u8]) -> Result<Self, KeyError> {
        let (kind, material) = rsa(der)?;
        Ok(Self::new(
            kind,
            spki(oid::RSA_ENCRYPTION, Some(AnyRef::NULL), der)?,
            material,
        ))
    }

    /// An Ed25519 key from its 32 bytes (RFC 8032 section 5.1.5).
    pub fn from_ed25519_bytes(key: &[u8; 32]) -> Result<Self, KeyError> {
        let (kind, material) = ed25519(key)?;
        Ok(Self::new(kind, spki(oid::ED25519, None, key)?, material))
    }

    /// Parses the first PEM block: `PUBLIC KEY` (SPKI) or `RSA PUBLIC KEY` (PKCS#1).
    ///
    /// Text around the block, headers and line lengths are of no account.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let block = pem::parse(pem).map_err(malformed)?;
        match block.tag() {
            "PUBLIC KEY" => Self::from_spki_der(block.contents()),
            "RSA PUBLIC KEY" => Self::from_pkcs1_der(block.contents()),
            _ => Err(KeyError::Malformed(
                "the PEM block holds something else".into(),
            )),
        }
    }

    /// The key that a DER certificate certifies. Nothing else of the certificate is checked.
    pub fn from_certificate_der(der: &[u8]) -> Result<Self, KeyError> {
        Self::from_spki_der(certificate_spki(der).map_err(malformed)?)
    }

    fn new(kind: KeyKind, spki_der: Vec<u8>, material: Material) -> Self {
        Self {
            inner: Arc::new(Inner {
                kind,
                spki_der,
                material,
            }),
        }
    }

    /// The kind of key.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.inner.kind
    }

    /// The DER `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.inner.spki_der
    }

    /// PEM `PUBLIC KEY`, 64 columns, one final newline.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem::encode_config(
            &pem::Pem::new("PUBLIC KEY", self.spki_der()),
            pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF),
        )
    }

    /// SHA-256 of the DER SPKI: the log id of RFC 6962 and Rekor v1.
    #[must_use]
    pub fn key_id(&self) -> [u8; 32] {
        crate::sha256(self.spki_der())
    }

    /// The 32 bytes of an Ed25519 key; `None` for other kinds.
    #[must_use]
    pub fn ed25519_bytes(&self) -> Option<&[u8; 32]> {
        match self.material() {
            Material::Ed25519 { prehash, .. } => Some(prehash.as_bytes()),
            _ => None,
        }
    }

    pub(crate) fn material(&self) -> &Material {
        &self.inner.material
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "PublicKey({:?}, {})",
            self.kind(),
            hex::encode(self.key_id())
        )
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.spki_der() == other.spki_der()
    }
}

impl Eq for PublicKey {}

impl std::hash::Hash for PublicKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.spki_der().hash(state);
    }
}

impl PerHash {
    fn new(encoded: Vec<u8>) -> Self {
        Self {
            encoded,
            parsed: [const { OnceLock::new() }; 3],
        }
    }

    /// The uncompressed point, or the PKCS#1 `RSAPublicKey`.
    pub(crate) fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// The key for `hash`; `parse` makes it from the encoded key if this is its first use.
    pub(crate) fn get(
        &self,
        hash: HashAlgorithm,
        parse: impl FnOnce(&[u8]) -> Option<ParsedPublicKey>,
    ) -> Option<&ParsedPublicKey> {
        let [sha256, sha384, sha512] = &self.parsed;
        let slot = match hash {
            HashAlgorithm::Sha256 => sha256,
            HashAlgorithm::Sha384 => sha384,
            HashAlgorithm::Sha512 => sha512,
        };
        slot.get_or_init(|| parse(&self.encoded)).as_ref()
    }
}

fn ecdsa(parameters: Option<AnyRef<'_>>, point: &[u8]) -> Result<(KeyKind, Material), KeyError> {
    let named: ObjectIdentifier = parameters
        .ok_or_else(|| KeyError::Malformed("no curve".into()))?
        .decode_as()
        .map_err(|_| KeyError::Unsupported("elliptic curve that is not a named one".into()))?;
    if named == oid::SECP224R1 {
        return Err(KeyError::Insecure("P-224"));
    }
    let curve = Curve::from_oid(named)
        .ok_or_else(|| KeyError::Unsupported(format!("elliptic curve {named}")))?;
    if point.len() != 1 + 2 * curve.field_bytes() || point.first() != Some(&0x04) {
        return Err(KeyError::Malformed(
            "not an uncompressed point of this curve".into(),
        ));
    }
    let keys = PerHash::new(point.to_vec());
    // Parsing also proves that the point is on the curve, so it is done now, for the usual hash.
    let hash = curve.usual_hash();
    keys.get(hash, |point| curve.parse(hash, point))
        .ok_or_else(|| KeyError::Malformed("the point is not on its curve".into()))?;
    Ok((curve.kind(), Material::Ecdsa { curve, keys }))
}

fn ed25519(key: &[u8]) -> Result<(KeyKind, Material), KeyError> {
    let bytes: &[u8; 32] = key
        .try_into()
        .map_err(|_| KeyError::Malformed("an Ed25519 key has 32 bytes".into()))?;
    let invalid = || KeyError::Malformed("not a point of edwards25519".into());
    let prehash = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| invalid())?;
    let pure =
        ParsedPublicKey::new(&aws_lc_rs::signature::ED25519, bytes).map_err(|_| invalid())?;
    Ok((KeyKind::Ed25519, Material::Ed25519 { pure, prehash }))
}

fn rsa(pkcs1: &[u8]) -> Result<(KeyKind, Material), KeyError> {
    let mut reader = SliceReader::new(pkcs1).map_err(malformed)?;
    let (modulus, exponent) = reader
        .sequence(|fields| {
            Ok::<_, der::Error>((UintRef::decode(fields)?, UintRef::decode(fields)?))
        })
        .and_then(|fields| reader.finish().map(|()| fields))
        .map_err(malformed)?;
    let bits = bit_length(modulus.as_bytes());
    if !RSA_BITS.contains(&bits) {
        return Err(KeyError::Insecure("RSA outside 1024 to 8192 bits"));
    }
    if modulus.as_bytes().last().is_none_or(|low| low & 1 == 0) {
        return Err(KeyError::Malformed("even RSA modulus".into()));
    }
    // An exponent of more than 33 bits only serves to make verification slow.
    let exponent = be_u64(exponent.as_bytes())
        .filter(|&e| e >= 3 && e & 1 == 1 && e < 1 << 33)
        .ok_or_else(|| KeyError::Malformed("RSA exponent out of range".into()))?;
    let material = Material::Rsa {
        modulus: modulus.as_bytes().to_vec(),
        exponent,
        keys: PerHash::new(pkcs1.to_vec()),
    };
    Ok((KeyKind::Rsa { bits }, material))
}

fn bit_length(be: &[u8]) -> usize {
    let first = be.iter().position(|&byte| byte != 0).unwrap_or(be.len());
    be.get(first..).map_or(0, |rest| {
        rest.len() * 8 - rest.first().map_or(0, |byte| byte.leading_zeros() as usize)
    })
}

fn be_u64(be: &[u8]) -> Option<u64> {
    (be.len() <= 8).then(|| {
        be.iter()
            .fold(0, |value, &byte| value << 8 | u64::from(byte))
    })
}

fn spki(
    algorithm: ObjectIdentifier,
    parameters: Option<AnyRef<'_>>,
    key: &[u8],
) -> Result<Vec<u8>, KeyError> {
    let subject_public_key = der::asn1::BitStringRef::from_bytes(key).map_err(malformed)?;
    let algorithm = spki::AlgorithmIdentifierRef {
        oid: algorithm,
        parameters,
    };
    SubjectPublicKeyInfoRef {
        algorithm,
        subject_public_key,
    }
    .to_der()
    .map_err(malformed)
}

/// The SPKI inside `Certificate.tbsCertificate` (RFC 5280 section 4.1).
fn certificate_spki(der: &[u8]) -> der::Result<&[u8]> {
    let mut reader = SliceReader::new(der)?;
    let certificate = AnyRef::decode(&mut reader)?;
    reader.finish()?;
    let mut certificate = sequence(certificate)?;
    let mut tbs = sequence(AnyRef::decode(&mut certificate)?)?;
    sequence(AnyRef::decode(&mut certificate)?)?;
    AnyRef::decode(&mut certificate)?
        .tag()
        .assert_eq(Tag::BitString)?;
    certificate.finish()?;

    let version = Tag::ContextSpecific {
        constructed: true,
        number: TagNumber(0),
    };
    if Tag::peek(&tbs)? == version {
        AnyRef::decode(&mut tbs)?;
    }
    AnyRef::decode(&mut tbs)?.tag().assert_eq(Tag::Integer)?;
    // signature, issuer, validity, subject
    for _ in 0..4 {
        AnyRef::decode(&mut tbs)?.tag().assert_eq(Tag::Sequence)?;
    }
    tbs.tlv_bytes()
}

fn sequence(any: AnyRef<'_>) -> der::Result<SliceReader<'_>> {
    any.tag().assert_eq(Tag::Sequence)?;
    SliceReader::new(any.value())
}

fn malformed(error: impl std::fmt::Display) -> KeyError {
    KeyError::Malformed(error.to_string())
}
