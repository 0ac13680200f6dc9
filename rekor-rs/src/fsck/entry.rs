//! Whether a stored entry is what it claims to be, looked at by itself.

use crypto::{HashAlgorithm, PublicKey};
use logstore::{EntryRecord, LogKind, LogRecord};
use serde_json::Value;
use tlog::Hash;

use super::finding::{Findings, Remedy, entry_place};
use super::tree;
use crate::ct::Logged;
use crate::promise::Promise;

/// What entries of one log must be like.
#[derive(Clone, Debug)]
pub(crate) struct Examiner {
    kind: LogKind,
    key: Option<PublicKey>,
    log_id: String,
}

/// What was computed from an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Examined {
    /// From its bytes.
    pub(crate) leaf_hash: Hash,
    /// Whether the log's key vouches for its time: its promise is there and verifies.
    pub(crate) vouched: bool,
}

impl Examiner {
    /// The rules of a log.
    pub(crate) fn new(record: &LogRecord) -> Self {
        let key = PublicKey::from_spki_der(&record.public_key).ok();
        Self {
            kind: record.kind,
            log_id: hex::encode(crypto::sha256(&record.public_key)),
            key,
        }
    }

    /// Looks at an entry.
    pub(crate) fn examine(&self, record: &EntryRecord, findings: &mut Findings) -> Examined {
        let entry = &record.entry;
        let place = entry_place(entry.index);
        let mut wrong = |problem: String| findings.add(&place, problem, Remedy::RestoreEntry);
        let leaf_hash = tree::leaf_hash(&entry.body);
        if !record.keys.is_sorted_by(|a, b| a < b) {
            wrong("its search keys are out of order".to_owned());
        }
        let mut vouched = false;
        match self.kind {
            LogKind::RekorV1 => {
                if let Err(problem) = canonical_body(&entry.body) {
                    wrong(format!("its body is not canonical: {problem}"));
                }
                if record.identity != entry.leaf_hash {
                    wrong("its identity is not its leaf hash".to_owned());
                }
                // Of other bytes it says nothing.
                if !entry.promise.is_empty() && leaf_hash == entry.leaf_hash {
                    match self.promise(record) {
                        Ok(()) => vouched = true,
                        Err(problem) => wrong(format!("its signed entry timestamp {problem}")),
                    }
                }
            }
            LogKind::Ct => match Logged::parse(&entry.body, &entry.extra) {
                Err(problem) => wrong(format!("not an RFC 6962 entry: {problem}")),
                Ok(logged) => {
                    if logged.entry.timestamp_ms != entry.timestamp_ms {
                        wrong(format!(
                            "its row has the time {} ms, its leaf {} ms",
                            entry.timestamp_ms, logged.entry.timestamp_ms
                        ));
                    }
                    if record.identity.0 != crypto::sha256(logged.submitted) {
                        wrong("its identity is not the hash of what was submitted".to_owned());
                    }
                }
            },
            LogKind::RekorV2 => {}
        }
        Examined { leaf_hash, vouched }
    }

    /// Verifies the promise that is kept with an entry. Its number is the one that the entry had among
    /// the shards of that time: if shards were put before this one since, another than it has now.
    fn promise(&self, record: &EntryRecord) -> Result<(), String> {
        let entry = &record.entry;
        let promise = Promise::decode(&entry.promise).ok_or("is malformed")?;
        let key = self
            .key
            .as_ref()
            .ok_or("has no readable key to verify it")?;
        let payload = Promise::payload(
            &entry.body,
            entry.timestamp_ms,
            &self.log_id,
            promise.log_index,
        );
        key.verify(HashAlgorithm::Sha256, &payload, &promise.signature)
            .map_err(|error| format!("does not verify: {error}"))
    }
}

/// Whether a body is RFC 8785 JSON of `apiVersion`, a known `kind`, and `spec`.
fn canonical_body(body: &[u8]) -> Result<(), String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let object = value.as_object().ok_or("not an object")?;
    let text = |name| object.get(name).and_then(Value::as_str);
    if text("apiVersion").is_none() || !object.get("spec").is_some_and(Value::is_object) {
        return Err("apiVersion or spec is missing".to_owned());
    }
    match text("kind") {
        Some(kind) if crate::entry::is_kind(kind) => {}
        Some(kind) => return Err(format!("no kind is called {kind:?}")),
        None => return Err("kind is missing".to_owned()),
    }
    let canonical = serde_json_canonicalizer::to_vec(&value).map_err(|error| error.to_string())?;
    if canonical == body {
        Ok(())
    } else {
        Err("written otherwise than RFC 8785 says".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_bodies_are_told_from_others() {
        let good = r#"{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{"a":"<é>"}}"#;
        assert_eq!(canonical_body(good.as_bytes()), Ok(()));
        for bad in [
            good.replace(':', ": "),
            good.replace("hashedrekord", "nonsense"),
            good.replace("spec", "speck"),
            good.replace("é", "\\u00e9"),
            format!("{good}\n"),
            r#"{"kind":"dsse","apiVersion":"0.0.1","spec":{}}"#.to_owned(),
            r#"{"apiVersion":"0.0.1","kind":"dsse","kind":"dsse","spec":{}}"#.to_owned(),
            "[]".to_owned(),
            String::new(),
            "[".repeat(100_000),
        ] {
            assert!(canonical_body(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(canonical_body(b"\xff").is_err());
    }
}
