//! Certificates, parsed and kept with their exact bytes.

use std::time::SystemTime;

use crypto::{HashAlgorithm, KeyKind, PublicKey};
use der::Decode;
use der::asn1::{GeneralizedTime, UtcTime};

use crate::oid;
use crate::tlv::{self, DerError, Element, Reader};

/// Longest certificate that is parsed, in bytes.
pub const MAX_CERTIFICATE: usize = 64 << 10;

/// A certificate (RFC 5280 section 4.1). Every field is a slice of the DER it was parsed from.
///
/// Parsing checks the encoding and that no extension occurs twice; it does not judge what the
/// certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate<'a> {
    tbs: Element<'a>,
    serial: &'a [u8],
    signature_algorithm: Element<'a>,
    issuer: &'a [u8],
    not_before: SystemTime,
    not_after: SystemTime,
    subject: &'a [u8],
    spki: &'a [u8],
    extensions: Vec<Extension<'a>>,
    signature: &'a [u8],
}

/// An extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    pub(crate) oid: &'a [u8],
    pub(crate) critical: bool,
    pub(crate) value: &'a [u8],
    pub(crate) raw: &'a [u8],
}

/// The `basicConstraints` of a CA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaConstraints {
    /// Most intermediates that may follow below; `None` is any number.
    pub path_length: Option<u8>,
}

