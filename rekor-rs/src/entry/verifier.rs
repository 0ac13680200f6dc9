//! What signatures are verified with: a public key, a certificate, or a chain of certificates.

use crypto::{KeyError, PublicKey};
use der::asn1::{Any, ObjectIdentifier, OctetString, Utf8StringRef};
use der::{Decode, Encode};
use x509_cert::Certificate;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::chain::{self, ChainError};
use crate::pem;

/// Most certificates in a chain.
const MAX_CHAIN: usize = 10;

/// Longest PEM text that is looked at, in bytes: ten certificates of 16 KiB with room to spare.
const MAX_PEM: usize = 256 * 1024;

/// Most names of a certificate that become search terms.
const MAX_SUBJECTS: usize = 1024;

/// Names without an assigned form that a Sigstore authority certifies (a Fulcio `OtherName`).
const FULCIO_OTHER_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.7");

/// The OIDC issuer that an identity in a certificate comes from (Fulcio's extensions).
const ISSUER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.8");

/// The same as it was first written: the bare text, no DER.
const ISSUER_V1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.1");

/// A public key with, if it came in a certificate, what the certificate says of its owner.
#[derive(Clone, Debug)]
pub struct Verifier {
    key: PublicKey,
    canonical: String,
    subjects: Vec<String>,
    issuer: Option<String>,
    chain: Vec<Vec<u8>>,
}

/// Why a PEM text is not a usable key, certificate or chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifierError {
    /// No PEM block.
    #[error("invalid public key: failure decoding PEM")]
    NotPem,
    /// A PEM block of another sort.
    #[error("invalid public key: cannot handle type {0}")]
    Label(String),
    /// A key that cannot be used.
    #[error("invalid public key: {0}")]
    Key(#[from] KeyError),
    /// A certificate that cannot be read.
    #[error("x509: malformed certificate: {0}")]
    Certificate(String),
    /// More than ten certificates, or a text too long to hold ten.
    #[error("too many certificates specified in PEM block")]
    TooMany,
    /// The certificates are not a chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

impl Verifier {
    /// Parses PEM: one `PUBLIC KEY`, one `CERTIFICATE`, or several certificates, leaf first.
    ///
    /// A chain's signatures are not verified here: see [`Self::verify_chain`].
    pub fn parse(bytes: &[u8]) -> Result<Self, VerifierError> {
        if bytes.len() > MAX_PEM {
            return Err(VerifierError::TooMany);
        }
        let text = pem::text(bytes);
        let (block, mut rest) = pem::first_block(text.trim()).ok_or(VerifierError::NotPem)?;
        if rest.is_empty() {
            return match block.label {
                "PUBLIC KEY" => Self::from_key(&block.der),
                "CERTIFICATE" => Self::from_chain(vec![block.der]),
                label => Err(VerifierError::Label(label.to_owned())),
            };
        }
        let mut chain = vec![block.der];
        while !rest.is_empty() {
            if chain.len() == MAX_CHAIN {
                return Err(VerifierError::TooMany);
            }
            let (block, after) = pem::first_block(rest).ok_or(VerifierError::NotPem)?;
            chain.push(block.der);
            rest = after;
        }
        Self::from_chain(chain)
    }

    fn from_key(spki: &[u8]) -> Result<Self, VerifierError> {
        let key = PublicKey::from_spki_der(spki)?;
        let canonical = pem::print("PUBLIC KEY", key.spki_der());
        Ok(Self {
            key,
            canonical,
            subjects: Vec::new(),
            issuer: None,
            chain: Vec::new(),
        })
    }

    fn from_chain(chain: Vec<Vec<u8>>) -> Result<Self, VerifierError> {
        let malformed = |error: der::Error| VerifierError::Certificate(error.to_string());
        let leaf = chain.first().ok_or(VerifierError::NotPem)?;
        let certificate = Certificate::from_der(leaf).map_err(malformed)?;
        for other in chain.iter().skip(1) {
            Certificate::from_der(other).map_err(malformed)?;
        }
        Ok(Self {
            key: PublicKey::from_certificate_der(leaf)?,
            canonical: chain
                .iter()
                .map(|der| pem::print("CERTIFICATE", der))
                .collect(),
            subjects: subjects(&certificate),
            issuer: issuer(&certificate),
            chain,
        })
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The PEM in the one form that bodies and search terms use.
    #[must_use]
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// Subject alternative names of the leaf certificate.
    #[must_use]
    pub fn subjects(&self) -> &[String] {
        &self.subjects
    }

    /// The OIDC issuer that the leaf certificate names.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// The certificates, DER, leaf first; none if there is a bare key.
    #[must_use]
    pub fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// Verifies, where there are several certificates, that they lead from the first to the last
    /// at the time when the first began to be valid. One certificate alone is taken as it is.
    pub fn verify_chain(&self) -> Result<(), ChainError> {
        match self.chain.len() {
            0 | 1 => Ok(()),
            _ => chain::verify(&self.chain),
        }
    }
}

/// All subject alternative names that have a text. A malformed extension has none.
fn subjects(certificate: &Certificate) -> Vec<String> {
    let names = match certificate
        .tbs_certificate()
        .get_extension::<SubjectAltName>()
    {
        Ok(Some((_, SubjectAltName(names)))) => names,
        _ => return Vec::new(),
    };
    names
        .iter()
        .filter_map(subject)
        .filter(|subject| !subject.is_empty())
        .take(MAX_SUBJECTS)
        .collect()
}

/// Subject alternative names of a certificate; none if it cannot be read.
pub(crate) fn subjects_of(der: &[u8]) -> Vec<String> {
    Certificate::from_der(der).map_or_else(|_| Vec::new(), |certificate| subjects(&certificate))
}

/// The OIDC issuer of a Sigstore certificate. A malformed extension has none.
fn issuer(certificate: &Certificate) -> Option<String> {
    let extensions = certificate.tbs_certificate().extensions()?;
    let value = |oid: ObjectIdentifier| {
        let found = extensions
            .iter()
            .find(|extension| extension.extn_id == oid)?;
        Some(found.extn_value.as_bytes())
    };
    let text = match (value(ISSUER), value(ISSUER_V1)) {
        (Some(der), _) => Utf8StringRef::from_der(der).ok()?.as_str(),
        (None, Some(bare)) => std::str::from_utf8(bare).ok()?,
        (None, None) => return None,
    };
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

fn subject(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name)
        | GeneralName::Rfc822Name(name)
        | GeneralName::UniformResourceIdentifier(name) => Some(name.as_str().to_owned()),
        GeneralName::IpAddress(address) => ip_address(address),
        GeneralName::OtherName(other) if other.type_id == FULCIO_OTHER_NAME => {
            other_name(&other.value)
        }
        _ => None,
    }
}

fn ip_address(address: &OctetString) -> Option<String> {
    let bytes = address.as_bytes();
    let ip = match (<[u8; 4]>::try_from(bytes), <[u8; 16]>::try_from(bytes)) {
        (Ok(v4), _) => std::net::IpAddr::from(v4),
        (_, Ok(v6)) => std::net::IpAddr::from(v6).to_canonical(),
        _ => return None,
    };
    Some(ip.to_string())
}

fn other_name(value: &Any) -> Option<String> {
    let der = value.to_der().ok()?;
    Utf8StringRef::from_der(&der)
        .ok()
        .map(|text| text.as_str().to_owned())
}
