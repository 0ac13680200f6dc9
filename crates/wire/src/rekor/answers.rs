//! Answers of the API. Members are declared in alphabetical order, which is how they are printed.

use std::fmt::Write as _;

use serde::Serialize;

use super::{EntryId, Hex32, encode_base64};

/// An entry with its proof.
#[derive(Clone, Debug)]
pub struct LogEntry<'a> {
    /// Its name: the key of the answer's one member.
    pub id: EntryId,
    /// The attestation that was submitted with it, if it was kept and is to be shown.
    pub attestation: Option<&'a [u8]>,
    /// Base64 of the canonical body.
    pub body: &'a str,
    /// When it was sequenced, in whole seconds since the Unix epoch.
    pub integrated_time: u64,
    /// Hexadecimal SHA-256 of the DER SPKI of the shard's key.
    pub log_id: &'a str,
    /// Index over all shards.
    pub log_index: u64,
    /// That it is in the log.
    pub inclusion_proof: InclusionProof<'a>,
    /// Signature over [`signed_entry_payload`].
    pub signed_entry_timestamp: &'a [u8],
}

/// Proof that an entry is in its shard.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InclusionProof<'a> {
    /// The signed note for `tree_size` and `root_hash`.
    pub checkpoint: &'a str,
    /// Leaf to root.
    pub hashes: Vec<Hex32>,
    /// Index in the shard.
    pub log_index: u64,
    /// The root.
    pub root_hash: Hex32,
    /// Size of the shard's tree.
    pub tree_size: u64,
}

impl LogEntry<'_> {
    /// Appends `{"<id>":{…}}` without a line end.
    pub fn print(&self, out: &mut Vec<u8>) {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Entry<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            attestation: Option<Attestation>,
            body: &'a str,
            integrated_time: u64,
            #[serde(rename = "logID")]
            log_id: &'a str,
            log_index: u64,
            verification: Verification<'a>,
        }

        #[derive(Serialize)]
        struct Attestation {
            data: String,
        }

        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Verification<'a> {
            inclusion_proof: &'a InclusionProof<'a>,
            signed_entry_timestamp: String,
        }

        out.extend_from_slice(format!("{{\"{}\":", self.id).as_bytes());
        let entry = Entry {
            attestation: self.attestation.map(|data| Attestation {
                data: encode_base64(data),
            }),
            body: self.body,
            integrated_time: self.integrated_time,
            log_id: self.log_id,
            log_index: self.log_index,
            verification: Verification {
                inclusion_proof: &self.inclusion_proof,
                signed_entry_timestamp: encode_base64(self.signed_entry_timestamp),
            },
        };
        append_json(out, &entry);
        out.push(b'}');
    }
}

/// The bytes that the signed entry timestamp signs: RFC 8785 JSON of four members. `body` is the
/// base64 of the canonical body, `log_id` hexadecimal, `log_index` counts over all shards.
#[must_use]
pub fn signed_entry_payload(
    body: &str,
    integrated_time: u64,
    log_id: &str,
    log_index: u64,
) -> Vec<u8> {
    // Base64, hexadecimal and decimal digits need no escapes, so this is canonical as it stands.
    let mut out = String::with_capacity(body.len() + log_id.len() + 96);
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        r#"{{"body":"{body}","integratedTime":{integrated_time},"logID":"{log_id}","logIndex":{log_index}}}"#
    );
    out.into_bytes()
}

/// State of the log: `GET /api/v1/log`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogInfo {
    /// Oldest first; `null` when there are none.
    pub inactive_shards: Option<Vec<InactiveShard>>,
    /// The root.
    pub root_hash: Hex32,
    /// The checkpoint.
    pub signed_tree_head: String,
    /// Decimal.
    #[serde(rename = "treeID")]
    pub tree_id: String,
    /// Leaves of the active shard.
    pub tree_size: u64,
}

/// A shard that takes no more entries.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InactiveShard {
    /// The root.
    pub root_hash: Hex32,
    /// The checkpoint.
    pub signed_tree_head: String,
    /// Decimal.
    #[serde(rename = "treeID")]
    pub tree_id: String,
    /// Leaves.
    pub tree_size: u64,
}

/// Proof that one tree is a prefix of another: `GET /api/v1/log/proof`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsistencyProof {
    /// In the order of RFC 6962 section 2.1.2.
    pub hashes: Vec<Hex32>,
    /// Of the shard as it is now, whatever sizes were asked for.
    pub root_hash: Hex32,
}

/// Body of every refusal.
#[derive(Clone, Debug, Serialize)]
pub struct ApiError<'a> {
    /// The HTTP status, or 601 to 612 for what was wrong with a parameter.
    pub code: u16,
    /// For people.
    pub message: &'a str,
}

/// Prints compact JSON without a line end.
#[must_use]
pub fn print_json<T: Serialize>(value: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    append_json(&mut out, value);
    out
}

/// The types of this crate hold strings, numbers and sequences only and a `Vec` takes every byte,
/// so printing cannot fail.
fn append_json<T: Serialize>(out: &mut Vec<u8>, value: &T) {
    let printed = serde_json::to_writer(out, value);
    debug_assert!(printed.is_ok());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_prints_alphabetically_and_compactly() {
        let entry = LogEntry {
            id: EntryId {
                tree: 1,
                uuid: [0xab; 32],
            },
            attestation: None,
            body: "e30=",
            integrated_time: 7,
            log_id: "c0",
            log_index: 3,
            inclusion_proof: InclusionProof {
                checkpoint: "h - 1\n1\nAA==\n\n— h AAAA\n",
                hashes: vec![Hex32([0xaa; 32])],
                log_index: 2,
                root_hash: Hex32([0xbb; 32]),
                tree_size: 4,
            },
            signed_entry_timestamp: b"sig",
        };
        let mut out = Vec::new();
        entry.print(&mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            format!(
                r#"{{"0000000000000001{}":{{"body":"e30=","integratedTime":7,"logID":"c0","logIndex":3,"verification":{{"inclusionProof":{{"checkpoint":"h - 1\n1\nAA==\n\n— h AAAA\n","hashes":["{}"],"logIndex":2,"rootHash":"{}","treeSize":4}},"signedEntryTimestamp":"c2ln"}}}}}}"#,
                "ab".repeat(32),
                "aa".repeat(32),
                "bb".repeat(32)
            )
        );
    }

    #[test]
    fn the_signed_payload_is_canonical() {
        let payload = signed_entry_payload("e30=", 1_795_222_037, "c0d2", 5074);
        let value: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(payload, serde_json_canonicalizer::to_vec(&value).unwrap());
    }

    #[test]
    fn no_inactive_shards_print_as_null() {
        let info = LogInfo {
            inactive_shards: None,
            root_hash: Hex32([0xcc; 32]),
            signed_tree_head: "s".into(),
            tree_id: "1".into(),
            tree_size: 0,
        };
        assert_eq!(
            String::from_utf8(print_json(&info)).unwrap(),
            format!(
                r#"{{"inactiveShards":null,"rootHash":"{}","signedTreeHead":"s","treeID":"1","treeSize":0}}"#,
                "cc".repeat(32)
            )
        );
    }
}
