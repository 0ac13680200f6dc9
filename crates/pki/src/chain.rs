//! Certificate chains, and what a service checks of its own at start.

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto::PublicKey;
use der::pem::{LineEnding, encode_string};

use crate::certificate::{Certificate, CertificateError};
use crate::oid;

/// Most certificates in a chain.
pub const MAX_CHAIN: usize = 10;

/// Key usage digitalSignature.
pub(crate) const DIGITAL_SIGNATURE: u8 = 0x80;
/// Key usage keyCertSign.
pub(crate) const KEY_CERT_SIGN: u8 = 0x04;

/// A chain, issuer (or timestamping leaf) first, root last; at least one certificate.
///
/// Each certificate was parsed, and is named and signed by the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    first: Vec<u8>,
    /// The others, root last.
    rest: Vec<Vec<u8>>,
    public_key: PublicKey,
    validity: (SystemTime, SystemTime),
}

/// Why a chain was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// Not a PEM certificate chain.
    #[error("not a PEM certificate chain: {0}")]
    Malformed(String),
    /// A rule is broken.
    #[error("certificate {position} of the chain: {reason}")]
    Refused {
        /// 0 for the first.
        position: usize,
        /// What is wrong.
        reason: String,
    },
}

impl Chain {
    /// Parses PEM certificates: 1 to [`MAX_CHAIN`], each at most 64 KiB.
    pub fn from_pem(pem: &str) -> Result<Self, ChainError> {
        Self::from_der(certificates_from_pem(pem, MAX_CHAIN)?)
    }

    /// A chain of DER certificates, first to root.
    pub fn from_der(certificates: Vec<Vec<u8>>) -> Result<Self, ChainError> {
        if certificates.len() > MAX_CHAIN {
            return Err(ChainError::Malformed(format!(
                "more than {MAX_CHAIN} certificates"
            )));
        }
        let mut parsed = Vec::with_capacity(certificates.len());
        for (position, der) in certificates.iter().enumerate() {
            parsed.push(Certificate::from_der(der).map_err(|error| refused(position, error))?);
        }
        for (position, pair) in parsed.windows(2).enumerate() {
            if let [certificate, issuer] = pair {
                certificate
                    .check_issued_by(issuer)
                    .map_err(|error| refused(position, error))?;
            }
        }
        let none = || ChainError::Malformed("no certificate".into());
        let public_key = parsed
            .first()
            .ok_or_else(none)?
            .public_key()
            .map_err(|error| refused(0, error))?;
        let from = parsed
            .iter()
            .map(Certificate::not_before)
            .max()
            .ok_or_else(none)?;
        let until = parsed
            .iter()
            .map(Certificate::not_after)
            .min()
            .ok_or_else(none)?;
        let mut certificates = certificates.into_iter();
        let first = certificates.next().ok_or_else(none)?;
        Ok(Self {
            first,
            rest: certificates.collect(),
            public_key,
            validity: (from, until),
        })
    }

    /// The DER certificates, in order.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(self.first()).chain(self.rest.iter().map(Vec::as_slice))
    }

    /// How many certificates; at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        1 + self.rest.len()
    }

    /// DER of the first certificate: the issuer, or the timestamping leaf.
    #[must_use]
    pub fn first(&self) -> &[u8] {
        &self.first
    }

    /// DER of the root.
    #[must_use]
    pub fn root(&self) -> &[u8] {
        self.rest.last().unwrap_or(&self.first)
    }

    /// Key of the first certificate.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Validity that all certificates of the chain share: latest start, earliest end (inclusive).
    #[must_use]
    pub const fn validity(&self) -> (SystemTime, SystemTime) {
        self.validity
    }

    /// Each certificate as PEM, with a final newline.
    #[must_use]
    pub fn to_pem(&self) -> Vec<String> {
        self.certificates().map(certificate_to_pem).collect()
    }

    /// The start-up checks of a certificate authority, which are those that its clients make of
    /// every bundle: a valid path to the last certificate at `now`, for code signing; every
    /// certificate is a CA's; the first certifies `signer`.
    pub fn check_certificate_authority(
        &self,
        signer: &PublicKey,
        now: SystemTime,
    ) -> Result<(), ChainError> {
        self.check_signer(signer)?;
        for (position, der) in self.certificates().enumerate() {
            let check = || -> Result<(), Fault> {
                let certificate = Certificate::from_der(der)?;
                check_valid_at(&certificate, now)?;
                check_authority(&certificate, position)?;
                let usages = certificate.extended_key_usages()?;
                if position == 0 && self.len() > 1 && usages.is_none() {
                    return Err(Fault::Rule(
                        "an issuing intermediate must have the extended key usage codeSigning",
                    ));
                }
                check_purpose(usages.as_deref(), oid::CODE_SIGNING)
            };
            check().map_err(|fault| refused(position, fault))?;
        }
        Ok(())
    }

    /// The start-up checks of a timestamp authority: at least two certificates; a valid path at
    /// `now`; the first is not a CA's, has exactly one extended key usage, timeStamping, critical,
    /// and certifies `signer`; the others are CAs'; every intermediate lists timeStamping if
    /// `intermediate_eku`.
    pub fn check_timestamp_authority(
        &self,
        signer: &PublicKey,
        now: SystemTime,
        intermediate_eku: bool,
    ) -> Result<(), ChainError> {
        self.check_signer(signer)?;
        if self.rest.is_empty() {
            return Err(refused(
                0,
                "a timestamp authority needs a leaf and at least one certificate above it",
            ));
        }
        for (position, der) in self.certificates().enumerate() {
            let check = || -> Result<(), Fault> {
                let certificate = Certificate::from_der(der)?;
                check_valid_at(&certificate, now)?;
                if position == 0 {
                    return check_timestamp_leaf(&certificate);
                }
                check_authority(&certificate, position - 1)?;
                let usages = certificate.extended_key_usages()?;
                if intermediate_eku && position < self.rest.len() && usages.is_none() {
                    return Err(Fault::Rule(
                        "an intermediate must have the extended key usage timeStamping",
                    ));
                }
                check_purpose(usages.as_deref(), oid::TIME_STAMPING)
            };
            check().map_err(|fault| refused(position, fault))?;
        }
        Ok(())
    }

    fn check_signer(&self, signer: &PublicKey) -> Result<(), ChainError> {
        if self.public_key.spki_der() != signer.spki_der() {
            return Err(refused(0, "it certifies another key than the signer's"));
        }
        crypto::check_strength(&self.public_key).map_err(|weak| refused(0, weak))
    }
}

