//! The life of an authority, from its first key to its successor's.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at what it does not expect"
)]

mod follow;
mod life;
mod request;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clock::{ManualClock, SharedClock};
use custody::{Begin, Directory, NewKey, Purpose, Root, Source};
use keys::{Algorithm, KeyUri, Passphrase};
use wire::trust::Timestamp;

const DAY: u64 = 86_400;
/// 2026-01-01.
const START: u64 = 1_767_225_600;

/// An authority in a directory of its own, and a clock to move.
struct Home {
    directory: tempfile::TempDir,
    clock: Arc<ManualClock>,
    purpose: Purpose,
}

impl Home {
    fn new(purpose: Purpose) -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            clock: Arc::new(ManualClock::at_ms(START * 1000)),
            purpose,
        }
    }

    /// With root and first generation.
    async fn made(purpose: Purpose) -> Self {
        let home = Self::new(purpose);
        let made = home.begin(home.root()).await.unwrap();
        assert!(made.active);
        home
    }

    fn clock(&self) -> SharedClock {
        Arc::clone(&self.clock) as SharedClock
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("authority")
    }

    fn key(&self, name: &str) -> NewKey {
        std::fs::create_dir_all(self.path()).unwrap();
        NewKey {
            uri: KeyUri::file(self.path().join(name)),
            algorithm: Algorithm::EcdsaP256Sha256,
            existing: false,
            passphrase: Some(passphrase()),
        }
    }

    fn root(&self) -> Root {
        Root::New {
            key: self.key("root-key.pem"),
            lifetime: Duration::from_secs(3650 * DAY),
        }
    }

    async fn begin(&self, root: Root) -> Result<custody::Made, custody::Error> {
        let url = match self.purpose {
            Purpose::CodeSigning => "https://fulcio.corp.example",
            Purpose::TimeStamping => "https://tsa.corp.example/api/v1/timestamp",
        };
        Begin {
            purpose: self.purpose,
            organization: "Corp".to_owned(),
            url: url.to_owned(),
            key: self.key("key-1.pem"),
            root,
            lifetime: Duration::from_secs(1095 * DAY),
        }
        .run(&self.path(), &self.clock(), "test")
        .await
    }

    fn open(&self) -> Directory {
        Directory::open(&self.path(), self.purpose).unwrap()
    }

    async fn next(&self) -> custody::Made {
        let root = NewKey {
            existing: true,
            ..self.key("root-key.pem")
        };
        let number = self.generations() + 1;
        self.open()
            .next(
                &self.key(&format!("key-{number}.pem")),
                Some(&root),
                Duration::from_secs(1095 * DAY),
                &self.clock(),
                "test",
            )
            .await
            .unwrap()
    }

    fn generations(&self) -> usize {
        (1..)
            .take_while(|number: &usize| self.path().join(number.to_string()).exists())
            .count()
    }

    fn source(&self) -> Source {
        Source::Directory {
            path: self.path(),
            purpose: self.purpose,
        }
    }

    /// A trusted root that lists these generations.
    fn publish(&self, generations: &[u32], change: impl FnOnce(&mut serde_json::Value)) -> PathBuf {
        let entries: Vec<serde_json::Value> = generations
            .iter()
            .map(|number| {
                let path = self.path().join(format!("{number}/trust-root-entry.json"));
                serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
            })
            .collect();
        let (fulcio, tsa) = match self.purpose {
            Purpose::CodeSigning => (entries, vec![]),
            Purpose::TimeStamping => (vec![], entries),
        };
        let mut root = serde_json::json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [], "certificateAuthorities": fulcio, "ctlogs": [],
            "timestampAuthorities": tsa,
        });
        change(&mut root);
        let path = self.directory.path().join("trusted_root.json");
        std::fs::write(&path, root.to_string()).unwrap();
        path
    }

    fn activate(&self, trusted_root: &Path) -> Result<custody::Made, custody::Error> {
        self.open()
            .activate(trusted_root, None, &self.clock(), "test")
    }

    fn status(&self) -> custody::Status {
        let now = Timestamp::try_from(clock::Clock::now(&*self.clock)).unwrap();
        custody::Status::of(&self.open(), None, Duration::from_secs(90 * DAY), now).unwrap()
    }

    fn advance(&self, days: u64) {
        self.clock.advance(Duration::from_secs(days * DAY));
    }

    fn now(&self) -> SystemTime {
        clock::Clock::now(&*self.clock)
    }
}

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse")
}
