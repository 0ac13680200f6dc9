//! A provider's key set, and a token checked under it: the token's header and the set, both JSON,
//! with a zero byte between them.

use std::path::PathBuf;
use std::sync::LazyLock;

use fulcio_rs::identity::{PinnedJwks, Registry};

use crate::offline;

const ISSUER: &str = "https://i.example";

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    #[expect(clippy::unwrap_used, reason = "a constant")]
    Registry::parse(
        r#"{"OIDCIssuers": {"https://i.example": {"ClientID": "sigstore", "Type": "email"}}}"#,
    )
    .unwrap()
});

/// The file that the set is pinned in; one a process.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    #[expect(clippy::unwrap_used, reason = "nothing to fuzz without a file")]
    let file = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    file.to_path_buf()
});

/// Verifies a token that none of the keys signed.
#[expect(clippy::unwrap_used, reason = "nothing to fuzz without a file")]
pub fn run(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let header = parts.next().unwrap_or_default();
    std::fs::write(&*FILE, parts.next().unwrap_or_default()).unwrap();
    let pinned = PinnedJwks::from([(ISSUER.to_owned(), FILE.clone())]);
    let token = offline::token(header, br#"{"iss":"https://i.example","sub":"s"}"#);
    let Ok(explanation) = offline::read(&REGISTRY, &pinned, &token) else {
        return;
    };
    let verified = explanation
        .checks
        .iter()
        .any(|check| check.name == "signature" && check.outcome.is_ok());
    assert!(!verified, "a signature that nobody made verified");
}
