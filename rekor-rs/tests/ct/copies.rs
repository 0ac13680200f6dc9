//! A CT log is checked, exported, verified with its key, and imported elsewhere.

use rekor_rs::archive::{self, Options};
use rekor_rs::fsck::{self, Finding, Remedy};
use rekor_rs::import;

use crate::ca::{Ca, leaf};
use crate::place::{Place, on_every_store};
use crate::server::Server;

on_every_store! {
    damaged_entries_of_a_ct_log_are_named,
    a_ct_log_is_restored_from_an_export_as_it_was,
}

/// Certificates and precertificates, alternately.
async fn fill(server: &Server, ca: &Ca, count: usize) {
    for number in 0..count {
        let (path, der) = match number % 2 {
            0 => ("add-pre-chain", ca.precertificate(&leaf()).await),
            _ => ("add-chain", ca.certificate(&leaf()).await),
        };
        let (status, answer) = server.submit(path, &ca.chain(der)).await;
        assert_eq!(status, 200, "{answer}");
    }
}

async fn findings(server: &Server) -> Vec<Finding> {
    let report = fsck::run(&server.store, &fsck::Options::default())
        .await
        .unwrap();
    report.logs[0].findings.list.clone()
}

async fn damaged_entries_of_a_ct_log_are_named(place: Place) {
    let ca = Ca::new().await;
    let server = Server::start(place, &ca).await;
    fill(&server, &ca, 6).await;
    assert_eq!(findings(&server).await, []);
    let database = server.database();
    for (sql, index) in [
        (
            "UPDATE entry SET timestamp_ms = timestamp_ms + 1 WHERE idx = 5",
            5,
        ),
        ("UPDATE entry SET extra = body WHERE idx = 2", 2),
        ("UPDATE entry SET identity = leaf_hash WHERE idx = 1", 1),
        ("UPDATE entry SET body = extra WHERE idx = 0", 0),
    ] {
        database.execute(sql).await;
        let found = findings(&server).await;
        let place = format!("entry {index}");
        let named = found
            .iter()
            .any(|found| found.place == place && found.remedy == Remedy::RestoreEntry);
        assert!(named, "{sql}: {found:?}");
    }
    database
        .execute("UPDATE log SET timestamp_ms = timestamp_ms + 1")
        .await;
    let found = findings(&server).await;
    assert!(
        found.iter().any(|found| found.place == "checkpoint"),
        "{found:?}"
    );
}

async fn a_ct_log_is_restored_from_an_export_as_it_was(place: Place) {
    let ca = Ca::new().await;
    let server = Server::start(place, &ca).await;
    fill(&server, &ca, 9).await;
    let record = server.store.logs().await.unwrap().remove(0);
    let target = tempfile::tempdir().unwrap();
    let options = Options::default();
    let exported = archive::export(&server.store, &record, target.path(), &options)
        .await
        .unwrap();
    assert_eq!(exported.size, 9);
    for file in ["checkpoint", "tile/0/000.p/9", "tile/data/000.p/9"] {
        assert!(target.path().join(file).exists(), "{file}");
    }
    // The intermediate and the root, once each.
    assert_eq!(
        std::fs::read_dir(target.path().join("issuer"))
            .unwrap()
            .count(),
        2
    );

    let key = record.public_key.clone();
    let verified = import::verify_archive(target.path(), &key).await.unwrap();
    assert_eq!((verified.findings.count, verified.size), (0, 9));
    let copy = place.database().await;
    let store = copy.store().await;
    import::from_archive(&store, target.path(), Some(&key))
        .await
        .unwrap();
    let id = record.id;
    assert_eq!(
        store.records(id, 0, 99).await.unwrap(),
        server.store.records(id, 0, 99).await.unwrap()
    );
    assert_eq!(
        store.head(id).await.unwrap(),
        server.store.head(id).await.unwrap()
    );
    let report = fsck::run(&store, &fsck::Options::default()).await.unwrap();
    assert!(report.ok, "{report:?}");

    for file in ["tile/data/000.p/9", "checkpoint"] {
        let path = target.path().join(file);
        let intact = std::fs::read(&path).unwrap();
        let mut damaged = intact.clone();
        let at = damaged.len() - 60;
        damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
        std::fs::write(&path, damaged).unwrap();
        let found = import::verify_archive(target.path(), &key).await;
        let refused = found.map_or(true, |report| report.findings.count > 0);
        assert!(refused, "{file}");
        std::fs::write(&path, intact).unwrap();
    }
}
