//! Certificate chains that submitters supply with their signatures (RFC 5280 section 6, reduced).
//!
//! The last certificate is the anchor only because the submitter put it last, so this proves that
//! the chain is one, not that anybody should trust it; clients decide that. Hence no revocation,
//! name constraints, policies or key purposes.

use std::time::Duration;

use crypto::{HashAlgorithm, PublicKey};
use der::asn1::ObjectIdentifier;
use der::{Decode, Encode};
use x509_cert::Certificate;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};

/// Most signatures that are verified for one chain.
const MAX_SIGNATURES: usize = 100;

/// Why certificates are not a chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// No path from the first to the last certificate.
    #[error("x509: certificate signed by unknown authority")]
    NoPath,
    /// A certificate cannot be read.
    #[error("x509: malformed certificate")]
    Malformed,
}

#[derive(Clone, Debug)]
struct Link {
    der: Vec<u8>,
    certificate: Certificate,
}

/// Certificates that are trusted, whatever a submitter supplies.
#[derive(Clone, Debug)]
pub(crate) struct Anchors(Vec<Link>);

impl Anchors {
    /// Certificates, all of which can be read.
    pub(crate) fn new(certificates: Vec<Vec<u8>>) -> Result<Self, ChainError> {
        links(&certificates).map(Self)
    }

    /// Verifies that a path leads from the first certificate, over any of the others and of the
    /// anchors, to one of the anchors, at the time when the first began to be valid.
    pub(crate) fn verify(&self, chain: &[Vec<u8>]) -> Result<(), ChainError> {
        let links = links(chain)?;
        let (leaf, others) = links.split_first().ok_or(ChainError::NoPath)?;
        let issuers: Vec<&Link> = others.iter().chain(&self.0).collect();
        Search::new(leaf, issuers, self.0.iter().collect()).run(leaf)
    }
}

fn links(chain: &[Vec<u8>]) -> Result<Vec<Link>, ChainError> {
    let link = |der: &Vec<u8>| {
        let certificate = Certificate::from_der(der).map_err(|_| ChainError::Malformed)?;
        Ok(Link {
            der: der.clone(),
            certificate,
        })
    };
    chain.iter().map(link).collect()
}

/// Verifies that a path leads from the first certificate over any of those between, in any order,
/// to the last, at the time when the first began to be valid.
pub(super) fn verify(chain: &[Vec<u8>]) -> Result<(), ChainError> {
    let links = links(chain)?;
    let (Some((leaf, issuers)), Some(anchor)) = (links.split_first(), links.last()) else {
        return Err(ChainError::NoPath);
    };
    Search::new(leaf, issuers.iter().collect(), vec![anchor]).run(leaf)
}

struct Search<'a> {
    issuers: Vec<&'a Link>,
    anchors: Vec<&'a Link>,
    at: Duration,
    used: Vec<bool>,
    budget: usize,
}

impl<'a> Search<'a> {
    fn new(leaf: &Link, issuers: Vec<&'a Link>, anchors: Vec<&'a Link>) -> Self {
        let validity = leaf.certificate.tbs_certificate().validity();
        Self {
            at: validity.not_before.to_unix_duration(),
            used: vec![false; issuers.len()],
            budget: MAX_SIGNATURES,
            issuers,
            anchors,
        }
    }

    fn run(mut self, leaf: &Link) -> Result<(), ChainError> {
        match self.reaches_anchor(leaf, 0) {
            true => Ok(()),
            false => Err(ChainError::NoPath),
        }
    }

    /// Depth first; `below` counts the certificates of authorities under `link`.
    fn reaches_anchor(&mut self, link: &Link, below: u8) -> bool {
        if self.anchors.iter().any(|anchor| anchor.der == link.der) {
            return true;
        }
        for place in 0..self.issuers.len() {
            let Some(issuer) = self.issuers.get(place).copied() else {
                return false;
            };
            if self.used.get(place).is_none_or(|used| *used) || !self.may_issue(issuer, link, below)
            {
                continue;
            }
            let Some(left) = self.budget.checked_sub(1) else {
                return false;
            };
            self.budget = left;
            if !is_signed_by(link, issuer) {
                continue;
            }
            if let Some(used) = self.used.get_mut(place) {
                *used = true;
            }
            if self.reaches_anchor(issuer, below.saturating_add(1)) {
                return true;
            }
            if let Some(used) = self.used.get_mut(place) {
                *used = false;
            }
        }
        false
    }

    fn may_issue(&self, issuer: &Link, subject: &Link, below: u8) -> bool {
        let tbs = issuer.certificate.tbs_certificate();
        let validity = tbs.validity();
        let valid = (validity.not_before.to_unix_duration()
            ..=validity.not_after.to_unix_duration())
            .contains(&self.at);
        let authority = match tbs.get_extension::<BasicConstraints>() {
            Ok(Some((_, constraints))) => {
                constraints.ca
                    && constraints
                        .path_len_constraint
                        .is_none_or(|most| below <= most)
            }
            _ => false,
        };
        let may_sign = match tbs.get_extension::<KeyUsage>() {
            Ok(Some((_, usage))) => usage.key_cert_sign(),
            Ok(None) => true,
            Err(_) => false,
        };
        valid
            && authority
            && may_sign
            && subject.certificate.tbs_certificate().issuer() == tbs.subject()
    }
}

fn is_signed_by(subject: &Link, issuer: &Link) -> bool {
    let hash = match subject.certificate.signature_algorithm().oid {
        ECDSA_SHA256 | RSA_SHA256 => HashAlgorithm::Sha256,
        ECDSA_SHA384 | RSA_SHA384 => HashAlgorithm::Sha384,
        ECDSA_SHA512 | RSA_SHA512 => HashAlgorithm::Sha512,
        // The hash is part of the algorithm, and this one is not used.
        ED25519 => HashAlgorithm::Sha512,
        _ => return false,
    };
    // RFC 5280 section 4.1.1.2: both places name the same algorithm.
    if subject.certificate.signature_algorithm()
        != subject.certificate.tbs_certificate().signature()
    {
        return false;
    }
    let (Ok(key), Ok(tbs), Some(signature)) = (
        PublicKey::from_certificate_der(&issuer.der),
        subject.certificate.tbs_certificate().to_der(),
        subject.certificate.signature().as_bytes(),
    ) else {
        return false;
    };
    key.verify(hash, &tbs, signature).is_ok()
}

const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ECDSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const RSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const RSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
