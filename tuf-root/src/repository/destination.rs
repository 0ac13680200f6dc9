//! Where the published tree goes besides its directory.

use async_trait::async_trait;

use super::tree::Current;
use super::{Repository, RepositoryError};
use crate::client::{self, Directory, Expiry};
use crate::metadata::{Document, Root};

/// A copy of the published tree that follows every publication, for clients to read.
#[async_trait]
pub trait Destination: Send + Sync + std::fmt::Debug {
    /// Makes the copy like `published`, in an order in which clients see the old state or the new
    /// one, and reads it back as a client that starts from `first_root`, expiry aside. Refuses if
    /// somebody else publishes there.
    async fn follow(
        &self,
        published: &Directory,
        first_root: &Document<Root>,
    ) -> Result<(), DestinationError>;
}

/// A copy could not be made like the published tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {reason}")]
pub struct DestinationError {
    /// Which file.
    pub at: String,
    /// What went wrong.
    pub reason: String,
}

impl Repository {
    /// From now on, publications also go to `destination`.
    #[must_use]
    pub fn publishing_to(mut self, destination: impl Destination + 'static) -> Self {
        self.destinations.push(std::sync::Arc::new(destination));
        self
    }

    /// Brings the copies up to what is published. Every step of a rotation goes through here: a
    /// copy that left one out would refuse clients for a moment.
    pub(super) async fn follow(&self, current: &Current) -> Result<(), RepositoryError> {
        let published = Directory {
            path: self.published_dir(),
        };
        for destination in &self.destinations {
            destination.follow(&published, &current.first_root).await?;
        }
        Ok(())
    }

    /// As [`Self::follow`], for what an earlier publication left behind. Between two files of a
    /// revocation there is nothing whole to copy; the publication that goes on with it will.
    pub(super) async fn catch_up(&self, current: &Current) -> Result<(), RepositoryError> {
        let published = Directory {
            path: self.published_dir(),
        };
        let first = &current.first_root;
        match client::update(&published, first, None, Expiry::Ignored).await {
            Ok(_) => self.follow(current).await,
            Err(_) => Ok(()),
        }
    }
}
