//! Reading entries by index: those who ask at the same time share a question to the store.
//!
//! A lone request is asked at once. While the store answers, others gather; they are the next
//! question. So many readers take no more of the pool's connections, which writes need too, than
//! there are lanes, and none waits for a timer.

use std::sync::Arc;

use logstore::{Entry, LogId, SharedStore, StoreError};
use tokio::sync::{Mutex, mpsc, oneshot};

/// Questions that may be under way: while one waits for the database, another is put or printed.
const LANES: usize = 2;

/// Most entries of one question.
const MOST: usize = 64;

/// Requests that may wait to be taken up; more wait at the door.
const QUEUE: usize = 1024;

/// Reads the entries of one log. Its tasks end with it.
#[derive(Debug)]
pub(crate) struct EntryReader {
    queue: mpsc::Sender<Asked>,
}

#[derive(Debug)]
struct Asked {
    index: u64,
    answer: oneshot::Sender<Result<Option<Entry>, StoreError>>,
}

impl EntryReader {
    pub(crate) fn new(store: &SharedStore, log: LogId) -> Self {
        let (queue, asked) = mpsc::channel(QUEUE);
        let asked = Arc::new(Mutex::new(asked));
        for _ in 0..LANES {
            let (store, asked) = (Arc::clone(store), Arc::clone(&asked));
            tokio::spawn(async move {
                let lane = || tokio::spawn(serve(Arc::clone(&store), log, Arc::clone(&asked)));
                // A fault costs the requests that meet it, not all that follow.
                while lane().await.is_err_and(|error| error.is_panic()) {}
            });
        }
        Self { queue }
    }

    /// The entry at `index`, if it is committed.
    pub(crate) async fn entry(&self, index: u64) -> Result<Option<Entry>, StoreError> {
        let (answer, answered) = oneshot::channel();
        let asked = Asked { index, answer };
        self.queue.send(asked).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

async fn serve(store: SharedStore, log: LogId, queue: Arc<Mutex<mpsc::Receiver<Asked>>>) {
    let mut batch = Vec::with_capacity(MOST);
    while queue.lock().await.recv_many(&mut batch, MOST).await > 0 {
        // Whoever went away needs no answer.
        batch.retain(|asked| !asked.answer.is_closed());
        let indices: Vec<u64> = batch.iter().map(|asked| asked.index).collect();
        match store.entries_at(log, &indices).await {
            Ok(found) => answer_all(&mut batch, found),
            // One damaged row must not hide the others.
            Err(StoreError::Corrupt(_)) if batch.len() > 1 => {
                for Asked { index, answer } in batch.drain(..) {
                    let found = store.entries_at(log, &[index]).await;
                    let _gone = answer.send(found.map(|found| found.into_iter().next()));
                }
            }
            Err(error) => {
                for Asked { answer, .. } in batch.drain(..) {
                    let _gone = answer.send(Err(error.clone()));
                }
            }
        }
    }
}

/// Answers with what was found: in the order asked for, without what does not exist.
fn answer_all(batch: &mut Vec<Asked>, found: Vec<Entry>) {
    let mut found = found.into_iter().peekable();
    for Asked { index, answer } in batch.drain(..) {
        let _gone = answer.send(Ok(found.next_if(|entry| entry.index == index)));
    }
}

fn ended() -> StoreError {
    StoreError::Unavailable("the reader of entries has ended".to_owned())
}