/// Why a certificate was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not a DER certificate.
    #[error("not a certificate: {0}")]
    Malformed(&'static str),
    /// The signature's algorithm is not one that is accepted: SHA-2 with ECDSA or RSA, Ed25519.
    #[error("unsupported signature algorithm")]
    Algorithm,
    /// The certificate was not signed by this issuer.
    #[error("the certificate is not signed by its issuer")]
    Signature,
    /// The issuer's or subject's key cannot be used.
    #[error(transparent)]
    Key(#[from] crypto::KeyError),
}

impl From<DerError> for CertificateError {
    fn from(error: DerError) -> Self {
        Self::Malformed(error.0)
    }
}

impl<'a> Certificate<'a> {
    /// Parses a DER certificate without trailing bytes, at most [`MAX_CERTIFICATE`].
    pub fn from_der(der: &'a [u8]) -> Result<Self, CertificateError> {
        if der.len() > MAX_CERTIFICATE {
            return Err(CertificateError::Malformed("too long"));
        }
        let mut outer = tlv::single(der, tlv::SEQUENCE)?.open(tlv::SEQUENCE)?;
        let tbs = outer.expect(tlv::SEQUENCE)?;
        let signature_algorithm = outer.expect(tlv::SEQUENCE)?;
        let signature = match outer.expect(tlv::BIT_STRING)?.content {
            [0, signature @ ..] => signature,
            _ => return Err(CertificateError::Malformed("signature is not whole octets")),
        };
        outer.end()?;

        let mut fields = Reader::new(tbs.content);
        if let Some(version) = fields.optional(tlv::constructed(0))? {
            match tlv::single(version.content, tlv::INTEGER)?.content {
                [1 | 2] => {}
                _ => return Err(CertificateError::Malformed("unknown version")),
            }
        }
        let serial = fields.expect(tlv::INTEGER)?.content;
        if serial.is_empty() {
            return Err(CertificateError::Malformed("empty serial number"));
        }
        if fields.expect(tlv::SEQUENCE)?.raw != signature_algorithm.raw {
            return Err(CertificateError::Malformed(
                "two different signature algorithms",
            ));
        }
        let issuer = fields.expect(tlv::SEQUENCE)?.raw;
        let mut validity = fields.expect(tlv::SEQUENCE)?.open(tlv::SEQUENCE)?;
        let not_before = time(validity.element()?)?;
        let not_after = time(validity.element()?)?;
        validity.end()?;
        let subject = fields.expect(tlv::SEQUENCE)?.raw;
        let spki = fields.expect(tlv::SEQUENCE)?.raw;
        fields.optional(tlv::context(1))?;
        fields.optional(tlv::context(2))?;
        let extensions = match fields.optional(tlv::constructed(3))? {
            Some(wrapped) => extensions(tlv::single(wrapped.content, tlv::SEQUENCE)?)?,
            None => Vec::new(),
        };
        fields.end()?;
        Ok(Self {
            tbs,
            serial,
            signature_algorithm,
            issuer,
            not_before,
            not_after,
            subject,
            spki,
            extensions,
            signature,
        })
    }

    /// DER of the TBSCertificate: what is signed.
    #[must_use]
    pub const fn tbs(&self) -> &'a [u8] {
        self.tbs.raw
    }

    pub(crate) const fn tbs_content(&self) -> &'a [u8] {
        self.tbs.content
    }

    /// Content octets of the serial number.
    #[must_use]
    pub const fn serial(&self) -> &'a [u8] {
        self.serial
    }

    /// DER of the issuer's name.
    #[must_use]
    pub const fn issuer(&self) -> &'a [u8] {
        self.issuer
    }

    /// Start of validity.
    #[must_use]
    pub const fn not_before(&self) -> SystemTime {
        self.not_before
    }

    /// End of validity, inclusive.
    #[must_use]
    pub const fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// DER of the subject's name.
    #[must_use]
    pub const fn subject(&self) -> &'a [u8] {
        self.subject
    }

    /// DER of the SubjectPublicKeyInfo.
    #[must_use]
    pub const fn spki(&self) -> &'a [u8] {
        self.spki
    }

    /// The certified key.
    pub fn public_key(&self) -> Result<PublicKey, CertificateError> {
        Ok(PublicKey::from_spki_der(self.spki)?)
    }

    /// The extensions, in order.
    #[must_use]
    pub fn extensions(&self) -> &[Extension<'a>] {
        &self.extensions
    }

    pub(crate) fn extension(&self, oid: &[u8]) -> Option<&Extension<'a>> {
        self.extensions
            .iter()
            .find(|extension| extension.oid == oid)
    }

    /// The subject key identifier, if there is one.
    pub fn subject_key_identifier(&self) -> Result<Option<&'a [u8]>, CertificateError> {
        let Some(extension) = self.extension(oid::SUBJECT_KEY_IDENTIFIER) else {
            return Ok(None);
        };
        Ok(Some(
            tlv::single(extension.value, tlv::OCTET_STRING)?.content,
        ))
    }

    /// The basic constraints, if the certificate is a CA's.
    pub fn ca_constraints(&self) -> Result<Option<CaConstraints>, CertificateError> {
        let Some(extension) = self.extension(oid::BASIC_CONSTRAINTS) else {
            return Ok(None);
        };
        let mut fields = tlv::single(extension.value, tlv::SEQUENCE)?.open(tlv::SEQUENCE)?;
        let ca = fields
            .optional(tlv::BOOLEAN)?
            .map(tlv::boolean)
            .transpose()?
            .unwrap_or(false);
        let path_length = match fields.optional(tlv::INTEGER)? {
            None => None,
            Some(element) => match element.content {
                [length] if *length < 0x80 => Some(*length),
                _ => return Err(CertificateError::Malformed("path length out of range")),
            },
        };
        fields.end()?;
        Ok(ca.then_some(CaConstraints { path_length }))
    }

    /// The first octet of the key usage, if there is one: `0x80` is digitalSignature, `0x04`
    /// keyCertSign.
    pub fn key_usage(&self) -> Result<Option<u8>, CertificateError> {
        let Some(extension) = self.extension(oid::KEY_USAGE) else {
            return Ok(None);
        };
        match tlv::single(extension.value, tlv::BIT_STRING)?.content {
            [unused, bits, ..] if *unused < 8 => Ok(Some(*bits)),
            _ => Err(CertificateError::Malformed("malformed key usage")),
        }
    }

    /// The extended key usages, each the content octets of its OID; `None` without the extension.
    pub fn extended_key_usages(&self) -> Result<Option<Vec<&'a [u8]>>, CertificateError> {
        let Some(extension) = self.extension(oid::EXTENDED_KEY_USAGE) else {
            return Ok(None);
        };
        let mut purposes = tlv::single(extension.value, tlv::SEQUENCE)?.open(tlv::SEQUENCE)?;
        let mut usages = Vec::new();
        while !purposes.is_empty() {
            usages.push(purposes.expect(tlv::OID)?.content);
        }
        Ok(Some(usages))
    }

    /// Whether the extended key usages name code signing.
    pub fn is_for_code_signing(&self) -> Result<bool, CertificateError> {
        Ok(self
            .extended_key_usages()?
            .is_some_and(|usages| usages.contains(&oid::CODE_SIGNING)))
    }

    /// Whether this is a precertificate signing certificate (RFC 6962 section 3.1).
    pub fn is_precertificate_signer(&self) -> Result<bool, CertificateError> {
        Ok(self
            .extended_key_usages()?
            .is_some_and(|usages| usages.contains(&oid::PRECERT_SIGNING)))
    }

    /// Checks that `issuer` names and signed this certificate. Nothing else of either is checked.
    pub fn check_issued_by(&self, issuer: &Certificate<'_>) -> Result<(), CertificateError> {
        if self.issuer != issuer.subject {
            return Err(CertificateError::Signature);
        }
        self.check_signed_by(&issuer.public_key()?)
    }

    /// Checks the signature.
    pub fn check_signed_by(&self, key: &PublicKey) -> Result<(), CertificateError> {
        let algorithm = Reader::new(self.signature_algorithm.content)
            .expect(tlv::OID)?
            .content;
        let (family, hash) = match algorithm {
            oid::ECDSA_WITH_SHA256 => (Family::Ecdsa, HashAlgorithm::Sha256),
            oid::ECDSA_WITH_SHA384 => (Family::Ecdsa, HashAlgorithm::Sha384),
            oid::ECDSA_WITH_SHA512 => (Family::Ecdsa, HashAlgorithm::Sha512),
            oid::RSA_WITH_SHA256 => (Family::Rsa, HashAlgorithm::Sha256),
            oid::RSA_WITH_SHA384 => (Family::Rsa, HashAlgorithm::Sha384),
            oid::RSA_WITH_SHA512 => (Family::Rsa, HashAlgorithm::Sha512),
            // The hash is the algorithm's own.
            oid::ED25519 => (Family::Ed25519, HashAlgorithm::Sha512),
            _ => return Err(CertificateError::Algorithm),
        };
        if family != Family::of(key.kind()) {
            return Err(CertificateError::Signature);
        }
        // DER and nothing else: otherwise a signature could be written in two ways, and a stranger
        // could make a second certificate out of one.
        if family == Family::Ecdsa && !tlv::is_ecdsa_signature(self.signature) {
            return Err(CertificateError::Signature);
        }
        key.verify(hash, self.tbs.raw, self.signature)
            .map_err(|_| CertificateError::Signature)
    }
}

