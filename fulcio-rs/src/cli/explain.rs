//! `explain-token`: printing what [`crate::identity::explain`] finds.

use std::fmt::{self, Display};
use std::io::Read;
use std::path::Path;
use std::time::SystemTime;

use serde_json::{Value, json};

use super::registry;
use crate::audit::san;
use crate::config::read;
use crate::error::Error;
use crate::identity::{self, Explanation, Principal, TokenError, extension_name};

/// Longest standard input that is read, in bytes; tokens are far below.
const MAX_INPUT: u64 = 1 << 20;

/// Reads the token and explains it; whether nothing speaks against a certificate.
#[expect(clippy::print_stdout, reason = "the command line's own output")]
pub(super) async fn run(config: &Path, token: Option<&Path>, json: bool) -> Result<bool, Error> {
    let (registry, config) = registry(config)?;
    let (pinned, policies) = config
        .map(|config| (config.pinned_jwks, config.policy))
        .unwrap_or_default();
    policies.check(&registry).map_err(Error::Config)?;
    let token = match token {
        Some(path) => read(path)?,
        None => standard_input()?,
    };
    let now = SystemTime::now();
    let explained = identity::explain(&registry, &pinned, &policies, &token, now).await;
    match &explained {
        _ if json => println!("{}", as_json(&explained)),
        Ok(explanation) => print!("{}", Text(explanation)),
        Err(error) => println!("refused: {error}"),
    }
    Ok(explained.is_ok_and(|explanation| explanation.is_accepted()))
}

fn standard_input() -> Result<String, Error> {
    let mut text = String::new();
    std::io::stdin()
        .take(MAX_INPUT)
        .read_to_string(&mut text)
        .map_err(|source| Error::File {
            path: "standard input".into(),
            source,
        })?;
    Ok(text)
}

/// An explanation for people.
struct Text<'a>(&'a Explanation);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let explanation = self.0;
        writeln!(f, "claims:")?;
        for claim in &explanation.claims {
            writeln!(f, "  {} = {}", claim.name, claim.value)?;
            if claim.uses.is_empty() {
                writeln!(f, "      not used")?;
            }
            for line in &claim.uses {
                writeln!(f, "      {line}")?;
            }
        }
        for name in &explanation.missing {
            writeln!(f, "  {name} is MISSING")?;
        }
        writeln!(f, "checks:")?;
        for check in &explanation.checks {
            match &check.outcome {
                Ok(found) => writeln!(f, "  {}: ok, {found}", check.name)?,
                Err(wrong) => writeln!(f, "  {}: FAILED, {wrong}", check.name)?,
            }
        }
        if !explanation.is_signature_checked() {
            writeln!(
                f,
                "  signature: not checked (that needs the provider's keys; pinned-jwks names them)"
            )?;
        }
        if let Some(principal) = &explanation.principal {
            self.certificate(principal, f)?;
        }
        if explanation.is_accepted() {
            writeln!(f, "A certificate would be issued.")
        } else {
            writeln!(f, "No certificate would be issued.")
        }
    }
}

impl Text<'_> {
    fn certificate(&self, principal: &Principal, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "certificate:")?;
        let (kind, name) = san(&principal.san);
        writeln!(f, "  subject alternative name: {name} ({kind})")?;
        for (number, value) in principal.extensions.iter() {
            let title = extension_name(number);
            writeln!(f, "  1.3.6.1.4.1.57264.1.{number} {title}: {value}")?;
        }
        if let Some(allowed) = &self.0.allowed {
            writeln!(f, "  lifetime: {} s", allowed.lifetime.as_secs())?;
        }
        let challenges = principal.challenges.join(" or ");
        writeln!(f, "  possession is proved over: {challenges}")
    }
}

/// An explanation for programs.
fn as_json(explained: &Result<Explanation, TokenError>) -> Value {
    let explanation = match explained {
        Ok(explanation) => explanation,
        Err(error) => return json!({"accepted": false, "error": error.to_string()}),
    };
    let claims: Vec<_> = explanation
        .claims
        .iter()
        .map(|claim| json!({"name": claim.name, "value": claim.value, "uses": claim.uses}))
        .collect();
    let checks: Vec<_> = explanation
        .checks
        .iter()
        .map(|check| {
            let (Ok(text) | Err(text)) = &check.outcome;
            json!({"name": check.name, "ok": check.outcome.is_ok(), "text": text})
        })
        .collect();
    let certificate = explanation.principal.as_ref().map(|principal| {
        let (kind, name) = san(&principal.san);
        let extensions: serde_json::Map<_, _> = principal
            .extensions
            .iter()
            .map(|(number, value)| (format!("1.3.6.1.4.1.57264.1.{number}"), Value::from(value)))
            .collect();
        json!({
            "subjectAlternativeName": {"type": kind, "value": name},
            "extensions": extensions,
            "lifetimeSeconds": explanation.allowed.as_ref().map(|allowed| allowed.lifetime.as_secs()),
            "challenges": principal.challenges,
        })
    });
    json!({
        "accepted": explanation.is_accepted(),
        "signatureChecked": explanation.is_signature_checked(),
        "algorithm": explanation.algorithm,
        "keyId": explanation.key_id,
        "issuer": explanation.issuer.as_ref().map(|issuer| issuer.url()),
        "claims": claims,
        "missing": explanation.missing,
        "checks": checks,
        "certificate": certificate,
    })
}
