//! A token bucket for each client, as the time at which it is full again (the generic cell rate
//! algorithm): a bucket that is full is the same as one that was never used, and is forgotten.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{QuotaConfig, Refusal};

/// Least time between two searches of the table for buckets that can be forgotten.
const SWEEP: Duration = Duration::from_secs(1);

/// A client in the table: half a digest, so that the table's size does not depend on their names.
type ClientKey = [u8; 16];

/// Buckets.
#[derive(Debug)]
pub(super) struct Quota {
    per_minute: u32,
    /// Time in which a bucket gets one token.
    interval: Duration,
    /// How far ahead of now a bucket's time may be.
    tolerance: Duration,
    most: usize,
    started: Instant,
    buckets: Mutex<Buckets>,
}

#[derive(Debug, Default)]
struct Buckets {
    /// When each bucket is full, counted from the start of the process.
    full_at: HashMap<ClientKey, Duration>,
    /// That of all clients for which there is no room.
    others: Duration,
    swept: Duration,
}

impl Quota {
    pub(super) fn new(config: &QuotaConfig) -> Self {
        let interval = Duration::from_secs(60) / config.entries_per_minute.max(1);
        Self {
            per_minute: config.entries_per_minute,
            interval,
            tolerance: interval.saturating_mul(config.burst.saturating_sub(1)),
            most: config.clients,
            started: Instant::now(),
            buckets: Mutex::default(),
        }
    }

    /// Takes one entry from the bucket of whoever writes: their name if they have proven one,
    /// otherwise their address; of IPv6 the network, in which anybody has as many as they like.
    pub(super) fn take(
        &self,
        name: Option<String>,
        address: Option<IpAddr>,
    ) -> Result<(), Refusal> {
        let client = match (name, address) {
            (Some(name), _) => name,
            (None, Some(IpAddr::V4(address))) => address.to_string(),
            (None, Some(IpAddr::V6(address))) => {
                let network = u128::from(address) >> 64 << 64;
                format!("{}/64", std::net::Ipv6Addr::from(network))
            }
            (None, None) => "a client without address".to_owned(),
        };
        self.take_at(&client, self.started.elapsed())
            .map_err(|wait| Refusal::Quota {
                client,
                per_minute: self.per_minute,
                seconds: wait.as_secs().saturating_add(1),
            })
    }

    /// Takes one at a time since the start; or says how long to wait.
    fn take_at(&self, client: &str, now: Duration) -> Result<(), Duration> {
        let mut key = ClientKey::default();
        let digest = crypto::sha256(client.as_bytes());
        key.iter_mut()
            .zip(digest)
            .for_each(|(out, byte)| *out = byte);

        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let full = buckets.full_at.len() >= self.most && !buckets.full_at.contains_key(&key);
        if full && now.saturating_sub(buckets.swept) >= SWEEP {
            buckets.swept = now;
            buckets.full_at.retain(|_, full_at| *full_at > now);
        }
        let full = full && buckets.full_at.len() >= self.most;
        let full_at = match full {
            true => &mut buckets.others,
            false => buckets.full_at.entry(key).or_default(),
        };
        let ahead = full_at.saturating_sub(now);
        match ahead.checked_sub(self.tolerance) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => {
                *full_at = now.max(*full_at).saturating_add(self.interval);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(entries_per_minute: u32, burst: u32, clients: usize) -> Quota {
        Quota::new(&QuotaConfig {
            entries_per_minute,
            burst,
            clients,
        })
    }

    fn taken(quota: &Quota, client: &str, at_ms: u64, tries: usize) -> usize {
        let at = Duration::from_millis(at_ms);
        (0..tries)
            .filter(|_| quota.take_at(client, at).is_ok())
            .count()
    }

    #[test]
    fn a_burst_then_the_rate_for_each_client() {
        let quota = quota(60, 5, 100);
        assert_eq!(taken(&quota, "a", 0, 9), 5);
        assert_eq!(taken(&quota, "b", 0, 9), 5, "another's bucket is full");
        assert_eq!(taken(&quota, "a", 999, 9), 0);
        assert_eq!(taken(&quota, "a", 1000, 9), 1);
        assert_eq!(taken(&quota, "a", 3500, 9), 2);
        assert_eq!(
            taken(&quota, "a", 600_000, 99),
            5,
            "no more than a burst after a pause"
        );
        let wait = quota
            .take_at("a", Duration::from_millis(600_400))
            .unwrap_err();
        assert_eq!(wait, Duration::from_millis(600));
    }

    #[test]
    fn the_table_is_bounded_and_forgets_full_buckets() {
        let quota = quota(60, 2, 3);
        for client in ["a", "b", "c"] {
            assert_eq!(taken(&quota, client, 0, 1), 1);
        }
        // No room: all others share one bucket, and nobody's bucket is lost.
        assert_eq!(taken(&quota, "d", 0, 9) + taken(&quota, "e", 0, 9), 2);
        assert_eq!(taken(&quota, "a", 0, 9), 1);
        assert_eq!(quota.buckets.lock().unwrap().full_at.len(), 3);
        // Full again, b and c make room.
        assert_eq!(taken(&quota, "d", 1500, 9), 2);
        let buckets = quota.buckets.lock().unwrap();
        assert_eq!(buckets.full_at.len(), 2, "a and d");
    }

    #[test]
    fn addresses_of_one_network_are_one_client() {
        let quota = quota(1, 1, 10);
        let take = |address: &str| quota.take(None, Some(address.parse().unwrap()));
        assert!(take("2001:db8::1").is_ok());
        let refusal = take("2001:db8::ffff:1").unwrap_err().to_string();
        assert!(
            refusal.starts_with("2001:db8::/64 may add 1 entries a minute"),
            "{refusal}"
        );
        assert!(take("2001:db8:0:1::1").is_ok());
        assert!(take("192.0.2.1").is_ok());
        assert!(take("192.0.2.2").is_ok());
        assert!(quota.take(Some("dev@corp.example".into()), None).is_ok());
    }
}
