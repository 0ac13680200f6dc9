//! Type `uri`: a subject that is a URI on a host of the configuration.

use url::Url;

use super::email::{is_address, is_verified};
use super::{Claims, Extensions, IdentityError, Principal, TokenError, printed};

/// Scheme and host that subjects must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SubjectDomain {
    scheme: String,
    host: String,
}

impl SubjectDomain {
    /// Parses `scheme://host`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let host = url.host_str()?.to_owned();
        Some(Self {
            scheme: url.scheme().to_owned(),
            host,
        })
    }

    pub(crate) fn scheme(&self) -> &str {
        &self.scheme
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn principal(
        &self,
        issuer: &str,
        claims: &Claims,
    ) -> Result<Principal, IdentityError> {
        let subject = claims.subject()?;
        let refuse = |reason: &str| TokenError::Claim {
            name: "sub",
            reason: reason.to_owned(),
        };
        if is_address(subject) {
            return Err(refuse("is an e-mail address").into());
        }
        let url = Url::parse(subject).map_err(|_| refuse("is not a URI"))?;
        if url.scheme() != self.scheme || url.host_str() != Some(self.host.as_str()) {
            return Err(refuse("is not on the issuer's subject-domain").into());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("has user information").into());
        }
        let uri = printed::uri(subject).map_err(|error| refuse(&error.to_string()))?;
        Ok(Principal {
            san: pki::leaf::San::Uri(uri),
            extensions: Extensions::of_token(issuer, subject),
            challenges: subject_or_email(subject, claims),
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
        })
    }
}

/// What possession may be proved over where the identity is not an e-mail address: the subject,
/// and the e-mail address if the token has a verified one, because some clients sign it whenever
/// they see it. An address that the provider does not vouch for is a text of the bearer's choice.
pub(crate) fn subject_or_email(subject: &str, claims: &Claims) -> Vec<String> {
    let email = claims
        .text("email")
        .filter(|email| !email.is_empty() && is_verified(claims));
    std::iter::once(subject)
        .chain(email)
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(subject: &str) -> Result<Principal, IdentityError> {
        let domain = SubjectDomain::parse("https://example.com").unwrap();
        let claims = serde_json::json!({ "sub": subject });
        domain.principal(
            "https://issuer.example.com",
            &Claims::new(claims.as_object().unwrap().clone()),
        )
    }

    #[test]
    fn port_and_path_are_free() {
        let san = principal("https://example.com:8443/users/1").unwrap().san;
        assert_eq!(
            san,
            pki::leaf::San::Uri("https://example.com:8443/users/1".to_owned())
        );
    }

    #[test]
    fn possession_is_proved_over_the_subject_or_a_verified_address() {
        let challenges = |claims: serde_json::Value| {
            subject_or_email("s", &Claims::new(claims.as_object().unwrap().clone()))
        };
        let email = "x@y.example";
        assert_eq!(
            challenges(serde_json::json!({"email": email, "email_verified": true})),
            ["s", email]
        );
        for unverified in [
            serde_json::json!({"email": email}),
            serde_json::json!({"email": email, "email_verified": false}),
            serde_json::json!({"email": "", "email_verified": true}),
        ] {
            assert_eq!(challenges(unverified), ["s"]);
        }
    }

    #[test]
    fn other_schemes_hosts_and_addresses_are_refused() {
        for bad in [
            "http://example.com/x",
            "https://example.com.evil/x",
            "https://sub.example.com/x",
            "a@example.com",
            "example.com",
            "https://u@example.com/",
        ] {
            assert!(principal(bad).is_err(), "{bad}");
        }
    }
}
