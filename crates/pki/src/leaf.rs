//! The code-signing certificates that Fulcio issues.
//!
//! Version 3, an empty subject, and these extensions in this order: key usage (critical,
//! digitalSignature), extended key usage codeSigning, subject key identifier, authority key
//! identifier, one subject alternative name (critical), Sigstore's extensions
//! 1.3.6.1.4.1.57264.1.*n*; then the poison of a precertificate (critical), or the SCT list.

use std::time::SystemTime;

use der::Encode;
use x509_cert::time::Time;

use crate::certificate::{Certificate, CertificateError};
use crate::key_identifier::key_identifier;
use crate::precert;
use crate::sct::{self, SctError, SignedCertificateTimestamp};
use crate::unsigned::SignatureAlgorithm;
use crate::{Serial, Unsigned, oid, tlv};

/// Longest subject alternative name and extension value, in bytes.
pub const MAX_VALUE: usize = 4096;

/// The one subject alternative name of a leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum San {
    /// `rfc822Name`; ASCII.
    Email(String),
    /// `uniformResourceIdentifier`; ASCII.
    Uri(String),
    /// `otherName` 1.3.6.1.4.1.57264.1.7: a UTF8String.
    OtherName(String),
}

/// An extension 1.3.6.1.4.1.57264.1.`number`.
///
/// Numbers 1 to 6 carry the text as it is, the later ones a DER UTF8String.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FulcioExtension {
    /// Last arc: 1 to 6, or 8 and above.
    pub number: u32,
    /// Value.
    pub value: String,
}

/// What to put into a leaf.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The key that is certified; its SPKI is copied byte for byte.
    pub public_key: crypto::PublicKey,
    /// Identity.
    pub san: San,
    /// Sigstore extensions, in this order.
    pub extensions: Vec<FulcioExtension>,
    /// Start of validity; truncated to whole seconds. Moved up to the issuer's start if earlier.
    pub not_before: SystemTime,
    /// End of validity (inclusive); truncated to whole seconds. Not after the issuer's end.
    pub not_after: SystemTime,
    /// Serial number, the same in precertificate and certificate.
    pub serial: Serial,
}

