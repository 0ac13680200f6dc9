use pki::authority::Purpose;
use pki::leaf::San;
use pki::precert::{is_precertificate, tbs_without_poison, tbs_without_sct_list};

use crate::support::{Hierarchy, Key, leaf, unhex};

/// A precertificate whose DER contains `from` once, with `to` of the same length in its place.
/// The signature no longer matters.
fn altered(from: &str, to: &str) -> Vec<u8> {
    let hierarchy = Hierarchy::new(Purpose::CodeSigning);
    let leaf = leaf(&Key::p256(), San::Email("a@example.com".into()));
    let der = hierarchy
        .key
        .finish(leaf.precertificate(&hierarchy.intermediate).unwrap());
    let (from, to) = (unhex(from), unhex(to));
    assert_eq!(from.len(), to.len());
    let at = der
        .windows(from.len())
        .position(|window| window == from)
        .unwrap();
    [&der[..at], &to, &der[at + from.len()..]].concat()
}

const POISON: &str = "06 0a 2b06010401d679020403 0101ff 0402 0500";

#[test]
fn a_poison_that_is_not_critical_is_refused() {
    let der = altered(POISON, "06 0a 2b06010401d679020403 010100 0402 0500");
    assert!(is_precertificate(&der).is_err());
    assert!(tbs_without_poison(&der).is_err());
}

#[test]
fn a_poison_that_is_not_null_is_refused() {
    for value in ["0401", "0100"] {
        let der = altered(
            POISON,
            &format!("06 0a 2b06010401d679020403 0101ff 0402 {value}"),
        );
        assert!(is_precertificate(&der).is_err(), "{value}");
    }
}

#[test]
fn two_poisons_are_refused() {
    // The extension 1.3.6.1.4.1.57264.1.1 becomes a second poison.
    let der = altered("060a2b0601040183bf300101", "060a2b06010401d679020403");
    assert!(is_precertificate(&der).is_err());
    assert!(tbs_without_poison(&der).is_err());
}

#[test]
fn only_the_extension_and_the_lengths_around_it_change() {
    let hierarchy = Hierarchy::new(Purpose::CodeSigning);
    let leaf = leaf(&Key::p256(), San::Email("a@example.com".into()));
    let der = hierarchy
        .key
        .finish(leaf.precertificate(&hierarchy.intermediate).unwrap());
    let plain = leaf.certificate(&hierarchy.intermediate, &[]).unwrap();
    assert_eq!(tbs_without_poison(&der).unwrap(), plain.tbs());
    assert!(tbs_without_poison(&hierarchy.key.finish(plain)).is_err());
    assert!(tbs_without_sct_list(&der).is_err());
}
