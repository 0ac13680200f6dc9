//! Metrics of the API under the names, labels and units that the public Rekor gives them, for the
//! dashboards and alerts that exist. Times are in nanoseconds.
//!
//! `rekor_checkpoint_publish` and `rekor_publish_events` have no counterpart: a checkpoint leaves
//! with every answer instead of being published apart, and there are no event queues.

use std::time::Duration;

use http::{Method, StatusCode};

/// Describes them. Does nothing while no recorder is installed.
pub(super) fn describe() {
    use metrics::{describe_counter, describe_gauge, describe_histogram};
    describe_counter!("rekor_new_entries", "Entries that were appended");
    describe_counter!(
        "rekor_qps_by_api",
        "Requests by path, method and response code"
    );
    describe_histogram!(
        "rekor_latency_by_api",
        "Time of requests by path and method, in ns"
    );
    describe_histogram!(
        "rekor_api_latency",
        "Time of requests by path and response code, in ns"
    );
    describe_histogram!(
        "rekor_api_latency_summary",
        "Time of requests by path and response code, in ns"
    );
    describe_histogram!(
        "rekor_index_storage_latency_summary",
        "Time until an entry and its search keys were durable, in ns"
    );
    describe_gauge!("rekor_build_info", "Always 1; the version is in the label");
    metrics::gauge!("rekor_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

/// Counts a request. `path` is as it was registered, never the client's.
pub(super) fn request(path: &'static str, method: &Method, status: StatusCode, took: Duration) {
    let method = match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        _ => "other",
    };
    let code = status.as_str().to_owned();
    let took = nanoseconds(took);
    metrics::counter!("rekor_qps_by_api", "code" => code.clone(), "method" => method, "path" => path)
        .increment(1);
    metrics::histogram!("rekor_latency_by_api", "method" => method, "path" => path).record(took);
    metrics::histogram!("rekor_api_latency", "code" => code.clone(), "path" => path).record(took);
    metrics::histogram!("rekor_api_latency_summary", "code" => code, "path" => path).record(took);
}

/// Counts an attempt to append: search keys are stored with the entry or not at all.
pub(super) fn append(kind: &'static str, is_new: bool, success: bool, took: Duration) {
    let label = if success { "true" } else { "false" };
    metrics::histogram!("rekor_index_storage_latency_summary", "success" => label)
        .record(nanoseconds(took));
    if is_new {
        metrics::counter!("rekor_new_entries").increment(1);
        metrics::counter!("log_kinds_total", "kind" => kind).increment(1);
    }
}

fn nanoseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}
