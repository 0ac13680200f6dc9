//! Type `username`: subjects that are user names, made unique by a domain.

use super::email::is_address;
use super::uri::subject_or_email;
use super::{Claims, Extensions, IdentityError, Principal, TokenError};

/// The user of a token: `name!domain`.
pub(crate) fn principal(
    domain: &str,
    issuer: &str,
    claims: &Claims,
) -> Result<Principal, IdentityError> {
    let subject = claims.subject()?;
    let refuse = |reason: &str| TokenError::Claim {
        name: "sub",
        reason: reason.to_owned(),
    };
    if subject.contains('!') {
        return Err(refuse("contains an exclamation mark").into());
    }
    if is_address(subject) {
        return Err(refuse("is an e-mail address").into());
    }
    if subject.chars().any(char::is_control) {
        return Err(refuse("contains a control character").into());
    }
    Ok(Principal {
        san: pki::leaf::San::OtherName(format!("{subject}!{domain}")),
        extensions: Extensions::of_token(issuer, subject),
        challenges: subject_or_email(subject, claims),
        issuer: issuer.to_owned(),
        subject: subject.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_get_the_domain_and_cannot_bring_their_own() {
        let run = |subject: &str| {
            let claims = serde_json::json!({ "sub": subject });
            principal(
                "example.com",
                "https://i.example",
                &Claims::new(claims.as_object().unwrap().clone()),
            )
            .map(|found| found.san)
        };
        assert_eq!(
            run("foo").unwrap(),
            pki::leaf::San::OtherName("foo!example.com".to_owned())
        );
        for bad in ["foo!example.com", "foo@example.com", "", "a\0b"] {
            assert!(run(bad).is_err(), "{bad:?}");
        }
    }
}
