//! A directory while a command is at work on it: nobody else is, and what is done is noted.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clock::SharedClock;
use keys::{Algorithm, SharedSigner};
use wire::trust::Timestamp;

use crate::directory::{lock, transcript};
use crate::{Error, NewKey};

/// Certificates begin this long before they are made, for clients whose clocks are behind.
pub(crate) const BACKDATE: Duration = Duration::from_secs(60);

/// The directory while a command is at work: nobody else is.
pub(crate) struct Work {
    path: PathBuf,
    clock: SharedClock,
    program: String,
    _lock: std::fs::File,
}

impl Work {
    pub(crate) fn begin(path: &Path, clock: &SharedClock, program: &str) -> Result<Self, Error> {
        Ok(Self {
            path: path.to_owned(),
            clock: SharedClock::clone(clock),
            program: program.to_owned(),
            _lock: lock(path)?,
        })
    }

    pub(crate) fn note(&self, event: &str) -> Result<(), Error> {
        Ok(transcript(&self.path).append(self.clock.now_secs(), event)?)
    }

    /// The program and its version begin what each command notes.
    pub(crate) fn note_command(&self, command: &str) -> Result<(), Error> {
        let version = env!("CARGO_PKG_VERSION");
        self.note(&format!("{} {version}: {command}", self.program))
    }

    pub(crate) async fn key(&self, what: &str, new: &NewKey) -> Result<SharedSigner, Error> {
        let uri = &new.uri;
        let signer = match new.existing {
            true => keys::open(uri, new.passphrase.as_ref()).await?,
            false => keys::create(uri, new.algorithm, new.passphrase.as_ref()).await?,
        };
        if signer.algorithm() == Algorithm::Ed25519 {
            return Err(Error::Usage(format!(
                "key {uri}: it is Ed25519, with which several clients verify nothing; use ECDSA P-256 or P-384"
            )));
        }
        let version = signer
            .key_version()
            .map_or_else(String::new, |version| format!(" ({version})"));
        self.note(&format!(
            "{what} key {}: {uri}{version}, {}, public key SHA-256 {}",
            if new.existing { "taken" } else { "made" },
            signer.algorithm(),
            hex::encode(signer.public_key().key_id()),
        ))?;
        Ok(signer)
    }

    pub(crate) fn now(&self) -> SystemTime {
        // Certificates hold whole seconds.
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.clock.now_secs())
    }

    pub(crate) fn timestamp(&self) -> Result<Timestamp, Error> {
        Timestamp::from_secs(self.clock.now_secs())
            .map_err(|error| Error::Usage(format!("the clock: {error}")))
    }

    pub(crate) fn note_certificate(&self, what: &str, der: &[u8]) -> Result<(), Error> {
        let certificate = pki::certificate::Certificate::from_der(der).map_err(|error| {
            Error::Usage(format!(
                "a certificate that was made cannot be read: {error}"
            ))
        })?;
        let time = |at: SystemTime| {
            Timestamp::try_from(at).map_or_else(|_| "?".to_owned(), |at| at.to_string())
        };
        self.note(&format!(
            "{what} certificate: serial {}, valid {} to {}, SHA-256 {}",
            hex::encode(certificate.serial()),
            time(certificate.not_before()),
            time(certificate.not_after()),
            fingerprint(der),
        ))
    }
}

/// SHA-256, as people compare it.
pub(crate) fn fingerprint(bytes: &[u8]) -> String {
    hex::encode(crypto::sha256(bytes))
}