/// A certificate as PEM, with a final newline.
#[must_use]
pub fn certificate_to_pem(der: &[u8]) -> String {
    // Encoding fails only beyond the address space.
    encode_string("CERTIFICATE", LineEnding::LF, der).unwrap_or_default()
}

/// The DER of each PEM certificate in `pem`, 1 to `most`. Text between the blocks is skipped;
/// blocks of another type are refused (a private key does not belong beside certificates).
pub fn certificates_from_pem(pem: &str, most: usize) -> Result<Vec<Vec<u8>>, ChainError> {
    const BEGIN: &str = "-----BEGIN ";
    const HEADER: &str = "CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let malformed = |reason: &str| ChainError::Malformed(reason.into());
    let mut certificates = Vec::new();
    let mut rest = pem;
    while let Some((_, block)) = rest.split_once(BEGIN) {
        if certificates.len() == most {
            return Err(ChainError::Malformed(format!(
                "more than {most} certificates"
            )));
        }
        let block = block
            .strip_prefix(HEADER)
            .ok_or_else(|| malformed("it holds a block that is not a certificate"))?;
        let (body, after) = block
            .split_once(END)
            .ok_or_else(|| malformed("a block does not end"))?;
        let body: String = body.split_ascii_whitespace().collect();
        certificates.push(
            STANDARD
                .decode(body)
                .map_err(|_| malformed("a block is not base64"))?,
        );
        rest = after;
    }
    if certificates.is_empty() {
        Err(malformed("no certificate"))
    } else {
        Ok(certificates)
    }
}

/// What is wrong with one certificate of a chain.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("{0}")]
    Rule(&'static str),
}

pub(crate) fn refused(position: usize, reason: impl ToString) -> ChainError {
    ChainError::Refused {
        position,
        reason: reason.to_string(),
    }
}

fn check_valid_at(certificate: &Certificate<'_>, now: SystemTime) -> Result<(), Fault> {
    if now < certificate.not_before() {
        return Err(Fault::Rule("it is not valid yet"));
    }
    if now > certificate.not_after() {
        return Err(Fault::Rule("it has expired"));
    }
    Ok(())
}

/// A CA certificate with `below` CA certificates under it.
fn check_authority(certificate: &Certificate<'_>, below: usize) -> Result<(), Fault> {
    let Some(constraints) = certificate.ca_constraints()? else {
        return Err(Fault::Rule("it is not a certificate authority's"));
    };
    if certificate
        .extension(oid::BASIC_CONSTRAINTS)
        .is_some_and(|extension| !extension.critical)
    {
        return Err(Fault::Rule("its basic constraints are not critical"));
    }
    if constraints
        .path_length
        .is_some_and(|length| usize::from(length) < below)
    {
        return Err(Fault::Rule(
            "its path length does not permit the certificates below it",
        ));
    }
    if certificate
        .key_usage()?
        .is_none_or(|usage| usage & KEY_CERT_SIGN == 0)
    {
        return Err(Fault::Rule("its key usage lacks keyCertSign"));
    }
    Ok(())
}

fn check_purpose(usages: Option<&[&[u8]]>, purpose: &[u8]) -> Result<(), Fault> {
    match usages {
        Some(usages)
            if !usages.contains(&purpose) && !usages.contains(&oid::ANY_EXTENDED_KEY_USAGE) =>
        {
            Err(Fault::Rule(
                "its extended key usage does not permit this purpose",
            ))
        }
        _ => Ok(()),
    }
}

fn check_timestamp_leaf(certificate: &Certificate<'_>) -> Result<(), Fault> {
    if certificate.ca_constraints()?.is_some() {
        return Err(Fault::Rule(
            "a certificate authority's certificate cannot sign timestamps",
        ));
    }
    if certificate
        .key_usage()?
        .is_some_and(|usage| usage & DIGITAL_SIGNATURE == 0)
    {
        return Err(Fault::Rule("its key usage lacks digitalSignature"));
    }
    if certificate.extended_key_usages()?.as_deref() != Some(&[oid::TIME_STAMPING]) {
        return Err(Fault::Rule(
            "its extended key usage must be timeStamping and nothing else",
        ));
    }
    if certificate
        .extension(oid::EXTENDED_KEY_USAGE)
        .is_some_and(|extension| !extension.critical)
    {
        return Err(Fault::Rule("its extended key usage is not critical"));
    }
    Ok(())
}
