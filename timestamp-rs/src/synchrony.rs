//! Whether the clock is right: compared with NTP servers of the operator's choice.

mod ntp;

use std::sync::{Arc, RwLock};
use std::time::Duration;

use clock::SharedClock;
use futures::future::join_all;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::config::ClockConfig;

/// Comparisons that may fail in a row before the clock counts as not synchronised: servers and
/// networks have bad moments that say nothing about this clock.
const FAILURES: u32 = 3;

/// The last verdict on the clock.
#[derive(Debug, Default)]
pub(crate) struct Synchrony {
    /// What is wrong, while timestamps are to be refused for it.
    wrong: RwLock<Option<String>>,
}

impl Synchrony {
    /// `Err` with what is wrong.
    pub(crate) fn check(&self) -> Result<(), String> {
        let wrong = self
            .wrong
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        wrong.clone().map_or(Ok(()), Err)
    }

    fn set(&self, wrong: Option<String>) {
        *self
            .wrong
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = wrong;
    }
}

/// The comparisons, which end when this is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    _stop: DropGuard,
}

/// Why a comparison says nothing, or something bad.
#[derive(Debug, thiserror::Error)]
enum Wrong {
    #[error(
        "{answered} of {asked} NTP servers answered, fewer than a majority; the last error: {last}"
    )]
    NoMajority {
        answered: usize,
        asked: usize,
        last: String,
    },
    #[error("the clock is {offset_ms} ms from the NTP servers, more than {most} ms")]
    Offset { offset_ms: i64, most: u32 },
}

impl Watch {
    /// Compares once, then starts to compare in the background. `None` if no servers are configured.
    pub(crate) async fn start(
        config: &ClockConfig,
        clock: SharedClock,
        synchrony: Arc<Synchrony>,
    ) -> Option<Self> {
        if config.ntp_servers.is_empty() {
            return None;
        }
        let stop = CancellationToken::new();
        let mut comparisons = Comparisons {
            config: config.clone(),
            clock,
            synchrony,
            failures: FAILURES,
        };
        comparisons.compare().await;
        let stopped = stop.clone();
        tokio::spawn(async move {
            let interval = Duration::from_secs(u64::from(comparisons.config.interval_s));
            while stopped
                .run_until_cancelled(tokio::time::sleep(interval))
                .await
                .is_some()
            {
                comparisons.compare().await;
            }
        });
        Some(Self {
            _stop: stop.drop_guard(),
        })
    }
}

struct Comparisons {
    config: ClockConfig,
    clock: SharedClock,
    synchrony: Arc<Synchrony>,
    /// Comparisons that failed in a row; starts as if they had.
    failures: u32,
}

impl Comparisons {
    async fn compare(&mut self) {
        let wrong = match self.offset_ms().await {
            Ok(offset_ms) => {
                self.failures = 0;
                metrics::gauge!("timestamp_clock_offset_seconds").set(offset_ms as f64 / 1000.0);
                let most = self.config.max_offset_ms;
                (offset_ms.unsigned_abs() > u64::from(most))
                    .then_some(Wrong::Offset { offset_ms, most })
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                if self.failures < FAILURES {
                    tracing::warn!(%error, "the clock was not compared");
                    return;
                }
                Some(error)
            }
        };
        metrics::gauge!("timestamp_clock_synchronised").set(if wrong.is_none() {
            1.0
        } else {
            0.0
        });
        if let Some(wrong) = &wrong {
            tracing::error!(%wrong, fail_closed = self.config.fail_closed, "the clock is not synchronised");
        }
        self.synchrony.set(
            wrong
                .filter(|_| self.config.fail_closed)
                .map(|wrong| wrong.to_string()),
        );
    }

