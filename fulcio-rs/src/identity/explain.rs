//! An offline reading of a token against the configuration, claim by claim, for people.
//!
//! What a claim is for is found by asking: the identity and the policy's decision are computed
//! again without the claim, and with another value of it, and what changes is what it is for. So
//! an explanation cannot disagree with what the service does.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use oidc::{NOT_BEFORE_LEEWAY_S, Parts, PinnedKeys, Unverified, asymmetric, check_audience};
use serde_json::Value;

use super::{
    Claims, EvaluationError, IdentityError, Issuer, PinnedJwks, Principal, Registry, TokenError,
    extension_name, seconds,
};
use crate::policy::{Allowed, Policies, Refusal};

/// Claims that are missing are asked for one by one; more than these are not listed.
const MAX_MISSING: usize = 64;

/// Claims whose use is looked for; a token has some thirty.
const MAX_CLAIMS: usize = 256;

/// What would become of a token.
#[derive(Debug)]
pub struct Explanation {
    /// The signature algorithm that its header names.
    pub algorithm: String,
    /// The key that its header names.
    pub key_id: Option<String>,
    /// The claims, in the order of the token.
    pub claims: Vec<ExplainedClaim>,
    /// Claims that the issuer's configuration needs and the token lacks.
    pub missing: Vec<String>,
    /// The issuer that matches.
    pub issuer: Option<Arc<Issuer>>,
    /// What is checked, in order; the signature is among it only if the issuer's keys are pinned.
    pub checks: Vec<Check>,
    /// What the certificate would say.
    pub principal: Option<Principal>,
    /// What the policy decides.
    pub allowed: Option<Allowed>,
}

/// A claim, and what it is for.
#[derive(Clone, Debug, PartialEq)]
pub struct ExplainedClaim {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Value,
    /// What it is for; nothing looks at it if this is empty.
    pub uses: Vec<String>,
}

/// A check and its outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What is checked.
    pub name: &'static str,
    /// What was found, or what is wrong.
    pub outcome: Result<String, String>,
}

impl Explanation {
    /// Whether nothing speaks against a certificate. Without pinned keys the signature is open.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.checks.iter().all(|check| check.outcome.is_ok())
    }

    /// Whether the signature was checked.
    #[must_use]
    pub fn is_signature_checked(&self) -> bool {
        self.checks.iter().any(|check| check.name == "signature")
    }
}

/// Explains what would become of a token, without asking its provider.
pub async fn explain(
    registry: &Registry,
    pinned: &PinnedJwks,
    policies: &Policies,
    token: &str,
    now: SystemTime,
) -> Result<Explanation, TokenError> {
    let parts = Parts::of(token)?;
    let (header, claims) = (parts.header()?, parts.claims()?);
    let mut explanation = Explanation {
        checks: vec![Check {
            name: "algorithm",
            outcome: algorithm(&header.alg),
        }],
        algorithm: header.alg,
        key_id: header.kid,
        claims: Vec::new(),
        missing: Vec::new(),
        issuer: None,
        principal: None,
        allowed: None,
    };
    let url = claims.required("iss")?;
    let found = registry.find(url);
    explanation.checks.push(Check {
        name: "issuer",
        outcome: match found {
            Some(issuer) => Ok(format!(
                "matches {} (type {})",
                issuer.url(),
                issuer.kind().name()
            )),
            None => Err(format!("{url:?} is not configured")),
        },
    });
    if let Some(issuer) = found {
        let reading = Reading {
            issuer,
            url,
            policies,
        };
        explanation.issuer = Some(Arc::clone(issuer));
        explanation.check(&reading, &claims, now);
        if let Some(path) = pinned.get(url) {
            let outcome = signature(PinnedKeys::open(path), token).await;
            explanation.checks.push(Check {
                name: "signature",
                outcome,
            });
        }
        explanation.missing = reading.missing(&claims);
        explanation.claims = reading.claims(&claims, now);
    } else {
        explanation.claims = claims.iter().map(unused).collect();
    }
    Ok(explanation)
}

impl Explanation {
    fn check(&mut self, reading: &Reading<'_>, claims: &Claims, now: SystemTime) {
        let audience = reading.issuer.client_id();
        let mut check = |name, outcome| self.checks.push(Check { name, outcome });
        check(
            "audience",
            check_audience(claims, audience)
                .map(|()| format!("contains {audience:?}"))
                .map_err(|error| error.to_string()),
        );
        check("times", times(claims, now));
        let (principal, allowed) = reading.outcome(claims);
        check(
            "claims",
            match &principal {
                Ok(_) => Ok(format!("fit type {}", reading.issuer.kind().name())),
                Err(error) => Err(error.to_string()),
            },
        );
        check(
            "policy",
            match &allowed {
                Ok(Allowed {
                    rule: Some(rule), ..
                }) => Ok(format!("rule {rule:?} decides")),
                Ok(_) => Ok("the issuer has none".to_owned()),
                Err(refusal) => Err(refusal.to_string()),
            },
        );
        self.principal = principal.ok();
        self.allowed = allowed.ok();
    }
}

fn algorithm(name: &str) -> Result<String, String> {
    match asymmetric(name) {
        Some(_) => Ok(format!("{name}, if the provider advertises it")),
        None => Err(format!("{name:?} is never accepted")),
    }
}

