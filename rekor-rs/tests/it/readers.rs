//! Many readers at once.

use futures::future::join_all;

use crate::damage::Intruder;
use crate::on_every_store;
use crate::stack::unique_hashedrekord;

on_every_store! {
    async fn readers_at_once_get_each_their_own_entry(stack) {
        let mut ids = Vec::new();
        for _ in 0..20 {
            ids.push(stack.create(&unique_hashedrekord()).await.0);
        }
        let stack = &*stack;
        // Twice over, and beyond the end.
        let reads = (0..50).map(async |number| {
            let index = number % 25;
            let response = stack.get(&format!("/api/v1/log/entries?logIndex={index}")).await;
            if index >= 20 {
                assert_eq!(response.status(), 404);
                return None;
            }
            Some((index, stack.check(&response.text().await.unwrap()).await))
        });
        for (index, (id, entry)) in join_all(reads).await.into_iter().flatten() {
            assert_eq!(id, ids[index]);
            assert_eq!(entry["logIndex"], index);
        }
    }

    async fn an_entry_is_read_while_it_is_written(stack) {
        let stack = &*stack;
        for index in 0..20 {
            let entry = unique_hashedrekord();
            let written = stack.create(&entry);
            let read = async {
                let path = format!("/api/v1/log/entries?logIndex={index}");
                // Not there yet, or there; never missing below a head that has it.
                loop {
                    let response = stack.get(&path).await;
                    match response.status().as_u16() {
                        404 => {}
                        200 => return stack.check(&response.text().await.unwrap()).await.0,
                        other => panic!("{other}: {}", response.text().await.unwrap()),
                    }
                }
            };
            let ((written, _), read) = tokio::join!(written, read);
            assert_eq!(written, read);
        }
    }

    async fn a_damaged_row_hides_no_other(stack) {
        for _ in 0..10 {
            stack.create(&unique_hashedrekord()).await;
        }
        let intruder = Intruder::new(stack).await;
        intruder.run("UPDATE entry SET timestamp_ms = -1 WHERE log = LOG AND idx = 3").await;
        let stack = &*stack;
        let reads = (0..10).map(async |index: u64| {
            let response = stack.get(&format!("/api/v1/log/entries?logIndex={index}")).await;
            assert_eq!(response.status() == 200, index != 3, "{index}");
        });
        join_all(reads).await;
    }
}
