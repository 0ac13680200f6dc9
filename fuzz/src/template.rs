//! A template of `ci-issuer-metadata` over claims: the template, a zero byte, the claims' JSON.

use fulcio_rs::identity::{PinnedJwks, Registry};
use serde_json::{Map, Value, json};

use crate::offline;

/// Parses the template and evaluates it.
pub fn run(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let Some(template) = parts.next().and_then(|text| std::str::from_utf8(text).ok()) else {
        return;
    };
    let claims = parts.next().unwrap_or_default();
    let mut claims: Map<String, Value> = serde_json::from_slice(claims).unwrap_or_default();
    let configuration = json!({
        "OIDCIssuers": {"https://i.example": {
            "ClientID": offline::AUDIENCE, "Type": "ci-provider", "CIProvider": "p",
        }},
        "CIIssuerMetadata": {"p": {
            "DefaultTemplateValues": {"url": "https://ci.example"},
            "SubjectAlternativeNameTemplate": template,
            "ExtensionTemplates": {"BuildConfigURI": template},
        }},
    });
    let Ok(registry) = Registry::parse(&configuration.to_string()) else {
        return;
    };
    claims.insert("iss".to_owned(), "https://i.example".into());
    claims.insert("sub".to_owned(), "s".into());
    let payload = Value::Object(claims).to_string();
    let token = offline::token(br#"{"alg":"RS256"}"#, payload.as_bytes());
    let _refused = offline::read(&registry, &PinnedJwks::new(), &token);
}
