//! Signed data (RFC 5652 section 5; PKCS #7): reading, and verifying against the certificate that
//! it carries. Whether that certificate is to be trusted is not looked at.
//!
//! ```text
//! ContentInfo ::= SEQUENCE { contentType OID, content [0] EXPLICIT SignedData }
//! SignedData  ::= SEQUENCE {
//!    version           INTEGER,
//!    digestAlgorithms  SET,
//!    encapContentInfo  SEQUENCE { eContentType OID, eContent [0] EXPLICIT OCTET STRING OPTIONAL },
//!    certificates  [0] IMPLICIT SET OPTIONAL,
//!    crls          [1] IMPLICIT SET OPTIONAL,
//!    signerInfos       SET OF SignerInfo }
//! ```

use crypto::{HashAlgorithm, KeyError, KeyKind, PublicKey};

use crate::certificate::Certificate;
use crate::rfc3161::{CONTENT_TYPE, MESSAGE_DIGEST, SIGNED_DATA, TST_INFO, hash_of};
use crate::tlv::{self, DerError, Element, Reader};

/// Most certificates that are carried.
const MAX_CERTIFICATES: usize = 64;

/// Most signed attributes.
const MAX_ATTRIBUTES: usize = 64;

/// 1.2.840.113549.1.1.10.
const RSASSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a];

/// Context-specific tags.
const IMPLICIT_0: u8 = tlv::constructed(0);
const IMPLICIT_1: u8 = tlv::constructed(1);
const SET: u8 = 0x31;

/// Why signed data was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CmsError {
    /// Not DER, or another structure.
    #[error("malformed signed data: {0}")]
    Malformed(&'static str),
    /// A hash that is not of the SHA-2 family.
    #[error("the digest algorithm is not SHA-256, SHA-384 or SHA-512")]
    Hash,
    /// Nothing to verify.
    #[error("no content to verify")]
    NoContent,
    /// The signer's certificate is not among those carried.
    #[error("the signer's certificate is missing")]
    NoCertificate,
    /// The signer's key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The signed attributes do not say this type of content.
    #[error("the content is of another type than the signature says")]
    ContentType,
    /// The signed attributes do not name the content's digest.
    #[error("content digest does not match")]
    Digest,
    /// The signature does not verify.
    #[error("invalid signature")]
    Signature,
}

impl From<DerError> for CmsError {
    fn from(error: DerError) -> Self {
        Self::Malformed(error.0)
    }
}

/// Signed data with exactly one signer.
#[derive(Clone, Debug)]
pub struct SignedData<'a> {
    before_content: &'a [u8],
    content_type: &'a [u8],
    content: Option<&'a [u8]>,
    after_content: &'a [u8],
    certificates: Vec<&'a [u8]>,
    signer: SignerInfo<'a>,
}

#[derive(Clone, Debug)]
struct SignerInfo<'a> {
    certificate: SignerId<'a>,
    hash: HashAlgorithm,
    attributes: Option<Element<'a>>,
    algorithm: &'a [u8],
    signature: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
enum SignerId<'a> {
    Issued { issuer: &'a [u8], serial: &'a [u8] },
    KeyIdentifier(&'a [u8]),
}

impl SignerId<'_> {
    fn names(self, certificate: &Certificate<'_>) -> bool {
        match self {
            Self::Issued { issuer, serial } => {
                certificate.issuer() == issuer && certificate.serial() == serial
            }
            Self::KeyIdentifier(id) => {
                matches!(certificate.subject_key_identifier(), Ok(Some(own)) if own == id)
            }
        }
    }
}

