//! What the log accepts.
//!
//! The chain must lead, in the order submitted, to one of the log's roots, which may be left out.
//! Path lengths, name constraints and, unless configured, expiry are not judged: a log records
//! what a certificate authority did, also when that was wrong.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use pki::certificate::{Certificate, CertificateError};
use pki::precert::{self, PrecertError};
use pki::sct::{CtEntry, SctError};

use super::format::Pending;
use super::log::Kind;

/// Most certificates in a submission.
pub(super) const MAX_CHAIN: usize = 10;

/// Pairs of certificate and issuer whose signature is remembered. There are as many as there are
/// intermediates under the log's roots.
const REMEMBERED: usize = 256;

/// What a log accepts.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Refuses certificates that have expired.
    pub reject_expired: bool,
    /// Refuses certificates that end before this time.
    pub not_after_start: Option<SystemTime>,
    /// Refuses certificates that end at or after this time.
    pub not_after_limit: Option<SystemTime>,
    /// Refuses certificates that are valid for longer.
    pub longest_validity: Option<Duration>,
}

/// Why a chain was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RejectedChain {
    /// There must be 1 to 10 certificates.
    #[error("the chain must have 1 to {MAX_CHAIN} certificates")]
    Length,
    /// A certificate cannot be parsed, or is not signed by the next one.
    #[error("certificate {position} of the chain: {error}")]
    Certificate {
        /// 0 for the submitted certificate.
        position: usize,
        /// What is wrong.
        error: CertificateError,
    },
    /// An issuer is not a CA.
    #[error("certificate {position} of the chain is not a certificate authority's")]
    NotAuthority {
        /// Position in the chain.
        position: usize,
    },
    /// The chain ends below nothing that the log accepts.
    #[error("the chain does not lead to a root that this log accepts")]
    UnknownRoot,
    /// The certificate is not for code signing.
    #[error("the certificate lacks the extended key usage codeSigning")]
    Purpose,
    /// Outside of the policy's times.
    #[error("{0}")]
    Time(&'static str),
    /// The poison is wrong, or the call is.
    #[error("{0}")]
    Precertificate(&'static str),
    /// The precertificate is malformed.
    #[error(transparent)]
    Tbs(#[from] PrecertError),
    /// Too long for an entry.
    #[error(transparent)]
    Entry(#[from] SctError),
}

/// A chain that was accepted.
#[derive(Clone, Debug)]
pub struct Submission {
    pub(super) pending: Pending,
}

/// A root that the log accepts.
#[derive(Debug)]
struct Root {
    der: Vec<u8>,
    subject: Vec<u8>,
}

/// Judges chains.
#[derive(Debug)]
pub(super) struct Judge {
    roots: Vec<Root>,
    policy: Policy,
    /// Digests of pairs (certificate, issuer) above a leaf whose signature was verified: every
    /// submission brings the same few.
    verified: Mutex<HashSet<[u8; 32]>>,
}

impl Judge {
    /// Accepts chains to these roots (DER), of which there must be one at least.
    pub(super) fn new(roots: Vec<Vec<u8>>, policy: Policy) -> Result<Self, RejectedChain> {
        let mut accepted: Vec<Root> = Vec::new();
        for (position, der) in roots.into_iter().enumerate() {
            let certificate = parse(position, &der)?;
            if ca(position, &certificate).is_err() {
                return Err(RejectedChain::NotAuthority { position });
            }
            certificate
                .public_key()
                .map_err(|error| RejectedChain::Certificate { position, error })?;
            let subject = certificate.subject().to_vec();
            if accepted.iter().all(|root| root.der != der) {
                accepted.push(Root { der, subject });
            }
        }
        if accepted.is_empty() {
            return Err(RejectedChain::UnknownRoot);
        }
        Ok(Self {
            roots: accepted,
            policy,
            verified: Mutex::default(),
        })
    }

    /// DER of the accepted roots.
    pub(super) fn roots(&self) -> impl Iterator<Item = &[u8]> {
        self.roots.iter().map(|root| root.der.as_slice())
    }

    /// Judges a chain (DER, submitted certificate first) at `now`.
    pub(super) fn judge(
        &self,
        chain: &[Vec<u8>],
        kind: Kind,
        now: SystemTime,
    ) -> Result<Submission, RejectedChain> {
        let (Some((submitted, issuers)), 1..=MAX_CHAIN) = (chain.split_first(), chain.len()) else {
            return Err(RejectedChain::Length);
        };
        let leaf = parse(0, submitted)?;
        self.check_leaf(&leaf, now)?;
        let mut path = Vec::with_capacity(chain.len());
        for (position, der) in (1..).zip(issuers) {
            let issuer = parse(position, der)?;
            ca(position, &issuer)?;
            path.push((der.as_slice(), issuer));
        }
        if let Some(root) = self.missing_root(
            path.last()
                .map_or((submitted, &leaf), |(der, last)| (*der, last)),
        )? {
            path.push((&root.der, parse(chain.len(), &root.der)?));
        }
        let (mut der, mut certificate) = (submitted.as_slice(), &leaf);
        for (position, (issuer_der, issuer)) in path.iter().enumerate() {
            self.check_issued(position, (der, certificate), (issuer_der, issuer))?;
            (der, certificate) = (issuer_der, issuer);
        }

        let issuer = path.first().map(|(_, issuer)| issuer);
        let issuers: Vec<&[u8]> = path.iter().map(|(der, _)| *der).collect();
        let pending = match (kind, precert::is_precertificate(submitted)?, issuer) {
            (Kind::Certificate, false, _) => {
                Pending::new(submitted, CtEntry::X509(submitted), &issuers)?
            }
            (Kind::Precertificate, true, Some(issuer)) => {
                let signer = issuer.is_precertificate_signer();
                if signer.map_err(|error| RejectedChain::Certificate { position: 1, error })? {
                    return Err(RejectedChain::Precertificate(
                        "precertificate signing certificates are not accepted",
                    ));
                }
                let tbs = precert::tbs_without_poison(submitted)?;
                let issuer_key_hash = crypto::sha256(issuer.spki());
                Pending::new(
                    submitted,
                    CtEntry::Precert {
                        issuer_key_hash,
                        tbs: &tbs,
                    },
                    &issuers,
                )?
            }
            (Kind::Certificate, true, _) => {
                return Err(RejectedChain::Precertificate(
                    "a precertificate belongs to add-pre-chain",
                ));
            }
            (Kind::Precertificate, ..) => {
                return Err(RejectedChain::Precertificate(
                    "a certificate belongs to add-chain",
                ));
            }
        };
        Ok(Submission { pending })
    }

    fn check_leaf(&self, leaf: &Certificate<'_>, now: SystemTime) -> Result<(), RejectedChain> {
        let for_code_signing = leaf.is_for_code_signing();
        if !for_code_signing.map_err(|error| RejectedChain::Certificate { position: 0, error })? {
            return Err(RejectedChain::Purpose);
        }
        let Policy {
            reject_expired,
            not_after_start,
            not_after_limit,
            longest_validity,
        } = &self.policy;
        let until = leaf.not_after();
        if not_after_start.is_some_and(|start| until < start)
            || not_after_limit.is_some_and(|limit| until >= limit)
        {
            return Err(RejectedChain::Time(
                "the certificate ends outside of this log's period",
            ));
        }
        if *reject_expired && until < now {
            return Err(RejectedChain::Time("the certificate has expired"));
        }
        // An end before the start is no duration, and accepted: it harms nobody.
        let validity = until.duration_since(leaf.not_before()).unwrap_or_default();
        if longest_validity.is_some_and(|longest| validity > longest) {
            return Err(RejectedChain::Time("the certificate is valid for too long"));
        }
        Ok(())
    }

    /// The root above the last certificate submitted, unless that is a root itself.
    fn missing_root(
        &self,
        (der, last): (&[u8], &Certificate<'_>),
    ) -> Result<Option<&Root>, RejectedChain> {
        if self.roots().any(|root| root == der) {
            return Ok(None);
        }
        // Several roots may have one name: a renewed root, or a new key.
        let signed_by = |root: &&Root| {
            root.subject == last.issuer()
                && Certificate::from_der(&root.der)
                    .is_ok_and(|issuer| self.is_issued((der, last), (&root.der, &issuer)).is_ok())
        };
        self.roots
            .iter()
            .find(signed_by)
            .map(Some)
            .ok_or(RejectedChain::UnknownRoot)
    }

    fn check_issued(
        &self,
        position: usize,
        certificate: (&[u8], &Certificate<'_>),
        issuer: (&[u8], &Certificate<'_>),
    ) -> Result<(), RejectedChain> {
        if position == 0 {
            certificate.1.check_issued_by(issuer.1)
        } else {
            self.is_issued(certificate, issuer)
        }
        .map_err(|error| RejectedChain::Certificate { position, error })
    }

    /// As [`Certificate::check_issued_by`], but remembers.
    fn is_issued(
        &self,
        (der, certificate): (&[u8], &Certificate<'_>),
        (issuer_der, issuer): (&[u8], &Certificate<'_>),
    ) -> Result<(), CertificateError> {
        let pair = crypto::sha256(&[crypto::sha256(der), crypto::sha256(issuer_der)].concat());
        if self
            .verified
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&pair)
        {
            return Ok(());
        }
        certificate.check_issued_by(issuer)?;
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if verified.len() >= REMEMBERED {
            verified.clear();
        }
        verified.insert(pair);
        Ok(())
    }
}

fn parse(position: usize, der: &[u8]) -> Result<Certificate<'_>, RejectedChain> {
    Certificate::from_der(der).map_err(|error| RejectedChain::Certificate { position, error })
}

/// Otherwise whoever has a leaf could fill the log.
fn ca(position: usize, certificate: &Certificate<'_>) -> Result<(), RejectedChain> {
    match certificate.ca_constraints() {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(RejectedChain::NotAuthority { position }),
        Err(error) => Err(RejectedChain::Certificate { position, error }),
    }
}
