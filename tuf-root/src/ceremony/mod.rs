//! The ceremony: what is carried between the repository and the machines that hold its keys.
//!
//! ```text
//! keyholder  → repository   Claim      a public key, its owner, proof that they hold the key
//! repository → keyholder    Request    what is to be signed, and what it is compared with
//! keyholder  → repository   Answer     one signature
//! ```
//!
//! All three are small JSON files. None is secret, and none is believed: a claim proves its key,
//! a request is rebuilt from the bytes to sign before anybody is asked, an answer is verified when
//! it is imported.

mod claim;
mod request;
mod signer;
mod words;

pub(crate) use claim::checked_owner;
pub use claim::{Claim, ClaimError};
pub use request::{Answer, Content, Proposal, Quorum, QuorumOf, Request, RequestError};
pub use signer::{Limits, Record, RefusalError};
pub(crate) use words::is_trust_document;
pub use words::{lost_anchors, root_changes, targets_changes};
