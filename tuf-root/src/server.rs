//! Serving the published tree over HTTP.
//!
//! A static file server with a short list of what it serves: the names that TUF clients ask for,
//! and nothing else. A root that does not exist yet is 404, never anything else: clients ask for
//! the next one until they get that answer. Double slashes are tolerated, because some clients
//! join URLs that way.

use std::path::{Path, PathBuf};

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use clock::SharedClock;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, StatusCode, Uri};

use crate::client::{self, Directory, Expiry};
use crate::metadata::{Document, Root, Sha256, TargetName, Version};

/// Longest file that is served, in bytes.
const MAX_BYTES: u64 = crate::profile::MAX_TARGET_BYTES;

/// The routes of a mirror of `published`: metadata, target files, `/healthz` and `/readyz`, which
/// fails once clients would refuse what is published (the files are served nevertheless).
pub fn router(published: impl Into<PathBuf>, clock: SharedClock) -> Router {
    let published = published.into();
    let health = serve::Health::default().with(Freshness {
        published: published.clone(),
        clock,
    });
    Router::new()
        .fallback(file)
        .with_state(published)
        .merge(health.router())
}

async fn file(State(published): State<PathBuf>, method: Method, uri: Uri) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return (
            StatusCode::METHOD_NOT_ALLOWED,
            [(http::header::ALLOW, "GET, HEAD")],
        )
            .into_response();
    }
    let Some(resource) = Resource::parse(uri.path()) else {
        return not_found();
    };
    match read(published.join(&resource.path)).await {
        Ok(Some(bytes)) => (
            [
                (CONTENT_TYPE, resource.content_type()),
                (CACHE_CONTROL, resource.cache_control()),
                (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            ],
            bytes,
        )
            .into_response(),
        Ok(None) => not_found(),
        Err(error) => {
            tracing::error!(%error, path = %resource.path.display(), "a published file cannot be read");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Not cached: what is missing now may be the next root tomorrow.
fn not_found() -> Response {
    (
        StatusCode::NOT_FOUND,
        [(CACHE_CONTROL, HeaderValue::from_static("no-store"))],
        "not found\n",
    )
        .into_response()
}

async fn read(path: PathBuf) -> std::io::Result<Option<Vec<u8>>> {
    let found = async {
        let metadata = tokio::fs::metadata(&path).await?;
        match metadata.len() {
            _ if !metadata.is_file() => Err(std::io::ErrorKind::NotFound.into()),
            length if length > MAX_BYTES => Err(std::io::ErrorKind::FileTooLarge.into()),
            _ => tokio::fs::read(&path).await,
        }
    };
    match found.await {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

/// A file that clients may ask for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    path: PathBuf,
    /// Whether the content behind this name can never change.
    immutable: bool,
}

impl Resource {
    /// Recognises a name by its exact form; that leaves no room for `..`, escapes or hidden files.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let segments: Vec<&str> = path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .collect();
        match *segments.as_slice() {
            ["root.json" | "timestamp.json"] => Some(Self {
                path: segments.iter().collect(),
                immutable: false,
            }),
            [name] => {
                let (version, role) = name.split_once('.')?;
                let number: u64 = version.parse().ok()?;
                // One spelling: no sign, no leading zero.
                if Version::new(number)?.to_string() != version {
                    return None;
                }
                match role {
                    "root.json" => Some(Self {
                        path: name.into(),
                        immutable: false,
                    }),
                    "targets.json" | "snapshot.json" => Some(Self {
                        path: name.into(),
                        immutable: true,
                    }),
                    _ => None,
                }
            }
            ["targets", name] => {
                let (hash, target) = name.split_once('.')?;
                hash.parse::<Sha256>().ok()?;
                target.parse::<TargetName>().ok()?;
                Some(Self {
                    path: Path::new("targets").join(name),
                    immutable: true,
                })
            }
            _ => None,
        }
    }

    pub(crate) fn content_type(&self) -> HeaderValue {
        HeaderValue::from_static(match self.path.extension().and_then(|e| e.to_str()) {
            Some("json") => "application/json",
            Some("pem" | "pub") => "application/x-pem-file",
            _ => "application/octet-stream",
        })
    }

    /// Roots are few and looked up rarely: never cached, so that no cache answers for a new one.
    pub(crate) fn cache_control(&self) -> HeaderValue {
        HeaderValue::from_static(match self.immutable {
            true => "public, max-age=31536000, immutable",
            false => "no-store",
        })
    }
}

/// Ready while a fresh client accepts what is published.
struct Freshness {
    published: PathBuf,
    clock: SharedClock,
}

#[async_trait::async_trait]
impl serve::Probe for Freshness {
    fn name(&self) -> &'static str {
        "trust-root"
    }

    async fn check(&self) -> Result<(), String> {
        let source = Directory {
            path: self.published.clone(),
        };
        let first = client::Source::get(&source, "1.root.json", u64::MAX)
            .await
            .map_err(|e| e.to_string())?;
        let first = first.ok_or("nothing has been published yet")?;
        let first: Document<Root> = Document::parse(&first).map_err(|e| e.to_string())?;
        let now = Expiry::At(self.clock.now_secs());
        client::update(&source, &first, None, now)
            .await
            .map(drop)
            .map_err(|e| e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str) -> Option<String> {
        Resource::parse(path).map(|r| r.path.to_string_lossy().into_owned())
    }

    #[test]
    fn only_the_names_of_the_profile_are_served() {
        let hash = Sha256::of(b"");
        let target = format!("/targets/{hash}.trusted_root.json");
        for (path, file) in [
            ("/timestamp.json", "timestamp.json"),
            ("//timestamp.json", "timestamp.json"),
            ("/root.json", "root.json"),
            ("/12.root.json", "12.root.json"),
            ("/3.snapshot.json", "3.snapshot.json"),
            (target.as_str(), &target[1..]),
            (&target.replace("/targets", "//targets/"), &target[1..]),
        ] {
            assert_eq!(parse(path).as_deref(), Some(file), "{path}");
        }
        for path in [
            "/",
            "/targets",
            "/targets/",
            "/state.json",
            "/.tmp-timestamp.json",
            "/snapshot.json",
            "/0.root.json",
            "/01.root.json",
            "/+1.root.json",
            "/1.timestamp.json",
            "/targets/../root.json",
            "/../state.json",
            "/%2e%2e/state.json",
            "/targets/trusted_root.json",
            "/keys/root.pem",
        ] {
            assert_eq!(parse(path), None, "{path}");
        }
    }

    #[test]
    fn only_what_never_changes_may_be_cached() {
        let cached = |path: &str| {
            Resource::parse(path)
                .unwrap()
                .cache_control()
                .to_str()
                .unwrap()
                .to_owned()
        };
        assert_eq!(cached("/timestamp.json"), "no-store");
        assert_eq!(cached("/2.root.json"), "no-store");
        assert!(cached("/2.targets.json").contains("immutable"));
    }
}
