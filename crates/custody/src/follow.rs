//! Taking up what a [`Source`] has become, without a restart.

use std::fmt::Display;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::{Source, Stamp};

/// Time between two looks. File notifications would be quicker, but miss what Kubernetes does to a
/// mounted secret.
const LOOK: Duration = Duration::from_secs(2);

/// Longest time between two attempts to open what could not be opened.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What a service signs with now. Whoever has taken it keeps it: what was begun with one key is
/// finished with it.
#[derive(Debug)]
pub struct Current<T>(RwLock<Arc<T>>);

impl<T> Current<T> {
    /// To begin with.
    pub fn new(value: T) -> Self {
        Self(RwLock::new(Arc::new(value)))
    }

    /// What it is now.
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Exchanges it.
    pub fn set(&self, value: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
    }
}

/// Keeps `current` what `source` says, for as long as anybody else holds it. `opened` is the stamp
/// from before it was opened; `open` opens and checks it again.
///
/// What cannot be opened changes nothing: it is logged, counted and tried again, at ever longer
/// intervals, because the reason may pass (a key service that is down) or be half of a change whose
/// other half is still to come. `service` is the label of the metrics.
pub fn follow<T, E, F>(
    service: &'static str,
    source: Source,
    opened: Stamp,
    current: &Arc<Current<T>>,
    open: impl Fn() -> F + Send + 'static,
) where
    T: Send + Sync + 'static,
    E: Display + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
{
    let current = Arc::downgrade(current);
    stale(service, false);
    tokio::spawn(async move {
        let mut taken = opened;
        let mut refused: Option<Refused> = None;
        loop {
            tokio::time::sleep(LOOK).await;
            if current.strong_count() == 0 {
                return;
            }
            let looked = source.clone();
            let Ok(stamp) = tokio::task::spawn_blocking(move || looked.stamp()).await else {
                return;
            };
            if stamp == taken {
                if refused.take().is_some() {
                    tracing::info!("the authority's files are again what is in use");
                    stale(service, false);
                }
                continue;
            }
            if let Some(refused) = &mut refused
                && refused.stamp == stamp
                && !refused.is_due()
            {
                continue;
            }
            match open().await {
                Ok(value) => {
                    let Some(current) = current.upgrade() else {
                        return;
                    };
                    current.set(value);
                    taken = stamp;
                    refused = None;
                    tracing::info!("took up the authority's new key or certificates");
                    count(service, "taken");
                    stale(service, false);
                }
                Err(error) => {
                    let reason = error.to_string();
                    if refused
                        .as_ref()
                        .is_none_or(|before| before.reason != reason)
                    {
                        tracing::error!(
                            reason,
                            "the authority's new key or certificates cannot be used; those from before stay"
                        );
                    }
                    count(service, "refused");
                    stale(service, true);
                    refused = Some(Refused::after(refused, stamp, reason));
                }
            }
        }
    });
}

/// 1 while what is on disk is not what signs.
fn stale(service: &'static str, is: bool) {
    metrics::gauge!("authority_stale", "service" => service).set(f64::from(u8::from(is)));
}

fn count(service: &'static str, outcome: &'static str) {
    metrics::counter!("authority_reloads_total", "service" => service, "outcome" => outcome)
        .increment(1);
}

/// What could not be opened, and when that is tried again.
struct Refused {
    stamp: Stamp,
    reason: String,
    /// Looks until the next attempt, and from that one to the one after it.
    left: u32,
    pause: u32,
}

impl Refused {
    fn after(before: Option<Self>, stamp: Stamp, reason: String) -> Self {
        let longest = u32::try_from(LONGEST_PAUSE.as_secs() / LOOK.as_secs()).unwrap_or(1);
        let pause = before
            .filter(|before| before.stamp == stamp)
            .map_or(1, |before| (before.pause * 2).min(longest));
        Self {
            stamp,
            reason,
            left: pause,
            pause,
        }
    }

    fn is_due(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left == 0
    }
}