impl<'a> SignedData<'a> {
    /// Parses a DER `ContentInfo` that is signed data, without trailing bytes.
    pub fn from_der(der: &'a [u8]) -> Result<Self, CmsError> {
        let mut info = tlv::single(der, tlv::SEQUENCE)?.open(tlv::SEQUENCE)?;
        if info.expect(tlv::OID)?.content != SIGNED_DATA {
            return Err(CmsError::Malformed("not signed data"));
        }
        let wrapped = info.expect(IMPLICIT_0)?;
        info.end()?;
        let data = tlv::single(wrapped.content, tlv::SEQUENCE)?;
        let mut fields = Reader::new(data.content);
        let version = fields.expect(tlv::INTEGER)?;
        let algorithms = fields.expect(SET)?;
        let encapsulated = fields.expect(tlv::SEQUENCE)?;
        let (before_content, rest) = data
            .content
            .split_at_checked(version.raw.len() + algorithms.raw.len())
            .ok_or(CmsError::Malformed("truncated"))?;
        let after_content = rest.get(encapsulated.raw.len()..).unwrap_or_default();
        let mut encapsulated = Reader::new(encapsulated.content);
        let content_type = encapsulated.expect(tlv::OID)?.content;
        let content = match encapsulated.optional(IMPLICIT_0)? {
            Some(wrapped) => Some(tlv::single(wrapped.content, tlv::OCTET_STRING)?.content),
            None => None,
        };
        encapsulated.end()?;
        let certificates = match fields.optional(IMPLICIT_0)? {
            Some(set) => certificates(set)?,
            None => Vec::new(),
        };
        fields.optional(IMPLICIT_1)?;
        let mut signers = fields.expect(SET)?.open(SET)?;
        fields.end()?;
        let signer = signer_info(signers.expect(tlv::SEQUENCE)?)?;
        if !signers.is_empty() {
            return Err(CmsError::Malformed("more than one signer"));
        }
        Ok(Self {
            before_content,
            content_type,
            content,
            after_content,
            certificates,
            signer,
        })
    }

    /// The content, unless it is elsewhere.
    #[must_use]
    pub const fn content(&self) -> Option<&'a [u8]> {
        self.content
    }

    /// Whether the content is the `TSTInfo` of a timestamp.
    #[must_use]
    pub fn is_timestamp(&self) -> bool {
        self.content_type == TST_INFO
    }

    /// The DER certificates that are carried, in their order.
    #[must_use]
    pub fn certificates(&self) -> &[&'a [u8]] {
        &self.certificates
    }

    /// DER of the same `ContentInfo` without the content.
    #[must_use]
    pub fn detached(&self) -> Vec<u8> {
        let content_type = tlv::encode(tlv::OID, &[self.content_type]);
        let encapsulated = tlv::encode(tlv::SEQUENCE, &[&content_type]);
        let data = tlv::encode(
            tlv::SEQUENCE,
            &[self.before_content, &encapsulated, self.after_content],
        );
        let wrapped = tlv::encode(IMPLICIT_0, &[&data]);
        let content_type = tlv::encode(tlv::OID, &[SIGNED_DATA]);
        tlv::encode(tlv::SEQUENCE, &[&content_type, &wrapped])
    }

    /// Verifies the signature over the content, or over `elsewhere` if there is none inside. If
    /// both are given they must be the same.
    pub fn verify(&self, elsewhere: Option<&[u8]>) -> Result<(), CmsError> {
        let content = match (self.content, elsewhere) {
            (Some(inside), Some(outside)) if inside != outside => return Err(CmsError::Digest),
            (inside, outside) => inside.or(outside).ok_or(CmsError::NoContent)?,
        };
        self.check_content(&self.signer_key()?, content)
    }

    /// Verifies the signature over the content that is inside, with a certificate that is known
    /// from elsewhere; certificates that are carried are not looked at.
    pub fn verify_by(&self, certificate: &Certificate<'_>) -> Result<(), CmsError> {
        let content = self.content.ok_or(CmsError::NoContent)?;
        if !self.signer.certificate.names(certificate) {
            return Err(CmsError::NoCertificate);
        }
        self.check_content(&PublicKey::from_spki_der(certificate.spki())?, content)
    }

    fn check_content(&self, key: &PublicKey, content: &[u8]) -> Result<(), CmsError> {
        let signer = &self.signer;
        let Some(attributes) = signer.attributes else {
            return check(key, signer, content);
        };
        let mut values = SignedAttributes::default();
        values.read(attributes)?;
        if values.content_type != Some(self.content_type) {
            return Err(CmsError::ContentType);
        }
        if values.message_digest != Some(signer.hash.digest(content).as_bytes()) {
            return Err(CmsError::Digest);
        }
        // RFC 5652 section 5.4: signed is the SET OF, whatever the tag in its place is.
        check(key, signer, &tlv::encode(SET, &[attributes.content]))
    }

    fn signer_key(&self) -> Result<PublicKey, CmsError> {
        for der in &self.certificates {
            // One that cannot be read is not the signer's.
            let Ok(certificate) = Certificate::from_der(der) else {
                continue;
            };
            if self.signer.certificate.names(&certificate) {
                return Ok(PublicKey::from_spki_der(certificate.spki())?);
            }
        }
        Err(CmsError::NoCertificate)
    }
}

