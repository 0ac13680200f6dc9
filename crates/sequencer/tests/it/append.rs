//! Appending and proving.

use std::collections::HashSet;
use std::sync::Arc;

use crate::support::{Place, Setup, check};

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_answered_with_its_proof_under_a_signed_head() {
    let (place, setup) = (Place::new(), Setup::new());
    let store = place.sqlite().await;
    setup.create(&store).await;
    let log = setup.open(&store, &place.guard()).await.unwrap();
    for number in 0..600_u32 {
        let body = number.to_be_bytes().to_vec();
        let appended = log.append(body.clone()).await.unwrap();
        assert_eq!(
            (appended.index, appended.duplicate),
            (u64::from(number), false)
        );
        check(&setup, &body, &appended);
        assert_eq!(log.head().await.unwrap(), appended.head);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_entries_get_contiguous_indices_and_valid_proofs() {
    let (place, setup) = (Place::new(), Arc::new(Setup::new()));
    let store = place.sqlite().await;
    setup.create(&store).await;
    let log = setup.open(&store, &place.guard()).await.unwrap();
    let mut tasks = Vec::new();
    for client in 0..64_u32 {
        let (log, setup) = (Arc::clone(&log), Arc::clone(&setup));
        tasks.push(tokio::spawn(async move {
            let mut indices = Vec::new();
            for number in 0..20_u32 {
                let body = [client.to_be_bytes(), number.to_be_bytes()].concat();
                let appended = log.append(body.clone()).await.unwrap();
                check(&setup, &body, &appended);
                indices.push(appended.index);
            }
            assert!(indices.is_sorted());
            indices
        }));
    }
    let mut indices = HashSet::new();
    for task in tasks {
        indices.extend(task.await.unwrap());
    }
    assert_eq!(indices, (0..64 * 20).collect());
}
