//! Precertificates (RFC 6962 section 3.1) by splicing DER.

/// Why a TBSCertificate could not be rebuilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PrecertError(pub &'static str);

/// The TBSCertificate of a precertificate without its poison extension. All other bytes stay.
/// Refuses certificates without a poison, or with several, or with a wrong one.
pub fn tbs_without_poison(_der: &[u8]) -> Result<Vec<u8>, PrecertError> {
    unimplemented!()
}

/// The TBSCertificate of a certificate without its SCT list extension. All other bytes stay.
/// Refuses certificates without one or with several.
pub fn tbs_without_sct_list(_der: &[u8]) -> Result<Vec<u8>, PrecertError> {
    unimplemented!()
}

/// Whether a certificate carries a poison extension. Refuses a wrong poison (not critical, not
/// NULL, several).
pub fn is_precertificate(_der: &[u8]) -> Result<bool, PrecertError> {
    unimplemented!()
}
