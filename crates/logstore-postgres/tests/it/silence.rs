//! A server that is silent: its machine lost power, or a firewall drops its packets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use logstore::{Head, LogId, LogStore as _, StoreError, Update};
use logstore_postgres::PostgresStore;
use logstore_postgres::testing;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::record;

/// Stands before a server. What was connected before [`Self::cut_the_cable`] hears nothing any more,
/// and is not told.
struct Cable {
    port: u16,
    cut: watch::Sender<u32>,
}

impl Cable {
    async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (cut, cuts) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut cuts = cuts.clone();
                cuts.mark_unchanged();
                tokio::spawn(async move {
                    let mut client = client;
                    let mut server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                        _ = cuts.changed() => {
                            // The server's own end is gone; the client's stays open for ever.
                            server.shutdown().await.unwrap();
                            drop(server);
                            std::future::pending::<()>().await;
                        }
                    }
                });
            }
        });
        Self { port, cut }
    }

    fn cut_the_cable(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }
}

/// A log behind a cable, through the smallest pool.
async fn start(patience: Duration) -> (Cable, PostgresStore) {
    let database = testing::server().await.database().await;
    let url = url::Url::parse(database.url()).unwrap();
    let cable = Cable::to(url.port().unwrap()).await;
    let mut behind = url.clone();
    behind.set_port(Some(cable.port)).unwrap();
    let store = PostgresStore::connect(behind.as_str(), 2).await.unwrap();
    let store = store.with_patience(patience);
    store.create_log(&record()).await.unwrap();
    // For as long as the test runs.
    Box::leak(Box::new(database));
    (cable, store)
}

fn renewal(head: &Head) -> Arc<Update> {
    let head = Head {
        timestamp_ms: head.timestamp_ms + 1,
        signed: Arc::from(&b"signed"[..]),
        ..head.clone()
    };
    Arc::new(Update {
        entries: Vec::new(),
        tiles: Vec::new(),
        head,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_is_given_up_and_asked_anew() {
    let patience = Duration::from_secs(1);
    let (cable, store) = start(patience).await;
    let mut reader = store.reader(LogId(1)).await.unwrap();
    let mut batch = store.begin(LogId(1)).await.unwrap();
    let head = batch.head().clone();
    assert_eq!(reader.read(&[]).await.unwrap().0, head);
    cable.cut_the_cable();

    let started = Instant::now();
    let read = reader.read(&[0]).await;
    assert!(matches!(&read, Err(StoreError::Unavailable(reason)) if reason.contains("silent")));
    let known = batch.known(&[head.root]).await;
    assert!(matches!(known, Err(StoreError::Unavailable(_))));
    drop((reader, batch));
    assert!(started.elapsed() < patience * 10);

    let mut reader = store.reader(LogId(1)).await.unwrap();
    assert_eq!(
        reader.read(&[]).await.unwrap().0,
        head,
        "over a new connection"
    );
    let batch = store.begin(LogId(1)).await.unwrap();
    batch.commit(renewal(&head)).await.unwrap();
    assert_eq!(&*store.head(LogId(1)).await.unwrap().signed, b"signed");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_were_in_use_do_not_use_up_the_pool() {
    let (cable, store) = start(Duration::from_secs(1)).await;
    for _ in 0..3 {
        let mut sessions = Vec::new();
        for _ in 0..2 {
            let mut session = store.reader(LogId(1)).await.unwrap();
            session.read(&[]).await.unwrap();
            sessions.push(session);
        }
        cable.cut_the_cable();
        drop(sessions);
        assert_eq!(
            store.logs().await.unwrap().len(),
            1,
            "given back after a silence"
        );

        // Until it is back in the pool.
        tokio::time::sleep(Duration::from_millis(200)).await;
        cable.cut_the_cable();
        let given_up = tokio::time::timeout(Duration::from_millis(100), store.logs()).await;
        assert!(given_up.is_err(), "the connection was trusted");
        assert_eq!(store.logs().await.unwrap().len(), 1);

        let batch = store.begin(LogId(1)).await.unwrap();
        cable.cut_the_cable();
        drop(batch);
        let batch = store.begin(LogId(1)).await.unwrap();
        let next = renewal(batch.head());
        batch.commit(next).await.unwrap();
    }
}
