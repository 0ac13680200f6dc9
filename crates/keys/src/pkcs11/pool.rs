//! Threads that sign: each with one session, fed by one bounded queue.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::session::{Connection, Target};
use crate::SignError;
use crate::pinned::{Input, Pinned};

/// Signatures that may wait; more would only time out. At the 500/s of a small network HSM this is
/// half a second.
const QUEUE: usize = 256;

/// The threads of one key. They end when this is dropped.
pub(super) struct Pool {
    queue: SyncSender<Job>,
}

struct Job {
    input: Input,
    answer: oneshot::Sender<Result<Vec<u8>, SignError>>,
}

impl Pool {
    /// Starts as many threads as the key may have sessions; the first one gets `connection`.
    pub(super) fn start(
        target: Target,
        pinned: Pinned,
        connection: Connection,
    ) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel(QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        let shared = Arc::new((target, pinned));
        let mut connection = Some(connection);
        for number in 0..shared.0.location().sessions {
            let (jobs, shared) = (Arc::clone(&jobs), Arc::clone(&shared));
            // The others connect when they are first needed.
            let connection = connection.take();
            std::thread::Builder::new()
                .name(format!("pkcs11-{number}"))
                .spawn(move || work(&jobs, &shared, connection))?;
        }
        Ok(Self { queue })
    }

    /// Queues `input`; refused at once if the queue is full.
    pub(super) fn sign(
        &self,
        input: Input,
    ) -> Result<oneshot::Receiver<Result<Vec<u8>, SignError>>, SignError> {
        let (answer, receiver) = oneshot::channel();
        match self.queue.try_send(Job { input, answer }) {
            Ok(()) => Ok(receiver),
            Err(TrySendError::Full(_)) => Err(SignError::Unavailable(format!(
                "{QUEUE} signatures already wait for the token"
            ))),
            Err(TrySendError::Disconnected(_)) => Err(SignError::Unavailable(
                "the signing threads have ended".to_owned(),
            )),
        }
    }
}

fn work(
    jobs: &Mutex<Receiver<Job>>,
    (target, pinned): &(Target, Pinned),
    mut connection: Option<Connection>,
) {
    loop {
        // The lock is held while waiting: one idle thread waits for a job, the others for the lock.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { input, answer }) = job else {
            return;
        };
        // The caller gave up; the token has better things to do.
        if answer.is_closed() {
            continue;
        }
        let signed = target.sign(&mut connection, pinned, &input);
        // The caller may have given up meanwhile.
        let _given_up = answer.send(signed);
    }
}
