//! The inventory of issued certificates: who got which, when, by which rule.
//!
//! An append-only file, one JSON object a line. A certificate is given out only after its line is
//! on disk; lines that arrive while the disk is busy share the next flush, so that the inventory
//! costs one flush a batch and not one a certificate.
//!
//! There is no index: a line is some 500 bytes, so a million certificates are half a gigabyte,
//! which a search reads in seconds, in constant memory. What nobody keeps cannot disagree with
//! the file. Old files can be moved away while the service is stopped; `fulcio-rs inventory`
//! reads any number of them.

mod search;

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

pub use search::{Filter, SearchError, Time, search};

/// Lines that wait for the disk; beyond, requests wait to be taken in.
const MAX_WAITING: usize = 1024;

/// One issued certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When it was issued, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// Serial number, 40 digits of lower-case hex.
    pub serial: String,
    /// SHA-256 of the certificate, lower-case hex.
    pub certificate_sha256: String,
    /// End of validity, in seconds since the Unix epoch.
    pub not_after: u64,
    /// The subject alternative name.
    pub identity: String,
    /// Its type: `email`, `uri` or `otherName`.
    pub identity_type: String,
    /// The token's issuer.
    pub issuer: String,
    /// The token's subject.
    pub subject: String,
    /// The rule of the policy that allowed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Time of the transparency log's promise, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sct_timestamp_ms: Option<u64>,
    /// SHA-256 of the issuing key (SPKI), lower-case hex.
    pub issuing_key_sha256: String,
    /// Which key of its backend that is, with its version, if the backend has such names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuing_key_version: Option<String>,
    /// The request's id.
    pub request_id: String,
}

impl fmt::Display for Record {
    /// A line for people: when, who, by whom, by which rule, which certificate.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let issued = der::DateTime::from_unix_duration(Duration::from_millis(self.time_ms));
        match issued {
            Ok(time) => write!(f, "{time}")?,
            Err(_) => write!(f, "{} ms", self.time_ms)?,
        }
        write!(
            f,
            "  {}  issuer {}  subject {:?}  serial {}",
            self.identity, self.issuer, self.subject, self.serial
        )?;
        match &self.rule {
            Some(rule) => write!(f, "  rule {rule:?}"),
            None => Ok(()),
        }
    }
}

/// Why a certificate is not in the inventory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("inventory: {0}")]
pub struct InventoryError(String);

/// The file, open for appending.
#[derive(Debug)]
pub struct Inventory {
    queue: tokio::sync::mpsc::Sender<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    line: Vec<u8>,
    done: oneshot::Sender<Result<(), InventoryError>>,
}

impl Inventory {
    /// Opens or creates the file. Another process that has it open is refused.
    pub fn open(path: &Path) -> Result<Self, InventoryError> {
        let failed =
            |error: &dyn std::fmt::Display| InventoryError(format!("{}: {error}", path.display()));
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(path)
            .map_err(|error| failed(&error))?;
        file.try_lock()
            .map_err(|error| failed(&format!("in use by another process ({error})")))?;
        end_line(&mut file).map_err(|error| failed(&error))?;
        // The file's name has to survive a crash as well as what is in it.
        if let Some(directory) = path.parent().filter(|path| !path.as_os_str().is_empty()) {
            File::open(directory)
                .and_then(|directory| directory.sync_all())
                .map_err(|error| failed(&error))?;
        }
        let (queue, mut waiting) = tokio::sync::mpsc::channel(MAX_WAITING);
        let path = path.to_owned();
        std::thread::Builder::new()
            .name("inventory".to_owned())
            .spawn(move || {
                let mut batch = Vec::new();
                while waiting.blocking_recv_many(&mut batch, MAX_WAITING) > 0 {
                    write_batch(&mut file, &path, &mut batch);
                }
            })
            .map_err(|error| InventoryError(error.to_string()))?;
        Ok(Self { queue })
    }

    /// Appends a line; returns when it is on disk.
    pub async fn append(&self, record: &Record) -> Result<(), InventoryError> {
        let mut line =
            serde_json::to_vec(record).map_err(|error| InventoryError(error.to_string()))?;
        line.push(b'\n');
        let (done, outcome) = oneshot::channel();
        let ended = || InventoryError("the writer has ended".to_owned());
        self.queue
            .send(Waiting { line, done })
            .await
            .map_err(|_| ended())?;
        outcome.await.map_err(|_| ended())?
    }
}

/// Ends the last line if a crash cut it off. Its certificate was never given out; the readers skip
/// what is not a record.
fn end_line(file: &mut File) -> std::io::Result<()> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(());
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    if last != *b"\n" {
        file.write_all(b"\n")?;
        file.sync_data()?;
    }
    Ok(())
}

fn write_batch(file: &mut File, path: &Path, batch: &mut Vec<Waiting>) {
    let text: Vec<u8> = batch.iter().flat_map(|one| one.line.clone()).collect();
    let written = file
        .write_all(&text)
        .and_then(|()| file.sync_data())
        .map_err(|error| {
            // Part of a line may be there (a full disk): the next batch must not continue it.
            let _still_broken = end_line(file);
            tracing::error!(path = %path.display(), %error, "the inventory cannot be written");
            InventoryError(error.to_string())
        });
    for one in batch.drain(..) {
        // Whoever asked may have gone.
        let _gone = one.done.send(written.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn record(number: u64) -> Record {
        Record {
            time_ms: 1_700_000_000_000 + number * 1000,
            serial: format!("{number:040x}"),
            certificate_sha256: format!("{number:064x}"),
            not_after: 1_700_000_600 + number,
            identity: format!("dev{number}@corp.example"),
            identity_type: "email".to_owned(),
            issuer: "https://login.corp.example".to_owned(),
            subject: format!("user-{number}"),
            rule: number.is_multiple_of(2).then(|| "staff".to_owned()),
            sct_timestamp_ms: Some(1_700_000_000_000),
            issuing_key_sha256: "ab".repeat(32),
            issuing_key_version: None,
            request_id: "r".to_owned(),
        }
    }

    #[tokio::test]
    async fn lines_are_in_the_file_when_append_returns_and_stay_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("inventory.jsonl");
        // A crash left half a line.
        std::fs::write(&path, "{\"time_ms\":1").unwrap();
        let inventory = Inventory::open(&path).unwrap();
        let records: Vec<_> = (0..200).map(record).collect();
        let appends = records.iter().map(|record| inventory.append(record));
        for outcome in futures::future::join_all(appends).await {
            outcome.unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let mut found: Vec<Record> = text
            .lines()
            .skip(1)
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        found.sort_by_key(|record| record.time_ms);
        assert_eq!(found, records);
    }

    #[tokio::test]
    async fn one_process_writes_and_a_full_disk_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("inventory.jsonl");
        let first = Inventory::open(&path).unwrap();
        let second = Inventory::open(&path).unwrap_err().to_string();
        assert!(second.contains("in use"), "{second}");
        first.append(&record(1)).await.unwrap();
        let full = Inventory {
            queue: {
                let (queue, mut waiting) = tokio::sync::mpsc::channel(1);
                std::thread::spawn(move || {
                    let mut file = OpenOptions::new().write(true).open("/dev/full").unwrap();
                    let mut batch = Vec::new();
                    while waiting.blocking_recv_many(&mut batch, 1) > 0 {
                        write_batch(&mut file, Path::new("/dev/full"), &mut batch);
                    }
                });
                queue
            },
        };
        assert!(full.append(&record(2)).await.is_err());
        assert!(full.append(&record(3)).await.is_err());
    }
}
