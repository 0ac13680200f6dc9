//! What an imported entry is found by: the keys that came with it, and those that can be computed from
//! it. The statement of a `dsse` entry is not in its body, so what it names is found only if its keys
//! came along.

use std::collections::BTreeSet;

use logstore::{LogKind, SearchKey};

use crate::entry::{Stored, statement_keys};

/// Digests and signers of one body that are looked at.
const MAX_TERMS: usize = 1 << 10;

/// The search keys of an entry.
pub(super) fn keys(
    kind: LogKind,
    body: &[u8],
    attestation: &[u8],
    known: Vec<SearchKey>,
) -> Vec<SearchKey> {
    let mut keys: BTreeSet<SearchKey> = known.into_iter().collect();
    if kind == LogKind::RekorV1 {
        // Also those that an older export does not have: the log is then searched as complete.
        if let Some(stored) = Stored::parse(body, MAX_TERMS) {
            keys.extend(stored.late_keys());
            keys.extend(stored.keys());
        }
        keys.extend(statement_keys(attestation));
    }
    keys.into_iter().collect()
}
