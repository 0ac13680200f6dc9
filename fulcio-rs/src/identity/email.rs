//! Type `email`: the token's verified e-mail address.

use oidc::ClaimPath;
use serde_json::Value;

use super::{Claims, Extensions, IdentityError, Principal, TokenError};

/// How an `email` issuer is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Email {
    /// Where the issuer that the certificate names comes from, if not from `iss`.
    pub(crate) issuer_claim: Option<ClaimPath>,
    /// Take addresses that the provider does not call verified.
    pub(crate) skip_verification: bool,
}

impl Email {
    pub(crate) fn principal(
        &self,
        issuer: &str,
        claims: &Claims,
    ) -> Result<Principal, IdentityError> {
        let email = address(claims, self.skip_verification)?;
        let subject = claims.subject()?;
        let named = match &self.issuer_claim {
            Some(path) => path.text(claims)?,
            None => issuer,
        };
        Ok(Principal {
            san: pki::leaf::San::Email(email.to_owned()),
            extensions: Extensions::of_token(named, subject),
            challenges: vec![email.to_owned()],
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
        })
    }
}

/// The e-mail address of a token, verified by its provider unless `skip_verification`.
pub(crate) fn address(claims: &Claims, skip_verification: bool) -> Result<&str, TokenError> {
    let email = claims.required("email")?;
    if !is_address(email) {
        return Err(TokenError::Claim {
            name: "email",
            reason: "is not an ASCII address with a dotted domain".to_owned(),
        });
    }
    if !skip_verification && !is_verified(claims) {
        return Err(TokenError::Claim {
            name: "email_verified",
            reason: "is not true".to_owned(),
        });
    }
    Ok(email)
}

/// Whether the provider says that the token's e-mail address is its bearer's.
pub(crate) fn is_verified(claims: &Claims) -> bool {
    match claims.get("email_verified") {
        Some(Value::Bool(verified)) => *verified,
        // Some providers send words.
        Some(Value::String(word)) => word == "true" || word == "True",
        _ => false,
    }
}

/// Whether this is `local@domain`: a dot-atom (RFC 5322 section 3.2.3) and a host name of two
/// labels or more.
pub(crate) fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let is_atom = |atom: &str| {
        !atom.is_empty()
            && atom
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c))
    };
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    local.len() <= 64
        && domain.len() <= 253
        && local.split('.').all(is_atom)
        && domain.contains('.')
        && domain.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_local_part_and_a_dotted_domain() {
        for good in [
            "a@b.example",
            "first.last+tag@sub.corp.example",
            "o'hara@x.example",
        ] {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "",
            "foo.com",
            "a@localhost",
            "@b.example",
            "a@",
            "a@@b.example",
            "a b@c.example",
            "ü@b.example",
            "a@bücher.example",
            "a@-b.example",
            "a@b..example",
            "a\n@b.example",
            ".a@b.example",
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }

    fn claims(json: &str) -> Claims {
        Claims::new(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn only_true_is_verified() {
        for good in ["true", "\"true\"", "\"True\""] {
            assert!(
                is_verified(&claims(&format!("{{\"email_verified\":{good}}}"))),
                "{good}"
            );
        }
        for bad in ["false", "\"TRUE\"", "1", "null", "[true]", "\"false\""] {
            assert!(
                !is_verified(&claims(&format!("{{\"email_verified\":{bad}}}"))),
                "{bad}"
            );
        }
        assert!(!is_verified(&claims("{}")));
    }
}
