//! Rotating the log: the shard that takes entries is frozen, and the next one takes its place.
//!
//! One transaction does it, so a write that is under way ends up in one shard or in the other.
//! Running services follow by themselves (see [`crate::shards`]). The new shard comes into being
//! with an entry of its own: bundles of the first entry of a tree lack members that some clients
//! insist on, because their JSON form drops a zero index and an empty list of hashes.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clock::SharedClock;
use keys::{Algorithm, FileSigner, SharedSigner, SignError, Signer as _};
use logstore::{LogRecord, LogState, SharedStore, StoreError};

use crate::config::{Config, Kind};
use crate::entry::{self, Purpose, Submission, Verified};
use crate::error::Error;
use crate::format::{Pending, RekorV1};
use crate::service::{find, new_record, open_key};
use crate::shards::{Configured, check_key};

/// The rotation that configuration and database provide for: both shards, checked.
#[derive(Debug)]
pub struct Rotation {
    from: LogRecord,
    to: LogRecord,
    signer: SharedSigner,
    limits: crate::Limits,
}

/// What a rotation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// Entries of the shard that was frozen.
    pub frozen_size: u64,
    /// Entries of the shard that takes entries now.
    pub size: u64,
}

impl Rotation {
    /// Finds the shard that takes entries and the one that follows it in the configuration. Opens
    /// the next one's key, and changes nothing.
    pub async fn plan(
        config: &Config,
        store: &SharedStore,
        clock: &SharedClock,
    ) -> Result<Self, Error> {
        let refuse = |reason: String| Err(Error::Mismatch(reason));
        let mut newest: Option<LogRecord> = None;
        let mut next = None;
        for (place, log) in config.logs.iter().enumerate() {
            if log.kind != Kind::RekorV1 {
                continue;
            }
            let signer = open_key(config, log, place).await?;
            let configured = Configured {
                log: log.clone(),
                signer,
            };
            match find(config, &configured, store).await? {
                Some(record) => newest = Some(record),
                None => {
                    check_key(&configured.signer, &format!("logs[{place}]"))?;
                    next = Some(configured);
                    break;
                }
            }
        }
        let Some(from) = newest else {
            return refuse(
                "no configured log of kind rekor-v1 is in the database; `serve` and `log create` \
                 make the first"
                    .to_owned(),
            );
        };
        if from.state == LogState::Frozen {
            return refuse(format!(
                "log {}, the newest of kind rekor-v1, is frozen already; a service that starts with \
                 another shard after it in `logs` creates that one",
                from.id
            ));
        }
        let Some(next) = next else {
            return refuse(format!(
                "log {} is the last in `logs`: add the next shard after it, with a key of its own, \
                 in the configuration of every replica",
                from.id
            ));
        };
        let key = next.signer.public_key().spki_der();
        let records = store.logs().await?;
        if let Some(other) = records.iter().find(|record| record.public_key == key) {
            return refuse(format!(
                "the key of the next shard is that of log {}; every shard needs its own",
                other.id
            ));
        }
        // Logs are listed by this time, whatever the clock says.
        let last_ms = records.iter().map(|record| record.created_ms).max();
        let now_ms = clock.now_ms().max(last_ms.unwrap_or(0).saturating_add(1));
        let origin = next.log.origin.as_deref().unwrap_or(&config.hostname);
        Ok(Self {
            to: new_record(&next.log, origin, key, now_ms)?,
            from,
            signer: next.signer,
            limits: config.limits,
        })
    }

    /// The shard that will be frozen.
    #[must_use]
    pub fn from(&self) -> &LogRecord {
        &self.from
    }

    /// The shard that will take entries.
    #[must_use]
    pub fn to(&self) -> &LogRecord {
        &self.to
    }

    /// The key of the shard that will take entries.
    #[must_use]
    pub fn public_key(&self) -> &crypto::PublicKey {
        self.signer.public_key()
    }

    /// Rotates.
    pub async fn perform(self, store: &SharedStore) -> Result<Rotated, Error> {
        let sign = |source| Error::FirstHead {
            id: self.to.id.0,
            source,
        };
        let format = RekorV1::new(
            &self.to.origin,
            self.to.id.0,
            self.signer.public_key(),
            // Known with the transaction; only promises depend on it, and there is none yet.
            0,
        );
        let now_ms = self.to.created_ms;
        let first = self.first_entry().await.map_err(sign)?;
        let first = vec![Pending::from(first)];
        let first = sequencer::first_batch(&format, &self.signer, first, now_ms)
            .await
            .map_err(sign)?;
        match store.rotate(self.from.id, &self.to, Arc::new(first)).await {
            Ok(()) => {}
            Err(unknown @ StoreError::Unknown(_)) => {
                // Waits for the lock, and so until the transaction can no longer take effect.
                drop(store.begin(self.from.id).await?);
                let records = store.logs().await?;
                if !records.iter().any(|record| record.id == self.to.id) {
                    return Err(unknown.into());
                }
            }
            Err(error) => return Err(error.into()),
        }
        Ok(Rotated {
            frozen_size: store.head(self.from.id).await?.size,
            size: store.head(self.to.id).await?.size,
        })
    }

    /// An entry by a key that signs this one message and is forgotten.
    async fn first_entry(&self) -> Result<Verified, SignError> {
        let message = format!("the first entry of log {}\n", self.to.id);
        let refused = |error: String| SignError::Refused(format!("the first entry: {error}"));
        let key = FileSigner::generate(Algorithm::EcdsaP256Sha256)
            .map_err(|error| refused(error.to_string()))?;
        let signature = key.sign(message.as_bytes()).await?;
        let digest = hex::encode(crypto::sha256(message.as_bytes()));
        let entry = serde_json::json!({
            "apiVersion": "0.0.1",
            "kind": "hashedrekord",
            "spec": {
                "data": { "hash": { "algorithm": "sha256", "value": digest } },
                "signature": {
                    "content": STANDARD.encode(signature),
                    "publicKey": { "content": STANDARD.encode(key.public_key().to_pem()) },
                },
            },
        });
        let limits = entry::Limits {
            attestation: self.limits.attestation,
            package_metadata: self.limits.package_metadata,
            now: std::time::UNIX_EPOCH + std::time::Duration::from_millis(self.to.created_ms),
        };
        Submission::parse(entry.to_string().as_bytes())
            .and_then(|entry| entry.verify(Purpose::Insert, &limits))
            .map_err(|error| refused(error.to_string()))
    }
}
