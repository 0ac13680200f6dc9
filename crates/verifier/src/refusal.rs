//! Why a bundle does not verify.

use wire::trust::{TimeRange, Timestamp};

/// Why a bundle does not verify under a trusted root. Each names what a person would look for in
/// that trusted root.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No log entry, though there are logs.
    #[error("it has no entry of a transparency log")]
    NoEntry,
    /// Nothing that says when it was signed.
    #[error("nothing that can be verified says when it was signed")]
    NoTime,
    /// The log is not there.
    #[error("the transparency log with id {0} is not in the trusted root")]
    UnknownLog(String),
    /// The log was not in use then.
    #[error("the transparency log with id {id} is trusted {}, but the entry is from {at}", period(.range))]
    LogPeriod {
        /// The log id.
        id: String,
        /// When it is trusted.
        range: TimeRange,
        /// When the entry was made.
        at: Timestamp,
    },
    /// The entry itself.
    #[error("the log entry {index} {reason}")]
    Entry {
        /// Its index.
        index: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// No authority issued the certificate.
    #[error("no certificate authority of the trusted root issued the certificate")]
    UnknownAuthority,
    /// The authority did not issue then.
    #[error("the certificate authority is trusted {}, but the signature is from {at}", period(.range))]
    AuthorityPeriod {
        /// When it is trusted.
        range: TimeRange,
        /// When was signed.
        at: Timestamp,
    },
    /// The certificate itself.
    #[error("the certificate {0}")]
    Certificate(String),
    /// No trusted log saw the certificate.
    #[error("no Certificate Transparency log of the trusted root vouches for the certificate: {0}")]
    Sct(String),
    /// No authority made the timestamp.
    #[error("no timestamp authority of the trusted root made the timestamp of {0}")]
    UnknownTimestampAuthority(Timestamp),
    /// The authority was not in use then.
    #[error("the timestamp authority is trusted {}, but the timestamp is of {at}", period(.range))]
    TimestampPeriod {
        /// When it is trusted.
        range: TimeRange,
        /// The timestamp's time.
        at: Timestamp,
    },
    /// The timestamp itself.
    #[error("the timestamp {0}")]
    Timestamp(String),
    /// The signature.
    #[error("the signature {0}")]
    Signature(String),
}

fn period(range: &TimeRange) -> String {
    match range.end {
        Some(end) => format!("from {} to {end}", range.start),
        None => format!("from {}", range.start),
    }
}