fn check(key: &PublicKey, signer: &SignerInfo<'_>, message: &[u8]) -> Result<(), CmsError> {
    let verified = match key.kind() {
        KeyKind::Rsa { .. } if signer.algorithm == RSASSA_PSS => {
            key.verify_pss(signer.hash, message, signer.signature)
        }
        _ => key.verify(signer.hash, message, signer.signature),
    };
    verified.map_err(|_| CmsError::Signature)
}

fn certificates(set: Element<'_>) -> Result<Vec<&[u8]>, CmsError> {
    let mut reader = Reader::new(set.content);
    let mut found = Vec::new();
    while !reader.is_empty() {
        let one = reader.element()?;
        if found.len() == MAX_CERTIFICATES {
            return Err(CmsError::Malformed("too many certificates"));
        }
        // Other choices are obsolete forms of certificates.
        if one.tag == tlv::SEQUENCE {
            found.push(one.raw);
        }
    }
    Ok(found)
}

fn signer_info(element: Element<'_>) -> Result<SignerInfo<'_>, CmsError> {
    let mut fields = Reader::new(element.content);
    fields.expect(tlv::INTEGER)?;
    let certificate = match fields.optional(tlv::context(0))? {
        Some(id) => SignerId::KeyIdentifier(id.content),
        None => {
            let mut id = fields.expect(tlv::SEQUENCE)?.open(tlv::SEQUENCE)?;
            let issuer = id.expect(tlv::SEQUENCE)?.raw;
            let serial = id.expect(tlv::INTEGER)?.content;
            id.end()?;
            SignerId::Issued { issuer, serial }
        }
    };
    let hash = algorithm(fields.expect(tlv::SEQUENCE)?)?;
    let hash = hash_of(hash).ok_or(CmsError::Hash)?;
    let attributes = fields.optional(IMPLICIT_0)?;
    let algorithm = algorithm(fields.expect(tlv::SEQUENCE)?)?;
    let signature = fields.expect(tlv::OCTET_STRING)?.content;
    fields.optional(IMPLICIT_1)?;
    fields.end()?;
    Ok(SignerInfo {
        certificate,
        hash,
        attributes,
        algorithm,
        signature,
    })
}

/// The object identifier of an `AlgorithmIdentifier`.
fn algorithm(element: Element<'_>) -> Result<&[u8], CmsError> {
    Ok(Reader::new(element.content).expect(tlv::OID)?.content)
}

#[derive(Default)]
struct SignedAttributes<'a> {
    content_type: Option<&'a [u8]>,
    message_digest: Option<&'a [u8]>,
}

impl<'a> SignedAttributes<'a> {
    fn read(&mut self, set: Element<'a>) -> Result<(), CmsError> {
        let mut reader = Reader::new(set.content);
        for _ in 0..MAX_ATTRIBUTES {
            if reader.is_empty() {
                return Ok(());
            }
            let mut attribute = reader.expect(tlv::SEQUENCE)?.open(tlv::SEQUENCE)?;
            let name = attribute.expect(tlv::OID)?.content;
            let values = attribute.expect(SET)?;
            attribute.end()?;
            let place = match name {
                CONTENT_TYPE => (&mut self.content_type, tlv::OID),
                MESSAGE_DIGEST => (&mut self.message_digest, tlv::OCTET_STRING),
                _ => continue,
            };
            // RFC 5652 section 11: once, with one value.
            let value = tlv::single(values.content, place.1)?.content;
            if place.0.replace(value).is_some() {
                return Err(CmsError::Malformed("attribute repeated"));
            }
        }
        Err(CmsError::Malformed("too many attributes"))
    }
}
