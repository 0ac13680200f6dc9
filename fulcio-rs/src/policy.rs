//! Issuance policy: which tokens of an issuer get a certificate, and for how long.
//!
//! A policy is a list of rules for one issuer. The first rule whose conditions all hold decides;
//! a token that no rule allows is refused, before anything is signed. Issuers without a policy are
//! as open as their type makes them.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::time::Duration;

use oidc::{Claims, Conditions, shown};
use serde::Deserialize;
use serde_json::Value;

use crate::identity::Registry;
use crate::issuance::LIFETIME;

/// Shortest lifetime that a rule may set: clients need time to use a certificate.
const LEAST_LIFETIME_S: u64 = 120;
/// Rules whose reasons a refusal spells out.
const MAX_REASONS: usize = 4;

/// Policies by issuer: a URL of the identity configuration, or a pattern as it is written there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Policies(BTreeMap<String, Vec<Rule>>);

/// A rule; all its conditions must hold.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rule {
    /// Its name in the audit log and in refusals.
    pub name: String,
    /// Patterns by claim: a claim's name, or a path to one inside of others (`$.a.b`). One of the
    /// patterns must match the claim, or one element of it if it is a list.
    #[serde(default)]
    pub claims: Conditions,
    /// Domains, one of which the claim `email` must be in.
    #[serde(default)]
    pub email_domains: Option<Vec<String>>,
    /// Lifetime of the certificate: 120 to 600 seconds.
    #[serde(default)]
    pub lifetime_seconds: Option<u64>,
}

/// A token was allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// The rule that decided; none if the issuer has no policy.
    pub rule: Option<String>,
    /// Lifetime of the certificate.
    pub lifetime: Duration,
}

/// No rule of the issuer's policy allows the token. Its text is for the bearer too: it shows the
/// token's own claims and what the rules want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    issuer: String,
    reasons: Vec<(String, String)>,
}

impl Policies {
    /// Checks the rules against the configured issuers; errors say what is wrong and what to do.
    pub fn check(&self, registry: &Registry) -> Result<(), String> {
        for (issuer, rules) in &self.0 {
            let refuse = |reason: String| Err(format!("policy of {issuer}: {reason}"));
            if !registry.issuers().any(|known| known.url() == issuer) {
                return refuse(
                    "the identity configuration has no such issuer: write its URL as it is there"
                        .to_owned(),
                );
            }
            if rules.is_empty() {
                return refuse("no rule, so every token would be refused".to_owned());
            }
            for (index, rule) in rules.iter().enumerate() {
                if rules
                    .iter()
                    .take(index)
                    .any(|other| other.name == rule.name)
                {
                    return refuse(format!("two rules are named {:?}", rule.name));
                }
                if let Err(reason) = rule.check() {
                    return refuse(format!("rule {:?}: {reason}", rule.name));
                }
            }
        }
        Ok(())
    }

    /// Decides about a verified token of `issuer` (as the configuration names it).
    pub fn decide(&self, issuer: &str, claims: &Claims) -> Result<Allowed, Refusal> {
        let Some(rules) = self.0.get(issuer) else {
            return Ok(Allowed {
                rule: None,
                lifetime: LIFETIME,
            });
        };
        let mut reasons = Vec::new();
        for rule in rules {
            match rule.matches(claims) {
                Ok(()) => {
                    return Ok(Allowed {
                        rule: Some(rule.name.clone()),
                        lifetime: rule
                            .lifetime_seconds
                            .map_or(LIFETIME, Duration::from_secs)
                            .min(LIFETIME),
                    });
                }
                Err(reason) => reasons.push((rule.name.clone(), reason)),
            }
        }
        Err(Refusal {
            issuer: issuer.to_owned(),
            reasons,
        })
    }
}

impl Rule {
    fn check(&self) -> Result<(), String> {
        if self.name.is_empty() || self.name.len() > 100 {
            return Err("its name must have 1 to 100 bytes".to_owned());
        }
        self.claims.check()?;
        if let Some(domains) = &self.email_domains {
            if domains.is_empty() {
                return Err("email-domains is empty, so no token could match".to_owned());
            }
            for domain in domains {
                if domain.is_empty() || domain.contains(['@', '*', '/', ' ']) {
                    return Err(format!(
                        "email-domains {domain:?}: write a bare domain, `corp.example`"
                    ));
                }
            }
        }
        match self.lifetime_seconds {
            Some(seconds) if !(LEAST_LIFETIME_S..=LIFETIME.as_secs()).contains(&seconds) => {
                Err(format!(
                    "lifetime-seconds must be {LEAST_LIFETIME_S} to {}",
                    LIFETIME.as_secs()
                ))
            }
            _ => Ok(()),
        }
    }

    fn matches(&self, claims: &Claims) -> Result<(), String> {
        self.claims.hold(claims)?;
        let Some(domains) = &self.email_domains else {
            return Ok(());
        };
        let email = claims.text("email").unwrap_or_default();
        let domain = email.rsplit_once('@').map_or("", |(_, domain)| domain);
        if domains
            .iter()
            .any(|known| known.eq_ignore_ascii_case(domain))
        {
            Ok(())
        } else {
            Err(format!(
                "requires an e-mail address in {}, and it is {}",
                domains.join(" or "),
                shown(&Value::from(email))
            ))
        }
    }
}

impl Refusal {
    /// The names of the rules, none of which allows the token.
    #[must_use]
    pub fn rules(&self) -> String {
        let names: Vec<_> = self.reasons.iter().map(|(name, _)| name.as_str()).collect();
        names.join(", ")
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the policy for {} does not allow this token: ",
            self.issuer
        )?;
        for (index, (name, reason)) in self.reasons.iter().take(MAX_REASONS).enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "rule {name:?} {reason}")?;
        }
        match self.reasons.len().saturating_sub(MAX_REASONS) {
            0 => f.write_char('.'),
            more => write!(f, "; and {more} more rules do not match."),
        }
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests;
