//! Damaged input is refused; it never panics.

use pki::authority::Purpose;
use pki::certificate::Certificate;
use pki::chain::Chain;
use pki::leaf::San;
use pki::{precert, sct};
use proptest::prelude::*;

use crate::support::{Hierarchy, Key, leaf};

fn precertificate() -> Vec<u8> {
    let hierarchy = Hierarchy::new(Purpose::CodeSigning);
    let leaf = leaf(&Key::p256(), San::Email("a@example.com".into()));
    hierarchy
        .key
        .finish(leaf.precertificate(&hierarchy.intermediate).unwrap())
}

fn exercise(der: &[u8]) {
    if let Ok(certificate) = Certificate::from_der(der) {
        let _ = certificate.ca_constraints();
        let _ = certificate.key_usage();
        let _ = certificate.extended_key_usages();
        let _ = certificate.subject_key_identifier();
        let _ = certificate.check_issued_by(&certificate);
    }
    let _ = precert::is_precertificate(der);
    let _ = precert::tbs_without_poison(der);
    let _ = precert::tbs_without_sct_list(der);
    let _ = sct::embedded(der);
    let _ = Chain::from_der(vec![der.to_vec()]);
}

#[test]
fn every_truncation_and_trailing_byte_is_refused() {
    let der = precertificate();
    for length in 0..der.len() {
        assert!(Certificate::from_der(&der[..length]).is_err(), "{length}");
    }
    assert!(Certificate::from_der(&[&der[..], &[0]].concat()).is_err());
    assert!(Certificate::from_der(&[0x30; 70_000]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_certificates_do_not_panic(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        static ORIGINAL: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(precertificate);
        let mut der = ORIGINAL.clone();
        for (at, byte) in damage {
            let at = at.index(der.len());
            der[at] = byte;
        }
        exercise(&der);
    }

    #[test]
    fn noise_does_not_panic(noise in prop::collection::vec(any::<u8>(), 0..256)) {
        exercise(&noise);
        let _ = sct::decode_list(&noise);
        let _ = sct::parse_extension_value(&noise);
        let _ = Chain::from_pem(&String::from_utf8_lossy(&noise));
    }
}
