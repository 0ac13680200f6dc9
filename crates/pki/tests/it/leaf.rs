use pki::authority::Purpose;
use pki::certificate::Certificate;
use pki::leaf::{LeafError, San, correspond};
use pki::sct::{CtEntry, SignedCertificateTimestamp, embedded, signing_input};
use pki::{precert, sct};

use crate::openssl;
use crate::support::{Hierarchy, Key, YEAR, at, leaf, unhex};

fn email() -> San {
    San::Email("someone@example.com".into())
}

/// An SCT by `log` over the precertificate.
fn sct_for(log: &Key, issuer_der: &[u8], precertificate: &[u8]) -> SignedCertificateTimestamp {
    let tbs = precert::tbs_without_poison(precertificate).unwrap();
    let issuer = Certificate::from_der(issuer_der).unwrap();
    let entry = CtEntry::Precert {
        issuer_key_hash: crypto::sha256(issuer.spki()),
        tbs: &tbs,
    };
    let message = signing_input(entry, 1_795_219_200_123, b"").unwrap();
    SignedCertificateTimestamp {
        log_id: log.public.key_id(),
        timestamp_ms: 1_795_219_200_123,
        extensions: Vec::new(),
        signature: log.sign(&message),
    }
}

#[test]
fn precertificate_and_certificate_correspond_and_openssl_accepts_only_the_latter() {
    let hierarchy = Hierarchy::new(Purpose::CodeSigning);
    let (key, log) = (Key::p256(), Key::p256());
    for san in [
        email(),
        San::Uri("https://ci.example/a/b@refs/heads/main".into()),
        San::OtherName("foo!exämple.com".into()),
    ] {
        let leaf = leaf(&key, san);
        let precertificate = hierarchy
            .key
            .finish(leaf.precertificate(&hierarchy.intermediate).unwrap());
        let sct = sct_for(&log, &hierarchy.intermediate, &precertificate);
        let unsigned = leaf
            .certificate(&hierarchy.intermediate, std::slice::from_ref(&sct))
            .unwrap();
        let certificate = hierarchy.key.finish(unsigned);

        assert_eq!(correspond(&precertificate, &certificate), Ok(()));
        assert!(precert::is_precertificate(&precertificate).unwrap());
        assert!(!precert::is_precertificate(&certificate).unwrap());
        assert_eq!(embedded(&certificate).unwrap(), std::slice::from_ref(&sct));

        // What a client does: cut the list out of the certificate, and verify.
        let tbs = precert::tbs_without_sct_list(&certificate).unwrap();
        let issuer = Certificate::from_der(&hierarchy.intermediate).unwrap();
        let entry = CtEntry::Precert {
            issuer_key_hash: crypto::sha256(issuer.spki()),
            tbs: &tbs,
        };
        assert_eq!(sct.verify(entry, &log.public), Ok(()));
        assert!(
            sct.verify(entry, &Key::p256().public).is_err(),
            "another log"
        );
        assert!(
            sct.verify(CtEntry::X509(&tbs), &log.public).is_err(),
            "another entry"
        );

        let intermediate = Some(hierarchy.intermediate.as_slice());
        let (good, output) = openssl::verify(&hierarchy.root, intermediate, &certificate, &[]);
        assert!(good, "{output}");
        let (good, _) = openssl::verify(&hierarchy.root, intermediate, &precertificate, &[]);
        assert!(!good, "the poison is critical");
        let (good, output) = openssl::verify(
            &hierarchy.root,
            intermediate,
            &precertificate,
            &["-ignore_critical"],
        );
        assert!(good, "{output}");
    }
}

