use std::collections::BTreeSet;

use super::*;

/// Series of the metrics that this crate makes.
async fn series(server: &Server) -> BTreeSet<String> {
    let text = client()
        .get(server.url("/metrics"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    text.lines()
        .filter(|line| line.starts_with("http_"))
        .map(|line| line.rsplit_once(' ').unwrap().0.to_owned())
        .collect()
}

#[tokio::test]
async fn random_paths_and_methods_make_no_new_series() {
    serve::metrics::install();
    serve::metrics::install();
    let server = Server::start(router(), Limits::default()).await;
    let operators = Server::start(serve::metrics::router(), Limits::default()).await;
    let client = client();
    let exercise = async |names: std::ops::Range<u32>| {
        for name in names {
            client
                .get(server.url(&format!("/item/{name}")))
                .send()
                .await
                .unwrap();
            client
                .get(server.url(&format!("/random/{name}")))
                .send()
                .await
                .unwrap();
            let method = reqwest::Method::from_bytes(format!("M{name}").as_bytes()).unwrap();
            client
                .request(method, server.url("/item/a"))
                .send()
                .await
                .unwrap();
        }
    };
    exercise(0..1).await;
    series(&operators).await;
    let mine = |all: BTreeSet<String>| -> BTreeSet<String> {
        all.into_iter()
            .filter(|line| line.contains("/item/") || line.contains("unmatched"))
            .collect()
    };
    let before = mine(series(&operators).await);
    exercise(1..300).await;
    let after = mine(series(&operators).await);
    assert_eq!(
        after.difference(&before).collect::<Vec<_>>(),
        Vec::<&String>::new()
    );
    assert!(after.iter().any(|line| line
        == r#"http_requests_total{service="test",method="get",route="/item/{name}",code="200"}"#), "{after:#?}");
    assert!(
        after.iter().all(|line| !line.contains("random")),
        "{after:#?}"
    );
}
