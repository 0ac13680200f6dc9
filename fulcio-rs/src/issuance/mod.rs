//! From a principal and a key to a certificate.
//!
//! The precertificate is signed first and submitted to the log; only with the log's promise in
//! hand, verified, is the certificate signed. Whatever fails on the way leaves no certificate.

mod authority;
mod ct;
mod finalize;
mod precert;
mod profile;

use std::sync::Arc;
use std::time::Duration;

use clock::SharedClock;
use crypto::PublicKey;
use custody::Current;
use pki::sct::SignedCertificateTimestamp;

pub use authority::Authority;
pub use ct::{CtError, CtLog};

use crate::identity::Principal;
use crate::step::Step;

/// Longest validity of a certificate.
pub const LIFETIME: Duration = Duration::from_secs(600);

/// How far back the start of validity is set. Some clients compare it with a timestamp minus its
/// accuracy; a timestamp taken within the second after issuance would seem to precede the
/// certificate. The end stays ten minutes after the start.
pub const BACKDATE: Duration = Duration::from_secs(5);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The identity does not fit into a certificate.
    #[error("{0}")]
    Content(&'static str),
    /// The certificate could not be built.
    #[error("cannot build the certificate: {0}")]
    Build(String),
    /// The certificate authority cannot issue now.
    #[error("{0}")]
    Authority(&'static str),
    /// The certificate authority's key did not sign.
    #[error("cannot sign the certificate: {0}")]
    Sign(#[from] keys::SignError),
    /// The transparency log did not take the precertificate.
    #[error("certificate transparency: {0}")]
    Ct(#[from] CtError),
    /// The log's promise could not be encoded.
    #[error(transparent)]
    Sct(#[from] pki::sct::SctError),
}

/// A certificate that was issued.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate, DER.
    pub certificate: Vec<u8>,
    /// Serial number, as in the certificate.
    pub serial: [u8; 20],
    /// End of validity, in seconds since the Unix epoch.
    pub not_after: u64,
    /// The log's promise, which is embedded in the certificate; none without a log.
    pub sct: Option<SignedCertificateTimestamp>,
    /// Who issued it; by now another key may issue.
    pub authority: Arc<Authority>,
}

/// What issues certificates.
#[derive(Debug)]
pub struct Issuer {
    authority: Arc<Current<Authority>>,
    ct: Option<CtLog>,
    clock: SharedClock,
}

impl Issuer {
    /// An issuer; without a log its certificates carry no SCT.
    #[must_use]
    pub fn new(authority: Authority, ct: Option<CtLog>, clock: SharedClock) -> Self {
        Self {
            authority: Arc::new(Current::new(authority)),
            ct,
            clock,
        }
    }

    /// The certificate authority, as it is now.
    #[must_use]
    pub fn authority(&self) -> Arc<Authority> {
        self.authority.get()
    }

    /// The certificate authority, to be exchanged.
    #[must_use]
    pub const fn current(&self) -> &Arc<Current<Authority>> {
        &self.authority
    }

    /// The transparency log.
    #[must_use]
    pub const fn ct(&self) -> Option<&CtLog> {
        self.ct.as_ref()
    }

    /// Issues a certificate for `principal`, who has proved to have `key`, with `lifetime` or
    /// [`LIFETIME`], whichever is shorter.
    pub async fn issue(
        &self,
        principal: &Principal,
        key: PublicKey,
        lifetime: Duration,
    ) -> Result<Issued, IssueError> {
        // One authority from here to the end: what one key promised, no other finishes.
        let authority = self.authority.get();
        let leaf = profile::leaf(principal, key, &authority, self.clock.now(), lifetime)?;
        let (certificate, sct) = match &self.ct {
            Some(log) => {
                let signing = precert::sign(&leaf, &authority);
                let precertificate = Step::Precertificate.take(signing).await?;
                let submission = log.submit(&precertificate, &authority, &self.clock);
                let sct = Step::Sct.take(submission).await?;
                let signing = finalize::sign(&leaf, &precertificate, &sct, &authority);
                let certificate = Step::Certificate.take(signing).await?;
                (certificate, Some(sct))
            }
            None => (finalize::sign_without_log(&leaf, &authority).await?, None),
        };
        metrics::counter!("fulcio_new_certs").increment(1);
        Ok(Issued {
            certificate,
            serial: *leaf.serial.as_bytes(),
            not_after: seconds(leaf.not_after),
            sct,
            authority,
        })
    }
}

fn seconds(time: std::time::SystemTime) -> u64 {
    time.duration_since(std::time::SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
