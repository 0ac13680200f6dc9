//! Where a client reads a repository's files.

use std::path::PathBuf;

/// Where a repository's files are read from.
pub trait Source: Sync {
    /// The file at `path` under the repository's URL; `None` if there is none. Fails if it is
    /// longer than `limit` bytes.
    fn get(
        &self,
        path: &str,
        limit: u64,
    ) -> impl Future<Output = Result<Option<Vec<u8>>, SourceError>> + Send;
}

/// A file could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct SourceError {
    /// Which file.
    pub path: String,
    /// What went wrong.
    pub reason: String,
}

/// A repository in a directory.
#[derive(Clone, Debug)]
pub struct Directory {
    /// The directory that holds `timestamp.json`.
    pub path: PathBuf,
}

impl Source for Directory {
    async fn get(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
        let fail = |reason: String| SourceError {
            path: path.to_owned(),
            reason,
        };
        let file = self.path.join(path);
        match std::fs::metadata(&file) {
            Ok(metadata) if metadata.len() > limit => {
                return Err(fail(format!("longer than {limit} bytes")));
            }
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(fail(e.to_string())),
        }
        std::fs::read(&file)
            .map(Some)
            .map_err(|e| fail(e.to_string()))
    }
}

/// A repository behind a URL.
#[derive(Clone, Debug)]
pub struct Mirror {
    base: String,
    http: reqwest::Client,
}

impl Mirror {
    /// The repository at `base`. Redirects are not followed: some clients do not either.
    pub fn new(base: &str) -> Result<Self, SourceError> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(std::time::Duration::from_secs(30))
            .build()
            .map_err(|e| SourceError {
                path: base.to_owned(),
                reason: e.to_string(),
            })?;
        Ok(Self {
            base: base.trim_end_matches('/').to_owned(),
            http,
        })
    }
}

impl Source for Mirror {
    async fn get(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
        let url = format!("{}/{path}", self.base);
        let fail = |reason: String| SourceError {
            path: url.clone(),
            reason,
        };
        let mut response = self
            .http
            .get(&url)
            .send()
            .await
            .map_err(|e| fail(e.without_url().to_string()))?;
        match response.status() {
            reqwest::StatusCode::OK => {}
            reqwest::StatusCode::NOT_FOUND => return Ok(None),
            status => {
                return Err(fail(format!(
                    "answered {status}; clients accept 200 and, for what is missing, 404 only"
                )));
            }
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut bytes = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|e| fail(e.without_url().to_string()))?
        {
            if bytes.len().saturating_add(chunk.len()) > limit {
                return Err(fail(format!("longer than {limit} bytes")));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Some(bytes))
    }
}