#[test]
fn a_leaf_has_exactly_the_published_extensions_in_order() {
    let hierarchy = Hierarchy::new(Purpose::CodeSigning);
    let key = Key::p384();
    let certificate = leaf(&key, email())
        .precertificate(&hierarchy.intermediate)
        .unwrap();
    let certificate = hierarchy.key.finish(certificate);
    let parsed = Certificate::from_der(&certificate).unwrap();
    let issuer = Certificate::from_der(&hierarchy.intermediate).unwrap();

    let aki = [
        &unhex("301f0603551d23041830168014")[..],
        issuer.subject_key_identifier().unwrap().unwrap(),
    ]
    .concat();
    let ski = [
        &unhex("301d0603551d0e04160414")[..],
        parsed.subject_key_identifier().unwrap().unwrap(),
    ]
    .concat();
    let expected = [
        unhex("300e 0603551d0f 0101ff 0404 03020780"),
        unhex("3013 0603551d25 040c 300a 06082b06010505070303"),
        ski,
        aki,
        [
            &unhex("3021 0603551d11 0101ff 0417 3015 8113")[..],
            b"someone@example.com",
        ]
        .concat(),
        [
            &unhex("3024 060a2b0601040183bf300101 0416")[..],
            b"https://issuer.example",
        ]
        .concat(),
        [
            &unhex("3026 060a2b0601040183bf300108 0418 0c16")[..],
            b"https://issuer.example",
        ]
        .concat(),
        unhex("3013 060a2b06010401d679020403 0101ff 0402 0500"),
    ]
    .concat();
    let tbs = parsed.tbs();
    assert!(tbs.ends_with(&expected), "{}", openssl::text(&certificate));

    assert_eq!(parsed.serial(), [0x5a; 20]);
    assert_eq!(parsed.subject(), [0x30, 0]);
    assert_eq!(parsed.issuer(), issuer.subject());
    assert_eq!(parsed.spki(), key.public.spki_der());
    assert_eq!((parsed.not_before(), parsed.not_after()), (at(-5), at(595)));
    // Version 3.
    assert_eq!(&tbs[4..9], [0xa0, 3, 2, 1, 2]);
}

#[test]
fn other_names_have_fulcios_encoding() {
    let hierarchy = Hierarchy::new(Purpose::CodeSigning);
    let unsigned = leaf(&Key::p256(), San::OtherName("foo!example.com".into()));
    let unsigned = unsigned.certificate(&hierarchy.intermediate, &[]).unwrap();
    let expected = [
        &unhex("3021 a01f 060a2b0601040183bf300107 a011 0c0f")[..],
        b"foo!example.com",
    ]
    .concat();
    assert!(
        unsigned
            .tbs()
            .windows(expected.len())
            .any(|window| window == expected)
    );
}

#[test]
fn the_key_identifier_is_the_sha1_of_the_public_keys_bits() {
    let hierarchy = Hierarchy::new(Purpose::CodeSigning);
    let key = Key::p256();
    let certificate = leaf(&key, email())
        .certificate(&hierarchy.intermediate, &[])
        .unwrap();
    let certificate = hierarchy.key.finish(certificate);
    let parsed = Certificate::from_der(&certificate).unwrap();
    let digest = aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY,
        &key.public.spki_der()[26..],
    );
    assert_eq!(
        parsed.subject_key_identifier().unwrap().unwrap(),
        digest.as_ref()
    );
}

#[test]
fn high_extension_numbers_have_several_octets() {
    let hierarchy = Hierarchy::new(Purpose::CodeSigning);
    let mut leaf = leaf(&Key::p256(), email());
    leaf.extensions[1].number = 300;
    let unsigned = leaf.certificate(&hierarchy.intermediate, &[]).unwrap();
    let expected = unhex("060b2b0601040183bf3001822c 0418 0c16");
    assert!(
        unsigned
            .tbs()
            .windows(expected.len())
            .any(|window| window == expected)
    );
}

#[test]
fn what_cannot_be_encoded_is_refused() {
    let hierarchy = Hierarchy::new(Purpose::CodeSigning);
    let key = Key::p256();
    let build = |leaf: pki::leaf::Leaf| leaf.precertificate(&hierarchy.intermediate).map(|_| ());
    for san in [
        San::Email("sömeone@example.com".into()),
        San::Email("a\0b@example.com".into()),
        San::Uri("https://example.com/ä".into()),
        San::Uri(String::new()),
        San::OtherName("a".repeat(5000)),
    ] {
        assert!(matches!(build(leaf(&key, san)), Err(LeafError::Content(_))));
    }
    for number in [0, 7, 1] {
        let mut leaf = leaf(&key, email());
        leaf.extensions[1].number = number;
        assert!(
            matches!(build(leaf), Err(LeafError::Content(_))),
            "{number}"
        );
    }
}

