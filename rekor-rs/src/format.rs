//! How a Rekor v1 shard writes leaves and heads.
//!
//! ```text
//! rekor.example.org - 1193050959916656506
//! 42
//! q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=
//!
//! — rekor.example.org 3ZTdNDBF…
//! ```
//!
//! The key hint is the start of SHA-256 of the key's DER SPKI. Nobody else's signature may be
//! added: verifiers in the field want every line to be the log's own.

use logstore::{NewEntry, SearchKey};
use sequencer::{Format, TreeHead};
use tlog::Hash;
use tlog::checkpoint::Checkpoint;
use tlog::note::{Note, Signature};

use crate::entry::Verified;
use crate::promise::Promise;

/// Writes the leaves and checkpoints of one shard.
#[derive(Clone, Debug)]
pub(crate) struct RekorV1 {
    host: String,
    origin: String,
    key_hint: [u8; 4],
    log_id: String,
    offset: u64,
}

/// A verified entry that waits for its place.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    body: Vec<u8>,
    leaf_hash: Hash,
    attestation: Vec<u8>,
    keys: Vec<SearchKey>,
}

impl From<Verified> for Pending {
    fn from(verified: Verified) -> Self {
        Self {
            body: verified.body,
            leaf_hash: verified.leaf_hash,
            attestation: verified.attestation,
            keys: verified.keys,
        }
    }
}

impl RekorV1 {
    /// The format of the shard `tree` of the log that is known as `host`, whose first entry has the
    /// number `offset`.
    #[must_use]
    pub(crate) fn new(host: &str, tree: i64, key: &crypto::PublicKey, offset: u64) -> Self {
        Self {
            log_id: hex::encode(key.key_id()),
            offset,
            host: host.to_owned(),
            origin: format!("{host} - {tree}"),
            key_hint: tlog::note::spki_key_hint(key.spki_der()),
        }
    }

    fn text(&self, head: &TreeHead) -> String {
        Checkpoint {
            origin: self.origin.clone(),
            size: head.size,
            root: head.root,
            extensions: Vec::new(),
        }
        .text()
    }
}

impl Format for RekorV1 {
    type Pending = Pending;

    /// Two submissions are the same entry if they have the same canonical body.
    fn identity(&self, pending: &Pending) -> Hash {
        pending.leaf_hash
    }

    fn entry(&self, pending: Pending, _index: u64, _timestamp_ms: u64) -> NewEntry {
        NewEntry {
            leaf_hash: pending.leaf_hash,
            identity: pending.leaf_hash,
            body: pending.body,
            extra: pending.attestation,
            keys: pending.keys,
            promise: Vec::new(),
        }
    }

    fn promise_message(&self, entry: &NewEntry, index: u64, timestamp_ms: u64) -> Option<Vec<u8>> {
        let log_index = self.offset + index;
        Some(Promise::payload(
            &entry.body,
            timestamp_ms,
            &self.log_id,
            log_index,
        ))
    }

    fn promise(&self, index: u64, signature: Vec<u8>) -> Vec<u8> {
        let log_index = self.offset + index;
        Promise {
            log_index,
            signature,
        }
        .encode()
    }

    fn head_message(&self, head: &TreeHead) -> Vec<u8> {
        self.text(head).into_bytes()
    }

    fn signed_head(&self, head: &TreeHead, signature: &[u8]) -> Vec<u8> {
        let signature = Signature {
            name: self.host.clone(),
            key_hint: self.key_hint,
            signature: signature.to_vec(),
        };
        Note {
            text: self.text(head),
            signatures: vec![signature],
        }
        .print()
        .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_names_host_and_tree_and_has_one_signature_line() {
        let signer = keys::FileSigner::generate(keys::Algorithm::EcdsaP256Sha256).unwrap();
        let key = keys::Signer::public_key(&signer);
        let format = RekorV1::new("rekor.test", 42, key, 0);
        let head = TreeHead {
            size: 7,
            root: Hash([0xab; 32]),
            timestamp_ms: 1,
        };
        let message = String::from_utf8(format.head_message(&head)).unwrap();
        assert_eq!(
            message,
            "rekor.test - 42\n7\nq6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=\n"
        );
        let note = String::from_utf8(format.signed_head(&head, b"sig")).unwrap();
        let line = wire::rekor::encode_base64(&[&key.key_id()[..4], b"sig"].concat());
        assert_eq!(note, format!("{message}\n\u{2014} rekor.test {line}\n"));
    }

    #[test]
    fn entries_are_the_same_if_their_bodies_are() {
        let signer = keys::FileSigner::generate(keys::Algorithm::EcdsaP256Sha256).unwrap();
        let format = RekorV1::new("rekor.test", 42, keys::Signer::public_key(&signer), 100);
        let pending = |attestation: &[u8]| Pending {
            body: b"body".to_vec(),
            leaf_hash: tlog::leaf_hash(b"body"),
            attestation: attestation.to_vec(),
            keys: vec![[1; 16]],
        };
        assert_eq!(
            format.identity(&pending(b"a")),
            format.identity(&pending(b"b"))
        );
        let entry = format.entry(pending(b"a"), 3, 9);
        assert_eq!(
            (entry.body.as_slice(), entry.extra.as_slice()),
            (&b"body"[..], &b"a"[..])
        );
        assert_eq!(entry.leaf_hash, tlog::leaf_hash(b"body"));
    }
}
