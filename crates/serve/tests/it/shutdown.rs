use tokio::net::TcpStream;

use super::*;

#[tokio::test]
async fn requests_at_work_are_finished_and_new_connections_refused() {
    let server = Server::start(router(), Limits::default()).await;
    let address = server.address;
    let client = client();
    let at_work = tokio::spawn(client.get(server.url("/slow")).send());
    // An idle kept-alive connection must not hold up the end.
    client
        .post(server.url("/echo"))
        .body("x")
        .send()
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let started = std::time::Instant::now();
    server.stop().await.unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(
        at_work.await.unwrap().unwrap().text().await.unwrap(),
        "done"
    );
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn requests_that_do_not_finish_in_time_are_cut_off() {
    let stuck = Router::new().route("/stuck", get(async || std::future::pending::<()>().await));
    let limits = Limits {
        drain: Duration::from_millis(100),
        ..Limits::default()
    };
    let server = Server::start(stuck, limits).await;
    let at_work = tokio::spawn(client().get(server.url("/stuck")).send());
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.stop().await.unwrap();
    assert!(at_work.await.unwrap().is_err());
}

#[tokio::test]
async fn a_server_stopped_before_it_starts_ends() {
    let listener = serve::listen(([127, 0, 0, 1], 0).into()).await.unwrap();
    let stop = CancellationToken::new();
    stop.cancel();
    let served = serve::serve("test", listener, router(), None, Limits::default(), stop);
    tokio::time::timeout(Duration::from_secs(5), served)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn an_address_in_use_is_named_in_the_error() {
    let first = serve::listen(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = first.local_addr().unwrap();
    let error = serve::listen(address).await.unwrap_err().to_string();
    assert!(error.contains(&address.to_string()), "{error}");
}
