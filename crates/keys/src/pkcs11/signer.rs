//! The signer over a token's key.

use std::fmt;
use std::time::Duration;

use super::pool::Pool;
use super::session::Target;
use super::{Pkcs11Error, Pkcs11Uri};
use crate::pinned::Pinned;
use crate::{Algorithm, Passphrase, SignError, Signer};

/// Longest wait for one signature, its time in the queue included.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What is signed once at opening: it proves that the public key belongs to the private one, which a
/// token does not promise. It cannot be mistaken for a certificate, timestamp or log entry.
const PROBE: &[u8] = b"sigkeep: this signature only shows that the key is usable\n";

/// A key on a PKCS#11 token.
pub struct Pkcs11Signer {
    pinned: Pinned,
    pool: Pool,
    /// What the URI says of the key, for audit logs.
    name: String,
}

impl fmt::Debug for Pkcs11Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pkcs11Signer")
            .field("algorithm", &self.pinned.algorithm())
            .field("public_key", self.pinned.public_key())
            .finish_non_exhaustive()
    }
}

impl Pkcs11Signer {
    /// Finds the key, checks it, pins its public half and signs once. Blocks.
    ///
    /// `passphrase` is the PIN if the URI has no `pin-source`.
    pub fn open(uri: &Pkcs11Uri, passphrase: Option<&Passphrase>) -> Result<Self, Pkcs11Error> {
        Self::over(Target::new(uri, passphrase)?)
    }

    /// Makes a key pair on the token, where no key of this label or id may be, and opens it. Blocks.
    ///
    /// The private key is sensitive and not extractable. A URI without `id` gets a random one.
    pub fn create(
        uri: &Pkcs11Uri,
        algorithm: Algorithm,
        passphrase: Option<&Passphrase>,
    ) -> Result<Self, Pkcs11Error> {
        let target = Target::new(uri, passphrase)?;
        super::generate::key_pair(&target, algorithm)?;
        Self::over(target)
    }

    fn over(target: Target) -> Result<Self, Pkcs11Error> {
        let name = target.location().key.to_string();
        let (connection, public_key) = target.connect()?;
        let pinned = Pinned::new(public_key)
            .ok_or_else(|| Pkcs11Error::Key("nothing signs with keys of this kind".to_owned()))?;
        let mut connection = Some(connection);
        target
            .sign(&mut connection, &pinned, &pinned.input(PROBE))
            .map_err(|error| Pkcs11Error::Key(format!("a first signature failed: {error}")))?;
        let connection = match connection {
            Some(connection) => connection,
            None => target.reconnect(&pinned)?,
        };
        let pool = Pool::start(target, pinned.clone(), connection).map_err(|error| {
            Pkcs11Error::Key(format!("its threads could not be started: {error}"))
        })?;
        Ok(Self { pinned, pool, name })
    }
}

#[async_trait::async_trait]
impl Signer for Pkcs11Signer {
    fn algorithm(&self) -> Algorithm {
        self.pinned.algorithm()
    }

    fn public_key(&self) -> &crypto::PublicKey {
        self.pinned.public_key()
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn key_version(&self) -> Option<&str> {
        Some(&self.name)
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let answer = self.pool.sign(self.pinned.input(message))?;
        match tokio::time::timeout(TIMEOUT, answer).await {
            Ok(Ok(signed)) => signed,
            Ok(Err(_)) => Err(SignError::Unavailable(
                "a signing thread has ended".to_owned(),
            )),
            Err(_) => Err(SignError::Unavailable(format!(
                "the token did not answer within {} s",
                TIMEOUT.as_secs()
            ))),
        }
    }
}
