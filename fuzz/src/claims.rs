//! The claims of a token that verifies: from the payload to the name in a certificate, for every
//! type of issuer. The first byte chooses the issuer, the rest is the payload's JSON.

use std::sync::LazyLock;

use fulcio_rs::identity::{PinnedJwks, Registry};
use serde_json::{Map, Value};

use crate::offline;

/// Each type of issuer that reads claims in its own way.
const ISSUERS: [(&str, &str); 12] = [
    ("email", r#""Type": "email""#),
    ("skip", r#""Type": "email", "SkipEmailVerification": true"#),
    (
        "dex",
        r#""Type": "email", "IssuerClaim": "$.federated_claims.connector_id""#,
    ),
    (
        "uri",
        r#""Type": "uri", "SubjectDomain": "https://i.example""#,
    ),
    (
        "username",
        r#""Type": "username", "SubjectDomain": "i.example""#,
    ),
    (
        "spiffe",
        r#""Type": "spiffe", "SPIFFETrustDomain": "td.example""#,
    ),
    ("kubernetes", r#""Type": "kubernetes""#),
    ("chainguard", r#""Type": "chainguard-identity""#),
    ("github", r#""Type": "github-workflow""#),
    ("gitlab", r#""Type": "gitlab-pipeline""#),
    ("codefresh", r#""Type": "codefresh-workflow""#),
    ("buildkite", r#""Type": "buildkite-job""#),
];

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let entries = ISSUERS.map(|(name, rest)| {
        format!(
            r#""https://i.example/{name}": {{"ClientID": "{}", {rest}}}"#,
            offline::AUDIENCE
        )
    });
    let text = format!(r#"{{"OIDCIssuers": {{{}}}}}"#, entries.join(","));
    #[expect(clippy::unwrap_used, reason = "a constant")]
    Registry::parse(&text).unwrap()
});

/// Reads the identity from the claims.
pub fn run(data: &[u8]) {
    let Some((chosen, payload)) = data.split_first() else {
        return;
    };
    let Ok(mut claims) = serde_json::from_slice::<Map<String, Value>>(payload) else {
        return;
    };
    let Some((name, _)) = ISSUERS.get(usize::from(*chosen) % ISSUERS.len()) else {
        return;
    };
    claims.insert("iss".to_owned(), format!("https://i.example/{name}").into());
    let payload = Value::Object(claims).to_string();
    let token = offline::token(br#"{"alg":"RS256"}"#, payload.as_bytes());
    // Printed again it may be longer than a token may be.
    let _refused = offline::read(&REGISTRY, &PinnedJwks::new(), &token);
}
