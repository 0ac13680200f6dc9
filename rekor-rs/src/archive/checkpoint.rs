//! The signed head of an export: a note, whatever the kind of log.
//!
//! A Rekor log's signed head is a note already. That of a CT log is a signature over another text; the
//! note of static-ct-api holds it as it is, so that nothing has to be signed again:
//!
//! ```text
//! signature line = base64 of hint | u64 ms | DigitallySigned
//! hint           = first 4 bytes of SHA-256(name | 0A | 05 | log id)
//! ```

use crypto::{HashAlgorithm, PublicKey};
use logstore::{Head, LogKind, LogRecord};
use sequencer::{Format as _, TreeHead};
use tlog::checkpoint::Checkpoint;
use tlog::note::{Note, Signature};

use crate::ct::Rfc6962;
use crate::fsck::open_checkpoint;

/// The type of an RFC 6962 signature in a note (static-ct-api).
const RFC6962_SIGNATURE: u8 = 0x05;

/// The note of a head.
pub(super) fn print(record: &LogRecord, head: &Head) -> Result<String, String> {
    if head.signed.is_empty() {
        return Err("nothing was signed for the log yet".to_owned());
    }
    if record.kind != LogKind::Ct {
        return String::from_utf8(head.signed.to_vec()).map_err(|error| error.to_string());
    }
    let signature = Signature {
        name: record.origin.clone(),
        key_hint: hint(record),
        signature: [&head.timestamp_ms.to_be_bytes()[..], &head.signed].concat(),
    };
    let note = Note {
        text: Checkpoint::new(record.origin.as_str(), head.size, head.root).text(),
        signatures: vec![signature],
    };
    Ok(note.print())
}

/// Verifies a note, and reads the head that it is of. The time of a Rekor log's head is not in it.
pub(super) fn open(record: &LogRecord, note: &str) -> Result<Head, String> {
    let key = PublicKey::from_spki_der(&record.public_key).map_err(|error| error.to_string())?;
    if record.kind != LogKind::Ct {
        let checkpoint = open_checkpoint(record, &key, note)?;
        return Ok(Head {
            size: checkpoint.size,
            root: checkpoint.root,
            timestamp_ms: 0,
            signed: note.as_bytes().into(),
        });
    }
    let parsed = Note::parse(note).map_err(|error| error.to_string())?;
    let checkpoint = Checkpoint::parse(&parsed.text).map_err(|error| error.to_string())?;
    if checkpoint.origin != record.origin {
        return Err(format!(
            "it is of {:?}, not of {:?}",
            checkpoint.origin, record.origin
        ));
    }
    let own = |line: &&Signature| line.name == record.origin && line.key_hint == hint(record);
    let line = parsed
        .signatures
        .iter()
        .find(own)
        .ok_or("no signature by the log's key")?;
    let (time, signed) = line
        .signature
        .split_first_chunk()
        .ok_or("the signature is cut short")?;
    let head = TreeHead {
        size: checkpoint.size,
        root: checkpoint.root,
        timestamp_ms: u64::from_be_bytes(*time),
    };
    let signature = pki::sct::parse_digitally_signed(signed).map_err(|error| error.to_string())?;
    key.verify(
        HashAlgorithm::Sha256,
        &Rfc6962.head_message(&head),
        signature,
    )
    .map_err(|error| format!("the signature does not verify: {error}"))?;
    Ok(Head {
        size: head.size,
        root: head.root,
        timestamp_ms: head.timestamp_ms,
        signed: signed.into(),
    })
}

fn hint(record: &LogRecord) -> [u8; 4] {
    let log_id = crypto::sha256(&record.public_key);
    let name = record.origin.as_bytes();
    let [a, b, c, d, ..] = crypto::sha256_concat(&[name, b"\n", &[RFC6962_SIGNATURE], &log_id]);
    [a, b, c, d]
}
