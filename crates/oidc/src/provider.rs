//! One provider's metadata and keys, cached.
//!
//! Keys are fetched when first needed, again when they are an hour old, and again when a token
//! does not verify under them, which is how a rotation shows. Concurrent needs share one fetch.
//! Refetches for failed tokens are at most one an interval, so that bad tokens do not become
//! requests to the provider. While the provider is down, the last good keys stay.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::TokenError;
use crate::discovery::{FetchError, Fetcher, Metadata};
use crate::jwks::KeySet;
use crate::token::Unverified;

/// When keys are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refresh {
    /// Least time between refetches that failed tokens ask for.
    pub interval: Duration,
    /// Keys older than this are fetched again when used.
    pub max_age: Duration,
    /// Least time after a failed fetch.
    pub after_failure: Duration,
}

impl Default for Refresh {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(30),
            max_age: Duration::from_secs(3600),
            after_failure: Duration::from_millis(500),
        }
    }
}

/// Metadata and keys as fetched together.
#[derive(Debug)]
struct Snapshot {
    metadata: Metadata,
    keys: KeySet,
    fetched: Instant,
    generation: u64,
}

/// What happened to fetches; held while fetching, so that one is under way at most.
#[derive(Debug, Default)]
struct Attempts {
    generation: u64,
    last_refetch: Option<Instant>,
    last_failure: Option<(Instant, String)>,
}

/// A provider.
#[derive(Debug)]
pub struct Provider {
    fetcher: Fetcher,
    refresh: Refresh,
    current: RwLock<Option<Arc<Snapshot>>>,
    attempts: Mutex<Attempts>,
}

/// Why a fetch is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    /// There are no keys.
    Missing,
    /// The keys of this generation are old.
    Old(u64),
    /// A token did not verify under the keys of this generation.
    Failed(u64),
}

impl Provider {
    /// A provider that is asked when its keys are first needed.
    #[must_use]
    pub fn new(fetcher: Fetcher, refresh: Refresh) -> Self {
        Self {
            fetcher,
            refresh,
            current: RwLock::new(None),
            attempts: Mutex::default(),
        }
    }

    /// Verifies the signature of a token of this provider, with an algorithm it advertises.
    pub async fn verify(&self, token: &Unverified<'_>) -> Result<(), TokenError> {
        let snapshot = self.usable().await?;
        if !snapshot.metadata.algorithms.contains(&token.algorithm) {
            return Err(TokenError::Algorithm);
        }
        if snapshot.keys.verifies(token) {
            return Ok(());
        }
        match self.fetch(Reason::Failed(snapshot.generation)).await {
            Ok(Some(fresh)) if fresh.keys.verifies(token) => Ok(()),
            _ => Err(TokenError::Signature),
        }
    }

    /// Fetches metadata and keys if there are none yet.
    pub async fn warm(&self) -> Result<(), FetchError> {
        self.fetch(Reason::Missing).await.map(drop)
    }

    fn current(&self) -> Option<Arc<Snapshot>> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn usable(&self) -> Result<Arc<Snapshot>, FetchError> {
        match self.current() {
            Some(snapshot) if snapshot.fetched.elapsed() < self.refresh.max_age => Ok(snapshot),
            // Old keys are better than none: the provider may be down.
            Some(snapshot) => {
                let fresh = self.fetch(Reason::Old(snapshot.generation)).await;
                Ok(fresh.ok().flatten().unwrap_or(snapshot))
            }
            None => match self.fetch(Reason::Missing).await? {
                Some(snapshot) => Ok(snapshot),
                None => Err(FetchError::CoolingDown("no keys".to_owned())),
            },
        }
    }

    /// Fetches for `reason`, unless somebody just did, or it is too soon (`None`).
    async fn fetch(&self, reason: Reason) -> Result<Option<Arc<Snapshot>>, FetchError> {
        let mut attempts = match reason {
            // Nobody waits for a provider that may be down while there are keys.
            Reason::Old(_) => match self.attempts.try_lock() {
                Ok(attempts) => attempts,
                Err(_) => return Ok(None),
            },
            Reason::Missing | Reason::Failed(_) => self.attempts.lock().await,
        };
        let now = Instant::now();
        let current = self.current();
        if let Some(current) = &current {
            let wanted_after = match reason {
                Reason::Missing => return Ok(Some(Arc::clone(current))),
                Reason::Old(generation) | Reason::Failed(generation) => generation,
            };
            // Another request fetched while this one waited for the lock.
            if current.generation > wanted_after {
                return Ok(Some(Arc::clone(current)));
            }
        }
        if let Some((when, what)) = &attempts.last_failure
            && now.duration_since(*when) < self.refresh.after_failure
        {
            return Err(FetchError::CoolingDown(what.clone()));
        }
        if matches!(reason, Reason::Failed(_)) {
            if attempts
                .last_refetch
                .is_some_and(|last| now.duration_since(last) < self.refresh.interval)
            {
                return Ok(None);
            }
            attempts.last_refetch = Some(now);
        }
        // Metadata is fetched with the keys except after a failed token, where only keys rotate.
        let known = current
            .as_ref()
            .filter(|_| matches!(reason, Reason::Failed(_)));
        let fetched = async {
            let metadata = match known {
                Some(snapshot) => snapshot.metadata.clone(),
                None => self.fetcher.metadata().await?,
            };
            let keys = self.fetcher.keys(&metadata).await?;
            Ok::<_, FetchError>((metadata, keys))
        };
        match fetched.await {
            Ok((metadata, keys)) => {
                attempts.generation += 1;
                attempts.last_failure = None;
                let generation = attempts.generation;
                tracing::debug!(keys = keys.len(), generation, "fetched a provider's keys");
                // Metadata keeps its age through a rotation of keys.
                let fetched = known.map_or(now, |snapshot| snapshot.fetched);
                let snapshot = Arc::new(Snapshot {
                    metadata,
                    keys,
                    fetched,
                    generation,
                });
                *self.current.write().unwrap_or_else(PoisonError::into_inner) =
                    Some(Arc::clone(&snapshot));
                Ok(Some(snapshot))
            }
            Err(error) => {
                tracing::warn!(%error, "cannot fetch a provider's metadata or keys");
                // Not `now`: a provider that does not answer has taken longer than the pause.
                attempts.last_failure = Some((Instant::now(), error.to_string()));
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A provider that answers its first two requests, and then never again; counts them.
    async fn falls_silent() -> (String, Arc<AtomicUsize>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let text = format!(r#"{{"issuer":"{url}","jwks_uri":"{url}/keys","keys":[]}}"#);
        let count = Arc::clone(&asked);
        let router = axum::Router::new().fallback(async move || {
            if count.fetch_add(1, Ordering::SeqCst) >= 2 {
                std::future::pending::<()>().await;
            }
            text
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        (url, asked)
    }

    #[tokio::test]
    async fn nobody_waits_for_a_silent_provider_while_there_are_old_keys() {
        let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (url, asked) = falls_silent().await;
        let refresh = Refresh {
            max_age: Duration::ZERO,
            ..Refresh::default()
        };
        let provider = Arc::new(Provider::new(
            Fetcher::new(&url, None, None).unwrap(),
            refresh,
        ));
        provider.warm().await.unwrap();
        let first = Arc::clone(&provider);
        let waits = tokio::spawn(async move { first.usable().await });
        while asked.load(Ordering::SeqCst) < 3 {
            tokio::task::yield_now().await;
        }
        let second = tokio::time::timeout(Duration::from_secs(2), provider.usable()).await;
        assert!(second.unwrap().is_ok());
        waits.abort();
    }
}