    /// The median of the servers' offsets: while a majority of them is right, so is the median.
    async fn offset_ms(&self) -> Result<i64, Wrong> {
        let asked = self.config.ntp_servers.len();
        let answers = join_all(
            self.config
                .ntp_servers
                .iter()
                .map(|server| ntp::offset_ms(server, &*self.clock)),
        )
        .await;
        let mut offsets = Vec::with_capacity(asked);
        let mut last = "none".to_owned();
        for answer in answers {
            match answer {
                Ok(offset) => offsets.push(offset),
                Err(error) => last = error.to_string(),
            }
        }
        offsets.sort_unstable();
        let answered = offsets.len();
        match offsets.get(answered / 2) {
            Some(median) if answered * 2 > asked => Ok(*median),
            _ => Err(Wrong::NoMajority {
                answered,
                asked,
                last,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use clock::ManualClock;
    use tokio::net::UdpSocket;

    use super::*;

    const NOW_MS: u64 = 1_800_000_000_000;

    /// An NTP server whose clock is `ahead_ms` ahead of [`NOW_MS`], answering with this stratum.
    async fn server(ahead_ms: i64, stratum: u8) -> String {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap().to_string();
        let time = ntp::Timestamp::from_unix_ms(NOW_MS.wrapping_add_signed(ahead_ms));
        tokio::spawn(async move {
            let mut query = [0; 48];
            while let Ok((48, client)) = socket.recv_from(&mut query).await {
                let mut answer = [0; 48];
                answer[0] = 0x24;
                answer[1] = stratum;
                answer[24..32].copy_from_slice(&query[40..48]);
                answer[32..40].copy_from_slice(&time.to_bytes());
                answer[40..48].copy_from_slice(&time.to_bytes());
                socket.send_to(&answer, client).await.unwrap();
            }
        });
        address
    }

    async fn verdict(servers: Vec<String>, fail_closed: bool) -> Result<(), String> {
        let synchrony = Arc::new(Synchrony::default());
        let config = ClockConfig {
            ntp_servers: servers,
            fail_closed,
            ..ClockConfig::default()
        };
        let clock = Arc::new(ManualClock::at_ms(NOW_MS));
        let _watch = Watch::start(&config, clock, Arc::clone(&synchrony)).await;
        synchrony.check()
    }

    #[tokio::test]
    async fn a_clock_within_the_offset_is_synchronised() {
        assert_eq!(verdict(vec![server(900, 2).await], true).await, Ok(()));
        assert_eq!(verdict(vec![server(-900, 2).await], true).await, Ok(()));
        assert_eq!(verdict(Vec::new(), true).await, Ok(()));
    }

    #[tokio::test]
    async fn a_clock_beyond_the_offset_is_not_unless_that_is_only_reported() {
        for ahead_ms in [1500, -1500, 10_000_000_000] {
            let wrong = verdict(vec![server(ahead_ms, 2).await], true)
                .await
                .unwrap_err();
            assert!(wrong.contains(&format!("{ahead_ms} ms")), "{wrong}");
        }
        assert_eq!(verdict(vec![server(1500, 2).await], false).await, Ok(()));
    }

    #[tokio::test]
    async fn one_wrong_server_is_outvoted_and_a_missing_majority_is_not_trusted() {
        let (right, wrong, unsynchronised) = (
            server(0, 2).await,
            server(60_000, 2).await,
            server(0, 16).await,
        );
        assert_eq!(
            verdict(vec![right.clone(), wrong, right.clone()], true).await,
            Ok(())
        );
        let error = verdict(vec![right, unsynchronised], true)
            .await
            .unwrap_err();
        assert!(error.contains("1 of 2"), "{error}");
    }

    #[tokio::test]
    async fn some_comparisons_may_fail_once_the_clock_was_right() {
        let synchrony = Arc::new(Synchrony::default());
        let clock = Arc::new(ManualClock::at_ms(NOW_MS));
        let config = ClockConfig {
            ntp_servers: vec![server(0, 2).await],
            ..ClockConfig::default()
        };
        let mut comparisons = Comparisons {
            config,
            clock,
            synchrony: Arc::clone(&synchrony),
            failures: FAILURES,
        };
        comparisons.compare().await;
        comparisons.config.ntp_servers = vec![server(0, 16).await];
        for _ in 1..FAILURES {
            comparisons.compare().await;
            assert_eq!(synchrony.check(), Ok(()));
        }
        comparisons.compare().await;
        assert!(synchrony.check().is_err());
    }
}
