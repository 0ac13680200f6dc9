//! Keys on PKCS#11 tokens: HSMs, smart cards, SoftHSM.
//!
//! A PKCS#11 module is a C library that blocks, so each key has threads of its own with one session
//! each (`pool`). A session is found, logged in and compared with the pinned public key whenever it
//! is (re)opened (`session`), so that a token may be unplugged and come back without a restart.
//!
//! ECDSA messages are hashed here and signed with `CKM_ECDSA`: SoftHSM and many HSMs have no
//! `CKM_ECDSA_SHA256`. The raw `r‖s` becomes ASN.1 DER, and is verified before it is released.

mod uri;

#[cfg(feature = "pkcs11")]
mod attributes;
#[cfg(feature = "pkcs11")]
mod config;
#[cfg(feature = "pkcs11")]
mod error;
#[cfg(feature = "pkcs11")]
mod generate;
#[cfg(feature = "pkcs11")]
pub(crate) mod kek;
#[cfg(feature = "pkcs11")]
mod module;
#[cfg(feature = "pkcs11")]
mod pool;
#[cfg(feature = "pkcs11")]
mod session;
#[cfg(feature = "pkcs11")]
mod signer;

pub use uri::Pkcs11Uri;

#[cfg(feature = "pkcs11")]
pub use error::Pkcs11Error;
#[cfg(feature = "pkcs11")]
pub use signer::Pkcs11Signer;
