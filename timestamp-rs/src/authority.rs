//! Making timestamps.

use std::sync::Arc;
use std::time::SystemTime;

use clock::SharedClock;
use custody::Current;
use keys::SharedSigner;
use pki::Serial;
use pki::chain::Chain;
use pki::rfc3161::{Policy, Profile, Request};

use crate::error::Error;
use crate::synchrony::{Synchrony, Watch};

/// What signs timestamps.
#[derive(Debug)]
pub(crate) struct Authority {
    pub(crate) signing: Arc<Current<Signing>>,
    pub(crate) policy: Policy,
    pub(crate) accepted_policies: Vec<Policy>,
    pub(crate) clock: SharedClock,
    pub(crate) synchrony: Arc<Synchrony>,
    /// The clock is watched for as long as anything here can sign.
    pub(crate) _watch: Option<Watch>,
}

/// A key with its certificates.
#[derive(Debug)]
pub(crate) struct Signing {
    pub(crate) signer: SharedSigner,
    pub(crate) chain: Chain,
    pub(crate) profile: Profile,
}

impl Authority {
    /// Answers `request` with a DER `TimeStampResp`.
    pub(crate) async fn timestamp(&self, request: &Request) -> Result<Vec<u8>, Error> {
        let policy = self.policy_for(request)?;
        self.synchrony.check().map_err(Error::Clock)?;
        let serial = Serial::random().map_err(|_| Error::Randomness)?;
        let now = self.clock.now();
        // One key from here to the end, whatever is taken up meanwhile.
        let signing = self.signing.get();
        signing.check_valid(now)?;
        let token = signing.profile.prepare(request, &policy, &serial, now)?;
        // Written before the signature exists, so that none is unaccounted for.
        let digest = request.digest();
        tracing::info!(
            target: "timestamp_rs::audit",
            serial = hex::encode(serial.as_bytes()),
            hash = ?digest.algorithm(),
            digest = hex::encode(digest.as_bytes()),
            %policy,
            key_sha256 = hex::encode(signing.signer.public_key().key_id()),
            key_version = signing.signer.key_version(),
            "timestamp"
        );
        let signature = signing.signer.sign(token.signed_attributes()).await?;
        let response = token.finish(&signature).map_err(|_| Error::SignatureForm)?;
        metrics::counter!("timestamps_total").increment(1);
        Ok(response)
    }

    fn policy_for(&self, request: &Request) -> Result<Policy, Error> {
        match request.policy() {
            None => Ok(self.policy),
            Some(named) if *named == self.policy || self.accepted_policies.contains(named) => {
                Ok(*named)
            }
            Some(_) => Err(Error::Policy),
        }
    }
}

impl Signing {
    /// Refuses a time at which the tokens' certificates are not valid.
    pub(crate) fn check_valid(&self, now: SystemTime) -> Result<(), Error> {
        let (from, until) = self.chain.validity();
        if now < from || now > until {
            Err(Error::Validity)
        } else {
            Ok(())
        }
    }
}