/// Why a leaf was not built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// A value cannot be put into a certificate.
    #[error("{0}")]
    Content(&'static str),
    /// The validity is empty, or reaches beyond the issuer's.
    #[error("{0}")]
    Validity(&'static str),
    /// The issuer's certificate cannot issue.
    #[error("issuer: {0}")]
    Issuer(#[from] CertificateError),
    /// The issuer's key is neither P-256 nor P-384.
    #[error("the issuer's key is neither P-256 nor P-384")]
    IssuerKey,
    /// The SCTs cannot be embedded.
    #[error(transparent)]
    Sct(#[from] SctError),
}

/// Precertificate and certificate do not belong together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("certificate does not correspond to its precertificate: {0}")]
pub struct Mismatch(pub &'static str);

impl Leaf {
    /// The precertificate: the leaf with the critical poison extension last.
    pub fn precertificate(&self, issuer_der: &[u8]) -> Result<Unsigned, LeafError> {
        self.build(
            issuer_der,
            Some(extension(oid::POISON, true, &[tlv::NULL, 0])),
        )
    }

    /// The certificate: the leaf with the SCT list last, or without one if `scts` is empty.
    pub fn certificate(
        &self,
        issuer_der: &[u8],
        scts: &[SignedCertificateTimestamp],
    ) -> Result<Unsigned, LeafError> {
        if scts.is_empty() {
            return self.build(issuer_der, None);
        }
        self.build(
            issuer_der,
            Some(extension(
                oid::SCT_LIST,
                false,
                &sct::extension_value(scts)?,
            )),
        )
    }

    fn build(&self, issuer_der: &[u8], last: Option<Vec<u8>>) -> Result<Unsigned, LeafError> {
        let issuer = Certificate::from_der(issuer_der)?;
        let algorithm =
            SignatureAlgorithm::of(&issuer.public_key()?).ok_or(LeafError::IssuerKey)?;
        if self.not_before > self.not_after {
            return Err(LeafError::Validity("the validity ends before it starts"));
        }
        // A verifier that follows RFC 5280 finds a leaf invalid outside its issuer's validity.
        if self.not_after > issuer.not_after() {
            return Err(LeafError::Validity(
                "the validity reaches beyond the issuer's",
            ));
        }
        let not_before = self.not_before.max(issuer.not_before());

        let mut extensions = vec![
            extension(oid::KEY_USAGE, true, &[tlv::BIT_STRING, 2, 7, 0x80]),
            extension(
                oid::EXTENDED_KEY_USAGE,
                false,
                &tlv::encode(
                    tlv::SEQUENCE,
                    &[&tlv::encode(tlv::OID, &[oid::CODE_SIGNING])],
                ),
            ),
            extension(
                oid::SUBJECT_KEY_IDENTIFIER,
                false,
                &tlv::encode(
                    tlv::OCTET_STRING,
                    &[&key_identifier(self.public_key.spki_der())?],
                ),
            ),
        ];
        // Copied, not computed: the issuer's may have been made in another way.
        if let Some(identifier) = issuer.subject_key_identifier()? {
            let identifier = tlv::encode(tlv::context(0), &[identifier]);
            extensions.push(extension(
                oid::AUTHORITY_KEY_IDENTIFIER,
                false,
                &tlv::encode(tlv::SEQUENCE, &[&identifier]),
            ));
        }
        extensions.push(extension(oid::SUBJECT_ALT_NAME, true, &self.san.encode()?));
        let mut numbers = Vec::new();
        for fulcio in &self.extensions {
            if numbers.contains(&fulcio.number) {
                return Err(LeafError::Content("an extension occurs twice"));
            }
            numbers.push(fulcio.number);
            extensions.push(fulcio.encode()?);
        }
        extensions.extend(last);

        let extensions: Vec<&[u8]> = extensions.iter().map(Vec::as_slice).collect();
        let tbs = tlv::encode(
            tlv::SEQUENCE,
            &[
                &tlv::encode(tlv::constructed(0), &[&[tlv::INTEGER, 1, 2]]),
                &tlv::encode(tlv::INTEGER, &[self.serial.as_bytes()]),
                &algorithm.identifier(),
                issuer.subject(),
                &tlv::encode(tlv::SEQUENCE, &[&time(not_before)?, &time(self.not_after)?]),
                &[tlv::SEQUENCE, 0],
                self.public_key.spki_der(),
                &tlv::encode(
                    tlv::constructed(3),
                    &[&tlv::encode(tlv::SEQUENCE, &extensions)],
                ),
            ],
        );
        Ok(Unsigned::new(tbs, algorithm))
    }
}

impl San {
    /// DER GeneralNames with this one name.
    fn encode(&self) -> Result<Vec<u8>, LeafError> {
        let (Self::Email(text) | Self::Uri(text) | Self::OtherName(text)) = self;
        check_text(text)?;
        let name = match self {
            Self::Email(text) => tlv::encode(tlv::context(1), &[ascii(text)?]),
            Self::Uri(text) => tlv::encode(tlv::context(6), &[ascii(text)?]),
            Self::OtherName(text) => {
                let value = tlv::encode(tlv::UTF8_STRING, &[text.as_bytes()]);
                tlv::encode(
                    tlv::constructed(0),
                    &[
                        &tlv::encode(tlv::OID, &[&arc(7)]),
                        &tlv::encode(tlv::constructed(0), &[&value]),
                    ],
                )
            }
        };
        Ok(tlv::encode(tlv::SEQUENCE, &[&name]))
    }
}

impl FulcioExtension {
    /// DER Extension, not critical.
    fn encode(&self) -> Result<Vec<u8>, LeafError> {
        check_text(&self.value)?;
        match self.number {
            1..=6 => Ok(extension(&arc(self.number), false, self.value.as_bytes())),
            0 | 7 => Err(LeafError::Content("no such extension number")),
            number => {
                let value = tlv::encode(tlv::UTF8_STRING, &[self.value.as_bytes()]);
                Ok(extension(&arc(number), false, &value))
            }
        }
    }
}

/// Checks that a certificate is its precertificate with the poison replaced by an SCT list:
/// nothing else may differ, by a byte.
pub fn correspond(precert_der: &[u8], final_der: &[u8]) -> Result<(), Mismatch> {
    let before = precert::tbs_without_poison(precert_der).map_err(|error| Mismatch(error.0))?;
    let after = precert::tbs_without_sct_list(final_der).map_err(|error| Mismatch(error.0))?;
    if before == after {
        Ok(())
    } else {
        Err(Mismatch("the TBSCertificates differ"))
    }
}

/// DER Extension.
fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical {
        &[tlv::BOOLEAN, 1, 0xff]
    } else {
        &[]
    };
    tlv::encode(
        tlv::SEQUENCE,
        &[
            &tlv::encode(tlv::OID, &[oid]),
            critical,
            &tlv::encode(tlv::OCTET_STRING, &[value]),
        ],
    )
}

/// Content octets of 1.3.6.1.4.1.57264.1.`number`.
fn arc(number: u32) -> Vec<u8> {
    let mut oid = oid::FULCIO.to_vec();
    let digits = (32 - number.leading_zeros()).div_ceil(7).max(1);
    for digit in (0..digits).rev() {
        let seven = number >> (7 * digit) & 0x7f;
        let more = if digit == 0 { 0 } else { 0x80 };
        oid.push(u8::try_from(seven).unwrap_or(0) | more);
    }
    oid
}

fn check_text(text: &str) -> Result<(), LeafError> {
    if text.is_empty() {
        return Err(LeafError::Content("a name or extension is empty"));
    }
    if text.len() > MAX_VALUE {
        return Err(LeafError::Content("a name or extension is too long"));
    }
    Ok(())
}

fn ascii(text: &str) -> Result<&[u8], LeafError> {
    // IA5String allows control characters; an address or URI does not, and a NUL in a name has
    // fooled verifiers before.
    if text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        Ok(text.as_bytes())
    } else {
        Err(LeafError::Content(
            "an e-mail address or URI is not printable ASCII",
        ))
    }
}

/// DER Time: UTCTime before 2050, GeneralizedTime from then on.
fn time(at: SystemTime) -> Result<Vec<u8>, LeafError> {
    Time::try_from(at)
        .and_then(|time| time.to_der())
        .map_err(|_| LeafError::Validity("a time cannot be written into a certificate"))
}
