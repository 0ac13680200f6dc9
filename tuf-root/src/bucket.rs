//! The published tree in an S3-compatible bucket.
//!
//! A bucket has no rename and no lock. What keeps it whole is the order of the files and two kinds
//! of conditional write. Files with a version or a hash in their name are created and never
//! replaced: whoever finds one with another content has met a second publisher, and stops before
//! clients see anything. `timestamp.json` comes last and replaces only the one that was read at the
//! beginning (`If-Match`), so of two publishers one wins and the other is told.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::TryStreamExt as _;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, RetryConfig,
    UpdateVersion,
};

use crate::client::{self, Directory, Expiry, Source, SourceError};
use crate::metadata::{Document, Metadata as _, Root, Timestamp, Version};
use crate::profile::MAX_TARGET_BYTES;
use crate::repository::{Destination, DestinationError};
use crate::server::Resource;

const TIMESTAMP: &str = "timestamp.json";

/// How long one request is tried again.
const PATIENCE: Duration = Duration::from_secs(30);

/// A place in a bucket.
#[derive(Clone, Debug)]
pub struct Bucket {
    url: String,
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

/// What is in the bucket now, as far as publishing needs to know.
struct Seen {
    /// `timestamp.json`, and what names this state of it.
    timestamp: Option<(Vec<u8>, UpdateVersion)>,
}

impl Bucket {
    /// The bucket at `s3://NAME/PREFIX`. Region, endpoint and credentials come from the usual
    /// environment variables (`AWS_REGION`, `AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`, …) or from the
    /// machine's role.
    pub fn open(url: &str) -> Result<Self, DestinationError> {
        let refuse = |reason: String| DestinationError {
            at: url.to_owned(),
            reason,
        };
        let rest = url.strip_prefix("s3://");
        let rest = rest.ok_or_else(|| refuse("not of the form s3://BUCKET/PREFIX".to_owned()))?;
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        // The HTTP client takes its TLS library from the process; it may be chosen already.
        let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let endpoint = std::env::var("AWS_ENDPOINT_URL").unwrap_or_default();
        let store = AmazonS3Builder::from_env()
            .with_bucket_name(name)
            .with_retry(RetryConfig {
                max_retries: 3,
                retry_timeout: PATIENCE,
                ..RetryConfig::default()
            })
            // Credentials are never sent in the clear, but to this machine.
            .with_allow_http(is_loopback(&endpoint))
            .build()
            .map_err(|e| refuse(e.to_string()))?;
        let prefix = Path::parse(prefix).map_err(|e| refuse(e.to_string()))?;
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            store: Arc::new(store),
            prefix,
        })
    }

    fn path(&self, name: &str) -> Result<Path, DestinationError> {
        let full = match self.prefix.as_ref() {
            "" => name.to_owned(),
            prefix => format!("{prefix}/{name}"),
        };
        Path::parse(full).map_err(|e| self.fail(name, &e))
    }

    fn fail(&self, name: &str, error: &dyn std::fmt::Display) -> DestinationError {
        DestinationError {
            at: format!("{}/{name}", self.url),
            reason: error.to_string(),
        }
    }

    /// An object of at most `limit` bytes, with what names its state.
    async fn read(
        &self,
        name: &str,
        limit: u64,
    ) -> Result<Option<(Vec<u8>, UpdateVersion)>, DestinationError> {
        let found = match self.store.get(&self.path(name)?).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            other => other.map_err(|e| self.fail(name, &e))?,
        };
        let version = UpdateVersion {
            e_tag: found.meta.e_tag.clone(),
            version: found.meta.version.clone(),
        };
        let mut bytes = Vec::new();
        let mut stream = found.into_stream();
        while let Some(chunk) = stream.try_next().await.map_err(|e| self.fail(name, &e))? {
            bytes.extend_from_slice(&chunk);
            if u64::try_from(bytes.len()).is_ok_and(|length| length > limit) {
                return Err(self.fail(name, &format!("longer than {limit} bytes")));
            }
        }
        Ok(Some((bytes, version)))
    }

    /// A file of the published tree.
    async fn local(&self, published: &Directory, name: &str) -> Result<Vec<u8>, DestinationError> {
        let found = published.get(name, MAX_TARGET_BYTES).await;
        let found = found.map_err(|e| self.fail(name, &e))?;
        found.ok_or_else(|| self.fail(name, &"is not in the published tree"))
    }

    async fn write(
        &self,
        name: &str,
        bytes: &[u8],
        mode: PutMode,
    ) -> Result<(), object_store::Error> {
        let mut attributes = Attributes::new();
        if let Some(resource) = Resource::parse(name) {
            let text = |value: http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
            attributes.insert(Attribute::ContentType, text(resource.content_type()).into());
            attributes.insert(
                Attribute::CacheControl,
                text(resource.cache_control()).into(),
            );
        }
        let options = PutOptions {
            mode,
            attributes,
            ..PutOptions::default()
        };
        let path = self.path(name).map_err(|e| object_store::Error::Generic {
            store: "S3",
            source: Box::new(e),
        })?;
        self.store
            .put_opts(&path, bytes.to_vec().into(), options)
            .await
            .map(drop)
    }

    /// Writes a file that never changes. It may be there already, with the same content.
    async fn create(&self, name: &str, bytes: &[u8]) -> Result<(), DestinationError> {
        match self.write(name, bytes, PutMode::Create).await {
            Ok(()) => Ok(()),
            Err(
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. },
            ) => match self.read(name, MAX_TARGET_BYTES).await? {
                Some((there, _)) if there == bytes => Ok(()),
                _ => Err(self.fail(name, &SECOND_PUBLISHER)),
            },
            Err(e) => Err(self.fail(name, &e)),
        }
    }

    /// Whether the bucket is behind, or as far as, `ours`.
    async fn look(&self, ours: &[u8]) -> Result<Seen, DestinationError> {
        let limit = Timestamp::MAX_BYTES as u64;
        let there = self.read(TIMESTAMP, limit).await?;
        if let Some((bytes, _)) = &there {
            let version = |bytes: &[u8]| -> Result<Version, DestinationError> {
                let document: Document<Timestamp> =
                    Document::parse(bytes).map_err(|e| self.fail(TIMESTAMP, &e))?;
                Ok(document.signed().version)
            };
            let (theirs, own) = (version(bytes)?, version(ours)?);
            if theirs > own || (theirs == own && bytes != ours) {
                return Err(self.fail(
                    TIMESTAMP,
                    &format!("version {theirs} is there, and version {own} was to be published: {SECOND_PUBLISHER}"),
                ));
            }
        }
        Ok(Seen { timestamp: there })
    }
}

