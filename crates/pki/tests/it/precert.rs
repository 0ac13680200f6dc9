use pki::authority::Purpose;
use pki::leaf::San;
use pki::precert::{is_precertificate, tbs_without_poison, tbs_without_sct_list};

use crate::support::{Hierarchy, Key, der, leaf, unhex};

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

/// Splits consecutive elements shorter than 128 bytes.
fn elements(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut elements = Vec::new();
    while let [_, length @ 0..0x80, ..] = *bytes {
        let (element, rest) = bytes.split_at(2 + usize::from(length));
        elements.push(element);
        bytes = rest;
    }
    assert!(bytes.is_empty());
    elements
}

#[test]
fn the_poison_may_be_at_any_place() {
    let hierarchy = Hierarchy::new(Purpose::CodeSigning);
    let leaf = leaf(&Key::p256(), San::Email("a@example.com".into()));
    let poisoned = leaf.precertificate(&hierarchy.intermediate).unwrap();
    let plain = leaf.certificate(&hierarchy.intermediate, &[]).unwrap();
    let first = unhex("300e0603551d0f0101ff040403020780");
    let start = poisoned
        .tbs()
        .windows(first.len())
        .position(|window| window == first)
        .unwrap();
    let (head, extensions) = poisoned.tbs().split_at(start);
    let mut extensions = elements(extensions);
    let poison = extensions.pop().unwrap();
    for place in 0..=extensions.len() {
        let mut moved = extensions.clone();
        moved.insert(place, poison);
        let tbs = [head, &moved.concat()].concat();
        let algorithm = unhex("300a06082a8648ce3d040302");
        let certificate = der(0x30, &[&tbs[..], &algorithm, &[0x03, 1, 0]].concat());
        assert_eq!(
            tbs_without_poison(&certificate).unwrap(),
            plain.tbs(),
            "{place}"
        );
    }
}

#[test]
fn no_empty_list_of_extensions_is_left_behind() {
    let algorithm = unhex("300a06082a8648ce3d040302");
    let validity = der(
        0x30,
        &[der(0x17, b"261121000000Z"), der(0x17, b"261121001000Z")].concat(),
    );
    let fields = [
        unhex("a003020102 020101"),
        algorithm.clone(),
        unhex("3000"),
        validity,
        unhex("3000"),
        Key::p256().public.spki_der().to_vec(),
    ]
    .concat();
    let poison = unhex("3013060a2b06010401d6790204030101ff04020500");
    let tbs = der(
        0x30,
        &[&fields[..], &der(0xa3, &der(0x30, &poison))].concat(),
    );
    let certificate = der(0x30, &[&tbs[..], &algorithm, &[0x03, 1, 0]].concat());
    assert_eq!(
        tbs_without_poison(&certificate).unwrap(),
        der(0x30, &fields)
    );
}
