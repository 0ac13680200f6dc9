//! Stopping when the operating system says so.

use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long after the first signal further ones mean the same: `timeout` and others that signal a
/// process and its group send two at one time.
const SAME: Duration = Duration::from_secs(1);

/// A token that is cancelled by the first SIGTERM or SIGINT. A second one, a second or more later,
/// ends the process at once.
pub fn stop_on_signals() -> std::io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        let mut first: Option<Instant> = None;
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            match first {
                Some(first) if first.elapsed() < SAME => continue,
                // 128 + SIGINT, as a shell would report it.
                Some(_) => std::process::exit(130),
                None => first = Some(Instant::now()),
            }
            tracing::info!("stopping; a second signal stops at once");
            stopped.cancel();
        }
    });
    Ok(stop)
}
