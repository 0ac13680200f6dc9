//! OpenID Connect Discovery 1.0: fetching a provider's metadata and keys, within bounds.

use std::time::Duration;

use jsonwebtoken::Algorithm;
use serde::Deserialize;
use url::Url;

use crate::jwks::KeySet;
use crate::token::asymmetric;

/// Time for one fetch, from connecting to the last byte.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest document, in bytes.
pub(crate) const MAX_DOCUMENT: usize = 512 << 10;
/// Advertised algorithms beyond this many are not looked at.
const MAX_ALGORITHMS: usize = 64;

/// Why a provider's metadata or keys could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The URL is not one that is fetched.
    #[error("{url}: only https, or http on a loopback host, is fetched")]
    Url {
        /// The URL.
        url: String,
    },
    /// The exchange failed.
    #[error("{url}: {reason}")]
    Http {
        /// The URL.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// The document is not what it must be.
    #[error("{url}: {reason}")]
    Document {
        /// The URL.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// An earlier attempt failed a moment ago.
    #[error("not fetched again so soon after a failure: {0}")]
    CoolingDown(String),
}

/// What discovery says about a provider.
#[derive(Clone, Debug)]
pub(crate) struct Metadata {
    /// Where the keys are.
    jwks_uri: Url,
    /// Algorithms that its tokens may use.
    pub(crate) algorithms: Vec<Algorithm>,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
    #[serde(default)]
    id_token_signing_alg_values_supported: Vec<String>,
}

/// Where the bearer token for fetching comes from, for providers that ask for one (Kubernetes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// File with the token; read for every fetch, since it rotates.
    pub token_file: std::path::PathBuf,
}

/// Fetches documents of one issuer.
#[derive(Clone, Debug)]
pub struct Fetcher {
    issuer: Url,
    issuer_text: String,
    client: reqwest::Client,
    credentials: Option<Credentials>,
}

impl Fetcher {
    /// A fetcher for `issuer`, with a client of its own if there is none to share.
    pub fn new(
        issuer: &str,
        shared: Option<reqwest::Client>,
        credentials: Option<Credentials>,
    ) -> Result<Self, FetchError> {
        let url = fetchable(issuer)?;
        let client = match shared {
            Some(client) => client,
            None => client(&url, None).map_err(|reason| FetchError::Http {
                url: issuer.to_owned(),
                reason,
            })?,
        };
        Ok(Self {
            issuer: url,
            issuer_text: issuer.to_owned(),
            client,
            credentials,
        })
    }

    /// Fetches the provider's metadata; it must name this issuer, byte for byte.
    pub(crate) async fn metadata(&self) -> Result<Metadata, FetchError> {
        let base = self
            .issuer_text
            .strip_suffix('/')
            .unwrap_or(&self.issuer_text);
        let url = fetchable(&format!("{base}/.well-known/openid-configuration"))?;
        let body = self.get(&url).await?;
        let refuse = |reason: String| FetchError::Document {
            url: url.to_string(),
            reason,
        };
        let document: Document =
            serde_json::from_slice(&body).map_err(|error| refuse(error.to_string()))?;
        if document.issuer != self.issuer_text {
            return Err(refuse(format!(
                "names the issuer {:?}, not {:?}",
                document.issuer.chars().take(200).collect::<String>(),
                self.issuer_text
            )));
        }
        let jwks_uri = fetchable(&document.jwks_uri)?;
        // A provider on the network must not point to what only this machine can reach.
        if is_loopback(&jwks_uri) && !is_loopback(&self.issuer) {
            return Err(refuse(
                "jwks_uri is on a loopback host and the issuer is not".to_owned(),
            ));
        }
        let mut algorithms: Vec<_> = document
            .id_token_signing_alg_values_supported
            .iter()
            .take(MAX_ALGORITHMS)
            .filter_map(|name| asymmetric(name))
            .collect();
        if document.id_token_signing_alg_values_supported.is_empty() {
            algorithms.push(Algorithm::RS256);
        }
        Ok(Metadata {
            jwks_uri,
            algorithms,
        })
    }

    /// Fetches the provider's keys.
    pub(crate) async fn keys(&self, metadata: &Metadata) -> Result<KeySet, FetchError> {
        let body = self.get(&metadata.jwks_uri).await?;
        KeySet::parse(&body).map_err(|error| FetchError::Document {
            url: metadata.jwks_uri.to_string(),
            reason: error.to_string(),
        })
    }

    async fn get(&self, url: &Url) -> Result<Vec<u8>, FetchError> {
        let exchange = self.exchange(url);
        match tokio::time::timeout(FETCH_TIMEOUT, exchange).await {
            Ok(result) => result.map_err(|reason| FetchError::Http {
                url: url.to_string(),
                reason,
            }),
            Err(_) => Err(FetchError::Http {
                url: url.to_string(),
                reason: "no answer within 10 s".to_owned(),
            }),
        }
    }