async fn signature(keys: Result<PinnedKeys, String>, token: &str) -> Result<String, String> {
    let token = Unverified::parse(token).map_err(|error| error.to_string())?;
    match keys?.verify(&token).await {
        Ok(()) => Ok("verifies under the pinned keys".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// What the times say, as [`oidc::check_times`] judges them.
fn times(claims: &Claims, now: SystemTime) -> Result<String, String> {
    oidc::check_times(claims, seconds(now)).map_err(|error| error.to_string())?;
    let left = claims
        .get("exp")
        .and_then(Value::as_f64)
        .unwrap_or_default()
        - seconds(now);
    Ok(format!("valid now, for another {left:.0} s"))
}

fn unused((name, value): (&str, &Value)) -> ExplainedClaim {
    ExplainedClaim {
        name: name.to_owned(),
        value: value.clone(),
        uses: Vec::new(),
    }
}

/// How tokens of one issuer are read.
struct Reading<'a> {
    issuer: &'a Arc<Issuer>,
    url: &'a str,
    policies: &'a Policies,
}

type Outcome = (Result<Principal, IdentityError>, Result<Allowed, Refusal>);

impl Reading<'_> {
    fn outcome(&self, claims: &Claims) -> Outcome {
        (
            self.issuer.principal(self.url, claims),
            self.policies.decide(self.issuer.url(), claims),
        )
    }

    /// All claims that are missing, not only the first.
    fn missing(&self, claims: &Claims) -> Vec<String> {
        let mut claims = claims.clone();
        let mut missing = Vec::new();
        while missing.len() < MAX_MISSING {
            let name = match self.issuer.principal(self.url, &claims) {
                Err(IdentityError::Template(EvaluationError::Missing(name))) => name,
                Err(IdentityError::Token(TokenError::Claim { name, .. }))
                    if claims.get(name).is_none() =>
                {
                    name.to_owned()
                }
                _ => break,
            };
            // Something in its place, to see what else is missing.
            claims = claims.with(&name, Some(Value::from("x")));
            if missing.contains(&name) {
                break;
            }
            missing.push(name);
        }
        missing
    }

    fn claims(&self, claims: &Claims, now: SystemTime) -> Vec<ExplainedClaim> {
        let whole = self.outcome(claims);
        claims
            .iter()
            .enumerate()
            .map(|(place, (name, value))| {
                let mut claim = unused((name, value));
                if place >= MAX_CLAIMS {
                    claim
                        .uses
                        .push("not looked for: too many claims".to_owned());
                    return claim;
                }
                match name {
                    "iss" => claim.uses.push("which issuer's rules apply".to_owned()),
                    "aud" => claim.uses.push("audience".to_owned()),
                    "exp" => claim
                        .uses
                        .push(format!("end of validity: {}", point(value, now))),
                    "nbf" => claim.uses.push(format!(
                        "start of validity, with {NOT_BEFORE_LEEWAY_S} s of leeway: {}",
                        point(value, now)
                    )),
                    _ => {}
                }
                // The issuer's own name cannot be another here.
                if name != "iss" {
                    self.uses(claims, &whole, &mut claim);
                }
                claim
            })
            .collect()
    }

    /// What changes without the claim, and with another value of it.
    fn uses(&self, claims: &Claims, whole: &Outcome, claim: &mut ExplainedClaim) {
        let without = self.outcome(&claims.with(&claim.name, None));
        let other = self.outcome(&claims.with(&claim.name, Some(altered(&claim.value))));
        for changed in [&other, &without] {
            if let (Ok(before), Ok(after)) = (&whole.0, &changed.0) {
                for part in differences(before, after) {
                    if !claim.uses.contains(&part) {
                        claim.uses.push(part);
                    }
                }
            }
        }
        if let (Ok(_), Err(error)) = (&whole.0, &without.0) {
            claim.uses.push(format!("needed: without it, {error}"));
        } else if let (Ok(_), Err(_)) = (&whole.0, &other.0) {
            claim.uses.push("must be as it is, or absent".to_owned());
        }
        if without.1 != whole.1 || other.1 != whole.1 {
            claim.uses.push("policy".to_owned());
        }
    }
}

/// Where two identities differ, in the words of a certificate.
fn differences(before: &Principal, after: &Principal) -> Vec<String> {
    let mut parts = Vec::new();
    if before.san != after.san {
        parts.push("subject alternative name".to_owned());
    }
    // Fulcio's extensions end at 24; a number beyond would not be shown, and nothing else.
    for number in 1..=64 {
        if before.extensions.get(number) != after.extensions.get(number) {
            parts.push(format!(
                "1.3.6.1.4.1.57264.1.{number} {}",
                extension_name(number)
            ));
        }
    }
    if before.challenges != after.challenges {
        parts.push("proof of possession".to_owned());
    }
    parts
}

/// A value of the same type, and another one.
fn altered(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::from(format!("{text}x")),
        Value::Bool(value) => Value::from(!value),
        Value::Number(number) => Value::from(number.as_i64().unwrap_or_default().wrapping_add(1)),
        Value::Array(items) => items.iter().map(altered).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), altered(value)))
            .collect(),
        Value::Null => Value::from("x"),
    }
}

/// A NumericDate (RFC 7519 section 2) for people.
fn point(value: &Value, now: SystemTime) -> String {
    let Some(at) = value
        .as_f64()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since))
    else {
        return "not a time".to_owned();
    };
    let date = der::DateTime::from_system_time(at)
        .map_or_else(|_| "far from now".to_owned(), |date| date.to_string());
    match at.duration_since(now) {
        Ok(ahead) => format!("{date}, in {} s", ahead.as_secs()),
        Err(past) => format!("{date}, {} s ago", past.duration().as_secs()),
    }
}
