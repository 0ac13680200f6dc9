//! Reads that their callers share.
//!
//! Many callers that ask the same question at the same time need not all bother the database. One
//! asks; those who arrive while it waits for the answer share the next one, never the one under way:
//! an answer always belongs to a question that was put after its caller came. So nobody can tell the
//! difference, except by the load.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

/// One question, asked by many.
#[derive(Debug)]
pub(crate) struct Coalesced<T> {
    /// Questions put so far.
    put: AtomicU64,
    /// The last one answered, with its number. Held while a question is under way.
    last: Mutex<Option<(u64, T)>>,
}

impl<T> Default for Coalesced<T> {
    fn default() -> Self {
        Self {
            put: AtomicU64::new(0),
            last: Mutex::new(None),
        }
    }
}

impl<T: Clone> Coalesced<T> {
    /// The answer to a question that is put after this call: by this caller, or by another.
    ///
    /// A caller that goes away while it asks leaves the question to the next.
    pub(crate) async fn ask(&self, question: impl Future<Output = T>) -> T {
        let before = self.put.load(Ordering::Acquire);
        let mut last = self.last.lock().await;
        if let Some((number, answer)) = &*last
            && *number > before
        {
            return answer.clone();
        }
        let number = self.put.fetch_add(1, Ordering::AcqRel) + 1;
        let answer = question.await;
        *last = Some((number, answer.clone()));
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// Answers with the number of answers before it, when told to.
    struct Oracle {
        shared: Coalesced<u64>,
        answered: AtomicU64,
        may_answer: tokio::sync::Semaphore,
    }

    impl Oracle {
        fn new() -> Arc<Self> {
            Arc::new(Self {
                shared: Coalesced::default(),
                answered: AtomicU64::new(0),
                may_answer: tokio::sync::Semaphore::new(0),
            })
        }

        async fn ask(self: Arc<Self>) -> u64 {
            self.shared
                .ask(async {
                    self.may_answer.acquire().await.unwrap().forget();
                    self.answered.fetch_add(1, Ordering::SeqCst)
                })
                .await
        }
    }

    #[tokio::test]
    async fn who_arrives_during_a_question_shares_the_next_one() {
        let oracle = Oracle::new();
        let first = tokio::spawn(Arc::clone(&oracle).ask());
        tokio::task::yield_now().await;
        let later: Vec<_> = (0..50)
            .map(|_| tokio::spawn(Arc::clone(&oracle).ask()))
            .collect();
        tokio::task::yield_now().await;
        oracle.may_answer.add_permits(2);
        assert_eq!(first.await.unwrap(), 0);
        for one in later {
            assert_eq!(one.await.unwrap(), 1);
        }
        assert_eq!(oracle.answered.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_question_after_an_answer_is_put_again() {
        let oracle = Oracle::new();
        oracle.may_answer.add_permits(2);
        assert_eq!(Arc::clone(&oracle).ask().await, 0);
        assert_eq!(Arc::clone(&oracle).ask().await, 1);
    }

    #[tokio::test]
    async fn an_asker_that_goes_away_does_not_hold_up_the_others() {
        let oracle = Oracle::new();
        let gone = tokio::spawn(Arc::clone(&oracle).ask());
        tokio::task::yield_now().await;
        let waiting = tokio::spawn(Arc::clone(&oracle).ask());
        tokio::task::yield_now().await;
        gone.abort();
        oracle.may_answer.add_permits(1);
        assert_eq!(waiting.await.unwrap(), 0);
    }
}
