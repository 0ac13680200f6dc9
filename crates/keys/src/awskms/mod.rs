//! Keys in AWS KMS.
//!
//! The digest is sent (`MessageType: DIGEST`), because a message may be longer than the 4096 bytes
//! that KMS hashes itself. An alias is followed once, when the key is opened; from then on the key is
//! named by its ARN, and every signature is verified under the public key of that moment.

mod uri;

#[cfg(feature = "kms-aws")]
mod client;
#[cfg(feature = "kms-aws")]
mod error;
#[cfg(feature = "kms-aws")]
pub(crate) mod kek;
#[cfg(feature = "kms-aws")]
mod signer;

pub use uri::AwsKmsUri;

#[cfg(feature = "kms-aws")]
pub use error::AwsKmsError;
#[cfg(feature = "kms-aws")]
pub use signer::AwsKmsSigner;
