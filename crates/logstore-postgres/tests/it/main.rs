//! PostgreSQL against the behaviour suite, and what is particular to it.

use std::sync::Arc;

use logstore::suite::{self, Subject};
use logstore::{SharedStore, StoreError};
use logstore_postgres::PostgresStore;
use logstore_postgres::testing::{self, Database};

struct Replicas(Database);

#[async_trait::async_trait]
impl Subject for Replicas {
    async fn another(&self) -> Option<SharedStore> {
        Some(self.reopen().await)
    }

    async fn reopen(&self) -> SharedStore {
        Arc::new(PostgresStore::connect(self.0.url(), 8).await.unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behaves_as_every_store_must() {
    suite::run(&Replicas(testing::server().await.database().await)).await;
}
