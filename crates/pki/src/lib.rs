//! X.509 and CMS profiles of a private Sigstore.
//!
//! * [`authority`]: the certificates of the hierarchy (root, intermediate, timestamping leaf);
//! * [`leaf`]: the code-signing certificates that Fulcio issues, as precertificate and as final
//!   certificate;
//! * [`precert`] and [`sct`]: certificate transparency (RFC 6962);
//! * [`rfc3161`]: timestamp requests and tokens;
//! * [`chain`]: certificate chains and the checks that a service makes of its own at start.
//!
//! Everything that is signed is made in two steps, because the key may be remote: build the bytes
//! to be signed ([`Unsigned::tbs`]), sign them elsewhere, assemble ([`Unsigned::finish`]).
//! Pure: no I/O, no clock.

pub mod authority;
pub mod certificate;
mod certified;
pub mod chain;
pub mod cms;
mod key_identifier;
pub mod leaf;
pub mod name;
mod oid;
pub mod precert;
pub mod rfc3161;
pub mod sct;
mod serial;
mod tlv;
mod unsigned;

pub use serial::{NoRandomness, Serial};
pub use unsigned::{SignatureForm, Unsigned};
