//! Answers of the listing, which is this log's own: `docs/listing.md`. Members are declared in
//! alphabetical order, which is how they are printed.

use serde::{Deserialize, Serialize};

/// One page of entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The entries, in the order asked for.
    pub entries: Vec<ListedEntry>,
    /// Whether there are others, or may be: a page can be empty and not the last.
    pub more: bool,
    /// Where to go on. Oldest first there is always a next page, for entries still to come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What an entry says, without proofs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedEntry {
    /// Version of the kind's schema.
    pub api_version: String,
    /// Base64 of the canonical body, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Path of the entry with its inclusion proof, checkpoint and signed timestamp.
    pub entry: String,
    /// Digests of what was signed, as `algorithm:digits`.
    pub hashes: Vec<String>,
    /// When it was sequenced, in whole seconds since the Unix epoch.
    pub integrated_time: u64,
    /// Kind of entry.
    pub kind: String,
    /// Index over all shards.
    pub log_index: u64,
    /// Who signed.
    pub signers: Vec<ListedSigner>,
    /// The shard, decimal.
    #[serde(rename = "treeID")]
    pub tree_id: String,
    /// The entry's name, 80 hexadecimal digits.
    pub uuid: String,
}

/// Whose signature an entry holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedSigner {
    /// Subject alternative names of the certificate; empty for a bare key.
    pub identities: Vec<String>,
    /// The OIDC issuer that the certificate names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// SHA-256 of the key or certificate in canonical form, hexadecimal.
    pub key: String,
}
