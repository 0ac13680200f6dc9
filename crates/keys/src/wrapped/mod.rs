//! Private keys in files, encrypted under a key that never leaves an HSM, a KMS or a transit engine.
//!
//! The file is JSON:
//!
//! ```text
//! {
//!   "format": "sigkeep-wrapped-key-v1",
//!   "context": "fulcio intermediate 2026",          what the key is for; may be empty
//!   "public_key": "-----BEGIN PUBLIC KEY-----…",
//!   "data_key": "<base64>",                          32 bytes, encrypted by the key-encryption key
//!   "private_key": "<base64>"                        nonce ‖ AES-256-GCM(data key, PKCS#8)
//! }
//! ```
//!
//! Both encryptions authenticate the *binding*, SHA-256 over `format`, `context` and the DER public
//! key, each preceded by its length in 8 big-endian bytes. The key-encryption key therefore does not
//! open the file for another purpose, and no field can be exchanged for another file's.
//!
//! The file is opened once, with one remote call; from then on the key is in memory and costs no
//! call. A stolen disk holds nothing; a stolen process does.

mod uri;

#[cfg(feature = "remote")]
mod envelope;
#[cfg(feature = "remote")]
mod kek;
#[cfg(feature = "remote")]
mod signer;

pub use uri::WrappedUri;

#[cfg(feature = "remote")]
pub use kek::KekError;
#[cfg(feature = "remote")]
pub use signer::WrappedKeyError;
#[cfg(feature = "remote")]
pub(crate) use signer::{create, open};
