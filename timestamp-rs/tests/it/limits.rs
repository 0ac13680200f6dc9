//! What is refused, and that it is refused cheaply.

use std::time::Instant;

use super::der::*;
use super::*;

const GENERIC: &str = "Error generating timestamp response";

#[tokio::test]
async fn weak_and_unknown_hashes_and_wrong_lengths_are_refused() {
    let tsa = Tsa::start().await;
    let sha1 = tlv(0x30, &[&[6, 5, 0x2b, 0x0e, 3, 2, 0x1a]]);
    let weak = tsa.query(over(&imprint(&sha1, &[7; 20]), &[])).await;
    assert_refused(weak, 400, "Weak hash algorithm in timestamp request").await;
    for (number, length) in [(SHA224, 28), (SHA3_256, 32)] {
        let unknown = tsa
            .query(over(&imprint(&nist_hash(number), &vec![7; length]), &[]))
            .await;
        assert_refused(unknown, 400, GENERIC).await;
    }
    let wrong = tsa
        .query(over(&imprint(&nist_hash(SHA512), &[7; 32]), &[]))
        .await;
    assert_refused(
        wrong,
        400,
        "Message digest has incorrect length for specified algorithm",
    )
    .await;
}

#[tokio::test]
async fn extensions_are_refused() {
    let tsa = Tsa::start().await;
    let extension = tlv(0x30, &[&[6, 2, 0x2a, 3], &tlv(4, &[&[5, 0]])]);
    let refused = tsa.query(request(&[&tlv(0xa0, &[&extension])])).await;
    assert_refused(
        refused,
        400,
        "unaccepted extension: requested extension is not supported by the TSA",
    )
    .await;
}

#[tokio::test]
async fn what_is_not_a_der_request_is_refused() {
    let tsa = Tsa::start().await;
    let version_2 = tlv(0x30, &[&[2, 1, 2], &imprint(&nist_hash(SHA256), &[7; 32])]);
    let trailing = [request(&[]), vec![0]].concat();
    let explicit_default = request(&[&[1, 1, 0]]);
    for malformed in [
        version_2,
        trailing,
        explicit_default,
        b"garbage".to_vec(),
        vec![0x30, 0x80, 0, 0],
    ] {
        assert_refused(tsa.query(malformed).await, 400, GENERIC).await;
    }
}

#[tokio::test]
async fn endless_object_identifiers_are_refused_quickly() {
    let tsa = Tsa::start().await;
    let started = Instant::now();
    let policy = tlv(6, &[&[1; 100_000]]);
    assert_refused(tsa.query(request(&[&policy])).await, 400, GENERIC).await;
    let algorithm = tlv(0x30, &[&tlv(6, &[&[1; 100_000]])]);
    assert_refused(
        tsa.query(over(&imprint(&algorithm, &[7; 32]), &[])).await,
        400,
        GENERIC,
    )
    .await;
    let dotted = format!(r#"{{"tsaPolicyOID":"1.2{}"}}"#, ".1".repeat(100_000));
    assert_refused(
        tsa.json(dotted).await,
        400,
        "timestamp request is too large",
    )
    .await;
    let media_type = "a;".repeat(20_000);
    assert_eq!(tsa.post(&media_type, "x").await.status(), 415);
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn bodies_beyond_the_limit_are_refused() {
    let tsa = Tsa::start().await;
    let longest = tsa.query(vec![0; 1 << 20]).await;
    assert_refused(longest, 400, GENERIC).await;
    let beyond = tsa.query(vec![0; (1 << 20) + 1]).await;
    assert_refused(beyond, 400, "timestamp request is too large").await;
}

#[tokio::test]
async fn random_paths_make_no_new_metric_series() {
    serve::metrics::install();
    let tsa = Tsa::start().await;
    let listener = serve::listen(([127, 0, 0, 1], 0).into()).await.unwrap();
    let operators = format!("http://{}/metrics", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let metrics = serve::serve(
        "metrics",
        listener,
        serve::metrics::router(),
        None,
        Limits::default(),
        stop.clone(),
    );
    let _served = tokio::spawn(metrics);
    let _stop = stop.drop_guard();
    let unmatched = async || {
        let text = tsa
            .client
            .get(&operators)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        text.lines()
            .filter(|line| line.contains("unmatched"))
            .count()
    };
    tsa.get("/random/first").await;
    let before = unmatched().await;
    assert!(before > 0);
    for number in 0..10_000 / 8 {
        let paths = (0..8)
            .map(|lane| format!("/random/{number}/{lane}"))
            .collect::<Vec<_>>();
        let answers = futures::future::join_all(paths.iter().map(|path| tsa.get(path))).await;
        assert!(answers.iter().all(|answer| answer.status() == 404));
    }
    assert_eq!(unmatched().await, before);
}
