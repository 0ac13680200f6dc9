//! Digests, public keys and signature verification.
//!
//! One place decides which keys are understood and how a signature is checked; what a given
//! protocol *permits* (key sizes, hash pairings) is the protocol's own policy, built from
//! [`KeyKind`] and [`HashAlgorithm`].

mod curve;
mod digest;
mod ed25519ph;
mod key;
mod rsa;
mod strength;
mod verify;

pub use digest::{Digest, HashAlgorithm, Hasher, sha256, sha256_concat};
pub use key::{KeyError, KeyKind, PublicKey};
pub use strength::{WeakKey, check_strength};
pub use verify::VerifyError;
