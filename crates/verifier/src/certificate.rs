//! The signer's certificate: its chain at the times of signing, and its SCTs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pki::certificate::Certificate;
use pki::precert;
use pki::sct::{self, CtEntry};
use wire::trust::Timestamp;

use crate::anchors::{Anchors, Authority};
use crate::evidence::certificate_error;
use crate::refusal::Refusal;

/// Verifies a DER certificate at each of the times of signing.
pub(crate) fn verify(der: &[u8], times: &[Timestamp], anchors: &Anchors) -> Result<(), Refusal> {
    let leaf = Certificate::from_der(der).map_err(certificate_error)?;
    if leaf.ca_constraints().map_err(certificate_error)?.is_some() {
        return Err(Refusal::Certificate("is a certificate authority's".into()));
    }
    if !leaf.is_for_code_signing().map_err(certificate_error)? {
        return Err(Refusal::Certificate("is not for code signing".into()));
    }
    let mut refused = Refusal::UnknownAuthority;
    // Two authorities may have one key, for two periods.
    for authority in &anchors.authorities {
        match issued(&leaf, der, authority, times, anchors) {
            None => {}
            Some(Ok(())) => return Ok(()),
            Some(Err(refusal)) => refused = refusal,
        }
    }
    Err(refused)
}

/// `None` if it is another authority's.
fn issued(
    leaf: &Certificate<'_>,
    der: &[u8],
    authority: &Authority,
    times: &[Timestamp],
    anchors: &Anchors,
) -> Option<Result<(), Refusal>> {
    let issuer = Certificate::from_der(authority.chain.first()).ok()?;
    leaf.check_issued_by(&issuer).ok()?;
    let check = || {
        times
            .iter()
            .try_for_each(|at| valid_at(leaf, authority, *at))?;
        check_sct(der, &issuer, anchors)
    };
    Some(check())
}

fn valid_at(leaf: &Certificate<'_>, authority: &Authority, at: Timestamp) -> Result<(), Refusal> {
    if !authority.range.contains(at) {
        return Err(Refusal::AuthorityPeriod {
            range: authority.range,
            at,
        });
    }
    let chain = &authority.chain;
    chain
        .check_certificate_authority(chain.public_key(), at.into())
        .map_err(|e| Refusal::Certificate(format!("had no valid chain at {at}: {e}")))?;
    let signed = SystemTime::from(at);
    match (leaf.not_before()..=leaf.not_after()).contains(&signed) {
        true => Ok(()),
        false => Err(Refusal::Certificate(format!("was not valid at {at}"))),
    }
}

/// At least one SCT of a log that was trusted when it was made.
fn check_sct(der: &[u8], issuer: &Certificate<'_>, anchors: &Anchors) -> Result<(), Refusal> {
    let fail = |reason: String| Refusal::Sct(reason);
    let scts = sct::embedded(der).map_err(|e| fail(e.to_string()))?;
    if scts.is_empty() {
        return Err(fail("it carries no SCT".to_owned()));
    }
    let tbs = precert::tbs_without_sct_list(der).map_err(|e| fail(e.to_string()))?;
    let entry = CtEntry::Precert {
        issuer_key_hash: crypto::sha256(issuer.spki()),
        tbs: &tbs,
    };
    let mut reasons = Vec::new();
    for sct in &scts {
        let id = hex::encode(sct.log_id);
        let Some(log) = anchors.ct_logs.iter().find(|log| log.id == sct.log_id) else {
            reasons.push(format!("log {id} is not there"));
            continue;
        };
        let made = UNIX_EPOCH.checked_add(Duration::from_millis(sct.timestamp_ms));
        let made = made.and_then(|time| Timestamp::try_from(time).ok());
        match sct.verify(entry, &log.key) {
            Err(e) => reasons.push(format!("log {id}: {e}")),
            Ok(()) if made.is_some_and(|at| log.range.contains(at)) => return Ok(()),
            Ok(()) => reasons.push(format!("log {id} was not trusted when it saw it")),
        }
    }
    Err(fail(reasons.join(", ")))
}
