//! What the targets over tokens share: a token read without asking anybody.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fulcio_rs::identity::{Explanation, PinnedJwks, Registry, TokenError, explain};
use fulcio_rs::policy::Policies;
use pki::leaf::San;
use tokio::runtime::Runtime;

/// The audience of every issuer of the targets.
pub(crate) const AUDIENCE: &str = "sigstore";

/// Reading pinned keys is asynchronous.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    #[expect(clippy::unwrap_used, reason = "nothing to fuzz without it")]
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
});

/// When the targets are: the same for every run, so that a finding can be repeated.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// A token with a signature that nobody made.
pub(crate) fn token(header: &[u8], payload: &[u8]) -> String {
    let encode = |bytes| URL_SAFE_NO_PAD.encode(bytes);
    format!("{}.{}.c2ln", encode(header), encode(payload))
}

/// What the certificate authority makes of a token.
pub(crate) fn read(
    registry: &Registry,
    pinned: &PinnedJwks,
    token: &str,
) -> Result<Explanation, TokenError> {
    let explanation = RUNTIME.block_on(explain(
        registry,
        pinned,
        &Policies::default(),
        token,
        now(),
    ))?;
    if let Some(principal) = &explanation.principal {
        let (San::Email(certain) | San::Uri(certain) | San::OtherName(certain)) = &principal.san;
        assert!(!certain.is_empty(), "an empty name would be certified");
        assert!(
            !certain.chars().any(char::is_control),
            "a name with control characters would be certified: {certain:?}"
        );
        assert!(principal.challenges.iter().any(|text| !text.is_empty()));
    }
    Ok(explanation)
}
