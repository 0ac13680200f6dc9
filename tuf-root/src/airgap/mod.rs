//! Air gap: a trust root that is carried into a network that nobody reaches from outside.
//!
//! ```text
//! centre    bundle create   one archive: the published tree, checksums, a signature
//! enclave   bundle apply    verifies all of it, as a client and more, and publishes it
//! enclave   bundle refresh  signs snapshot and timestamp with the enclave's own online key
//! ```
//!
//! Root and targets come from outside only. Snapshot and timestamp, which must be signed often,
//! are the enclave's own: its online key stands in both roles beside the centre's, with a threshold
//! of one. So each side counts its own versions, and a client stays with one mirror.

mod archive;
mod bundle;
mod disk;
mod enclave;
mod tree;

pub use archive::{ArchiveError, MAX_ARCHIVE, pack, pack_gzip, unpack};
pub use bundle::{Bundle, BundleError, Manifest, RoleFacts};
pub use enclave::{Applied, Enclave, EnclaveError, Setup};
pub use tree::Tree;

#[cfg(test)]
mod tests;
