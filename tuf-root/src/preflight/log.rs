//! A sample of a Rekor log (API version 1).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use verifier::{Entry, Evidence, EvidenceError, Proof};
use wire::trust::Base64;

use super::{Past, PastBundles, PreflightError, Stop};

/// Entries of one question: what Rekor answers at most.
const BATCH: usize = 10;

/// Longest answer, in bytes.
const MAX_ANSWER: usize = 32 << 20;

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Most inactive shards.
const MAX_SHARDS: usize = 1000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogInfo {
    tree_size: u64,
    #[serde(default)]
    inactive_shards: Option<Vec<Shard>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shard {
    tree_size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Logged {
    body: Base64,
    integrated_time: u64,
    #[serde(rename = "logID")]
    log_id: String,
    log_index: u64,
    verification: Verification,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verification {
    inclusion_proof: InclusionProof,
    signed_entry_timestamp: Base64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InclusionProof {
    checkpoint: String,
    hashes: Vec<String>,
    log_index: u64,
    root_hash: String,
    tree_size: u64,
}

/// Takes `sample` entries, evenly spread over all shards, the first and the last of each among
/// them.
pub(super) async fn gather(
    url: &str,
    sample: u32,
    into: &mut PastBundles,
) -> Result<(), PreflightError> {
    // The HTTP client takes its TLS library from the process; it may be chosen already.
    let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(PATIENCE)
        .build()
        .map_err(|e| fail(url, e.to_string()))?;
    let info = read(http.get(format!("{url}/api/v1/log")), url).await?;
    let info: LogInfo = serde_json::from_slice(&info).map_err(|e| fail(url, e.to_string()))?;
    let inactive = info.inactive_shards.unwrap_or_default();
    if inactive.len() > MAX_SHARDS {
        return Err(fail(url, format!("more than {MAX_SHARDS} shards")));
    }
    // Indices count over all shards, oldest first.
    let sizes: Vec<u64> = (inactive.iter().map(|shard| shard.tree_size))
        .chain([info.tree_size])
        .collect();
    let wanted: Vec<u64> = spread(&sizes, sample).into_iter().collect();
    for batch in wanted.chunks(BATCH) {
        let question = json!({ "logIndexes": batch });
        let request = http.post(format!("{url}/api/v1/log/entries/retrieve"));
        let answer = read(request.json(&question), url).await?;
        let answer: Vec<BTreeMap<String, Logged>> =
            serde_json::from_slice(&answer).map_err(|e| fail(url, e.to_string()))?;
        for logged in answer.into_iter().flat_map(BTreeMap::into_values) {
            let name = format!("{url} entry {}", logged.log_index);
            match evidence(logged) {
                Ok(evidence) => into.past.push(Past { name, evidence }),
                Err(error) => into.skipped.push(Stop {
                    bundle: name,
                    reason: error.to_string(),
                }),
            }
        }
    }
    Ok(())
}

/// Indices over all shards: the first and the last of each, and as many more as fit.
fn spread(sizes: &[u64], sample: u32) -> BTreeSet<u64> {
    let mut indices = BTreeSet::new();
    let mut start = 0_u64;
    for size in sizes.iter().filter(|size| **size > 0) {
        let end = start.saturating_add(*size);
        indices.extend([start, end - 1]);
        start = end;
    }
    let sample = u64::from(sample.max(1));
    let step = start.div_ceil(sample).max(1);
    let more = (0..sample).map(|n| n.saturating_mul(step));
    indices.extend(more.take_while(|index| *index < start));
    indices
}

fn evidence(logged: Logged) -> Result<Evidence, EvidenceError> {
    let bad = |what: &str| EvidenceError(format!("its {what} cannot be read"));
    let hash = |text: &str| {
        let bytes = hex::decode(text).unwrap_or_default();
        tlog::Hash::try_from(bytes.as_slice()).map_err(|_| bad("inclusion proof"))
    };
    let proof = logged.verification.inclusion_proof;
    if proof.hashes.len() > wire::bundle::MAX_PROOF {
        return Err(bad("inclusion proof"));
    }
    Evidence::from_entry(Entry {
        log_id: hex::decode(&logged.log_id).map_err(|_| bad("log id"))?,
        index: logged.log_index,
        integrated_time: logged.integrated_time,
        promise: Some(logged.verification.signed_entry_timestamp.0),
        proof: Some(Proof {
            index: proof.log_index,
            size: proof.tree_size,
            root: hash(&proof.root_hash)?,
            hashes: (proof.hashes.iter().map(|h| hash(h))).collect::<Result<_, _>>()?,
            checkpoint: Some(proof.checkpoint),
        }),
        body: logged.body.0,
    })
}

async fn read(request: reqwest::RequestBuilder, url: &str) -> Result<Vec<u8>, PreflightError> {
    let broken = |e: reqwest::Error| fail(url, e.without_url().to_string());
    let mut answer = request.send().await.map_err(broken)?;
    if answer.status() != reqwest::StatusCode::OK {
        let reason = format!(
            "answered {}; is this the URL of a Rekor log?",
            answer.status()
        );
        return Err(fail(url, reason));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(broken)? {
        if bytes.len().saturating_add(chunk.len()) > MAX_ANSWER {
            return Err(fail(url, format!("answered more than {MAX_ANSWER} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn fail(url: &str, reason: String) -> PreflightError {
    PreflightError::Read {
        at: url.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn a_sample_has_the_ends_of_every_shard_and_is_even() {
        let all: Vec<u64> = spread(&[3, 0, 2], 100).into_iter().collect();
        assert_eq!(all, [0, 1, 2, 3, 4]);
        let some = spread(&[1000, 1000], 10);
        assert!(
            [0, 999, 1000, 1999].iter().all(|i| some.contains(i)),
            "{some:?}"
        );
        assert!((10..=13).contains(&some.len()), "{some:?}");
        assert!(spread(&[0], 10).is_empty());
        let huge = spread(&[u64::MAX, u64::MAX], 10);
        assert!(huge.len() <= 14);
    }
}
