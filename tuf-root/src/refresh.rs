//! Keeping a published repository from expiring.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::repository::{Repository, RepositoryError, Status};

/// How often the repository is looked at. Reading it costs a few files and no key; signing happens
/// only when a role is within its window (for timestamp: once a day).
const INTERVAL: Duration = Duration::from_secs(600);

/// How soon a failed attempt is made again.
const RETRY: Duration = Duration::from_secs(30);

/// Seconds before a role's expiry at which its absence of signatures is worth an error in the log.
const ALARM: u64 = 86_400;

/// Signs again what nears its expiry, for as long as the service runs.
///
/// A failure is logged, counted in `tuf_refresh_failures_total` and tried again: the file server
/// goes on, and clients see nothing until something really expires. The gauge
/// `tuf_role_expiry_seconds{role}` holds each role's expiry in seconds since the Unix epoch, and
/// `tuf_role_version{role}` its version.
pub async fn run(repository: Repository, stop: CancellationToken) {
    loop {
        let pause = match once(&repository).await {
            Ok(()) => INTERVAL,
            Err(error) => {
                metrics::counter!("tuf_refresh_failures_total").increment(1);
                tracing::error!(%error, "the trust root could not be refreshed");
                RETRY
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn once(repository: &Repository) -> Result<(), RepositoryError> {
    let outcome = repository.refresh().await?;
    for (role, version) in &outcome.published {
        tracing::info!(%role, %version, "signed and published");
    }
    for warning in &outcome.warnings {
        tracing::warn!("{warning}");
    }
    report(&repository.status().await?);
    Ok(())
}

fn report(status: &Status) {
    for role in &status.roles {
        let name = role.role.as_str();
        // A gauge is a float; seconds and versions stay exact far beyond any real value.
        #[allow(clippy::cast_precision_loss)]
        metrics::gauge!("tuf_role_expiry_seconds", "role" => name)
            .set(role.expires.as_secs() as f64);
        #[allow(clippy::cast_precision_loss)]
        metrics::gauge!("tuf_role_version", "role" => name).set(role.version.get() as f64);
        if role.seconds_left <= ALARM {
            tracing::error!(role = name, expires = %role.expires, "clients will refuse the trust root soon");
        }
    }
}
