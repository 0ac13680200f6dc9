//! Type `spiffe`: SPIFFE identities of one trust domain.

use super::uri::subject_or_email;
use super::{Claims, Extensions, IdentityError, Principal, TokenError};

/// A SPIFFE trust domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TrustDomain(String);

impl TrustDomain {
    /// Parses `name` or `spiffe://name`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let name = text.strip_prefix("spiffe://").unwrap_or(text);
        let is_good = (1..=255).contains(&name.len())
            && name.chars().all(|c| {
                c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-')
            });
        is_good.then(|| Self(name.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn principal(
        &self,
        issuer: &str,
        claims: &Claims,
    ) -> Result<Principal, IdentityError> {
        let subject = claims.subject()?;
        if !self.contains(subject) {
            let reason = format!("is not a SPIFFE ID of the trust domain {:?}", self.0);
            return Err(TokenError::Claim {
                name: "sub",
                reason,
            }
            .into());
        }
        Ok(Principal {
            san: pki::leaf::San::Uri(subject.to_owned()),
            extensions: Extensions::of_token(issuer, subject),
            challenges: subject_or_email(subject, claims),
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
        })
    }

    fn contains(&self, id: &str) -> bool {
        let Some(path) = id
            .strip_prefix("spiffe://")
            .and_then(|rest| rest.strip_prefix(self.0.as_str()))
        else {
            return false;
        };
        let is_segment = |segment: &str| {
            !matches!(segment, "" | "." | "..")
                && segment
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
        };
        id.len() <= 2048
            && match path.strip_prefix('/') {
                Some(segments) => segments.split('/').all(is_segment),
                None => path.is_empty(),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_well_formed_ids_of_the_domain_are_in_it() {
        let domain = TrustDomain::parse("spiffe://td.example").unwrap();
        for good in ["spiffe://td.example", "spiffe://td.example/a/B_c-d.e"] {
            assert!(domain.contains(good), "{good}");
        }
        for bad in [
            "spiffe://td.example/",
            "spiffe://td.example/a/",
            "spiffe://td.example/../a",
            "spiffe://td.example/a//b",
            "spiffe://sub.td.example/a",
            "spiffe://td.example.evil/a",
            "spiffe://td.examplex",
            "https://td.example/a",
            "spiffe://td.example/a?b",
            "SPIFFE://td.example/a",
        ] {
            assert!(!domain.contains(bad), "{bad}");
        }
        assert_eq!(TrustDomain::parse("TD"), None);
        assert_eq!(TrustDomain::parse(""), None);
        assert_eq!(TrustDomain::parse("a/b"), None);
    }
}
