//! Type `kubernetes`: service accounts of a cluster.

use super::uri::subject_or_email;
use super::{Claims, Extensions, IdentityError, Principal, TokenError};

/// The service account of a token. A token without a namespace or account is refused: a name with
/// empty segments would be ambiguous.
pub(crate) fn principal(issuer: &str, claims: &Claims) -> Result<Principal, IdentityError> {
    let account = claims.get("kubernetes.io");
    let text = |pointer: &str| {
        account
            .and_then(|claim| claim.pointer(pointer))
            .and_then(serde_json::Value::as_str)
            .filter(|name| is_name(name))
            .ok_or_else(|| TokenError::Claim {
                name: "kubernetes.io",
                reason: format!("has no valid {pointer}"),
            })
    };
    let namespace = text("/namespace")?;
    let name = text("/serviceaccount/name")?;
    let subject = claims.subject()?;
    Ok(Principal {
        san: pki::leaf::San::Uri(format!(
            "https://kubernetes.io/namespaces/{namespace}/serviceaccounts/{name}"
        )),
        extensions: Extensions::of_token(issuer, subject),
        challenges: subject_or_email(subject, claims),
        issuer: issuer.to_owned(),
        subject: subject.to_owned(),
    })
}

/// A name of a Kubernetes object: a DNS subdomain (RFC 1123).
fn is_name(text: &str) -> bool {
    (1..=253).contains(&text.len())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.'))
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn san(claim: serde_json::Value) -> Result<pki::leaf::San, IdentityError> {
        let claims =
            serde_json::json!({ "sub": "system:serviceaccount:ns:sa", "kubernetes.io": claim });
        principal(
            "https://k.example",
            &Claims::new(claims.as_object().unwrap().clone()),
        )
        .map(|found| found.san)
    }

    #[test]
    fn the_name_has_namespace_and_account() {
        let claim =
            serde_json::json!({"namespace": "ns", "serviceaccount": {"name": "sa", "uid": "1"}});
        assert_eq!(
            san(claim).unwrap(),
            pki::leaf::San::Uri(
                "https://kubernetes.io/namespaces/ns/serviceaccounts/sa".to_owned()
            )
        );
    }

    #[test]
    fn missing_parts_and_slashes_are_refused() {
        for claim in [
            serde_json::json!(null),
            serde_json::json!({}),
            serde_json::json!({"namespace": "ns"}),
            serde_json::json!({"namespace": "", "serviceaccount": {"name": "sa"}}),
            serde_json::json!({"namespace": "a/b", "serviceaccount": {"name": "sa"}}),
            serde_json::json!({"namespace": "ns", "serviceaccount": {"name": ".."}}),
            serde_json::json!({"namespace": ["ns"], "serviceaccount": {"name": "sa"}}),
        ] {
            assert!(san(claim.clone()).is_err(), "{claim}");
        }
    }
}
