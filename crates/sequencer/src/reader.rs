//! Reading the store: those who ask at the same time share a question.
//!
//! A lone request is asked at once. While the store answers, others gather; they are the next
//! question. An answer always belongs to a question that was put after its caller came, so nobody
//! can tell the difference, except by the load: however many read heads, entries and tiles, they take
//! no more of the store's connections, which writes need too, than there are lanes.

use std::sync::{Arc, Weak};
use std::time::Duration;

use logstore::{Entry, Reader, StoreError};
use tlog::{Hash, TileId};
use tokio::sync::{Mutex, MutexGuard, mpsc, oneshot};

use crate::SignedHead;
use crate::log::Shared;

/// Questions that may be under way: while one waits for the database, another is put or printed.
const LANES: usize = 2;

/// Most requests that share a question.
const MOST: usize = 64;

/// Requests that may wait to be taken up; more wait at the door.
const QUEUE: usize = 1024;

/// How long a lane keeps its session while nobody asks, unless others need it. To give it back costs
/// the database a round trip, as much as a question.
const KEPT: Duration = Duration::from_millis(100);

/// The newest head, and the entry that was asked for if the head covers it.
pub(crate) type Found = (Arc<SignedHead>, Option<Entry>);

/// Tiles, as [`Reader::tiles`] finds them.
type FoundTiles = Vec<Option<Vec<Hash>>>;

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

#[derive(Debug)]
enum Asked {
    /// For the head and, with an index, the entry there.
    Entry {
        index: Option<u64>,
        answer: Answer<Found>,
    },
    /// For tiles.
    Tiles {
        ids: Vec<TileId>,
        answer: Answer<FoundTiles>,
    },
}

impl Asked {
    fn is_given_up(&self) -> bool {
        match self {
            Self::Entry { answer, .. } => answer.is_closed(),
            Self::Tiles { answer, .. } => answer.is_closed(),
        }
    }
}

/// Where requests are put. The lanes end with the last of it.
#[derive(Clone, Debug)]
pub(crate) struct Readers(mpsc::Sender<Asked>);

/// The other end, before there are lanes.
pub(crate) struct Requests(mpsc::Receiver<Asked>);

impl Readers {
    pub(crate) fn new() -> (Self, Requests) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self(sender), Requests(receiver))
    }

    /// Asks for the newest head and, if an index is given, for the entry there.
    pub(crate) async fn entry(&self, index: Option<u64>) -> Result<Found, StoreError> {
        self.ask(|answer| Asked::Entry { index, answer }).await
    }

    /// Asks for tiles.
    pub(crate) async fn tiles(&self, ids: Vec<TileId>) -> Result<FoundTiles, StoreError> {
        self.ask(|answer| Asked::Tiles { ids, answer }).await
    }

    async fn ask<T>(&self, asked: impl FnOnce(Answer<T>) -> Asked) -> Result<T, StoreError> {
        let ended = || StoreError::Unavailable("the readers of the log have ended".to_owned());
        let (answer, answered) = oneshot::channel();
        self.0.send(asked(answer)).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

impl Requests {
    /// Starts the lanes.
    pub(crate) fn serve<F: Send + Sync + 'static>(self, shared: &Arc<Shared<F>>) {
        let queue = Arc::new(Mutex::new(self.0));
        for _ in 0..LANES {
            let (shared, queue) = (Arc::downgrade(shared), Arc::clone(&queue));
            tokio::spawn(async move {
                let run = || {
                    let lane = Lane {
                        shared: Weak::clone(&shared),
                        session: None,
                    };
                    tokio::spawn(lane.run(Arc::clone(&queue)))
                };
                // A fault costs the requests that meet it, not all that follow.
                while run().await.is_err_and(|error| error.is_panic()) {}
            });
        }
    }
}

/// One after another, each of these asks the store.
struct Lane<F> {
    shared: Weak<Shared<F>>,
    session: Option<Box<dyn Reader>>,
}

