//! What was signed: the stored head, the checkpoint, the roll-back guard.

use crypto::{HashAlgorithm, PublicKey};
use logstore::{Head, LogKind, LogRecord};
use sequencer::{Format as _, GuardMark, TreeHead};
use tlog::checkpoint::Checkpoint;
use tlog::note::{Note, VerifierKey};

use super::finding::{Findings, Remedy};
use crate::ct::Rfc6962;

/// Checks that what is stored as signed is the log's signature over the head.
pub(crate) fn check_signature(record: &LogRecord, head: &Head, findings: &mut Findings) {
    if head.signed.is_empty() {
        if head.size > 0 {
            findings.add(
                "head",
                format!(
                    "nothing was signed for the {} entries that are there",
                    head.size
                ),
                Remedy::FinishImport,
            );
        }
        return;
    }
    let key = match PublicKey::from_spki_der(&record.public_key) {
        Ok(key) => key,
        Err(error) => {
            let problem = format!("the log's public key cannot be read: {error}");
            findings.add("log", problem, Remedy::RestoreDatabase);
            return;
        }
    };
    let verified = match record.kind {
        LogKind::Ct => check_sth(&key, head),
        LogKind::RekorV1 | LogKind::RekorV2 => {
            let note = String::from_utf8_lossy(&head.signed);
            check_checkpoint(record, &key, &note, head).map(|_| ())
        }
    };
    if let Err(problem) = verified {
        findings.add("checkpoint", problem, Remedy::RestoreDatabase);
    }
}

/// Verifies a signed tree head (RFC 6962 section 3.5).
fn check_sth(key: &PublicKey, head: &Head) -> Result<(), String> {
    let signature =
        pki::sct::parse_digitally_signed(&head.signed).map_err(|error| error.to_string())?;
    let message = Rfc6962.head_message(&TreeHead {
        size: head.size,
        root: head.root,
        timestamp_ms: head.timestamp_ms,
    });
    key.verify(HashAlgorithm::Sha256, &message, signature)
        .map_err(|error| format!("the signature over the head does not verify: {error}"))
}

/// Verifies a checkpoint and that it is of this head.
fn check_checkpoint(
    record: &LogRecord,
    key: &PublicKey,
    note: &str,
    head: &Head,
) -> Result<(), String> {
    let checkpoint = open_checkpoint(record, key, note)?;
    if (checkpoint.size, checkpoint.root) == (head.size, head.root) {
        return Ok(());
    }
    Err(format!(
        "it is of {} entries with the root {}, the head of {} with {}",
        checkpoint.size, checkpoint.root, head.size, head.root
    ))
}

/// Verifies that a note is a checkpoint of this log.
pub(crate) fn open_checkpoint(
    record: &LogRecord,
    key: &PublicKey,
    note: &str,
) -> Result<Checkpoint, String> {
    let note = Note::parse(note).map_err(|error| error.to_string())?;
    let verifier =
        VerifierKey::new(record.origin.as_str(), key.clone()).map_err(|error| error.to_string())?;
    note.verify(&[verifier])
        .map_err(|error| format!("{error} (of {})", record.origin))?;
    let checkpoint = Checkpoint::parse(&note.text).map_err(|error| error.to_string())?;
    let origin = match record.kind {
        LogKind::RekorV1 => tlog::checkpoint::rekor_v1_origin(&record.origin, record.id.0),
        LogKind::RekorV2 | LogKind::Ct => record.origin.clone(),
    };
    if checkpoint.origin == origin {
        Ok(checkpoint)
    } else {
        Err(format!(
            "it is of {:?}, not of {origin:?}",
            checkpoint.origin
        ))
    }
}

/// Compares the roll-back guard with the head, as far as that is possible without the entries:
/// `None` if the guard remembers a tree of the log that is not larger.
pub(crate) fn guard_problem(
    record: &LogRecord,
    head: &Head,
    mark: &GuardMark,
) -> Option<(String, Remedy)> {
    if mark.log != record.id || mark.key != crypto::sha256(&record.public_key) {
        return Some((
            format!("it guards log {} or another key", mark.log),
            Remedy::CheckConfiguration,
        ));
    }
    (mark.size > head.size).then(|| {
        (
            format!(
                "a tree of {} entries was signed, and the database holds only {}",
                mark.size, head.size
            ),
            Remedy::RolledBack,
        )
    })
}
