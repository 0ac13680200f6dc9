//! How a CT log writes leaves and heads.
//!
//! ```text
//! MerkleTreeLeaf    00 version | 00 timestamped entry | u64 ms | u16 entry type | entry | u16 length | extensions
//! TreeHeadSignature 00 version | 01 tree hash | u64 ms | u64 tree size | root[32]
//! extra_data        x509:    u24 length | (u24 length | certificate)*
//!                   precert: u24 length | precertificate | u24 length | (u24 length | certificate)*
//! ```

use logstore::NewEntry;
use pki::sct::{self, CtEntry, SctError};
use sequencer::{Format, TreeHead};
use tlog::Hash;

/// The leaves and heads of RFC 6962.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rfc6962;

/// Where the timestamp is in a `MerkleTreeLeaf`.
const TIMESTAMP: std::ops::Range<usize> = 2..10;

/// A checked submission that waits for its place.
#[derive(Clone, Debug)]
pub struct Pending {
    identity: Hash,
    /// The `MerkleTreeLeaf`, with a timestamp of zero.
    leaf: Vec<u8>,
    extra: Vec<u8>,
}

impl Pending {
    /// A submission of the certificate or precertificate `submitted`, which stands for `entry`,
    /// and whose chain up to a root is `issuers`.
    pub(super) fn new(
        submitted: &[u8],
        entry: CtEntry<'_>,
        issuers: &[&[u8]],
    ) -> Result<Self, SctError> {
        let leaf = sct::signing_input(entry, 0, b"")?;
        let precertificate = match entry {
            CtEntry::Precert { .. } => Some(submitted),
            CtEntry::X509(_) => None,
        };
        let extra = extra_data(precertificate, issuers)?;
        Ok(Self {
            identity: Hash(crypto::sha256(submitted)),
            leaf,
            extra,
        })
    }

    /// The leaf as it is logged, and signed, with this timestamp.
    pub(super) fn leaf_at(&self, timestamp_ms: u64) -> Vec<u8> {
        let mut leaf = self.leaf.clone();
        // Present by construction: `signing_input` wrote it.
        if let Some(field) = leaf.get_mut(TIMESTAMP) {
            field.copy_from_slice(&timestamp_ms.to_be_bytes());
        }
        leaf
    }
}

impl Format for Rfc6962 {
    type Pending = Pending;

    /// The bytes that were submitted: two precertificates of one TBSCertificate with different
    /// signatures are two entries.
    fn identity(&self, pending: &Pending) -> Hash {
        pending.identity
    }

    fn entry(&self, pending: Pending, _index: u64, timestamp_ms: u64) -> NewEntry {
        let body = pending.leaf_at(timestamp_ms);
        NewEntry {
            leaf_hash: tlog::leaf_hash(&body),
            identity: pending.identity,
            body,
            extra: pending.extra,
            keys: Vec::new(),
            promise: Vec::new(),
        }
    }

    /// The promise is an SCT. Only who submits a certificate gets one, and what is served of an
    /// entry does not hold it.
    fn promise_message(&self, _: &NewEntry, _: u64, _: u64) -> Option<Vec<u8>> {
        None
    }

    fn promise(&self, _: u64, signature: Vec<u8>) -> Vec<u8> {
        signature
    }

    fn head_message(&self, head: &TreeHead) -> Vec<u8> {
        let mut message = vec![0, 1];
        message.extend(head.timestamp_ms.to_be_bytes());
        message.extend(head.size.to_be_bytes());
        message.extend(head.root.as_bytes());
        message
    }

    /// A TLS `DigitallySigned`.
    fn signed_head(&self, _head: &TreeHead, signature: &[u8]) -> Vec<u8> {
        // Fails beyond 65535 bytes only; the log's key is P-256, with at most 72.
        sct::digitally_signed(signature).unwrap_or_default()
    }
}

/// The `extra_data` of an entry: the precertificate, if it was one, and the chain.
pub(crate) fn extra_data(
    precertificate: Option<&[u8]>,
    issuers: &[&[u8]],
) -> Result<Vec<u8>, SctError> {
    let mut extra = Vec::new();
    if let Some(precertificate) = precertificate {
        put_u24(&mut extra, precertificate)?;
    }
    let mut chain = Vec::new();
    for issuer in issuers {
        put_u24(&mut chain, issuer)?;
    }
    put_u24(&mut extra, &chain)?;
    Ok(extra)
}

/// Appends a vector with a length of three octets.
pub(crate) fn put_u24(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), SctError> {
    let [0, length @ ..] = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes() else {
        return Err(SctError("longer than 16777215 bytes"));
    };
    out.extend(length);
    out.extend_from_slice(bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_data_has_the_layout_of_rfc_6962() {
        let x509 = Pending::new(b"cert", CtEntry::X509(b"cert"), &[b"ca", b"root"]).unwrap();
        assert_eq!(x509.extra, b"\0\0\x0c\0\0\x02ca\0\0\x04root");
        let entry = CtEntry::Precert {
            issuer_key_hash: [1; 32],
            tbs: b"tbs",
        };
        let precert = Pending::new(b"pre", entry, &[b"ca"]).unwrap();
        assert_eq!(precert.extra, b"\0\0\x03pre\0\0\x05\0\0\x02ca");
    }

    #[test]
    fn the_timestamp_is_set_when_the_entry_gets_its_place() {
        let pending = Pending::new(b"cert", CtEntry::X509(b"cert"), &[]).unwrap();
        let expected = sct::signing_input(CtEntry::X509(b"cert"), 1_795_219_200_123, b"").unwrap();
        assert_eq!(pending.leaf_at(1_795_219_200_123), expected);
        let entry = Rfc6962.entry(pending, 7, 1_795_219_200_123);
        assert_eq!(entry.body, expected);
        assert_eq!(entry.leaf_hash, tlog::leaf_hash(&expected));
    }

    #[test]
    fn a_head_is_signed_over_fifty_bytes() {
        let head = TreeHead {
            size: 0x0102,
            root: Hash([0xee; 32]),
            timestamp_ms: 0x0304,
        };
        let message = Rfc6962.head_message(&head);
        assert_eq!(
            message,
            [
                &[0, 1, 0, 0, 0, 0, 0, 0, 3, 4, 0, 0, 0, 0, 0, 0, 1, 2][..],
                &[0xee; 32]
            ]
            .concat()
        );
        assert_eq!(message.len(), 50);
        assert_eq!(
            Rfc6962.signed_head(&head, b"\x30\x00"),
            b"\x04\x03\0\x02\x30\0"
        );
    }
}
