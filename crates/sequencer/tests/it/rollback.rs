//! Databases that went back in time, and other reasons not to sign.

use std::path::Path;
use std::sync::Arc;

use logstore::{Head, SharedStore, Update};
use sequencer::{AppendError, GuardError, OpenError};
use tlog::{Hash, TileId};

use crate::faulty::Faulty;
use crate::support::{LOG, Place, Setup, append_numbers, check, on_every_store};

on_every_store!(
    a_head_is_in_the_guard_before_anybody_hears_of_it,
    a_restored_backup_is_refused_with_the_way_out,
    a_backup_that_grew_differently_is_refused,
    a_database_that_goes_back_under_a_running_log_stops_it,
    a_fork_under_a_running_log_stops_it,
    a_new_replica_adopts_the_head,
    removing_the_guard_is_the_way_out,
    damaged_tiles_are_not_signed_over,
    a_guard_is_of_one_log_and_one_holder,
);

async fn expect_rolled_back(setup: &Setup, store: &SharedStore, guard: &Path) -> String {
    match setup.open(store, guard).await {
        Err(OpenError::RolledBack(message)) => message,
        other => panic!("{other:?}"),
    }
}

async fn a_head_is_in_the_guard_before_anybody_hears_of_it(place: Place) {
    let setup = Setup::new();
    let (store, log) = setup.start(&place).await;
    let remembered = |size: u64, root: Hash| {
        let guard = std::fs::read_to_string(place.guard()).unwrap();
        let head = format!("size {size} root {root:?} ");
        assert!(guard.contains(&head), "{head:?} is not in {guard:?}");
    };
    remembered(0, tlog::empty_root());
    for number in 0..50_u32 {
        let appended = log.append(number.to_be_bytes().to_vec()).await.unwrap();
        remembered(appended.head.head.size, appended.head.head.root);
    }
    drop(log);
    // A replica that joins remembers what it found.
    std::fs::remove_file(place.guard()).unwrap();
    let log = setup.open(&store, &place.guard()).await.unwrap();
    let head = log.head().await.unwrap().head;
    remembered(head.size, head.root);
}

async fn a_restored_backup_is_refused_with_the_way_out(place: Place) {
    let setup = Setup::new();
    let (store, log) = setup.start(&place).await;
    append_numbers(&log, 0..5).await;
    drop((store, log));
    let backup = place.backup().await;
    let (store, log) = setup.start(&place).await;
    append_numbers(&log, 5..9).await;
    drop((store, log));

    let restored = backup.store().await;
    let before = restored.head(LOG).await.unwrap();
    let message = expect_rolled_back(&setup, &restored, &place.guard()).await;
    let guard = place.guard().display().to_string();
    for words in [
        "only 5 leaves",
        "9 leaves",
        &guard,
        "restoring an old backup",
        "What to do",
    ] {
        assert!(message.contains(words), "{words:?} is not in {message:?}");
    }
    assert_eq!(
        restored.head(LOG).await.unwrap(),
        before,
        "nothing was signed"
    );
    drop(restored);
    // The newest database is welcome.
    let (_store, log) = setup.start(&place).await;
    append_numbers(&log, 9..10).await;
}

async fn a_backup_that_grew_differently_is_refused(place: Place) {
    let setup = Setup::new();
    let (store, log) = setup.start(&place).await;
    append_numbers(&log, 0..3).await;
    drop((store, log));
    let backup = place.backup().await;
    let (store, log) = setup.start(&place).await;
    append_numbers(&log, 3..5).await;
    drop((store, log));

    // To the same size, and beyond it, by a replica that knew nothing of the other future.
    let restored = backup.store().await;
    for until in [102, 300] {
        let other = setup.open(&restored, &backup.guard()).await.unwrap();
        append_numbers(&other, 100..until).await;
        drop(other);
        let message = expect_rolled_back(&setup, &restored, &place.guard()).await;
        assert!(message.contains("does not continue it"), "{message}");
    }
}

