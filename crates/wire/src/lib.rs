//! Sigstore's messages: the JSON that its services and clients exchange. Pure: no I/O, no clock.

pub mod bundle;
pub mod rekor;
pub mod trust;
