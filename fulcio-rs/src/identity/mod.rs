//! From an identity token to what a certificate says about its bearer.
//!
//! The token's issuer is looked up in the configuration first; only then is its provider asked
//! for keys. Audience and times are checked before the signature, so that a token that would be
//! refused anyway costs no request.

mod chainguard;
mod ci_provider;
mod email;
mod explain;
mod extensions;
mod file;
mod kubernetes;
mod pattern;
mod printed;
mod registry;
mod spiffe;
mod template;
mod tree;
mod uri;
mod username;
mod workflow;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

pub use explain::{Check, ExplainedClaim, Explanation, explain};
pub use extensions::{Extensions, extension_name};
pub use file::FileError;
pub use oidc::{Claims, FetchError, Refresh, TokenError};
pub use printed::UriError;
pub use registry::{Issuer, IssuerType, Registry, RegistryError};
pub use template::{EvaluationError, SyntaxError};

pub(crate) use oidc::{Claimed, claimed};

use oidc::{Credentials, Fetcher, PinnedKeys, Provider, Unverified};
use tokio::sync::Semaphore;

/// Providers of wildcard issuers that are remembered.
const MAX_WILDCARD_PROVIDERS: u64 = 100;

/// Providers of wildcard issuers that are asked for the first time at once. Whoever sends a token
/// chooses which they are, so more than these wait.
const MAX_FIRST_FETCHES: usize = 8;

/// Who asks for a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The subject alternative name.
    pub san: pki::leaf::San,
    /// The Sigstore extensions.
    pub extensions: Extensions,
    /// Texts over any of which the client may prove that it has its key.
    pub challenges: Vec<String>,
    /// The token's issuer.
    pub issuer: String,
    /// The token's subject.
    pub subject: String,
}

/// A verified token.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Whose it is.
    pub principal: Principal,
    /// What it says.
    pub claims: Claims,
    /// The configured issuer: a URL, or the pattern that matches the token's.
    pub issuer: Arc<Issuer>,
}

/// Files with pinned keys, by issuer.
pub type PinnedJwks = BTreeMap<String, PathBuf>;

/// Why a token gives no identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The token was not accepted.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The token was accepted, and its claims do not fill the issuer's templates.
    #[error(transparent)]
    Template(#[from] EvaluationError),
    /// The token was accepted, and the name made of its claims is not a URI.
    #[error("{0:?} is not a URI: {1}")]
    Uri(String, UriError),
}

/// The configured issuers with their providers' keys.
#[derive(Debug)]
pub struct Identities {
    registry: Registry,
    providers: HashMap<String, Arc<Provider>>,
    pinned: HashMap<String, PinnedKeys>,
    /// Those that have answered once.
    wildcard_providers: moka::future::Cache<String, Arc<Provider>>,
    first_fetches: Semaphore,
    clients: Clients,
    refresh: Refresh,
}

/// HTTP clients by the issuers' URLs; issuers that trust the same roots share one.
#[derive(Clone, Debug, Default)]
struct Clients(HashMap<String, reqwest::Client>);

impl Clients {
    fn new(registry: &Registry) -> Result<Self, RegistryError> {
        let mut clients = HashMap::new();
        let mut shared: HashMap<bool, reqwest::Client> = HashMap::new();
        for issuer in registry.issuers() {
            let refuse = |reason: String| RegistryError::Issuer {
                issuer: issuer.url().to_owned(),
                reason,
            };
            let url = issuer
                .representative()
                .map_err(|error| refuse(error.to_string()))?;
            let route = oidc::is_loopback(&url);
            let client = match (issuer.extra_roots(), shared.get(&route)) {
                (None, Some(client)) => client.clone(),
                (None, None) => {
                    let client = oidc::http_client(&url, None).map_err(refuse)?;
                    shared.insert(route, client.clone());
                    client
                }
                (Some(pem), _) => oidc::http_client(&url, Some(pem))
                    .map_err(|reason| refuse(format!("ca-cert: {reason}")))?,
            };
            clients.insert(issuer.url().to_owned(), client);
        }
        Ok(Self(clients))
    }

    fn of(&self, issuer: &Issuer) -> Option<&reqwest::Client> {
        self.0.get(issuer.url())
    }
}

