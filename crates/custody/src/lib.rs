//! Custody of an authority: the keys and certificates that a service signs with, from their making
//! to their succession.
//!
//! An authority is a directory. Nothing in it is overwritten; what changes is one symbolic link.
//!
//! ```text
//! authority.json            purpose, organisation, URL, where the root's key is
//! transcript.txt            what was done, for the auditor
//! root-key.pem              the root's key, if it is a file: to be taken offline
//! 1/key.json                the first generation's key: its URI, public half, when it was made
//! 1/key.pem                 the key itself, if it is a file
//! 1/request.pem             certificate signing request, if the root is elsewhere
//! 1/chain.pem               signing certificate first, root last
//! 1/trust-root-entry.json   what the trust root has to list
//! 2/…                       the successor, prepared before it is needed
//! active -> 1               the generation that signs
//! ```
//!
//! The *signing certificate* is, of a certificate authority, the intermediate that issues; of a
//! timestamp authority, the leaf. Clients find it in the trust root only: bundles carry no chain of
//! it. A successor is therefore made ([`Directory::next`]), published, and only then used
//! ([`Directory::activate`] insists).
//!
//! A service takes its key and chain from a [`Source`] and follows it ([`Current`]): a switch needs no
//! restart, and what is broken changes nothing.

mod ceremony;
pub mod certify;
pub mod cli;
mod directory;
mod draft;
mod error;
mod follow;
mod source;
mod status;
mod succession;
mod transcript;
mod trust;
mod work;

pub use ceremony::{Begin, Made, NewKey, Root};
pub use directory::{Directory, Generation};
pub use error::Error;
pub use follow::{Current, follow};
pub use pki::authority::Purpose;
pub use source::{Material, Source, SourceError, Stamp};
pub use status::{Standing, Status};
pub use transcript::{Transcript, TranscriptError};