impl<F> Lane<F> {
    async fn run(mut self, queue: Arc<Mutex<mpsc::Receiver<Asked>>>) {
        let mut batch = Vec::with_capacity(MOST);
        loop {
            let first = first(&queue, &mut batch);
            let first = match self.session {
                None => first.await,
                Some(_) => match tokio::time::timeout(KEPT, first).await {
                    Ok(first) => first,
                    Err(_) => {
                        self.session = None;
                        continue;
                    }
                },
            };
            let Some(mut waiting) = first else { return };
            // Requests that have arrived and were not read yet come along.
            tokio::task::yield_now().await;
            while batch.len() < MOST
                && let Ok(another) = waiting.try_recv()
            {
                batch.push(another);
            }
            drop(waiting);
            let Some(shared) = self.shared.upgrade() else {
                return;
            };
            // Whoever went away needs no answer.
            batch.retain(|asked| !asked.is_given_up());
            let (mut entries, mut tiles) = (Vec::new(), Vec::new());
            for asked in batch.drain(..) {
                match asked {
                    Asked::Entry { index, answer } => entries.push((index, answer)),
                    Asked::Tiles { ids, answer } => tiles.push((ids, answer)),
                }
            }
            if !entries.is_empty() {
                self.answer_entries(&shared, entries).await;
            }
            if !tiles.is_empty() {
                self.answer_tiles(&shared, tiles).await;
            }
            self.session
                .take_if(|session| session.is_needed_elsewhere());
        }
    }

    async fn answer_entries(
        &mut self,
        shared: &Shared<F>,
        asked: Vec<(Option<u64>, Answer<Found>)>,
    ) {
        let indices: Vec<u64> = asked.iter().filter_map(|(index, _)| *index).collect();
        match self.entries(shared, &indices).await {
            Ok((head, found)) => {
                let mut found = found.into_iter().peekable();
                for (index, answer) in asked {
                    let entry = index.and_then(|index| found.next_if(|entry| entry.index == index));
                    let _gone = answer.send(Ok((Arc::clone(&head), entry)));
                }
            }
            // One damaged row must not hide the others.
            Err(StoreError::Corrupt(_)) if asked.len() > 1 && shared.refusal.get().is_none() => {
                for (index, answer) in asked {
                    let read = self.entries(shared, index.as_slice()).await;
                    let found = read.map(|(head, found)| (head, found.into_iter().next()));
                    let _gone = answer.send(found);
                }
            }
            Err(error) => refuse_all(asked, &error),
        }
    }

    async fn answer_tiles(
        &mut self,
        shared: &Shared<F>,
        asked: Vec<(Vec<TileId>, Answer<FoundTiles>)>,
    ) {
        let ids: Vec<TileId> = asked.iter().flat_map(|(ids, _)| ids).copied().collect();
        match self.tiles(shared, &ids).await {
            Ok(found) => {
                let mut found = found.into_iter();
                for (ids, answer) in asked {
                    let _gone = answer.send(Ok(found.by_ref().take(ids.len()).collect()));
                }
            }
            Err(StoreError::Corrupt(_)) if asked.len() > 1 => {
                for (ids, answer) in asked {
                    let _gone = answer.send(self.tiles(shared, &ids).await);
                }
            }
            Err(error) => refuse_all(asked, &error),
        }
    }

    async fn entries(
        &mut self,
        shared: &Shared<F>,
        indices: &[u64],
    ) -> Result<(Arc<SignedHead>, Vec<Entry>), StoreError> {
        loop {
            let (mut session, is_new) = self.session(shared).await?;
            let read = shared.read(session.as_mut(), indices).await;
            if is_stale(&read, is_new) {
                continue;
            }
            self.session = read.is_ok().then_some(session);
            return read;
        }
    }

    async fn tiles(
        &mut self,
        shared: &Shared<F>,
        ids: &[TileId],
    ) -> Result<FoundTiles, StoreError> {
        loop {
            let (mut session, is_new) = self.session(shared).await?;
            let read = session.tiles(ids).await;
            if is_stale(&read, is_new) {
                continue;
            }
            self.session = read.is_ok().then_some(session);
            return read;
        }
    }

    /// The session that was kept, or else a new one.
    async fn session(&mut self, shared: &Shared<F>) -> Result<(Box<dyn Reader>, bool), StoreError> {
        match self.session.take() {
            Some(session) => Ok((session, false)),
            None => Ok((shared.store.reader(shared.record.id).await?, true)),
        }
    }
}

/// Waits for requests and takes them up; `None` if there will be none any more. Giving it up loses
/// none.
async fn first<'a>(
    queue: &'a Mutex<mpsc::Receiver<Asked>>,
    batch: &mut Vec<Asked>,
) -> Option<MutexGuard<'a, mpsc::Receiver<Asked>>> {
    let mut queue = queue.lock().await;
    (queue.recv_many(batch, MOST).await > 0).then_some(queue)
}

/// Whether a session that had answered before has lost its connection since: the question is put once
/// more, through a new one.
fn is_stale<T>(read: &Result<T, StoreError>, is_new: bool) -> bool {
    !is_new && matches!(read, Err(StoreError::Unavailable(_)))
}

fn refuse_all<Q, T>(asked: Vec<(Q, Answer<T>)>, error: &StoreError) {
    for (_, answer) in asked {
        let _gone = answer.send(Err(error.clone()));
    }
}
