//! The whole of a request, whichever API it came through: token, proof, certificate, audit line.

use clock::SharedClock;

use crate::audit::{self, Request};
use crate::challenge::{AllowList, Encodings, Proof};
use crate::error::RequestError;
use crate::identity::{Identities, Principal};
use crate::issuance::{Issued, Issuer};

/// What certifies.
#[derive(Debug)]
pub(crate) struct Certifier {
    pub(crate) identities: Identities,
    pub(crate) allowed: AllowList,
    pub(crate) issuer: Issuer,
    pub(crate) clock: SharedClock,
}

impl Certifier {
    /// Certifies the key of `proof` for the bearer of `token`, or refuses; either way there is a
    /// line in the audit log.
    pub(crate) async fn certify(
        &self,
        request: Request<'_>,
        token: &str,
        proof: Proof<'_>,
        encodings: Encodings,
    ) -> Result<Issued, RequestError> {
        let identified = self.identities.verify(token, self.clock.now()).await;
        let principal = match identified {
            Ok(principal) => principal,
            Err(error) => {
                let error = RequestError::from(error);
                audit::refused(request, token, None, &error);
                return Err(error);
            }
        };
        let issued = self.issue(&principal, proof, encodings).await;
        match &issued {
            Ok(issued) => audit::issued(request, token, &principal, issued),
            Err(error) => audit::refused(request, token, Some(&principal), error),
        }
        issued
    }

    async fn issue(
        &self,
        principal: &Principal,
        proof: Proof<'_>,
        encodings: Encodings,
    ) -> Result<Issued, RequestError> {
        let key = proof.verify(&principal.challenges, encodings, &self.allowed)?;
        Ok(self.issuer.issue(principal, key).await?)
    }
}
