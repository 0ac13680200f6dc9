//! The few facts about a CA certificate that a trusted root depends on.

use der::Decode as _;
use x509_cert::Certificate;
use x509_cert::ext::pkix::BasicConstraints;

use super::{DistinguishedName, Timestamp, TrustError};

/// What is known of one certificate of a chain.
pub(super) struct Facts {
    subject: x509_cert::name::Name,
    issuer: x509_cert::name::Name,
    pub(super) is_ca: bool,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Option<Timestamp>,
}

impl Facts {
    pub(super) fn parse(at: &str, der: &[u8]) -> Result<Self, TrustError> {
        let certificate = Certificate::from_der(der).map_err(|e| {
            TrustError::refused(at, format!("not an X.509 certificate in DER: {e}"))
        })?;
        let tbs = certificate.tbs_certificate();
        let is_ca = tbs
            .get_extension::<BasicConstraints>()
            .map_err(|e| TrustError::refused(at, format!("basic constraints: {e}")))?
            .is_some_and(|(_, constraints)| constraints.ca);
        let not_before =
            Timestamp::from_secs(tbs.validity().not_before.to_unix_duration().as_secs())
                .map_err(|e| TrustError::refused(at, format!("notBefore: {e}")))?;
        let not_after =
            Timestamp::from_secs(tbs.validity().not_after.to_unix_duration().as_secs()).ok();
        Ok(Self {
            subject: tbs.subject().clone(),
            issuer: tbs.issuer().clone(),
            is_ca,
            not_before,
            not_after,
        })
    }

    /// Whether this certificate names `issuer` as its issuer.
    pub(super) fn is_issued_by(&self, issuer: &Self) -> bool {
        self.issuer == issuer.subject
    }

    pub(super) fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }

    pub(super) fn subject(&self) -> DistinguishedName {
        let text = |value: der::Result<Option<x509_cert::ext::pkix::name::DirectoryString>>| {
            value
                .ok()
                .flatten()
                .map(|s| s.value().into_owned())
                .unwrap_or_default()
        };
        DistinguishedName {
            organization: text(self.subject.organization()),
            common_name: text(self.subject.common_name()),
        }
    }
}
