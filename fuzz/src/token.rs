//! A token as a client sends it, as text; or, after a zero byte, its header and payload as JSON
//! with a zero byte between them, so that mutations reach behind the encoding.

use std::sync::LazyLock;

use fulcio_rs::identity::{PinnedJwks, Registry};

use crate::offline;

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    #[expect(clippy::unwrap_used, reason = "a constant")]
    Registry::parse(
        "{\"OIDCIssuers\": {\"https://i.example\": {\"ClientID\": \"sigstore\", \"Type\": \"email\"}},
          \"MetaIssuers\": {\"https://*.tenants.example\": {\"ClientID\": \"sigstore\", \"Type\": \"email\"}}}",
    )
    .unwrap()
});

/// Reads the token.
pub fn run(data: &[u8]) {
    let text = match data.split_first() {
        Some((0, rest)) => {
            let mut parts = rest.splitn(2, |byte| *byte == 0);
            let mut part = || parts.next().unwrap_or_default();
            offline::token(part(), part())
        }
        _ => String::from_utf8_lossy(data).into_owned(),
    };
    let _refused = offline::read(&REGISTRY, &PinnedJwks::new(), &text);
}
