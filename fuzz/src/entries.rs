//! Log entries: what the targets of their kinds have in common.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rekor_rs::entry::{Limits, Purpose, Submission};
use serde_json::{Value, json};

/// The defaults of the service, at a time when no fixture has expired.
const LIMITS: Limits = Limits {
    attestation: 100 << 10,
    package_metadata: 1 << 20,
    now: SystemTime::UNIX_EPOCH,
};

/// Entries that were taken so far: targets whose seeds are all refused fuzz nothing.
pub(crate) static TAKEN: AtomicU64 = AtomicU64::new(0);

/// Proposes an entry and looks it up. What is taken must be a leaf, the same one each time.
pub(crate) fn look_at(kind: &str, version: &str, spec: &Value) {
    propose(&json!({"kind": kind, "apiVersion": version, "spec": spec}).to_string());
}

/// The same for a `spec` that is not parsed before.
pub(crate) fn look_at_text(kind: &str, version: &str, spec: &str) {
    propose(&format!(
        r#"{{"kind":"{kind}","apiVersion":"{version}","spec":{spec}}}"#
    ));
}

fn propose(json: &str) {
    let verify = |purpose| {
        Submission::parse(json.as_bytes())
            .and_then(|submission| submission.verify(purpose, &LIMITS))
            .ok()
    };
    let (inserted, found) = (verify(Purpose::Insert), verify(Purpose::Find));
    let Some(inserted) = inserted else {
        return;
    };
    TAKEN.fetch_add(1, Ordering::Relaxed);
    assert!(!inserted.keys.is_empty());
    assert_eq!(found.map(|found| found.body).as_ref(), Some(&inserted.body));
    assert!(serde_json::from_slice::<Value>(&inserted.body).is_ok());
}

/// Two inputs in one: two bytes say how long the first is.
pub(crate) fn halves(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = data.split_first_chunk()?;
    let length = usize::from(u16::from_be_bytes(*length));
    Some(rest.split_at_checked(length).unwrap_or((rest, &[])))
}

/// As JSON holds bytes.
pub(crate) fn b64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}
