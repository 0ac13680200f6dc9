use pki::authority::{Issuer, Purpose, Role, prepare};
use pki::chain::{Chain, ChainError};
use pki::leaf::San;

use crate::support::{Hierarchy, Key, YEAR, at, der, leaf, template, unhex};

fn reason(result: Result<(), ChainError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn a_chain_survives_pem_and_the_text_around_it() {
    let hierarchy = Hierarchy::new(Purpose::CodeSigning);
    let chain = Chain::from_der(hierarchy.chain()).unwrap();
    let pem = format!(
        "subject=intermediate\n{}\r\n# root\n{}",
        chain.to_pem()[0],
        chain.to_pem()[1]
    );
    assert_eq!(Chain::from_pem(&pem).unwrap(), chain);
    assert_eq!(chain.first(), hierarchy.intermediate);
    assert_eq!(chain.root(), hierarchy.root);
    assert_eq!(chain.public_key(), &hierarchy.key.public);
    assert_eq!(chain.validity(), (at(-3600), at(3 * YEAR)));
    assert_eq!(chain.len(), 2);
}

#[test]
fn pem_that_is_not_a_chain_is_refused() {
    let hierarchy = Hierarchy::new(Purpose::CodeSigning);
    let root = pki::chain::certificate_to_pem(&hierarchy.root);
    let cases = [
        String::new(),
        "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n".into(),
        "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n".into(),
        root.replace("-----END CERTIFICATE-----", ""),
        format!("{root}-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"),
        root.repeat(11),
        root.replacen('M', "N", 2),
    ];
    for case in cases {
        assert!(Chain::from_pem(&case).is_err(), "{case}");
    }
}

#[test]
fn a_chain_out_of_order_or_of_strangers_is_refused() {
    let hierarchy = Hierarchy::new(Purpose::CodeSigning);
    let stranger = Hierarchy::new(Purpose::CodeSigning);
    assert!(Chain::from_der(vec![hierarchy.root.clone(), hierarchy.intermediate.clone()]).is_err());
    // The same names, other keys.
    assert!(Chain::from_der(vec![hierarchy.intermediate.clone(), stranger.root]).is_err());
}

#[test]
fn a_certificate_authority_passes_its_checks() {
    let hierarchy = Hierarchy::new(Purpose::CodeSigning);
    let chain = Chain::from_der(hierarchy.chain()).unwrap();
    assert_eq!(
        chain.check_certificate_authority(&hierarchy.key.public, at(0)),
        Ok(())
    );
    let root = Chain::from_der(vec![hierarchy.root]).unwrap();
    assert_eq!(
        root.check_certificate_authority(&hierarchy.root_key.public, at(0)),
        Ok(())
    );
}

#[test]
fn a_certificate_authority_that_clients_would_refuse_is_refused_at_start() {
    let hierarchy = Hierarchy::new(Purpose::CodeSigning);
    let chain = Chain::from_der(hierarchy.chain()).unwrap();
    let key = &hierarchy.key.public;
    assert!(
        reason(chain.check_certificate_authority(&Key::p256().public, at(0)))
            .contains("another key")
    );
    assert!(reason(chain.check_certificate_authority(key, at(4 * YEAR))).contains("expired"));
    assert!(reason(chain.check_certificate_authority(key, at(-7200))).contains("not valid yet"));

    let timestamping = Hierarchy::new(Purpose::TimeStamping);
    let chain = Chain::from_der(timestamping.chain()).unwrap();
    let refused = reason(chain.check_certificate_authority(&timestamping.key.public, at(0)));
    assert!(refused.contains("extended key usage"), "{refused}");

    // A leaf in the place of the issuer.
    let leaf_key = Key::p256();
    let leaf = leaf(&leaf_key, San::Email("a@example.com".into()));
    let leaf = hierarchy
        .key
        .finish(leaf.certificate(&hierarchy.intermediate, &[]).unwrap());
    let chain = Chain::from_der([vec![leaf], hierarchy.chain()].concat()).unwrap();
    let refused = reason(chain.check_certificate_authority(&leaf_key.public, at(0)));
    assert!(refused.contains("not a certificate authority"), "{refused}");
}

fn timestamp_chain(hierarchy: &Hierarchy, key: &Key) -> Vec<Vec<u8>> {
    let template = template(Role::TimestampLeaf, "timestamp", 1);
    let unsigned = prepare(
        &template,
        &key.public,
        Issuer::Certificate(&hierarchy.intermediate),
    )
    .unwrap();
    [vec![hierarchy.key.finish(unsigned)], hierarchy.chain()].concat()
}

#[test]
fn a_timestamp_authority_passes_its_checks() {
    let hierarchy = Hierarchy::new(Purpose::TimeStamping);
    let key = Key::p256();
    let chain = Chain::from_der(timestamp_chain(&hierarchy, &key)).unwrap();
    assert_eq!(
        chain.check_timestamp_authority(&key.public, at(0), true),
        Ok(())
    );
}

#[test]
fn a_timestamp_authority_that_clients_would_refuse_is_refused_at_start() {
    let hierarchy = Hierarchy::new(Purpose::TimeStamping);
    let key = Key::p256();
    let certificates = timestamp_chain(&hierarchy, &key);
    let chain = Chain::from_der(certificates.clone()).unwrap();
    assert!(
        reason(chain.check_timestamp_authority(&Key::p256().public, at(0), true))
            .contains("another key")
    );
    assert!(
        reason(chain.check_timestamp_authority(&key.public, at(2 * YEAR), true))
            .contains("expired")
    );

    let alone = Chain::from_der(vec![certificates[0].clone()]).unwrap();
    assert!(
        reason(alone.check_timestamp_authority(&key.public, at(0), true)).contains("at least one")
    );

    // The intermediate itself in the place of the leaf.
    let ca = Chain::from_der(hierarchy.chain()).unwrap();
    let refused = reason(ca.check_timestamp_authority(&hierarchy.key.public, at(0), true));
    assert!(refused.contains("cannot sign timestamps"), "{refused}");

    // The usage is not critical, is another, or is not alone: the same length, the leaf re-signed.
    for (from, to, expected) in [
        ("0603551d25 0101ff", "0603551d25 010100", "not critical"),
        (
            "0101ff 040c 300a 06082b06010505070308",
            "0101ff 040c 300a 06082b06010505070303",
            "nothing else",
        ),
        (
            "0101ff 040c 300a 06082b06010505070308",
            "0101ff 040c 300a 0602 2b06 0604 05050708",
            "nothing else",
        ),
    ] {
        let (from, to) = (unhex(from), unhex(to));
        let tbs = pki::certificate::Certificate::from_der(&certificates[0])
            .unwrap()
            .tbs()
            .to_vec();
        let at_ = tbs
            .windows(from.len())
            .position(|window| window == from)
            .unwrap();
        let tbs = [&tbs[..at_], &to, &tbs[at_ + from.len()..]].concat();
        let leaf = resigned(&hierarchy.key, &tbs);
        let chain = Chain::from_der([vec![leaf], hierarchy.chain()].concat()).unwrap();
        let refused = reason(chain.check_timestamp_authority(&key.public, at(0), true));
        assert!(refused.contains(expected), "{refused}");
    }
}

/// A certificate with this TBSCertificate, signed with ECDSA and SHA-256.
fn resigned(key: &Key, tbs: &[u8]) -> Vec<u8> {
    let signature = der(0x03, &[&[0], &key.sign(tbs)[..]].concat());
    der(
        0x30,
        &[tbs, &unhex("300a06082a8648ce3d040302"), &signature].concat(),
    )
}
