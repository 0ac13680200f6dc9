//! A Rekor v1 log behind its HTTP API, as a source to copy from.
//!
//! Entries are asked for in tens, which is all that the API gives at once, a few requests at a time.
//! Each is verified as it comes; that all of them are the log's is known when the root is.

use std::collections::BTreeMap;
use std::time::Duration;

use crypto::{HashAlgorithm, PublicKey};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use logstore::{Entry, EntryRecord, Head, Known, LogId, LogKind, LogRecord, LogState, StoreError};
use reqwest::StatusCode;
use serde::Deserialize;
use tlog::checkpoint::Checkpoint;
use tlog::note::Note;
use tlog::{Hash, TileId};
use wire::rekor::{decode_base64, signed_entry_payload};

use super::ImportError;
use crate::fsck::{Source, open_checkpoint};
use crate::promise::Promise;

/// Entries that one request may ask for.
const PAGE: u64 = 10;

/// Longest answer: ten entries of a mebibyte, in base64, with attestations.
const MAX_ANSWER: usize = 64 << 20;

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a request is tried, and the longest pause between two tries.
const TRIES: u32 = 8;
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// Most shards of a log.
const MAX_SHARDS: usize = 256;

/// Requests at once, unless said otherwise.
pub const PARALLEL: usize = 4;