#[test]
fn a_leaf_lives_within_its_issuer() {
    let hierarchy = Hierarchy::new(Purpose::CodeSigning);
    let key = Key::p256();
    let mut late = leaf(&key, email());
    late.not_after = at(4 * YEAR);
    assert!(matches!(
        late.precertificate(&hierarchy.intermediate),
        Err(LeafError::Validity(_))
    ));
    let mut reversed = leaf(&key, email());
    reversed.not_before = at(700);
    assert!(matches!(
        reversed.precertificate(&hierarchy.intermediate),
        Err(LeafError::Validity(_))
    ));

    let mut early = leaf(&key, email());
    early.not_before = at(-7200);
    let certificate = hierarchy
        .key
        .finish(early.precertificate(&hierarchy.intermediate).unwrap());
    assert_eq!(
        Certificate::from_der(&certificate).unwrap().not_before(),
        at(-3600)
    );
}

#[test]
fn a_certificate_that_differs_by_a_byte_does_not_correspond() {
    let hierarchy = Hierarchy::new(Purpose::CodeSigning);
    let (key, log) = (Key::p256(), Key::p256());
    let original = leaf(&key, email());
    let precertificate = hierarchy
        .key
        .finish(original.precertificate(&hierarchy.intermediate).unwrap());
    let sct = sct_for(&log, &hierarchy.intermediate, &precertificate);
    let finish = |leaf: &pki::leaf::Leaf| {
        hierarchy.key.finish(
            leaf.certificate(&hierarchy.intermediate, std::slice::from_ref(&sct))
                .unwrap(),
        )
    };
    let mut other = original.clone();
    other.serial = pki::Serial::from_bytes([0x5b; 20]).unwrap();
    assert!(correspond(&precertificate, &finish(&other)).is_err());
    let mut other = original.clone();
    other.not_after = at(596);
    assert!(correspond(&precertificate, &finish(&other)).is_err());
    let mut other = original.clone();
    other.extensions.swap(0, 1);
    assert!(correspond(&precertificate, &finish(&other)).is_err());
    assert!(correspond(&precertificate, &precertificate).is_err());
    assert!(correspond(&finish(&original), &finish(&original)).is_err());
    assert_eq!(correspond(&precertificate, &finish(&original)), Ok(()));
}

#[test]
fn openssl_reads_the_embedded_sct() {
    let hierarchy = Hierarchy::new(Purpose::CodeSigning);
    let (key, log) = (Key::p256(), Key::p256());
    let leaf = leaf(&key, email());
    let precertificate = hierarchy
        .key
        .finish(leaf.precertificate(&hierarchy.intermediate).unwrap());
    let sct = sct_for(&log, &hierarchy.intermediate, &precertificate);
    let certificate = hierarchy
        .key
        .finish(leaf.certificate(&hierarchy.intermediate, &[sct]).unwrap());
    let text = openssl::text(&certificate);
    assert!(text.contains("CT Precertificate SCTs:"), "{text}");
    assert!(text.contains("Nov 21 00:00:00.123 2026 GMT"), "{text}");
    assert!(text.contains("ecdsa-with-SHA256"), "{text}");
}

#[test]
fn an_sct_list_without_its_inner_octet_string_is_not_read() {
    let hierarchy = Hierarchy::new(Purpose::CodeSigning);
    let (key, log) = (Key::p256(), Key::p256());
    let leaf = leaf(&key, email());
    let precertificate = hierarchy
        .key
        .finish(leaf.precertificate(&hierarchy.intermediate).unwrap());
    let sct = sct_for(&log, &hierarchy.intermediate, &precertificate);
    let list = sct::encode_list(std::slice::from_ref(&sct)).unwrap();
    assert!(sct::parse_extension_value(&list).is_err());
    assert_eq!(
        sct::parse_extension_value(&sct::extension_value(std::slice::from_ref(&sct)).unwrap())
            .unwrap(),
        [sct]
    );
}
