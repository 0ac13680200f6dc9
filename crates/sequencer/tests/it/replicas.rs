//! Several writers on one PostgreSQL, and connections that are cut under them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use logstore_postgres::testing;
use sequencer::{AppendError, Appended, Log, SignedHead};
use tlog::Hash;

use crate::support::{Place, Plain, Setup, check, check_whole};

/// Every head that anybody saw, by size.
#[derive(Default)]
struct Heads(Mutex<HashMap<u64, Hash>>);

impl Heads {
    fn see(&self, head: &SignedHead) {
        let SignedHead { head, .. } = head;
        let before = self.0.lock().unwrap().insert(head.size, head.root);
        assert!(
            before.is_none_or(|before| before == head.root),
            "two roots for size {}",
            head.size
        );
    }

    /// Checks every head against the log's entries.
    fn check(&self, bodies: &[Vec<u8>]) {
        let heads = self.0.lock().unwrap();
        let mut edge = tlog::Edge::new();
        let mut seen = 0;
        for body in bodies {
            edge.push(tlog::leaf_hash(body), |_, _| {});
            if let Some(root) = heads.get(&edge.size()) {
                assert_eq!(*root, edge.root());
                seen += 1;
            }
        }
        assert_eq!(
            seen,
            heads.keys().filter(|size| **size > 0).count(),
            "a head beyond the log"
        );
    }
}

/// Appends until it is acknowledged.
async fn insist(log: &Log<Plain>, body: &[u8]) -> Appended {
    let started = Instant::now();
    loop {
        match log.append(body.to_vec()).await {
            Ok(appended) => return appended,
            Err(AppendError::Unavailable(_)) if started.elapsed() < Duration::from_secs(60) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

async fn load(
    setup: &Arc<Setup>,
    logs: &[Arc<Log<Plain>>],
    heads: &Arc<Heads>,
    clients: u32,
    each: u32,
) -> HashMap<u64, Vec<u8>> {
    let mut tasks = Vec::new();
    for client in 0..clients {
        let log = Arc::clone(&logs[client as usize % logs.len()]);
        let (setup, heads) = (Arc::clone(setup), Arc::clone(heads));
        tasks.push(tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            for number in 0..each {
                // Every third body is also sent by another client, through another replica.
                let sender = if number % 3 == 0 { client / 2 } else { client };
                let body = [sender.to_be_bytes(), number.to_be_bytes()].concat();
                let appended = insist(&log, &body).await;
                check(&setup, &body, &appended);
                heads.see(&appended.head);
                if number % 10 == 0 {
                    heads.see(&log.head().await.unwrap_or(appended.head));
                }
                acknowledged.push((appended.index, body));
            }
            acknowledged
        }));
    }
    let mut all: HashMap<u64, Vec<u8>> = HashMap::new();
    for task in tasks {
        for (index, body) in task.await.unwrap() {
            let before = all.insert(index, body.clone());
            assert!(
                before.is_none_or(|before| before == body),
                "two entries at {index}"
            );
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replicas_under_load_never_fork() {
    let place = Place::postgres().await;
    let setup = Arc::new(Setup::new());
    let mut logs = Vec::new();
    for replica in 0..3 {
        let store = place.store().await;
        setup.create(&store).await;
        let guard = place.path(&format!("guard {replica}"));
        logs.push(setup.open(&store, &guard).await.unwrap());
    }
    let heads = Arc::new(Heads::default());
    let acknowledged = load(&setup, &logs, &heads, 24, 60).await;

    let bodies = check_whole(&place.store().await).await;
    heads.check(&bodies);
    for (index, body) in &acknowledged {
        assert_eq!(&bodies[usize::try_from(*index).unwrap()], body);
    }
    assert_eq!(
        acknowledged.len(),
        bodies.len(),
        "somebody was told of every entry"
    );
    for log in &logs {
        assert_eq!(log.refusal(), None);
        assert_eq!(log.head().await.unwrap().head.size, bodies.len() as u64);
    }
}

/// Stricter isolation would make the loser of a race for the lock fail instead of wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_database_that_defaults_to_serializable_changes_nothing() {
    let place = Place::postgres().await;
    let name = place.database.as_ref().unwrap().name();
    let server = testing::server().await;
    server
        .execute(format!(
            "ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'"
        ))
        .await;
    let setup = Arc::new(Setup::new());
    let mut logs = Vec::new();
    for replica in 0..2 {
        let store = place.store().await;
        setup.create(&store).await;
        let guard = place.path(&format!("guard {replica}"));
        let log = setup.open(&store, &guard).await.unwrap();
        logs.push((store, log));
    }
    let mut tasks = Vec::new();
    for client in 0..16_u32 {
        let log = Arc::clone(&logs[client as usize % 2].1);
        tasks.push(tokio::spawn(async move {
            for number in 0..20_u32 {
                let body = [client.to_be_bytes(), number.to_be_bytes()].concat();
                log.append(body).await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(check_whole(&logs[0].0).await.len(), 16 * 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cut_connections_lose_and_repeat_nothing() {
    let place = Place::postgres().await;
    let database = place.database.clone().unwrap();
    let setup = Arc::new(Setup::new());
    let mut logs = Vec::new();
    for replica in 0..2 {
        let store = place.store().await;
        setup.create(&store).await;
        let guard = place.path(&format!("guard {replica}"));
        logs.push(setup.open(&store, &guard).await.unwrap());
    }
    let done = Arc::new(AtomicBool::new(false));
    let cutter = tokio::spawn({
        let done = Arc::clone(&done);
        async move {
            let server = testing::server().await;
            let mut cut = 0;
            let mut pause = 20;
            while !done.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(pause)).await;
                pause = (pause * 7 + 13) % 80;
                cut += server.cut_connections(&database).await;
            }
            cut
        }
    });
    let heads = Arc::new(Heads::default());
    let acknowledged = load(&setup, &logs, &heads, 16, 60).await;
    done.store(true, Ordering::SeqCst);
    assert!(
        cutter.await.unwrap() > 10,
        "too few connections were cut to prove anything"
    );

    let bodies = check_whole(&place.store().await).await;
    heads.check(&bodies);
    for (index, body) in &acknowledged {
        assert_eq!(&bodies[usize::try_from(*index).unwrap()], body);
    }
    for log in &logs {
        assert_eq!(log.refusal(), None);
    }
}
