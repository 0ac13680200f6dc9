//! Promises that are kept with their entries (Rekor's signed entry timestamps).
//!
//! They are signed before the entries are committed, and released after. A reader of the entry then
//! needs no key, which may be far away. An entry is not held up by its promise: what a slow key does
//! not sign in time is left out, and signed for whoever asks for it.

use std::num::NonZero;
use std::time::Duration;

use keys::SharedSigner;
use logstore::NewEntry;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::Format;

/// How long a batch waits for its promises.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// Signatures that a key which is far away is asked for at the same time.
const REMOTE_AT_ONCE: usize = 32;

/// Signatures after which a task lets others on.
const AT_A_STRETCH: usize = 8;

/// A message, and the place of its entry in the batch.
type Message = (usize, Vec<u8>);

/// How the entries of a batch are promised.
pub(crate) struct Promises<'a, F> {
    pub(crate) format: &'a F,
    pub(crate) signer: &'a SharedSigner,
    /// Index of the first entry.
    pub(crate) first: u64,
    pub(crate) timestamp_ms: u64,
}

impl<F: Format> Promises<'_, F> {
    /// Signs the promises of these entries; returns how many were not signed within `patience`.
    pub(crate) async fn sign(&self, entries: &mut [NewEntry], patience: Duration) -> usize {
        let mut messages: Vec<Message> = Vec::with_capacity(entries.len());
        for (place, (index, entry)) in (self.first..).zip(&*entries).enumerate() {
            let message = self.format.promise_message(entry, index, self.timestamp_ms);
            messages.extend(message.map(|message| (place, message)));
        }
        if patience.is_zero() {
            return messages.len();
        }
        let asked = messages.len();
        let signed = sign_all(self.signer, messages, Instant::now() + patience).await;
        let missing = asked - signed.len();
        for (place, signature) in signed {
            if let Some(entry) = entries.get_mut(place) {
                entry.promise = self.format.promise(self.first + place as u64, signature);
            }
        }
        missing
    }
}

/// The signatures that were made in time, in any order.
async fn sign_all(
    signer: &SharedSigner,
    mut messages: Vec<Message>,
    deadline: Instant,
) -> Vec<Message> {
    if messages.len() <= 1 {
        return sign_some(signer, messages, deadline).await;
    }
    let tasks = if signer.is_remote() {
        REMOTE_AT_ONCE
    } else {
        std::thread::available_parallelism().map_or(1, NonZero::get)
    };
    let share = messages.len().div_ceil(tasks);
    let mut signing = JoinSet::new();
    while !messages.is_empty() {
        let share = messages.split_off(messages.len().saturating_sub(share));
        let signer = SharedSigner::clone(signer);
        signing.spawn(async move { sign_some(&signer, share, deadline).await });
    }
    let mut signed = Vec::new();
    while let Some(share) = signing.join_next().await {
        // A task that panicked leaves its entries without promises.
        signed.extend(share.unwrap_or_default());
    }
    signed
}

/// Signs one after another, as far as it goes.
async fn sign_some(
    signer: &SharedSigner,
    messages: Vec<Message>,
    deadline: Instant,
) -> Vec<Message> {
    let mut signed = Vec::with_capacity(messages.len());
    for (number, (place, message)) in messages.into_iter().enumerate() {
        if number % AT_A_STRETCH == AT_A_STRETCH - 1 {
            tokio::task::yield_now().await;
        }
        match tokio::time::timeout_at(deadline, signer.sign(&message)).await {
            Ok(Ok(signature)) => signed.push((place, signature)),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a promise was not signed");
                break;
            }
            Err(_) => break,
        }
    }
    signed
}
