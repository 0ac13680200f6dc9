//! Rekor v1: request and answer shapes, entry kinds, canonical bodies.
//!
//! ```text
//! leaf      = canonical body: {"apiVersion":…,"kind":…,"spec":{…}} in RFC 8785 form
//! UUID      = SHA-256(00 ‖ leaf), 64 hex digits
//! entry id  = tree id (16 hex digits) ‖ UUID
//! SET       = signature over {"body":b64(leaf),"integratedTime":s,"logID":hex,"logIndex":n}
//! ```
//!
//! Everything here is pure. A canonical body is printed by a `Serialize` structure whose fields are
//! declared in the order that RFC 8785 sorts them, and which holds strings only: serde_json then
//! prints exactly the canonical form, which the tests compare with an independent implementation.

pub mod alpine;
mod answers;
mod b64;
pub mod cose;
pub mod dsse;
mod entry_id;
pub mod hashedrekord;
pub mod helm;
mod hexadecimal;
pub mod intoto;
pub mod jar;
pub mod listing;
mod package;
pub mod rekord;
mod requests;
pub mod rfc3161;
pub mod rpm;
pub mod tuf;

pub use answers::{
    ApiError, ConsistencyProof, InactiveShard, InclusionProof, LogEntry, LogInfo, print_json,
    signed_entry_payload,
};
pub use b64::{Base64, decode_base64, encode_base64};
pub use entry_id::{EntryId, EntryIdError, EntryRef};
pub use hexadecimal::Hex32;
pub use package::{ProposedKey, ProposedPackage};
pub use requests::{
    MAX_QUERY_ITEMS, Operator, ProposedEntry, PublicKeyFormat, PublicKeyQuery, SearchIndex,
    SearchLogQuery, Text,
};

use serde::{Deserialize, Serialize};

/// A canonical body: what the leaf of an entry is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a, S> {
    api_version: &'a str,
    kind: &'a str,
    spec: S,
}

/// Prints the canonical body of a kind whose `spec` keeps the rule in the module documentation.
fn canonical<S: Serialize>(kind: &str, api_version: &str, spec: S) -> Vec<u8> {
    print_json(&Body {
        api_version,
        kind,
        spec,
    })
}

/// A digest as bodies hold it: `{"algorithm":"sha256","value":"<hex>"}`.
#[derive(Clone, Debug, Serialize)]
pub struct Digest<'a> {
    /// `sha256`, `sha384` or `sha512`.
    pub algorithm: &'a str,
    /// Hexadecimal digits, case as submitted.
    pub value: &'a str,
}

/// A digest as submitted.
#[derive(Clone, Debug, Deserialize)]
pub struct ProposedDigest<'a> {
    /// The algorithm's name.
    #[serde(borrow)]
    pub algorithm: Option<Text<'a>>,
    /// Hexadecimal digits.
    #[serde(borrow)]
    pub value: Option<Text<'a>>,
}
