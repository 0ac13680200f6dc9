//! tough as a TUF client, one update a line.
//!
//! Reads `{"mirror":URL,"root":FILE,"cache":DIR}` lines, updates, downloads every target, and
//! answers each with `{"ok":true,"versions":{…}}` or `{"ok":false,"error":"…"}`.

use std::collections::BTreeMap;
use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;

use async_trait::async_trait;
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use tough::{RepositoryLoader, Transport, TransportError, TransportErrorKind, TransportStream};
use url::Url;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Deserialize)]
struct Request {
    mirror: String,
    root: PathBuf,
    cache: PathBuf,
}

#[derive(Default, Serialize)]
struct Answer {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    versions: BTreeMap<&'static str, u64>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    for line in std::io::stdin().lock().lines() {
        let answer = match update(serde_json::from_str(&line?)?, &http).await {
            Ok(versions) => Answer {
                ok: true,
                error: None,
                versions,
            },
            Err(error) => Answer {
                error: Some(chain(error.as_ref())),
                ..Answer::default()
            },
        };
        let mut out = std::io::stdout().lock();
        serde_json::to_writer(&mut out, &answer)?;
        out.write_all(b"\n")?;
        out.flush()?;
    }
    Ok(())
}

async fn update(
    request: Request,
    http: &reqwest::Client,
) -> Result<BTreeMap<&'static str, u64>, Failure> {
    let root = std::fs::read(&request.root)?;
    std::fs::create_dir_all(&request.cache)?;
    let base = request.mirror.trim_end_matches('/');
    let metadata = Url::parse(&format!("{base}/"))?;
    let targets = Url::parse(&format!("{base}/targets/"))?;
    let repository = RepositoryLoader::new(&root, metadata, targets)
        .transport(Http(http.clone()))
        .datastore(request.cache)
        .load()
        .await?;
    for (name, _) in &repository.targets().signed.targets {
        let mut content = repository
            .read_target(name)
            .await?
            .ok_or_else(|| format!("target {} is missing", name.raw()))?;
        while let Some(chunk) = content.next().await {
            chunk?;
        }
    }
    Ok(BTreeMap::from([
        ("root", repository.root().signed.version.get()),
        ("targets", repository.targets().signed.version.get()),
        ("snapshot", repository.snapshot().signed.version.get()),
        ("timestamp", repository.timestamp().signed.version.get()),
    ]))
}

/// An error with all that led to it.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// Plain HTTP. As tough's own transport, it takes 403 and 404 for files that are not there.
#[derive(Clone, Debug)]
struct Http(reqwest::Client);

#[async_trait]
impl Transport for Http {
    async fn fetch(&self, url: Url) -> Result<TransportStream, TransportError> {
        let fail =
            |kind, error: reqwest::Error| TransportError::new_with_cause(kind, url.as_str(), error);
        let answer = self.0.get(url.clone()).send().await;
        let answer = answer.map_err(|e| fail(TransportErrorKind::Other, e))?;
        let kind = match answer.status().as_u16() {
            403 | 404 | 410 => TransportErrorKind::FileNotFound,
            _ => TransportErrorKind::Other,
        };
        let answer = answer.error_for_status().map_err(|e| fail(kind, e))?;
        let bytes = answer.bytes().await;
        let bytes = bytes.map_err(|e| fail(TransportErrorKind::Other, e))?;
        Ok(Box::pin(futures::stream::iter([Ok(bytes)])))
    }
}