impl Identities {
    /// Prepares providers for every issuer of the registry; asks none of them yet. Those with
    /// pinned keys are never asked.
    pub fn new(
        registry: Registry,
        refresh: Refresh,
        pinned: &PinnedJwks,
    ) -> Result<Self, RegistryError> {
        let pinned = open_pinned(&registry, pinned)?;
        let clients = Clients::new(&registry)?;
        let mut providers = HashMap::new();
        let is_asked =
            |issuer: &&Issuer| !issuer.is_wildcard() && !pinned.contains_key(issuer.url());
        for issuer in registry.issuers().filter(is_asked) {
            let provider = provider(issuer, issuer.url(), &clients, refresh).map_err(|error| {
                RegistryError::Issuer {
                    issuer: issuer.url().to_owned(),
                    reason: error.to_string(),
                }
            })?;
            providers.insert(issuer.url().to_owned(), Arc::new(provider));
        }
        let wildcard_providers = moka::future::Cache::new(MAX_WILDCARD_PROVIDERS);
        Ok(Self {
            registry,
            providers,
            pinned,
            wildcard_providers,
            first_fetches: Semaphore::new(MAX_FIRST_FETCHES),
            clients,
            refresh,
        })
    }

    /// The configured issuers.
    #[must_use]
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Asks the providers of all fixed issuers for their keys. One that does not answer is logged
    /// and asked again when it is needed.
    pub async fn warm(&self) {
        let fetches = self.providers.iter().map(|(issuer, provider)| async move {
            if let Err(error) = provider.warm().await {
                tracing::warn!(issuer, %error, "the identity provider does not answer; it is asked again on use");
            }
        });
        futures::future::join_all(fetches).await;
    }

    /// Verifies a token and reads its bearer's identity from it.
    pub async fn verify(&self, token: &str, now: SystemTime) -> Result<Verified, IdentityError> {
        let token = Unverified::parse(token)?;
        let url = token.issuer()?;
        let issuer = self.registry.find(url).ok_or(TokenError::UnknownIssuer)?;
        token.check(issuer.client_id(), seconds(now))?;
        match self.pinned.get(url) {
            Some(keys) => keys.verify(&token).await?,
            None => self.provider(issuer, url).await?.verify(&token).await?,
        }
        Ok(Verified {
            principal: issuer.principal(url, &token.claims)?,
            issuer: Arc::clone(issuer),
            claims: token.claims,
        })
    }

    async fn provider(&self, issuer: &Issuer, url: &str) -> Result<Arc<Provider>, TokenError> {
        if let Some(provider) = self.providers.get(url) {
            return Ok(Arc::clone(provider));
        }
        if let Some(provider) = self.wildcard_providers.get(url).await {
            return Ok(provider);
        }
        // Requests for one issuer share its first fetch. Only a provider that answered is
        // remembered: made-up issuers push out none that is in use.
        let first = async {
            let provider = Arc::new(provider(issuer, url, &self.clients, self.refresh)?);
            let _permit = self.first_fetches.acquire().await;
            provider.warm().await?;
            Ok::<_, FetchError>(provider)
        };
        self.wildcard_providers
            .try_get_with_by_ref(url, first)
            .await
            .map_err(|error| TokenError::Provider((*error).clone()))
    }
}

fn provider(
    issuer: &Issuer,
    url: &str,
    clients: &Clients,
    refresh: Refresh,
) -> Result<Provider, FetchError> {
    let credentials = issuer.token_file().map(|file| Credentials {
        token_file: file.to_owned(),
    });
    Ok(Provider::new(
        Fetcher::new(url, clients.of(issuer).cloned(), credentials)?,
        refresh,
    ))
}

fn open_pinned(
    registry: &Registry,
    files: &PinnedJwks,
) -> Result<HashMap<String, PinnedKeys>, RegistryError> {
    let open = |(url, path): (&String, &PathBuf)| {
        let refuse = |reason: String| RegistryError::Issuer {
            issuer: url.clone(),
            reason: format!("pinned-jwks: {reason}"),
        };
        if url.contains('*') || registry.find(url).is_none() {
            return Err(refuse(
                "not the URL of a configured issuer, so no token would use the keys".to_owned(),
            ));
        }
        PinnedKeys::open(path)
            .map(|keys| (url.clone(), keys))
            .map_err(refuse)
    };
    files.iter().map(open).collect()
}

/// Seconds since the Unix epoch, with fractions.
fn seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests;
