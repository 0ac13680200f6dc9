//! Type `chainguard-identity`: subjects that are paths under their issuer.

use super::email::address;
use super::{Claims, Extensions, IdentityError, Principal, TokenError, printed};

/// The identity of a token: its issuer and subject joined to a URI.
pub(crate) fn principal(issuer: &str, claims: &Claims) -> Result<Principal, IdentityError> {
    let subject = claims.subject()?;
    let is_segment = |segment: &str| !matches!(segment, "" | "." | "..");
    if !subject.split('/').all(is_segment) {
        let reason = "has empty or dot segments".to_owned();
        return Err(TokenError::Claim {
            name: "sub",
            reason,
        }
        .into());
    }
    let mut challenges = vec![subject.to_owned()];
    if claims.get("email").is_some() {
        challenges.push(address(claims, false)?.to_owned());
    }
    let joined = format!("{}/{subject}", issuer.trim_end_matches('/'));
    let uri = printed::uri(&joined).map_err(|error| IdentityError::Uri(joined, error))?;
    Ok(Principal {
        san: pki::leaf::San::Uri(uri),
        extensions: Extensions::of_token(issuer, subject),
        challenges,
        issuer: issuer.to_owned(),
        subject: subject.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(claims: serde_json::Value) -> Result<Principal, IdentityError> {
        principal(
            "https://issuer.example",
            &Claims::new(claims.as_object().unwrap().clone()),
        )
    }

    #[test]
    fn subject_and_verified_email_prove_possession() {
        let principal = run(
            serde_json::json!({"sub": "a1/b2", "email": "x@y.example", "email_verified": true}),
        )
        .unwrap();
        assert_eq!(
            principal.san,
            pki::leaf::San::Uri("https://issuer.example/a1/b2".to_owned())
        );
        assert_eq!(principal.challenges, ["a1/b2", "x@y.example"]);
        assert_eq!(
            run(serde_json::json!({"sub": "a"})).unwrap().challenges,
            ["a"]
        );
    }

    #[test]
    fn unverified_addresses_and_climbing_subjects_are_refused() {
        assert!(run(serde_json::json!({"sub": "a", "email": "x@y.example"})).is_err());
        assert!(run(serde_json::json!({"sub": "../a"})).is_err());
        assert!(run(serde_json::json!({"sub": "a//b"})).is_err());
    }
}
