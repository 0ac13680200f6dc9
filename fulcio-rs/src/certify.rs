//! The whole of a request, whichever API it came through: token, proof, certificate, audit line.

use clock::SharedClock;

use crate::audit::{self, Request};
use crate::challenge::{AllowList, Encodings, Proof};
use crate::error::RequestError;
use crate::identity::{Identities, Principal};
use crate::inventory::{Inventory, Record};
use crate::issuance::{Issued, Issuer};
use crate::policy::{Allowed, Policies};
use crate::step::Step;

/// What certifies.
#[derive(Debug)]
pub(crate) struct Certifier {
    pub(crate) identities: Identities,
    pub(crate) allowed: AllowList,
    pub(crate) policies: Policies,
    pub(crate) inventory: Option<Inventory>,
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
        let open = audit::Open::new(request, token);
        let outcome = self.decide(request, token, proof, encodings).await;
        open.close();
        if let Err(error) = &outcome {
            metrics::counter!("fulcio_refused_certs_total", "reason" => error.reason())
                .increment(1);
        }
        outcome
    }

    async fn decide(
        &self,
        request: Request<'_>,
        token: &str,
        proof: Proof<'_>,
        encodings: Encodings,
    ) -> Result<Issued, RequestError> {
        let verification = self.identities.verify(token, self.clock.now());
        let identified = Step::Token.take(verification).await;
        let verified = match identified {
            Ok(verified) => verified,
            Err(error) => {
                let error = RequestError::from(error);
                audit::refused(request, token, None, &error);
                return Err(error);
            }
        };
        let principal = &verified.principal;
        let decided = self
            .policies
            .decide(verified.issuer.url(), &verified.claims);
        let allowed = match decided {
            Ok(allowed) => allowed,
            Err(refusal) => {
                let error = RequestError::from(refusal);
                audit::refused(request, token, Some(principal), &error);
                return Err(error);
            }
        };
        let issued = self
            .issue(request, principal, &allowed, proof, encodings)
            .await;
        match &issued {
            Ok(issued) => {
                audit::issued(request, token, principal, allowed.rule.as_deref(), issued);
            }
            Err(error) => audit::refused(request, token, Some(principal), error),
        }
        issued
    }

    async fn issue(
        &self,
        request: Request<'_>,
        principal: &Principal,
        allowed: &Allowed,
        proof: Proof<'_>,
        encodings: Encodings,
    ) -> Result<Issued, RequestError> {
        let verification = async { proof.verify(&principal.challenges, encodings, &self.allowed) };
        let key = Step::Proof.take(verification).await?;
        let issued = self.issuer.issue(principal, key, allowed.lifetime).await?;
        if let Some(inventory) = &self.inventory {
            // Before the certificate leaves: one that nobody knows of must not exist outside.
            let record = self.record(request, principal, allowed, &issued);
            Step::Inventory.take(inventory.append(&record)).await?;
        }
        Ok(issued)
    }

    fn record(
        &self,
        request: Request<'_>,
        principal: &Principal,
        allowed: &Allowed,
        issued: &Issued,
    ) -> Record {
        let (identity_type, identity) = audit::san(&principal.san);
        Record {
            time_ms: self.clock.now_ms(),
            serial: hex::encode(issued.serial),
            certificate_sha256: hex::encode(crypto::sha256(&issued.certificate)),
            not_after: issued.not_after,
            identity: identity.to_owned(),
            identity_type: identity_type.to_owned(),
            issuer: principal.issuer.clone(),
            subject: principal.subject.clone(),
            rule: allowed.rule.clone(),
            sct_timestamp_ms: issued.sct.as_ref().map(|sct| sct.timestamp_ms),
            issuing_key_sha256: hex::encode(issued.authority.key_hash()),
            issuing_key_version: issued.authority.signer().key_version().map(str::to_owned),
            request_id: request.id.to_owned(),
        }
    }
}
