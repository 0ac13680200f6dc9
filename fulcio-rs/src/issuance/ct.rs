//! The certificate transparency log, as its client (RFC 6962 section 4.2).

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clock::SharedClock;
use crypto::PublicKey;
use http::StatusCode;
use oidc::{describe, http_client};
use pki::sct::{CtEntry, SignedCertificateTimestamp, parse_digitally_signed};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use url::Url;

use super::Authority;

/// Longest answer, in bytes.
const MAX_ANSWER: usize = 64 << 10;
/// How far the time in a promise may be from ours.
const MAX_SKEW: Duration = Duration::from_secs(300);
/// First pause before trying again; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause before trying again.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Why there is no promise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CtError {
    /// The log cannot be reached, is overloaded, or took too long.
    #[error("the log is unavailable: {0}")]
    Unavailable(String),
    /// The log said no.
    #[error("the log refused: {0}")]
    Refused(String),
    /// What the log answered is not a promise of this log for this certificate.
    #[error("the log's answer is not acceptable: {0}")]
    Unacceptable(String),
}

/// A log.
#[derive(Clone, Debug)]
pub struct CtLog {
    submit: Url,
    tree_head: Url,
    key: PublicKey,
    id: [u8; 32],
    deadline: Duration,
    client: reqwest::Client,
}

#[derive(Serialize)]
struct Submission<'a> {
    chain: Vec<&'a str>,
}

#[derive(Deserialize)]
struct Answer {
    sct_version: u8,
    id: String,
    timestamp: u64,
    #[serde(default)]
    extensions: String,
    signature: String,
}

/// What matters of a signed tree head (RFC 6962 section 4.3).
#[derive(Deserialize)]
struct TreeHead {
    timestamp: u64,
}

impl CtLog {
    /// The log at `url` (its prefix included), whose promises `key` signs. A submission takes
    /// `deadline` at most, with its retries.
    pub fn new(url: &Url, key: PublicKey, deadline: Duration) -> Result<Self, String> {
        let endpoint = |name: &str| {
            Url::parse(&format!(
                "{}/ct/v1/{name}",
                url.as_str().trim_end_matches('/')
            ))
            .map_err(|error| error.to_string())
        };
        if !matches!(url.scheme(), "http" | "https")
            || url.query().is_some()
            || url.fragment().is_some()
        {
            return Err(format!(
                "{url}: must be http or https, without query and fragment"
            ));
        }
        if key.kind() != crypto::KeyKind::EcdsaP256 {
            return Err("its key must be ECDSA P-256: clients verify no other".to_owned());
        }
        Ok(Self {
            submit: endpoint("add-pre-chain")?,
            tree_head: endpoint("get-sth")?,
            id: key.key_id(),
            key,
            deadline,
            client: http_client(url, None)?,
        })
    }

    /// Submits a precertificate and verifies the promise that comes back.
    ///
    /// What may pass is tried again until the deadline. A precertificate that the log took without
    /// our hearing of it does no harm: its certificate is never signed.
    pub(crate) async fn submit(
        &self,
        precertificate: &[u8],
        authority: &Authority,
        clock: &SharedClock,
    ) -> Result<SignedCertificateTimestamp, CtError> {
        let leaf = STANDARD.encode(precertificate);
        let chain = std::iter::once(leaf.as_str())
            .chain(authority.base64().iter().map(String::as_str))
            .collect();
        let body = serde_json::to_vec(&Submission { chain })
            .map_err(|error| CtError::Unacceptable(error.to_string()))?;
        let answer = self.post(body.into()).await?;
        let sct = answer.into_sct(self.id)?;
        let tbs = pki::precert::tbs_without_poison(precertificate)
            .map_err(|error| CtError::Unacceptable(error.to_string()))?;
        let entry = CtEntry::Precert {
            issuer_key_hash: authority.key_hash(),
            tbs: &tbs,
        };
        sct.verify(entry, &self.key)
            .map_err(|error| CtError::Unacceptable(error.to_string()))?;
        let skew = clock.now_ms().abs_diff(sct.timestamp_ms);
        if u128::from(skew) > MAX_SKEW.as_millis() {
            return Err(CtError::Unacceptable(format!(
                "its time is {skew} ms from ours"
            )));
        }
        Ok(sct)
    }