    async fn exchange(&self, url: &Url) -> Result<Vec<u8>, String> {
        let mut request = self
            .client
            .get(url.clone())
            .header(http::header::ACCEPT, "application/json");
        // The token goes to the issuer's own host and port and to nobody else.
        if let Some(credentials) = self
            .credentials
            .as_ref()
            .filter(|_| url.origin() == self.issuer.origin())
        {
            let token = tokio::fs::read_to_string(&credentials.token_file)
                .await
                .map_err(|error| format!("{}: {error}", credentials.token_file.display()))?;
            request = request.bearer_auth(token.trim());
        }
        let mut response = request.send().await.map_err(describe)?;
        if response.status() != http::StatusCode::OK {
            return Err(format!("answered {}", response.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(describe)? {
            if body.len() + chunk.len() > MAX_DOCUMENT {
                return Err(format!("longer than {MAX_DOCUMENT} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// An error with its causes, without the URL, which the caller names.
pub fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Parses a URL that may be fetched: https, or http on a loopback host; no user, no fragment.
pub fn fetchable(text: &str) -> Result<Url, FetchError> {
    let refused = || FetchError::Url {
        url: text.chars().take(200).collect(),
    };
    let url = Url::parse(text).map_err(|_| refused())?;
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let secure = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    if plain && secure && url.has_host() {
        Ok(url)
    } else {
        Err(refused())
    }
}

/// Whether the URL's host is this machine.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// An HTTP client for fetching from `url`'s host: no redirects; `extra_roots` (PEM) trusted besides
/// the system's; a proxy, if the environment names one, except for this machine itself.
pub fn client(url: &Url, extra_roots: Option<&str>) -> Result<reqwest::Client, String> {
    let builder = || {
        let builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(FETCH_TIMEOUT)
            .user_agent(concat!("sigkeep/", env!("CARGO_PKG_VERSION")))
            .pool_idle_timeout(Duration::from_secs(30));
        if is_loopback(url) {
            builder.no_proxy()
        } else {
            builder
        }
    };
    let Some(pem) = extra_roots else {
        // A machine without any system roots can still use http on loopback.
        return builder()
            .build()
            .or_else(|_| builder().tls_certs_only([]).build())
            .map_err(describe);
    };
    let roots = reqwest::Certificate::from_pem_bundle(pem.as_bytes()).map_err(describe)?;
    if roots.is_empty() {
        return Err("no PEM certificate in it".to_owned());
    }
    builder()
        .tls_certs_merge(roots.clone())
        .build()
        .or_else(|_| builder().tls_certs_only(roots).build())
        .map_err(describe)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn only_https_and_loopback_http_are_fetched() {
        for good in [
            "https://a.example",
            "https://a.example/x?y",
            "http://localhost:80",
            "http://127.0.0.1:1/x",
            "http://[::1]:1",
        ] {
            assert!(fetchable(good).is_ok(), "{good}");
        }
        for bad in [
            "http://a.example",
            "file:///etc/passwd",
            "https://u:p@a.example",
            "https://a.example/#f",
            "ftp://localhost",
            "a",
            "http://localhost.evil.example",
        ] {
            assert!(fetchable(bad).is_err(), "{bad}");
        }
    }

    /// Answers everything with `body`; says which `Authorization` headers it got.
    async fn server(
        body: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> (String, Arc<Mutex<Vec<String>>>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (text, noted) = (body(&url), Arc::clone(&seen));
        let router = axum::Router::new().fallback(move |headers: http::HeaderMap| {
            let got = headers
                .get(http::header::AUTHORIZATION)
                .map_or("", |value| value.to_str().unwrap())
                .to_owned();
            noted.lock().unwrap().push(got);
            std::future::ready(text.clone())
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        (url, seen)
    }

    #[tokio::test]
    async fn credentials_go_to_the_issuers_own_origin_only() {
        let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (keys, keys_saw) = server(|_| r#"{"keys":[]}"#.to_owned()).await;
        let discovery =
            move |own: &str| format!(r#"{{"issuer":"{own}","jwks_uri":"{keys}/keys"}}"#);
        let (issuer, issuer_saw) = server(discovery).await;
        let token_file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(token_file.path(), "secret\n").unwrap();
        let credentials = Credentials {
            token_file: token_file.path().to_owned(),
        };
        let fetcher = Fetcher::new(&issuer, None, Some(credentials)).unwrap();
        let metadata = fetcher.metadata().await.unwrap();
        fetcher.keys(&metadata).await.unwrap();
        assert_eq!(*issuer_saw.lock().unwrap(), ["Bearer secret"]);
        assert_eq!(*keys_saw.lock().unwrap(), [""]);
        // It rotates: it is read again for every fetch.
        std::fs::write(token_file.path(), "newer").unwrap();
        fetcher.metadata().await.unwrap();
        assert_eq!(issuer_saw.lock().unwrap()[1], "Bearer newer");
    }
}