/// Families of signature algorithms: a key verifies only its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Ecdsa,
    Rsa,
    Ed25519,
}

impl Family {
    const fn of(kind: KeyKind) -> Self {
        match kind {
            KeyKind::EcdsaP256 | KeyKind::EcdsaP384 | KeyKind::EcdsaP521 => Self::Ecdsa,
            KeyKind::Rsa { .. } => Self::Rsa,
            KeyKind::Ed25519 => Self::Ed25519,
        }
    }
}

fn extensions(list: Element<'_>) -> Result<Vec<Extension<'_>>, CertificateError> {
    let mut reader = Reader::new(list.content);
    let mut extensions: Vec<Extension<'_>> = Vec::new();
    while !reader.is_empty() {
        let element = reader.expect(tlv::SEQUENCE)?;
        let mut fields = Reader::new(element.content);
        let oid = fields.expect(tlv::OID)?.content;
        let critical = fields
            .optional(tlv::BOOLEAN)?
            .map(tlv::boolean)
            .transpose()?
            .unwrap_or(false);
        let value = fields.expect(tlv::OCTET_STRING)?.content;
        fields.end()?;
        // Bounds the comparison below; real certificates have fewer than thirty.
        if extensions.len() == 128 {
            return Err(CertificateError::Malformed("too many extensions"));
        }
        if extensions.iter().any(|earlier| earlier.oid == oid) {
            return Err(CertificateError::Malformed("an extension occurs twice"));
        }
        extensions.push(Extension {
            oid,
            critical,
            value,
            raw: element.raw,
        });
    }
    Ok(extensions)
}

fn time(element: Element<'_>) -> Result<SystemTime, CertificateError> {
    let time = match element.tag {
        tlv::UTC_TIME => UtcTime::from_der(element.raw).map(|time| time.to_system_time()),
        tlv::GENERALIZED_TIME => {
            GeneralizedTime::from_der(element.raw).map(|time| time.to_system_time())
        }
        _ => return Err(CertificateError::Malformed("malformed time")),
    };
    time.map_err(|_| CertificateError::Malformed("malformed time"))
}
