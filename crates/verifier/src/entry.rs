//! Log entries: promise, inclusion proof, checkpoint.

use tlog::checkpoint::Checkpoint;
use tlog::note::{Note, VerifierKey};
use wire::rekor::{encode_base64, signed_entry_payload};
use wire::trust::Timestamp;

use crate::anchors::{Anchors, Log};
use crate::evidence::{Entry, Proof};
use crate::refusal::Refusal;

/// Verifies what an entry carries; returns its time if the log vouches for one. `stamped` are the
/// times that timestamp authorities vouch for.
pub(crate) fn verify(
    entry: &Entry,
    stamped: &[Timestamp],
    anchors: &Anchors,
) -> Result<Option<Timestamp>, Refusal> {
    let refuse = |reason: &str| Refusal::Entry {
        index: entry.index,
        reason: reason.to_owned(),
    };
    let id = hex::encode(&entry.log_id);
    let log = (anchors.logs.iter().find(|log| log.id == entry.log_id))
        .ok_or_else(|| Refusal::UnknownLog(id.clone()))?;
    // A proof leads to a root; without a signed head for it, anybody's.
    let proved = (entry.proof.as_ref()).is_some_and(|proof| proof.checkpoint.is_some());
    if entry.promise.is_none() && !proved {
        return Err(refuse(
            "has neither an inclusion promise nor a proof with a checkpoint",
        ));
    }
    let outside = |at| Refusal::LogPeriod {
        id: id.clone(),
        range: log.range,
        at,
    };
    // A key that is not in use yet is dropped by some clients. After its end a log's proofs count
    // as long as the time in question is vouched for by somebody else.
    if let Some(at) = stamped.iter().find(|at| **at < log.range.start) {
        return Err(outside(*at));
    }
    if let Some(proof) = &entry.proof {
        check_proof(entry, proof, log).map_err(|reason| refuse(&reason))?;
    }
    let Some(promise) = &entry.promise else {
        return Ok(None);
    };
    let payload = signed_entry_payload(
        &encode_base64(&entry.body),
        entry.integrated_time,
        &id,
        entry.index,
    );
    // Rekor signs entries with the hash that goes with its key, as it signs notes.
    let key = VerifierKey::new("entry", log.key.clone()).map_err(|e| refuse(&e.to_string()))?;
    let signed = std::str::from_utf8(&payload).is_ok_and(|text| key.verify(text, promise));
    if !signed {
        return Err(refuse("has a signed entry timestamp that does not verify"));
    }
    let at = Timestamp::from_secs(entry.integrated_time)
        .map_err(|_| refuse("has a time that is out of range"))?;
    match log.range.contains(at) {
        true => Ok(Some(at)),
        false => Err(outside(at)),
    }
}

fn check_proof(entry: &Entry, proof: &Proof, log: &Log) -> Result<(), String> {
    let leaf = tlog::leaf_hash(&entry.body);
    tlog::verify_inclusion(proof.index, proof.size, &leaf, &proof.hashes, &proof.root)
        .map_err(|e| format!("has an inclusion proof that does not verify: {e}"))?;
    let Some(envelope) = &proof.checkpoint else {
        return Ok(());
    };
    let note = Note::parse(envelope).map_err(|e| format!("has a bad checkpoint: {e}"))?;
    let head = Checkpoint::parse(&note.text).map_err(|e| format!("has a bad checkpoint: {e}"))?;
    if (head.size, head.root) != (proof.size, proof.root) {
        return Err("has a checkpoint of another tree than its inclusion proof".to_owned());
    }
    // A line is the log's if its hint is the beginning of the log's id; the name in it is the
    // origin or the host, and clients look for it in the log's URL.
    let hint = log.id.get(..4).unwrap_or_default();
    let signed = note.signatures.iter().any(|line| {
        line.key_hint == hint
            && log.url.contains(&line.name)
            && VerifierKey::new(line.name.clone(), log.key.clone())
                .is_ok_and(|key| key.verify(&note.text, &line.signature))
    });
    match signed {
        true => Ok(()),
        false => Err("has a checkpoint without a valid signature of the log".to_owned()),
    }
}
