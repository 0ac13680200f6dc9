//! Keeping a published repository from expiring.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::metadata::RoleName;
use crate::policy::Period;
use crate::repository::{Repository, RepositoryError, RoleStatus, Status};

/// How often the repository is looked at. Reading it costs a few files and no key; signing happens
/// only when a role is within its window (for timestamp: once a day).
const INTERVAL_SECS: u64 = 600;

/// How soon a failed attempt is made again.
const RETRY_SECS: u64 = 30;

/// How often the clock is looked at. Timers stand still while a machine sleeps or is moved; what
/// expires does not, so the time of day says when to look again.
const TICK: Duration = Duration::from_secs(1);

/// How long before a role's expiry people are warned, unless they say otherwise.
pub const DISTANCES: [Period; 4] = [
    Period::days(30),
    Period::days(14),
    Period::days(7),
    Period::days(1),
];

/// Signs again what nears its expiry, for as long as the service runs.
///
/// A failure is logged, counted in `tuf_refresh_failures_total` and tried again: the file server
/// goes on, and clients see nothing until something really expires. Gauges, times in seconds since
/// the Unix epoch: `tuf_role_expiry_seconds{role}`, `tuf_role_version{role}`, and
/// `tuf_refresh_success_seconds`, the time of the last look that found nothing wrong; an alarm on
/// its age tells that nobody refreshes any more.
///
/// Each of `distances` before a role's expiry is said once in the log, if the role should have been
/// signed again by then.
pub async fn run(repository: Repository, distances: Vec<Period>, stop: CancellationToken) {
    let mut alarms = Alarms {
        distances,
        said: BTreeMap::new(),
    };
    let mut next = 0;
    loop {
        let now = repository.clock().now_secs();
        if next <= now {
            let pause = match once(&repository, &mut alarms).await {
                Ok(()) => INTERVAL_SECS,
                Err(error) => {
                    metrics::counter!("tuf_refresh_failures_total").increment(1);
                    tracing::error!(%error, "the trust root could not be refreshed");
                    RETRY_SECS
                }
            };
            next = now.saturating_add(pause);
        }
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn once(repository: &Repository, alarms: &mut Alarms) -> Result<(), RepositoryError> {
    let refreshed = repository.refresh().await;
    // Whether it could be refreshed or not: how long it lasts is what people have to know.
    let status = repository.status().await?;
    report(&status);
    for (role, left) in alarms.due(&status) {
        tracing::error!(
            role = role.role.as_str(),
            expires = %role.expires,
            "clients refuse the trust root in less than {left}"
        );
    }
    let outcome = refreshed?;
    for (role, version) in &outcome.published {
        tracing::info!(%role, %version, "signed and published");
    }
    for warning in &outcome.warnings {
        tracing::warn!("{warning}");
    }
    // A gauge is a float; seconds and versions stay exact far beyond any real value.
    #[allow(clippy::cast_precision_loss)]
    metrics::gauge!("tuf_refresh_success_seconds").set(repository.clock().now_secs() as f64);
    Ok(())
}

fn report(status: &Status) {
    for role in &status.roles {
        let name = role.role.as_str();
        #[allow(clippy::cast_precision_loss)]
        metrics::gauge!("tuf_role_expiry_seconds", "role" => name)
            .set(role.expires.as_secs() as f64);
        #[allow(clippy::cast_precision_loss)]
        metrics::gauge!("tuf_role_version", "role" => name).set(role.version.get() as f64);
    }
}

/// Which warnings were given.
struct Alarms {
    distances: Vec<Period>,
    /// The shortest distance that was said for each role.
    said: BTreeMap<RoleName, Period>,
}

impl Alarms {
    /// The roles that came closer to their expiry than one more distance, and which.
    fn due<'s>(&mut self, status: &'s Status) -> Vec<(&'s RoleStatus, Period)> {
        let mut due = Vec::new();
        for role in &status.roles {
            let left = role.seconds_left;
            // Longer than the window is no news: the role need not be signed again by then.
            let reached = |d: &&Period| left <= d.as_secs() && **d < role.window;
            match self.distances.iter().filter(reached).min().copied() {
                None => {
                    self.said.remove(&role.role);
                }
                Some(distance) if self.said.get(&role.role).is_some_and(|d| *d <= distance) => {}
                Some(distance) => {
                    self.said.insert(role.role, distance);
                    due.push((role, distance));
                }
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::metadata::{Expires, Version};
    use crate::repository::Phase;

    fn status(role: RoleName, window: Period, left: Period) -> Status {
        Status {
            phase: Phase::Live,
            pending: Vec::new(),
            roles: vec![RoleStatus {
                role,
                version: Version::FIRST,
                expires: Expires::at_secs(2_000_000_000).unwrap(),
                seconds_left: left.as_secs(),
                due: false,
                window,
            }],
            staged: Vec::new(),
            unpublished: BTreeSet::new(),
            targets: Vec::new(),
            attention: Vec::new(),
        }
    }

    #[test]
    fn each_distance_is_said_once_and_again_after_a_renewal() {
        let mut alarms = Alarms {
            distances: DISTANCES.to_vec(),
            said: BTreeMap::new(),
        };
        let mut said = |days: u32| -> Vec<Period> {
            let status = status(RoleName::Root, Period::days(90), Period::days(days));
            alarms.due(&status).into_iter().map(|(_, d)| d).collect()
        };
        assert_eq!(said(31), []);
        assert_eq!(said(30), [Period::days(30)]);
        assert_eq!(said(29), []);
        // A service that was down for a while says the nearest one only.
        assert_eq!(said(3), [Period::days(7)]);
        assert_eq!(said(1), [Period::days(1)]);
        assert_eq!(said(365), []);
        assert_eq!(said(14), [Period::days(14)]);
    }

    #[test]
    fn a_short_life_is_no_alarm_until_it_should_have_been_signed_again() {
        let mut alarms = Alarms {
            distances: DISTANCES.to_vec(),
            said: BTreeMap::new(),
        };
        let mut said = |days: u32| -> usize {
            let status = status(RoleName::Timestamp, Period::days(6), Period::days(days));
            alarms.due(&status).len()
        };
        assert_eq!((said(7), said(5), said(2), said(1)), (0, 0, 0, 1));
    }
}
