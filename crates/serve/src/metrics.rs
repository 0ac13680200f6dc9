//! Prometheus metrics, on a listener of their own.
//!
//! Every process has one recorder; [`install`] puts it in place, and [`router`] serves it. Labels
//! are always from closed sets: routes as they were registered, methods that are known, names in
//! the code. A path, a host or anything else that a client chooses never becomes a label.

use std::sync::OnceLock;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use http::header::CONTENT_TYPE;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Upper bounds of the buckets of every histogram in seconds: from a cached read to a time-out.
const SECONDS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0,
];

/// Upper bounds of the buckets of histograms that are in nanoseconds, as the public Rekor has them:
/// ten from a millisecond to four seconds, each 2.5 times the one before.
const NANOSECONDS: [f64; 10] = [
    1.00e6, 2.51e6, 6.32e6, 15.9e6, 39.9e6, 100e6, 252e6, 633e6, 1.59e9, 4.00e9,
];

/// Histograms in nanoseconds.
const IN_NANOSECONDS: [&str; 2] = ["rekor_latency_by_api", "rekor_api_latency"];

/// How often samples are folded into buckets when nobody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Installs the process's recorder; calling it again does nothing.
///
/// Until then metrics cost nothing and are dropped. If something else has installed a recorder
/// already, that one stays and [`router`] answers 404.
pub fn install() {
    RECORDER.get_or_init(|| {
        let builder = IN_NANOSECONDS
            .iter()
            .try_fold(PrometheusBuilder::new(), |builder, name| {
                let matcher = Matcher::Full((*name).to_owned());
                builder.set_buckets_for_metric(matcher, &NANOSECONDS)
            })
            .and_then(|builder| {
                builder.set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
            })
            // Histograms whose names are those of other implementations.
            .and_then(|builder| {
                builder.set_buckets_for_metric(Matcher::Suffix("_latency".to_owned()), &SECONDS)
            })
            .inspect_err(|error| tracing::error!(%error, "metrics buckets"))
            .ok()?;
        let handle = builder
            .install_recorder()
            .inspect_err(|error| tracing::warn!(%error, "another metrics recorder is installed"))
            .ok()?;
        let upkeep = handle.clone();
        std::thread::Builder::new()
            .name("metrics-upkeep".to_owned())
            .spawn(move || {
                loop {
                    std::thread::sleep(UPKEEP);
                    upkeep.run_upkeep();
                }
            })
            .inspect_err(|error| tracing::warn!(%error, "metrics are folded only when scraped"))
            .ok();
        Some(handle)
    });
}

/// `GET /metrics` in the text format of Prometheus.
///
/// Meant for a listener that only operators reach.
pub fn router() -> Router {
    Router::new().route("/metrics", get(render))
}

async fn render() -> Result<([(http::HeaderName, &'static str); 1], String), http::StatusCode> {
    let handle = RECORDER
        .get()
        .and_then(Option::as_ref)
        .ok_or(http::StatusCode::NOT_FOUND)?;
    Ok((
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        handle.render(),
    ))
}
