//! Certificates of the hierarchy: roots, issuing intermediates, timestamping leaves.

use std::time::SystemTime;

use crate::Unsigned;
use crate::name::Subject;

/// What a hierarchy's leaves are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Fulcio: extended key usage `codeSigning`.
    CodeSigning,
    /// Timestamp authority: extended key usage `timeStamping`.
    TimeStamping,
}

/// A certificate's place in the hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Trust anchor.
    Root,
    /// Issues leaves of one purpose; path length 0.
    Intermediate {
        /// Purpose of its leaves.
        purpose: Purpose,
    },
    /// The certificate that a timestamp authority signs with.
    TimestampLeaf,
}

/// What to put into a hierarchy certificate. Its serial number is random.
#[derive(Clone, Debug)]
pub struct Template {
    /// Place in the hierarchy.
    pub role: Role,
    /// Subject.
    pub subject: Subject,
    /// Start of validity; truncated to whole seconds.
    pub not_before: SystemTime,
    /// End of validity (inclusive); truncated to whole seconds.
    pub not_after: SystemTime,
}

/// Who signs a hierarchy certificate.
#[derive(Clone, Copy, Debug)]
pub enum Issuer<'a> {
    /// The certificate's own key.
    SelfSigned,
    /// The key of this DER certificate.
    Certificate(&'a [u8]),
}

/// Why a hierarchy certificate was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// The template contradicts itself or its issuer.
    #[error("{0}")]
    Template(&'static str),
}

/// Builds a hierarchy certificate for `subject_key`, to be signed by the issuer's key
/// (P-256 with SHA-256, P-384 with SHA-384).
pub fn prepare(
    _template: &Template,
    _subject_key: &crypto::PublicKey,
    _issuer: Issuer<'_>,
) -> Result<Unsigned, AuthorityError> {
    unimplemented!()
}
