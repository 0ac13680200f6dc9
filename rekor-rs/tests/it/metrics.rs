//! What operators see.

use crate::hashedrekord::vector;
use crate::stack::{Backend, Stack, unique_hashedrekord};

/// The metrics of this process, as Prometheus reads them.
async fn scrape() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/metrics", listener.local_addr().unwrap());
    let server = tokio::spawn(async {
        axum::serve(listener, serve::metrics::router())
            .await
            .unwrap()
    });
    let text = reqwest::get(url).await.unwrap().text().await.unwrap();
    server.abort();
    text
}

/// The value of the one sample that begins with this.
fn value(text: &str, sample: &str) -> f64 {
    let line = text.lines().find(|line| {
        line.strip_prefix(sample)
            .is_some_and(|rest| rest.starts_with(' '))
    });
    line.map_or(0.0, |line| {
        line.rsplit(' ').next().unwrap().parse().unwrap()
    })
}

#[tokio::test]
async fn requests_and_batches_are_counted_under_the_names_that_dashboards_know() {
    serve::metrics::install();
    let stack = Stack::start(Backend::Sqlite).await;
    let info: serde_json::Value = stack.get("/api/v1/log").await.json().await.unwrap();
    let log = info["treeID"].as_str().unwrap();
    let entries = "path=\"/api/v1/log/entries\"";
    let of_log = format!("{{log=\"{log}\"}}");
    let samples = [
        "rekor_new_entries".to_owned(),
        "log_kinds_total{kind=\"hashedrekord\"}".to_owned(),
        "rekor_qps_by_api{code=\"200\",method=\"GET\",path=\"/api/v1/log\"}".to_owned(),
        "rekor_latency_by_api_count{method=\"GET\",path=\"/api/v1/log\"}".to_owned(),
        "rekor_api_latency_count{code=\"200\",path=\"/api/v1/log\"}".to_owned(),
        "rekor_api_latency_summary_count{code=\"200\",path=\"/api/v1/log\"}".to_owned(),
        format!("rekor_qps_by_api{{code=\"201\",method=\"POST\",{entries}}}"),
        format!("rekor_qps_by_api{{code=\"409\",method=\"POST\",{entries}}}"),
        "rekor_index_storage_latency_summary_count{success=\"true\"}".to_owned(),
        format!("log_entries_total{of_log}"),
        format!("log_batch_entries_count{of_log}"),
        format!("log_commit_seconds_count{of_log}"),
        format!("log_head_signature_seconds_count{of_log}"),
    ];
    let before = scrape().await;
    stack.create(&vector()).await;
    stack.create(&unique_hashedrekord()).await;
    assert_eq!(stack.submit(&vector()).await.status(), 409);
    assert_eq!(stack.get("/api/v1/log").await.status(), 200);
    let after = scrape().await;
    let added = samples.map(|sample| value(&after, &sample) - value(&before, &sample));
    assert_eq!(
        added,
        [2., 2., 1., 1., 1., 1., 2., 1., 3., 2., 2., 2., 2.],
        "{after}"
    );

    assert_eq!(value(&after, &format!("log_size_entries{of_log}")), 2.0);
    assert_eq!(value(&after, &format!("log_queue_entries{of_log}")), 0.0);
    assert_eq!(value(&after, "log_rotation_missed"), 0.0);
    let version = format!(
        "rekor_build_info{{version=\"{}\"}}",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(value(&after, &version), 1.0);
    // Nanoseconds, in buckets that can tell them apart.
    let bucket =
        "rekor_latency_by_api_bucket{method=\"GET\",path=\"/api/v1/log\",le=\"4000000000\"}";
    assert!(value(&after, bucket) >= 1.0, "{after}");
    assert!(after.contains("# HELP rekor_new_entries"), "{after}");
    // What clients choose is no label.
    stack.get("/api/v1/log/entries/not-an-id").await;
    stack.get("/chosen/by/client").await;
    let after = scrape().await;
    assert!(
        !after.contains("not-an-id") && !after.contains("chosen"),
        "{after}"
    );
}
