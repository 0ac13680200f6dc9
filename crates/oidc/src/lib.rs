//! Identity tokens of OpenID Connect providers: taking one apart, checking its audience and times,
//! and verifying its signature under the provider's keys.
//!
//! ```text
//! token       the compact form, before anything in it is believed
//! claims      what a token says; claim_path, a claim inside of others
//! conditions  which claims a rule asks for; pattern, what their texts must match
//! discovery   a provider's metadata and keys, fetched within bounds
//! provider    both, cached; pinned, keys from a file instead
//! jwks        the keys and signatures under them
//! ```
//!
//! What a token's bearer may do is up to the caller, and so is the order of the checks: audience
//! and times first, so that a token that would be refused anyway costs its provider no request.

mod claim_path;
mod claims;
mod conditions;
mod discovery;
mod jwks;
mod pattern;
mod pinned;
mod provider;
mod token;

pub use claim_path::ClaimPath;
pub use claims::{Claims, scalar, shown};
pub use conditions::Conditions;
pub use discovery::{
    Credentials, FetchError, Fetcher, client as http_client, describe, fetchable, is_loopback,
};
pub use pattern::Patterns;
pub use pinned::PinnedKeys;
pub use provider::{Provider, Refresh};
pub use token::{
    Claimed, Header, NOT_BEFORE_LEEWAY_S, Parts, Unverified, asymmetric, check_audience,
    check_times, claimed,
};

/// Why a token was not accepted. The text is for operators; it never contains the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// There is none.
    #[error("no token")]
    Absent,
    /// Not a signed token in compact form.
    #[error("malformed token: {0}")]
    Malformed(&'static str),
    /// Not an algorithm that the provider signs with.
    #[error("the token's signature algorithm is not one that its provider advertises")]
    Algorithm,
    /// No issuer in the configuration matches.
    #[error("the token's issuer is not configured")]
    UnknownIssuer,
    /// For somebody else.
    #[error("the token's audience does not contain {expected:?}")]
    Audience {
        /// The configured client id.
        expected: String,
    },
    /// `exp` is past.
    #[error("the token has expired")]
    Expired,
    /// `nbf` is more than five minutes ahead.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// No key of the provider made the signature.
    #[error("the token's signature does not verify under its provider's keys")]
    Signature,
    /// A claim does not say what the issuer's type requires.
    #[error("claim {name:?} {reason}")]
    Claim {
        /// The claim.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The provider's metadata or keys cannot be had.
    #[error("the provider cannot be asked: {0}")]
    Provider(#[from] FetchError),
}
