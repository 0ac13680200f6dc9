//! The newest identities, in memory: most duplicates are repeated requests.

use std::collections::{HashMap, VecDeque};

use logstore::Known;
use tlog::Hash;

/// Identities remembered: about 120 bytes each.
const CAPACITY: usize = 16_384;

/// The newest identities that this process committed. What is in here is in the log; what is not
/// must be asked for.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    by_identity: HashMap<Hash, Known>,
    oldest_first: VecDeque<Hash>,
}

impl Recent {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn get(&self, identity: &Hash) -> Option<&Known> {
        self.by_identity.get(identity)
    }

    pub(crate) fn insert(&mut self, known: Known) {
        if self.by_identity.insert(known.identity, known).is_none() {
            self.oldest_first.push_back(known.identity);
        }
        if self.oldest_first.len() > CAPACITY
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.by_identity.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(number: u64) -> Known {
        let mut identity = Hash([0; 32]);
        identity.0[..8].copy_from_slice(&number.to_be_bytes());
        Known {
            identity,
            index: number,
            timestamp_ms: 0,
        }
    }

    #[test]
    fn forgets_the_oldest_when_full() {
        let mut recent = Recent::new();
        let capacity = CAPACITY as u64;
        for number in 0..=capacity {
            recent.insert(known(number));
        }
        assert_eq!(recent.get(&known(0).identity), None);
        assert_eq!(recent.get(&known(1).identity), Some(&known(1)));
        assert_eq!(
            recent.get(&known(capacity).identity),
            Some(&known(capacity))
        );
        assert_eq!(recent.by_identity.len(), CAPACITY);
    }
}