    async fn post(&self, body: bytes::Bytes) -> Result<Answer, CtError> {
        let until = Instant::now() + self.deadline;
        let mut pause = FIRST_PAUSE;
        loop {
            let attempt = tokio::time::timeout_at(until, self.attempt(body.clone())).await;
            let (reason, wait) = match attempt {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(Failure::Final(error))) => return Err(error),
                Ok(Err(Failure::Passing { reason, wait })) => (reason, wait.unwrap_or(pause)),
                Err(_) => {
                    return Err(CtError::Unavailable(format!(
                        "no answer within {:?}",
                        self.deadline
                    )));
                }
            };
            if Instant::now() + wait >= until {
                return Err(CtError::Unavailable(reason));
            }
            tracing::warn!(reason, "the certificate transparency log is asked again");
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn attempt(&self, body: bytes::Bytes) -> Result<Answer, Failure> {
        let passing = |reason: String| Failure::Passing { reason, wait: None };
        let request = self
            .client
            .post(self.submit.clone())
            .header(http::header::CONTENT_TYPE, "application/json");
        let mut response = request
            .body(body)
            .send()
            .await
            .map_err(|error| passing(describe(error)))?;
        let status = response.status();
        let retry_after = response
            .headers()
            .get(http::header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        let mut answer = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| passing(describe(error)))?
        {
            if answer.len() + chunk.len() > MAX_ANSWER {
                return Err(Failure::Final(CtError::Unacceptable(format!(
                    "longer than {MAX_ANSWER} bytes"
                ))));
            }
            answer.extend_from_slice(&chunk);
        }
        match status {
            StatusCode::OK => serde_json::from_slice(&answer)
                .map_err(|error| Failure::Final(CtError::Unacceptable(error.to_string()))),
            StatusCode::REQUEST_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::SERVICE_UNAVAILABLE => Err(Failure::Passing {
                reason: format!("answered {status}"),
                wait: retry_after,
            }),
            _ => {
                let said: String = String::from_utf8_lossy(&answer).chars().take(200).collect();
                Err(Failure::Final(CtError::Refused(format!(
                    "{status} {said:?}"
                ))))
            }
        }
    }

    /// Whether the log answers, and its clock agrees with ours; for readiness. Promises far from
    /// our time are refused, so clocks that disagree stop issuance, and this says so before the
    /// first client finds out.
    pub(crate) async fn probe(&self, clock: &SharedClock) -> Result<(), String> {
        let mut response = self
            .client
            .get(self.tree_head.clone())
            .send()
            .await
            .map_err(describe)?;
        if response.status() != StatusCode::OK {
            return Err(format!("answered {}", response.status()));
        }
        // Its tree head may be old; the answer itself (RFC 9110 section 6.6.1) is not.
        let answered = response
            .headers()
            .get(http::header::DATE)
            .and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
        if let Some(theirs) = answered {
            same_time(theirs, clock.now())?;
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(describe)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER {
                return Err("its tree head is too long".to_owned());
            }
        }
        let head: TreeHead = serde_json::from_slice(&body)
            .map_err(|error| format!("not a signed tree head: {error}"))?;
        let signed = SystemTime::UNIX_EPOCH
            .checked_add(Duration::from_millis(head.timestamp))
            .ok_or("the time of its tree head is beyond all clocks")?;
        same_time(signed.max(clock.now()), clock.now())
    }
}

/// Whether two clocks agree.
fn same_time(theirs: SystemTime, ours: SystemTime) -> Result<(), String> {
    let (apart, direction) = match theirs.duration_since(ours) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    if apart > MAX_SKEW {
        return Err(format!(
            "the log's clock is {} s {direction} this machine's: one of them is wrong",
            apart.as_secs()
        ));
    }
    Ok(())
}

/// What became of one attempt.
enum Failure {
    /// Trying again may help.
    Passing {
        reason: String,
        wait: Option<Duration>,
    },
    /// Trying again is of no use.
    Final(CtError),
}

impl Answer {
    fn into_sct(self, expected_id: [u8; 32]) -> Result<SignedCertificateTimestamp, CtError> {
        let bytes = |name: &str, text: &str| {
            STANDARD
                .decode(text)
                .map_err(|_| CtError::Unacceptable(format!("{name} is not base64")))
        };
        if self.sct_version != 0 {
            return Err(CtError::Unacceptable(format!(
                "unknown SCT version {}",
                self.sct_version
            )));
        }
        if bytes("id", &self.id)? != expected_id {
            return Err(CtError::Unacceptable("it is of another log".to_owned()));
        }
        let signature = bytes("signature", &self.signature)?;
        let signature = parse_digitally_signed(&signature)
            .map_err(|error| CtError::Unacceptable(error.to_string()))?;
        Ok(SignedCertificateTimestamp {
            log_id: expected_id,
            timestamp_ms: self.timestamp,
            extensions: bytes("extensions", &self.extensions)?,
            signature: signature.to_vec(),
        })
    }
}