/// A shard of a log elsewhere, with its checkpoint verified.
#[derive(Debug)]
pub struct Remote {
    base: String,
    http: reqwest::Client,
    parallel: usize,
    record: LogRecord,
    key: PublicKey,
    log_id: String,
    head: Head,
    /// Entries of the shards before it.
    offset: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogInfo {
    #[serde(default)]
    inactive_shards: Option<Vec<ShardInfo>>,
    #[serde(flatten)]
    active: ShardInfo,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ShardInfo {
    signed_tree_head: String,
    #[serde(rename = "treeID")]
    tree_id: String,
    tree_size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    attestation: Option<Attestation>,
    body: String,
    integrated_time: u64,
    log_index: u64,
    verification: Verification,
}

#[derive(Deserialize)]
struct Attestation {
    #[serde(default)]
    data: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verification {
    signed_entry_timestamp: String,
}

impl Remote {
    /// Asks the log at `url` for its shards, and takes the one with the tree id `tree`; the one that
    /// takes entries if there is none. The shard must have the key `key`, DER, if one is given.
    pub async fn open(
        url: &str,
        tree: Option<i64>,
        key: Option<&[u8]>,
        parallel: usize,
    ) -> Result<Self, ImportError> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .user_agent(concat!("sigkeep/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| ImportError::Source(error.to_string()))?;
        let base = url.trim_end_matches('/').to_owned();
        let info = request(&http, http.get(format!("{base}/api/v1/log")), &base).await?;
        let info: LogInfo = parse(&base, &info)?;
        let mut shards = info.inactive_shards.unwrap_or_default();
        shards.push(info.active);
        if shards.len() > MAX_SHARDS {
            return Err(ImportError::Source(format!(
                "{base}: more than {MAX_SHARDS} shards"
            )));
        }
        let is_wanted = |shard: &ShardInfo| match tree {
            Some(tree) => shard.tree_id == tree.to_string(),
            None => true,
        };
        let Some(place) = shards.iter().rposition(is_wanted) else {
            let there: Vec<&str> = shards.iter().map(|shard| shard.tree_id.as_str()).collect();
            return Err(ImportError::Refused(format!(
                "{base} has no shard of that tree id; it has {}",
                there.join(", ")
            )));
        };
        let (before, from) = shards.split_at(place);
        let offset = before
            .iter()
            .map(|shard| shard.tree_size)
            .try_fold(0, u64::checked_add);
        let (Some(offset), Some(shard)) = (offset, from.first()) else {
            return Err(ImportError::Source(format!("{base}: sizes of shards")));
        };
        let id = shard.tree_id.parse().ok().filter(|id: &i64| *id > 0);
        let id = id.ok_or_else(|| ImportError::Source(format!("{base}: a malformed tree id")))?;
        let pem = http.get(format!("{base}/api/v1/log/publicKey?treeID={id}"));
        let pem = request(&http, pem, &base).await?;
        let found = PublicKey::from_pem(&String::from_utf8_lossy(&pem))
            .map_err(|error| ImportError::Source(format!("{base}: its key: {error}")))?;
        if key.is_some_and(|key| key != found.spki_der()) {
            return Err(ImportError::Refused(format!(
                "{base} has another key for tree {id} than the one given"
            )));
        }
        let (record, head) =
            verify_head(id, &found, &shard.signed_tree_head).map_err(|reason| {
                ImportError::Source(format!("{base}: the checkpoint of tree {id}: {reason}"))
            })?;
        Ok(Self {
            log_id: hex::encode(found.key_id()),
            base,
            http,
            parallel: parallel.clamp(1, 64),
            record,
            key: found,
            head,
            offset,
        })
    }

    /// Copies the shard.
    pub async fn import(
        &self,
        store: &logstore::SharedStore,
    ) -> Result<super::Imported, ImportError> {
        let mut record = self.record.clone();
        // Logs are listed by this time.
        if let Some(first) = self.page(0, self.head.size.min(1)).await?.first() {
            record.created_ms = first.entry.timestamp_ms;
        }
        super::run(store, self, &record, &self.head).await
    }

    /// Some entries, verified.
    async fn page(&self, start: u64, end: u64) -> Result<Vec<EntryRecord>, StoreError> {
        if start >= end {
            return Ok(Vec::new());
        }
        let unusable = |reason: String| StoreError::Unavailable(format!("{}: {reason}", self.base));
        let indices: Vec<u64> = (start..end).map(|index| self.offset + index).collect();
        let url = format!("{}/api/v1/log/entries/retrieve", self.base);
        let query = serde_json::json!({ "logIndexes": indices });
        let answer = request(&self.http, self.http.post(url).json(&query), &self.base)
            .await
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let answer: Vec<BTreeMap<String, Answer>> =
            serde_json::from_slice(&answer).map_err(|error| unusable(error.to_string()))?;
        let mut records = BTreeMap::new();
        for (id, answer) in answer.into_iter().flatten() {
            let log_index = answer.log_index;
            let record = self
                .entry(&id, answer)
                .map_err(|reason| unusable(format!("entry {log_index}: {reason}")))?;
            records.insert(record.entry.index, record);
        }
        let all = records.keys().copied().eq(start..end);
        match all {
            true => Ok(records.into_values().collect()),
            false => Err(unusable(format!(
                "of the entries {} to {} some are missing",
                self.offset + start,
                self.offset + end - 1
            ))),
        }
    }

    /// Verifies an entry by itself: its name, and the promise.
    fn entry(&self, id: &str, answer: Answer) -> Result<EntryRecord, String> {
        let body = decode_base64(&answer.body).ok_or("its body is not base64")?;
        let leaf_hash = tlog::leaf_hash(&body);
        if id != format!("{:016x}{leaf_hash}", self.record.id.0) {
            return Err(format!(
                "its id {id} is not that of its body in tree {}",
                self.record.id
            ));
        }
        let signature = decode_base64(&answer.verification.signed_entry_timestamp)
            .ok_or("its signed entry timestamp is not base64")?;
        // The text that was signed has the base64 as the log writes it.
        let payload = signed_entry_payload(
            &wire::rekor::encode_base64(&body),
            answer.integrated_time,
            &self.log_id,
            answer.log_index,
        );
        self.key
            .verify(HashAlgorithm::Sha256, &payload, &signature)
            .map_err(|error| format!("its signed entry timestamp does not verify: {error}"))?;
        let index = answer
            .log_index
            .checked_sub(self.offset)
            .ok_or("its number is too small")?;
        let attestation = answer.attestation.and_then(|attestation| attestation.data);
        Ok(EntryRecord {
            entry: Entry {
                index,
                leaf_hash,
                timestamp_ms: answer.integrated_time.saturating_mul(1000),
                extra: match attestation {
                    Some(data) => decode_base64(&data).ok_or("its attestation is not base64")?,
                    None => Vec::new(),
                },
                promise: Promise {
                    log_index: answer.log_index,
                    signature,
                }
                .encode(),
                body,
            },
            identity: leaf_hash,
            keys: Vec::new(),
        })
    }
}

#[async_trait::async_trait]
impl Source for Remote {
    async fn records(&self, start: u64, end: u64) -> Result<Vec<EntryRecord>, StoreError> {
        let pages: Vec<u64> = (start..end).step_by(PAGE as usize).collect();
        let pages: Vec<Vec<EntryRecord>> = stream::iter(pages)
            .map(|page| self.page(page, end.min(page + PAGE)))
            .buffered(self.parallel)
            .try_collect()
            .await?;
        Ok(pages.into_iter().flatten().collect())
    }

    /// The API gives none.
    async fn tiles(&self, ids: &[TileId]) -> Result<Vec<Option<Vec<Hash>>>, StoreError> {
        Ok(vec![None; ids.len()])
    }

    async fn known(&self, _identities: &[Hash]) -> Result<Option<Vec<Known>>, StoreError> {
        Ok(None)
    }
}

/// Verifies a checkpoint; the log's name is in it.
fn verify_head(id: i64, key: &PublicKey, note: &str) -> Result<(LogRecord, Head), String> {
    let text = Note::parse(note).map_err(|error| error.to_string())?.text;
    let origin = Checkpoint::parse(&text)
        .map_err(|error| error.to_string())?
        .origin;
    let (host, _) = origin
        .rsplit_once(" - ")
        .ok_or("it does not name host and tree")?;
    let record = LogRecord {
        id: LogId(id),
        kind: LogKind::RekorV1,
        origin: host.to_owned(),
        public_key: key.spki_der().to_vec(),
        state: LogState::Frozen,
        created_ms: 0,
    };
    let checkpoint = open_checkpoint(&record, key, note)?;
    let head = Head {
        size: checkpoint.size,
        root: checkpoint.root,
        timestamp_ms: 0,
        signed: note.as_bytes().into(),
    };
    Ok((record, head))
}

fn parse<'a, T: Deserialize<'a>>(base: &str, bytes: &'a [u8]) -> Result<T, ImportError> {
    serde_json::from_slice(bytes).map_err(|error| ImportError::Source(format!("{base}: {error}")))
}

/// Sends a request until it is answered. An answer of 429 or 5xx, and none at all, are worth another
/// try after a pause: the one that the server asks for, or a growing one.
async fn request(
    http: &reqwest::Client,
    request: reqwest::RequestBuilder,
    base: &str,
) -> Result<Vec<u8>, ImportError> {
    let request = request
        .build()
        .map_err(|error| ImportError::Source(error.to_string()))?;
    let mut pause = Duration::from_millis(250);
    let mut tried = 0;
    loop {
        tried += 1;
        let again = request
            .try_clone()
            .ok_or_else(|| ImportError::Source("a request that cannot be repeated".to_owned()))?;
        let reason = match http.execute(again).await {
            Ok(response) if response.status() == StatusCode::OK => match read(response).await {
                Ok(bytes) => return Ok(bytes),
                Err(reason) => reason,
            },
            Ok(response) => {
                let status = response.status();
                let asked = response.headers().get(http::header::RETRY_AFTER);
                let asked = asked.and_then(|value| value.to_str().ok()?.parse().ok());
                pause = asked.map_or(pause, Duration::from_secs);
                let reason = format!("answered {status}");
                if status != StatusCode::TOO_MANY_REQUESTS && !status.is_server_error() {
                    return Err(ImportError::Source(format!(
                        "{base}: {} {reason}",
                        request.url().path()
                    )));
                }
                reason
            }
            Err(error) => error.without_url().to_string(),
        };
        if tried == TRIES {
            return Err(ImportError::Source(format!(
                "{base}: {reason}; the import goes on from here when it is run again"
            )));
        }
        tokio::time::sleep(pause.min(MAX_PAUSE)).await;
        pause = pause.saturating_mul(2);
    }
}

async fn read(mut response: reqwest::Response) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| error.without_url().to_string())?
    {
        if bytes.len().saturating_add(chunk.len()) > MAX_ANSWER {
            return Err(format!("an answer longer than {MAX_ANSWER} bytes"));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
