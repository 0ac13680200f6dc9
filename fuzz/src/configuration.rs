//! Configuration files: Fulcio's identity configuration in both forms, and the service's own.

use fulcio_rs::Config;
use fulcio_rs::identity::Registry;

/// Parses the text as each.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(registry) = Registry::parse(text) {
        for issuer in registry.issuers() {
            assert!(!issuer.client_id().is_empty());
            assert_eq!(issuer.is_wildcard(), issuer.url().contains('*'));
        }
    }
    let _refused = Config::parse(text);
}