const SECOND_PUBLISHER: &str = "somebody else publishes here. Stop one of the two, then take over what clients see with `tuf-root recover`";

#[async_trait]
impl Destination for Bucket {
    /// Uploads what is new, target files first and `timestamp.json` last, and reads it back as a
    /// client that starts from `first_root`.
    async fn follow(
        &self,
        published: &Directory,
        first_root: &Document<Root>,
    ) -> Result<(), DestinationError> {
        let refuse = |e: client::UpdateError| self.fail("", &e);
        let ours = self.local(published, TIMESTAMP).await?;
        let seen = self.look(&ours).await?;
        let trusted = client::update(published, first_root, None, Expiry::Ignored)
            .await
            .map_err(refuse)?;
        let same = |there: &Option<(Vec<u8>, UpdateVersion)>, here: &[u8]| {
            there.as_ref().is_some_and(|(bytes, _)| bytes == here)
        };
        let newest = trusted.root.signed().file_name();
        let root = self.local(published, &newest).await?;
        let limit = Root::MAX_BYTES as u64;
        // Both are the last of what they complete: with them everything else is there.
        if same(&seen.timestamp, &ours) && same(&self.read(&newest, limit).await?, &root) {
            return Ok(());
        }
        for (name, info) in &trusted.targets.signed().targets {
            let name = format!("targets/{}.{name}", info.hashes.sha256);
            self.create(&name, &self.local(published, &name).await?)
                .await?;
        }
        for name in [
            trusted.targets.signed().file_name(),
            trusted.snapshot.signed().file_name(),
        ] {
            self.create(&name, &self.local(published, &name).await?)
                .await?;
        }
        let newest = trusted.root.signed().version.get();
        for version in (1..=newest).filter_map(Version::new) {
            let name = format!("{version}.root.json");
            self.create(&name, &self.local(published, &name).await?)
                .await?;
        }
        if !same(&self.read("root.json", limit).await?, &root) {
            let placed = self.write("root.json", &root, PutMode::Overwrite).await;
            placed.map_err(|e| self.fail("root.json", &e))?;
        }
        let mode = match seen.timestamp {
            Some((bytes, _)) if bytes == ours => None,
            Some((_, version)) => Some(PutMode::Update(version)),
            None => Some(PutMode::Create),
        };
        if let Some(mode) = mode {
            self.write(TIMESTAMP, &ours, mode)
                .await
                .map_err(|e| match e {
                    object_store::Error::Precondition { .. }
                    | object_store::Error::AlreadyExists { .. } => {
                        self.fail(TIMESTAMP, &SECOND_PUBLISHER)
                    }
                    e => self.fail(TIMESTAMP, &e),
                })?;
        }
        let read = client::update(self, first_root, None, Expiry::Ignored);
        let read = read.await.map_err(refuse)?;
        for name in read.targets.signed().targets.keys() {
            client::target(self, &read, name).await.map_err(refuse)?;
        }
        Ok(())
    }
}

impl Source for Bucket {
    async fn get(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
        let found = self.read(path, limit).await.map_err(|e| SourceError {
            path: e.at,
            reason: e.reason,
        })?;
        Ok(found.map(|(bytes, _)| bytes))
    }
}

fn is_loopback(endpoint: &str) -> bool {
    let host = endpoint.strip_prefix("http://").unwrap_or_default();
    let host = host.split(['/', ':']).next().unwrap_or_default();
    // What stands before an @ is a name and a password, not a host.
    matches!(host, "localhost" | "127.0.0.1") && !endpoint.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_in_the_clear_to_this_machine_only() {
        assert!(is_loopback("http://127.0.0.1:9000"));
        assert!(is_loopback("http://localhost"));
        for other in [
            "http://minio.corp.example:9000",
            "http://localhost.evil.example",
            "http://localhost:80@evil.example",
            "https://x",
            "",
        ] {
            assert!(!is_loopback(other), "{other}");
        }
    }

    #[test]
    fn a_url_names_a_bucket() {
        let error = Bucket::open("https://bucket.example/tuf").unwrap_err();
        assert!(error.to_string().contains("s3://BUCKET/PREFIX"), "{error}");
    }
}
