//! What running services say of themselves. None of it is believed here.

use std::time::Duration;

use crypto::PublicKey;
use serde::Deserialize;
use x509_cert::der::pem;

use super::CollectError;

/// Longest answer, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Most inactive logs, and most chains.
const MAX_ENTRIES: usize = 64;

/// Where the services are.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// Fulcio.
    pub fulcio: String,
    /// Rekor v1.
    pub rekor: String,
    /// The timestamp endpoint, `…/api/v1/timestamp`.
    pub timestamp: String,
    /// The Certificate Transparency log.
    pub ct: String,
    /// Its key, which the log has no way to hand out (RFC 6962).
    pub ct_key: PublicKey,
}

/// What they said.
#[derive(Clone, Debug)]
pub struct Found {
    /// Fulcio's chains, DER, signing end first.
    pub(super) fulcio: Vec<Vec<Vec<u8>>>,
    /// The key that Rekor signs with now.
    pub(super) rekor: PublicKey,
    /// Keys of its inactive logs.
    pub(super) inactive: Vec<PublicKey>,
    /// The timestamp authority's chain.
    pub(super) timestamp: Vec<Vec<u8>>,
}

#[derive(Deserialize)]
struct TrustBundle {
    chains: Vec<Chain>,
}

#[derive(Deserialize)]
struct Chain {
    certificates: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogInfo {
    #[serde(default)]
    inactive_shards: Option<Vec<Shard>>,
}

#[derive(Deserialize)]
struct Shard {
    #[serde(rename = "treeID")]
    tree_id: String,
}

/// Asks all of them. Redirects are not followed; answers and waiting are bounded.
pub(super) async fn fetch(endpoints: &Endpoints) -> Result<Found, CollectError> {
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(PATIENCE)
        .build()
        .map_err(|e| answer("http", e.to_string()))?;
    let get = async |url: String| get(&http, &url).await.map(|bytes| (url, bytes));

    let (url, bytes) = get(format!("{}/api/v2/trustBundle", endpoints.fulcio)).await?;
    let bundle: TrustBundle = json(&url, &bytes)?;
    bounded(&url, bundle.chains.len())?;
    let mut fulcio = Vec::with_capacity(bundle.chains.len());
    for chain in bundle.chains {
        bounded(&url, chain.certificates.len())?;
        fulcio.push(certificates(&url, &chain.certificates.concat())?);
    }

    let rekor = &endpoints.rekor;
    let (url, bytes) = get(format!("{rekor}/api/v1/log/publicKey")).await?;
    let active = key(&url, &bytes)?;
    let (url, bytes) = get(format!("{rekor}/api/v1/log")).await?;
    let info: LogInfo = json(&url, &bytes)?;
    let shards = info.inactive_shards.unwrap_or_default();
    bounded(&url, shards.len())?;
    let mut inactive: Vec<PublicKey> = Vec::new();
    for Shard { tree_id } in shards {
        if tree_id.is_empty() || !tree_id.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(answer(&url, "a tree id that is not a number".to_owned()));
        }
        let shard = format!("{rekor}/api/v1/log/publicKey?treeID={tree_id}");
        let (url, bytes) = get(shard).await?;
        let key = key(&url, &bytes)?;
        let known = |k: &PublicKey| k.spki_der() == key.spki_der();
        if !known(&active) && !inactive.iter().any(known) {
            inactive.push(key);
        }
    }

    let (url, bytes) = get(format!("{}/certchain", endpoints.timestamp)).await?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(Found {
        fulcio,
        rekor: active,
        inactive,
        timestamp: certificates(&url, &text)?,
    })
}

async fn get(http: &reqwest::Client, url: &str) -> Result<Vec<u8>, CollectError> {
    let fail = |e: reqwest::Error| answer(url, e.without_url().to_string());
    let mut response = http.get(url).send().await.map_err(fail)?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(answer(url, format!("answered {}", response.status())));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(fail)? {
        if bytes.len().saturating_add(chunk.len()) > MAX_ANSWER {
            return Err(answer(url, format!("longer than {MAX_ANSWER} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn json<'a, T: Deserialize<'a>>(url: &str, bytes: &'a [u8]) -> Result<T, CollectError> {
    serde_json::from_slice(bytes).map_err(|e| answer(url, e.to_string()))
}

fn key(url: &str, bytes: &[u8]) -> Result<PublicKey, CollectError> {
    PublicKey::from_pem(&String::from_utf8_lossy(bytes)).map_err(|e| answer(url, e.to_string()))
}

/// DER of PEM certificates, one after the other.
fn certificates(url: &str, text: &str) -> Result<Vec<Vec<u8>>, CollectError> {
    const END: &str = "-----END CERTIFICATE-----";
    let mut out = Vec::new();
    for block in text.split_inclusive(END).filter(|b| b.contains(END)) {
        let (label, der) =
            pem::decode_vec(block.trim().as_bytes()).map_err(|e| answer(url, e.to_string()))?;
        if label != "CERTIFICATE" {
            return Err(answer(url, format!("a {label} instead of a certificate")));
        }
        out.push(der);
        bounded(url, out.len())?;
    }
    match out.is_empty() {
        true => Err(answer(url, "no certificates".to_owned())),
        false => Ok(out),
    }
}

fn bounded(url: &str, count: usize) -> Result<(), CollectError> {
    match count <= MAX_ENTRIES {
        true => Ok(()),
        false => Err(answer(url, format!("more than {MAX_ENTRIES} entries"))),
    }
}

fn answer(url: &str, reason: String) -> CollectError {
    CollectError::Answer {
        url: url.to_owned(),
        reason,
    }
}
