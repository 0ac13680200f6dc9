//! Remote key backends against the tokens and servers that stand in for the real ones.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at what it does not expect"
)]

#[cfg(feature = "kms-aws")]
mod awskms;
#[cfg(feature = "pkcs11")]
mod pkcs11;
#[cfg(feature = "remote")]
mod process;
mod refusal;
#[cfg(feature = "vault")]
mod transit;
#[cfg(feature = "remote")]
mod wrapped;