async fn a_database_that_goes_back_under_a_running_log_stops_it(place: Place) {
    let setup = Setup::new();
    let (store, log) = setup.start(&place).await;
    append_numbers(&log, 0..3).await;
    drop((store, log));
    let backup = place.backup().await;

    let original = place.store().await;
    let faulty = Faulty::new(Arc::clone(&original));
    let store: SharedStore = faulty.clone();
    let log = setup.open(&store, &place.guard()).await.unwrap();
    append_numbers(&log, 3..5).await;
    let older = backup.store().await;
    let before = older.head(LOG).await.unwrap();
    faulty.replace(Arc::clone(&older));
    let refused = log.append(b"after".to_vec()).await;
    let Err(AppendError::Refused(message)) = refused else {
        panic!("{refused:?}")
    };
    assert!(message.contains("only 3 leaves"), "{message}");
    assert_eq!(log.refusal(), Some(message));
    assert!(log.head().await.is_err());
    // It stays stopped, whatever comes back.
    faulty.replace(original);
    assert!(matches!(
        log.append(b"later".to_vec()).await,
        Err(AppendError::Refused(_))
    ));
    assert_eq!(older.head(LOG).await.unwrap(), before, "nothing was signed");
}

async fn a_fork_under_a_running_log_stops_it(place: Place) {
    let setup = Setup::new();
    let (store, log) = setup.start(&place).await;
    append_numbers(&log, 0..3).await;
    drop((store, log));
    let backup = place.backup().await;
    let other = backup.store().await;
    let branch = setup.open(&other, &backup.guard()).await.unwrap();
    append_numbers(&branch, 100..120).await;

    let faulty = Faulty::new(place.store().await);
    let store: SharedStore = faulty.clone();
    let log = setup.open(&store, &place.guard()).await.unwrap();
    append_numbers(&log, 3..5).await;
    let before = other.head(LOG).await.unwrap();
    faulty.replace(Arc::clone(&other));
    let refused = log.append(b"after".to_vec()).await;
    assert!(
        matches!(refused, Err(AppendError::Refused(_))),
        "{refused:?}"
    );
    assert_eq!(other.head(LOG).await.unwrap(), before);
}

async fn a_new_replica_adopts_the_head(place: Place) {
    let setup = Setup::new();
    let (store, log) = setup.start(&place).await;
    append_numbers(&log, 0..3).await;
    drop(log);
    let replica = setup.open(&store, &place.path("new guard")).await.unwrap();
    append_numbers(&replica, 3..5).await;
    drop(replica);
    // And the older replica, whose guard is behind, follows.
    let log = setup.open(&store, &place.guard()).await.unwrap();
    let appended = log.append(b"sixth".to_vec()).await.unwrap();
    assert_eq!(appended.index, 5);
    check(&setup, b"sixth", &appended);
}

async fn removing_the_guard_is_the_way_out(place: Place) {
    let setup = Setup::new();
    let (store, log) = setup.start(&place).await;
    append_numbers(&log, 0..3).await;
    drop((store, log));
    let backup = place.backup().await;
    let (store, log) = setup.start(&place).await;
    append_numbers(&log, 3..5).await;
    drop((store, log));
    let restored = backup.store().await;
    expect_rolled_back(&setup, &restored, &place.guard()).await;
    std::fs::remove_file(place.guard()).unwrap();
    let log = setup.open(&restored, &place.guard()).await.unwrap();
    assert_eq!(log.append(b"new".to_vec()).await.unwrap().index, 3);
}

async fn damaged_tiles_are_not_signed_over(place: Place) {
    let setup = Setup::new();
    let (store, log) = setup.start(&place).await;
    append_numbers(&log, 0..5).await;
    drop(log);
    let batch = store.begin(LOG).await.unwrap();
    let head = Head {
        ..batch.head().clone()
    };
    let tiles = vec![(TileId { level: 0, index: 0 }, vec![Hash([9; 32]); 5])];
    let update = Update {
        entries: vec![],
        tiles,
        head: head.clone(),
    };
    batch.commit(Arc::new(update)).await.unwrap();
    let opened = setup.open(&store, &place.guard()).await;
    match opened {
        Err(OpenError::Store(error)) => {
            assert!(error.to_string().contains("undamaged copy"), "{error}")
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(store.head(LOG).await.unwrap(), head);
}

async fn a_guard_is_of_one_log_and_one_holder(place: Place) {
    let setup = Setup::new();
    let (store, log) = setup.start(&place).await;
    let second = setup.open(&store, &place.guard()).await;
    assert!(
        matches!(second, Err(OpenError::Guard(GuardError::InUse { .. }))),
        "{second:?}"
    );
    drop(log);

    let mut other = Setup::with_signer(Arc::clone(&setup.signer));
    other.record.id = logstore::LogId(8);
    other.create(&store).await;
    let foreign = other.open(&store, &place.guard()).await;
    assert!(matches!(
        foreign,
        Err(OpenError::Guard(GuardError::Foreign { log: LOG, .. }))
    ));
}
