//! The audit log: one line for each request for a certificate, whatever became of it, at target
//! `audit`. Issuer and subject of a token that was not believed are `claimed_issuer` and
//! `claimed_subject`.
//!
//! A token is a password until it expires, so it is never written; its SHA-256 is, so that a line
//! can be matched with a token that turns up elsewhere.

use pki::leaf::San;

use crate::error::{Code, RequestError};
use crate::identity::{Claimed, Principal, claimed};
use crate::issuance::Issued;

/// Longest text from outside that goes into a line, in characters.
const MAX_TEXT: usize = 1024;

/// Where a request came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    /// `v1`, `v2`, `grpc-v1beta` or `grpc-v2`.
    pub(crate) api: &'static str,
    /// The request's id.
    pub(crate) id: &'a str,
}

/// Sees to it that a request leaves a line also if nobody waits for its outcome any more.
pub(crate) struct Open<'a> {
    request: Request<'a>,
    token: &'a str,
    closed: bool,
}

impl<'a> Open<'a> {
    pub(crate) const fn new(request: Request<'a>, token: &'a str) -> Self {
        Self {
            request,
            token,
            closed: false,
        }
    }

    /// The outcome has its own line.
    pub(crate) fn close(mut self) {
        self.closed = true;
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if self.closed {
            return;
        }
        let claimed = claimed(self.token);
        tracing::warn!(
            target: "audit",
            outcome = "abandoned",
            api = self.request.api,
            request_id = self.request.id,
            claimed_issuer = claimed.issuer.as_deref().map(clip),
            claimed_subject = claimed.subject.as_deref().map(clip),
            token_sha256 = hash(self.token),
            "the client left, or the request took too long; no certificate was given out"
        );
    }
}

/// Notes a certificate.
pub(crate) fn issued(
    request: Request<'_>,
    token: &str,
    principal: &Principal,
    rule: Option<&str>,
    issued: &Issued,
) {
    let (san_type, san) = san(&principal.san);
    tracing::info!(
        target: "audit",
        outcome = "issued",
        api = request.api,
        request_id = request.id,
        issuer = clip(&principal.issuer),
        subject = clip(&principal.subject),
        san_type,
        san = clip(san),
        rule,
        serial = hex::encode(issued.serial),
        not_after = issued.not_after,
        certificate_sha256 = hex::encode(crypto::sha256(&issued.certificate)),
        ct_log = issued.sct.as_ref().map(|sct| hex::encode(sct.log_id)),
        sct_timestamp_ms = issued.sct.as_ref().map(|sct| sct.timestamp_ms),
        issuing_key_sha256 = hex::encode(issued.authority.key_hash()),
        issuing_key_version = issued.authority.signer().key_version(),
        token_sha256 = hash(token),
        "certificate issued"
    );
}

/// Notes a refusal, or a failure of ours.
pub(crate) fn refused(
    request: Request<'_>,
    token: &str,
    principal: Option<&Principal>,
    error: &RequestError,
) {
    let (code, _) = error.public();
    let issuer = principal.map(|principal| clip(&principal.issuer));
    let subject = principal.map(|principal| clip(&principal.subject));
    let claimed = match principal {
        Some(_) => Claimed::default(),
        None => claimed(token),
    };
    let claimed_issuer = claimed.issuer.as_deref().map(clip);
    let claimed_subject = claimed.subject.as_deref().map(clip);
    let rules = match error {
        RequestError::Policy(refusal) => Some(refusal.rules()),
        _ => None,
    };
    let rules = rules.as_deref().map(clip);
    let reason = error.to_string();
    let reason = clip(&reason);
    let token_sha256 = hash(token);
    let Request {
        api,
        id: request_id,
    } = request;
    if code == Code::InvalidArgument {
        tracing::warn!(target: "audit", outcome = "refused", api, request_id, issuer, subject, claimed_issuer, claimed_subject, rule = rules, code = code as u32, reason, token_sha256, "certificate refused");
    } else {
        tracing::error!(target: "audit", outcome = "failed", api, request_id, issuer, subject, claimed_issuer, claimed_subject, code = code as u32, reason, token_sha256, "certificate not issued");
    }
}

pub(crate) fn san(san: &San) -> (&'static str, &str) {
    match san {
        San::Email(name) => ("email", name),
        San::Uri(name) => ("uri", name),
        San::OtherName(name) => ("otherName", name),
    }
}

fn hash(token: &str) -> Option<String> {
    let token = token.trim_end();
    (!token.is_empty()).then(|| hex::encode(crypto::sha256(token.as_bytes())))
}

fn clip(text: &str) -> &str {
    text.char_indices()
        .nth(MAX_TEXT)
        .map_or(text, |(end, _)| text.get(..end).unwrap_or(text))
}
