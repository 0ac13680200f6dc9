use pki::authority::{AuthorityError, Issuer, Purpose, Role, prepare};
use pki::certificate::Certificate;
use pki::name::Subject;

use crate::openssl;
use crate::support::{Hierarchy, Key, YEAR, at, template};

#[test]
fn openssl_accepts_the_code_signing_hierarchy() {
    let hierarchy = Hierarchy::new(Purpose::CodeSigning);
    let (good, output) = openssl::verify(&hierarchy.root, None, &hierarchy.intermediate, &[]);
    assert!(good, "{output}");
    let text = openssl::text(&hierarchy.intermediate);
    for expected in [
        "Issuer: O = Example, CN = root",
        "Subject: O = Example, CN = intermediate",
        "X509v3 Basic Constraints: critical\n                CA:TRUE, pathlen:0",
        "X509v3 Key Usage: critical\n                Certificate Sign, CRL Sign",
        "X509v3 Extended Key Usage: \n                Code Signing",
        "X509v3 Subject Key Identifier",
        "X509v3 Authority Key Identifier",
        "ecdsa-with-SHA384",
    ] {
        assert!(text.contains(expected), "{expected} not in {text}");
    }
}

#[test]
fn a_root_has_no_purpose_and_no_path_length() {
    let hierarchy = Hierarchy::new(Purpose::CodeSigning);
    let text = openssl::text(&hierarchy.root);
    assert!(
        text.contains("X509v3 Basic Constraints: critical\n                CA:TRUE\n"),
        "{text}"
    );
    assert!(
        text.contains("X509v3 Key Usage: critical\n                Certificate Sign, CRL Sign\n"),
        "{text}"
    );
    assert!(!text.contains("Extended Key Usage"), "{text}");
    assert_eq!(
        Certificate::from_der(&hierarchy.root)
            .unwrap()
            .extensions()
            .len(),
        3
    );
}

#[test]
fn openssl_accepts_a_timestamping_leaf_under_an_intermediate_and_under_a_root() {
    let hierarchy = Hierarchy::new(Purpose::TimeStamping);
    let key = Key::p256();
    let under_intermediate = prepare(
        &template(Role::TimestampLeaf, "timestamp", 2),
        &key.public,
        Issuer::Certificate(&hierarchy.intermediate),
    );
    let leaf = hierarchy.key.finish(under_intermediate.unwrap());
    let purpose = ["-purpose", "timestampsign"];
    let (good, output) = openssl::verify(
        &hierarchy.root,
        Some(&hierarchy.intermediate),
        &leaf,
        &purpose,
    );
    assert!(good, "{output}");

    let under_root = prepare(
        &template(Role::TimestampLeaf, "timestamp", 2),
        &key.public,
        Issuer::Certificate(&hierarchy.root),
    );
    let leaf = hierarchy.root_key.finish(under_root.unwrap());
    let (good, output) = openssl::verify(&hierarchy.root, None, &leaf, &purpose);
    assert!(good, "{output}");
    let text = openssl::text(&leaf);
    assert!(
        text.contains("X509v3 Extended Key Usage: critical\n                Time Stamping\n"),
        "{text}"
    );
    assert!(
        text.contains("X509v3 Key Usage: critical\n                Digital Signature\n"),
        "{text}"
    );
    assert!(!text.contains("Basic Constraints"), "{text}");
}

#[test]
fn serial_numbers_are_random() {
    let key = Key::p256();
    let make = || {
        prepare(
            &template(Role::Root, "root", 1),
            &key.public,
            Issuer::SelfSigned,
        )
        .unwrap()
    };
    let (one, two) = (key.finish(make()), key.finish(make()));
    let serial = |der: &[u8]| Certificate::from_der(der).unwrap().serial().to_vec();
    assert_ne!(serial(&one), serial(&two));
    assert_eq!(serial(&one).len(), 20);
}

#[test]
fn an_issuer_cannot_give_what_it_does_not_have() {
    let hierarchy = Hierarchy::new(Purpose::CodeSigning);
    let key = Key::p256();
    let under = |template: &pki::authority::Template, issuer| {
        prepare(template, &key.public, issuer).unwrap_err()
    };
    let refused = |error| assert!(matches!(error, AuthorityError::Template(_)), "{error:?}");
    let intermediate = Role::Intermediate {
        purpose: Purpose::CodeSigning,
    };
    // Path length 0.
    refused(under(
        &template(intermediate, "deeper", 1),
        Issuer::Certificate(&hierarchy.intermediate),
    ));
    // Another purpose.
    refused(under(
        &template(Role::TimestampLeaf, "tsa", 1),
        Issuer::Certificate(&hierarchy.intermediate),
    ));
    // Beyond the issuer's validity.
    refused(under(
        &template(intermediate, "longer", 11),
        Issuer::Certificate(&hierarchy.root),
    ));
    // Only roots sign themselves, and roots only themselves.
    refused(under(
        &template(intermediate, "self", 1),
        Issuer::SelfSigned,
    ));
    refused(under(
        &template(Role::Root, "other", 1),
        Issuer::Certificate(&hierarchy.root),
    ));
    // Not a CA.
    let tsa = Hierarchy::new(Purpose::TimeStamping);
    let leaf = prepare(
        &template(Role::TimestampLeaf, "t", 1),
        &key.public,
        Issuer::Certificate(&tsa.intermediate),
    );
    let leaf = tsa.key.finish(leaf.unwrap());
    refused(under(
        &template(intermediate, "below a leaf", 1),
        Issuer::Certificate(&leaf),
    ));
}

#[test]
fn templates_without_a_name_or_a_duration_are_refused() {
    let key = Key::p256();
    let mut nameless = template(Role::Root, "", 1);
    assert!(prepare(&nameless, &key.public, Issuer::SelfSigned).is_err());
    nameless.subject = Subject {
        organization: "a\nb".into(),
        common_name: "c".into(),
    };
    assert!(prepare(&nameless, &key.public, Issuer::SelfSigned).is_err());
    let mut momentary = template(Role::Root, "root", 1);
    momentary.not_before = at(YEAR);
    assert!(prepare(&momentary, &key.public, Issuer::SelfSigned).is_err());
}

#[test]
fn only_a_der_ecdsa_signature_completes_a_certificate() {
    let key = Key::p256();
    let unsigned = prepare(
        &template(Role::Root, "root", 1),
        &key.public,
        Issuer::SelfSigned,
    )
    .unwrap();
    for signature in [&[0x11; 64][..], b"", b"\x30\x00"] {
        assert!(unsigned.clone().finish(signature).is_err());
    }
}
