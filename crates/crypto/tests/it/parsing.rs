//! Which encodings are understood, and what is refused.

use aws_lc_rs::rsa::KeySize;
use crypto::{KeyError, KeyKind, PublicKey};
use der::Encode;
use der::asn1::UintRef;

use crate::signers::{EcdsaSigner, RsaSigner, random};

const P256: &str = "3059301306072a8648ce3d020106082a8648ce3d030107034200045898370f6b37debf0a556540788fdda9fa74ca7c5957ad74d5aac5781238447dcb39959f9d54c5fc73f0949f73ed08ba33ce5012cdb8c5d3a548cd9a49c26779";
const P384: &str = "3076301006072a8648ce3d020106052b8104002203620004958a7a19022f49dac59f490cecba9746ba7955e8b2ea18cd456acef1f350c04508848a0df6f51e2016c7465b6d9dbe018f7c5fdb3ec4156d7350dfc6ad92ad371141ce296f81cc6036aec57163ab26b8808bcf9da6f4d0b5543a3a0b437657aa";
const P521: &str = "30819b301006072a8648ce3d020106052b810400230381860004017ac33714ec70c6e20d7a69948392413a08c7ce0496740d4041a6c12550882e41dda0c544e3dc1a610e0a2803363c4e0692a603abdafd8ce5f117bdede1d97271dd00523cb9c36d0976ca8b9695ab2e11ad47abe011a75e8ec1a4f0c250abf9665430e452e9eb00e206cfc94cc1c4f778b54f8af5ba66e87b012f6ad78b36cacda9aeea";
const P224: &str = "304e301006072a8648ce3d020106052b81040021033a0004aa8fd60269aea5f3d5697c6feb40999c3d91efac400bd1d5079132b3c5a3fe38b022d118b15939d76930be20f65af237ad2a5e0f0f75c463";
const SECP256K1: &str = "3056301006072a8648ce3d020106052b8104000a034200043112d3f332e7215982036e6b25eedb5ada12ac22912b17b8763b84b260b4a4bf508f3d24bcce46a4058458c76a85dd069cc4ba2bb5eb707286dcdd822bfa8bd9";
const COMPRESSED: &str = "3039301306072a8648ce3d020106082a8648ce3d03010703220003e89c7d34502da1d23c8dab40c9ed86bea020cd0f9ee5cced086cfaab8b6bb7a8";
const HYBRID: &str = "3059301306072a8648ce3d020106082a8648ce3d0301070342000730682e3cc3431c329a965e43a0175d6a1faef77133bea69772c81a5cfa66d7cd0d8a276a0e8472a10b67de0657ef2364d1c9c8fbb716370170a9cef4a07da12f";
const EXPLICIT: &str = "3082014b3082010306072a8648ce3d02013081f7020101302c06072a8648ce3d0101022100ffffffff00000001000000000000000000000000ffffffffffffffffffffffff305b0420ffffffff00000001000000000000000000000000fffffffffffffffffffffffc04205ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b031500c49d360886e704936a6678e1139d26b7819f7e900441046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5022100ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc63255102010103420004e62c6b2f02248d0b0ec99816eab041692860c6085afdc16b4aa2af5c111d39ba9819a2850a2105d5e406478b9c68792cc73b2a298698ef4f24d3278ee6a74764";
const X25519: &str =
    "302a300506032b656e032100ed198f47fd0d0c5f6d3a5132d818b1e1aeff7f63f7e0c33474af19de9e8b257b";
const P256_PREFIX: &str = "3059301306072a8648ce3d020106082a8648ce3d03010703420004";
const ED25519_PREFIX: &str = "302a300506032b6570032100";

fn unhex(hex: &str) -> Vec<u8> {
    hex::decode(hex).unwrap()
}

/// A PKCS#1 key with an odd modulus of this many bits; nobody knows its factors.
pub(crate) fn rsa_pkcs1(bits: usize) -> Vec<u8> {
    let mut modulus = vec![0; bits.div_ceil(8)];
    aws_lc_rs::rand::fill(&mut modulus).unwrap();
    let top = (bits - 1) % 8;
    modulus[0] = 1 << top | modulus[0] & ((1 << top) - 1);
    *modulus.last_mut().unwrap() |= 1;
    pkcs1(&modulus, &[1, 0, 1])
}

/// A PKCS#1 key of these numbers.
pub(crate) fn pkcs1(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    [
        UintRef::new(modulus).unwrap(),
        UintRef::new(exponent).unwrap(),
    ]
    .to_der()
    .unwrap()
}

fn assert_malformed(der: &[u8]) {
    let result = PublicKey::from_spki_der(der);
    assert!(
        matches!(
            result,
            Err(KeyError::Malformed(_) | KeyError::Unsupported(_))
        ),
        "{} gave {result:?}",
        hex::encode(der)
    );
}

#[test]
fn keys_made_by_openssl_parse_to_their_kind() {
    for (spki, kind) in [
        (P256, KeyKind::EcdsaP256),
        (P384, KeyKind::EcdsaP384),
        (P521, KeyKind::EcdsaP521),
    ] {
        let key = PublicKey::from_spki_der(&unhex(spki)).unwrap();
        assert_eq!(key.kind(), kind);
        assert_eq!(key.spki_der(), unhex(spki));
        assert_eq!(key.key_id(), crypto::sha256(&unhex(spki)));
    }
}

#[test]
fn rsa_keys_parse_from_both_encodings_to_the_same_key() {
    let signer = RsaSigner::generate(KeySize::Rsa2048);
    let key = PublicKey::from_spki_der(&signer.spki()).unwrap();
    assert_eq!(key.kind(), KeyKind::Rsa { bits: 2048 });
    assert_eq!(PublicKey::from_pkcs1_der(&signer.pkcs1()).unwrap(), key);
    let pem = pem::encode(&pem::Pem::new("RSA PUBLIC KEY", signer.pkcs1()));
    assert_eq!(PublicKey::from_pem(&pem).unwrap(), key);
}

#[test]
fn an_ed25519_key_parses_from_spki_and_from_its_bytes() {
    let bytes = *ed25519_dalek::SigningKey::from_bytes(&random())
        .verifying_key()
        .as_bytes();
    let spki = [unhex(ED25519_PREFIX), bytes.to_vec()].concat();
    let key = PublicKey::from_ed25519_bytes(&bytes).unwrap();
    assert_eq!(key.kind(), KeyKind::Ed25519);
    assert_eq!(key.spki_der(), spki);
    assert_eq!(key.ed25519_bytes(), Some(&bytes));
    assert_eq!(PublicKey::from_spki_der(&spki).unwrap(), key);
}

#[test]
fn pem_is_canonical_whatever_the_text_it_came_from() {
    let key = PublicKey::from_spki_der(&unhex(P256)).unwrap();
    let pem = key.to_pem();
    let lines: Vec<_> = pem.split('\n').collect();
    assert_eq!(lines[0], "-----BEGIN PUBLIC KEY-----");
    assert_eq!(lines[1].len(), 64);
    assert_eq!(lines[3], "-----END PUBLIC KEY-----");
    assert_eq!(lines[4..], [""]);

    let body = lines[1..3].concat();
    for text in [
        format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----"),
        pem.replace('\n', "\r\n"),
        format!("\n\n  {pem}  \n"),
        format!("a comment\n{pem}and another\n"),
        pem.replacen("KEY-----\n", "KEY-----\nA-Header: of no account\n\n", 1),
        format!("{pem}-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
    ] {
        assert_eq!(
            PublicKey::from_pem(&text).map(|key| key.to_pem()),
            Ok(pem.clone()),
            "{text}"
        );
    }
}

#[test]
fn pem_that_holds_no_public_key_is_refused() {
    let pem = PublicKey::from_spki_der(&unhex(P256)).unwrap().to_pem();
    for bad in [
        String::new(),
        "MFkwEwYHKoZIzj0CAQ==".to_owned(),
        pem.replace("PUBLIC KEY", "CERTIFICATE"),
        pem.replace("PUBLIC KEY", "RSA PUBLIC KEY"),
        pem.replace("PUBLIC KEY", "PRIVATE KEY"),
        pem.replacen("PUBLIC", "RSA PUBLIC", 1),
        pem.replace("-----END PUBLIC KEY-----", ""),
        pem.replace("MFkw", "MF!w"),
        pem.replace("MFkw", ""),
    ] {
        assert!(PublicKey::from_pem(&bad).is_err(), "{bad}");
    }
}

#[test]
fn kinds_that_must_not_sign_are_named_insecure() {
    for spki in [P224, X25519] {
        let result = PublicKey::from_spki_der(&unhex(spki));
        assert!(matches!(result, Err(KeyError::Insecure(_))), "{result:?}");
    }
    for bits in [512, 1023, 8193, 16384] {
        let result = PublicKey::from_pkcs1_der(&rsa_pkcs1(bits));
        assert!(
            matches!(result, Err(KeyError::Insecure(_))),
            "{bits} bits: {result:?}"
        );
    }
}

#[test]
fn curves_outside_the_nist_set_are_unsupported() {
    for spki in [SECP256K1, EXPLICIT] {
        let result = PublicKey::from_spki_der(&unhex(spki));
        assert!(
            matches!(result, Err(KeyError::Unsupported(_))),
            "{result:?}"
        );
    }
}

#[test]
fn points_must_be_uncompressed_and_on_their_curve() {
    let prefix = unhex(P256_PREFIX);
    // The generator's x with y + 1; zeros; a coordinate not below the field's prime.
    let off_curve = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\
                     4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f6";
    for point in [unhex(off_curve), vec![0; 64], vec![0xff; 64]] {
        assert_malformed(&[&prefix[..], &point].concat());
    }
    for spki in [COMPRESSED, HYBRID] {
        assert_malformed(&unhex(spki));
    }
    // The point at infinity, and a P-256 point under the name of P-384.
    assert_malformed(&unhex(
        "3019301306072a8648ce3d020106082a8648ce3d03010703020000",
    ));
    let renamed = P256.replace(
        "301306072a8648ce3d020106082a8648ce3d030107",
        "301006072a8648ce3d020106052b81040022",
    );
    assert_malformed(&unhex(&renamed.replacen("3059", "3056", 1)));
}

#[test]
fn a_point_of_the_right_length_on_another_curve_is_refused() {
    let prefix = unhex(P256_PREFIX);
    let secp256k1 = unhex(SECP256K1);
    assert_malformed(&[&prefix[..], &secp256k1[secp256k1.len() - 64..]].concat());
}

#[test]
fn an_ed25519_key_must_be_a_point() {
    // y = 2 is not on the curve.
    let mut bytes = [0; 32];
    bytes[0] = 2;
    assert!(PublicKey::from_ed25519_bytes(&bytes).is_err());
    assert_malformed(&[&unhex(ED25519_PREFIX)[..], &bytes].concat());
    // Parameters present.
    let null = "302c300706032b65700500032100ed198f47fd0d0c5f6d3a5132d818b1e1aeff7f63f7e0c33474af19de9e8b257b";
    assert_malformed(&unhex(null));
}

#[test]
fn rsa_numbers_must_make_sense() {
    let modulus = {
        let mut modulus = random::<256>();
        modulus[0] = 0xc1;
        modulus[255] |= 1;
        modulus
    };
    assert!(PublicKey::from_pkcs1_der(&pkcs1(&modulus, &[1, 0, 1])).is_ok());
    assert!(PublicKey::from_pkcs1_der(&pkcs1(&modulus, &[3])).is_ok());
    for exponent in [
        &[0][..],
        &[1],
        &[2],
        &[1, 0, 0],
        &[2, 0, 0, 0, 1],
        &[0xff; 9],
        &modulus,
    ] {
        let result = PublicKey::from_pkcs1_der(&pkcs1(&modulus, exponent));
        assert!(
            matches!(result, Err(KeyError::Malformed(_))),
            "{exponent:?}: {result:?}"
        );
    }
    let mut even = modulus;
    even[255] ^= 1;
    assert!(PublicKey::from_pkcs1_der(&pkcs1(&even, &[1, 0, 1])).is_err());
    // A negative modulus: the same bytes without the leading zero.
    let negative = pkcs1(&modulus, &[1, 0, 1]);
    let body = [&[0x02, 0x82, 0x01, 0x00], &negative[9..]].concat();
    let negative = [&[0x30, 0x82, 0x01, 0x09][..], &body].concat();
    assert!(PublicKey::from_pkcs1_der(&negative).is_err());
    // Three numbers.
    let numbers = [UintRef::new(&modulus).unwrap(); 3];
    assert!(PublicKey::from_pkcs1_der(&numbers.to_der().unwrap()).is_err());
}

#[test]
fn rsa_spki_needs_null_parameters() {
    let spki = RsaSigner::generate(KeySize::Rsa2048).spki();
    assert!(PublicKey::from_spki_der(&spki).is_ok());
    let hex = hex::encode(&spki);
    let without = hex
        .replacen(
            "300d06092a864886f70d0101010500",
            "300b06092a864886f70d010101",
            1,
        )
        .replacen("30820122", "30820120", 1);
    assert_ne!(without, hex);
    assert_malformed(&unhex(&without));
    let pss = hex.replacen("2a864886f70d010101", "2a864886f70d01010a", 1);
    assert!(matches!(
        PublicKey::from_spki_der(&unhex(&pss)),
        Err(KeyError::Unsupported(_))
    ));
}

#[test]
fn trailing_truncated_and_non_canonical_encodings_are_refused() {
    let rsa = RsaSigner::generate(KeySize::Rsa2048);
    let ed25519 = *ed25519_dalek::SigningKey::from_bytes(&random())
        .verifying_key()
        .as_bytes();
    let ed25519 = [unhex(ED25519_PREFIX), ed25519.to_vec()].concat();
    for spki in [unhex(P256), unhex(P384), unhex(P521), rsa.spki(), ed25519] {
        assert!(PublicKey::from_spki_der(&spki).is_ok());
        assert_malformed(&[&spki[..], &[0]].concat());
        assert_malformed(&[&spki[..], &spki[..]].concat());
        for length in 0..spki.len() {
            assert_malformed(&spki[..length]);
        }
    }
    assert!(PublicKey::from_pkcs1_der(&[&rsa.pkcs1()[..], &[0]].concat()).is_err());
    // BER: a long-form length, and unused bits in the bit string.
    assert_malformed(&unhex(&P256.replacen("3059", "308159", 1)));
    assert_malformed(&unhex(&P256.replacen("03420004", "03420104", 1)));
}

#[test]
fn a_changed_byte_never_panics_and_never_gives_an_equal_key() {
    let rsa = RsaSigner::generate(KeySize::Rsa2048).spki();
    for spki in [unhex(P256), unhex(P384), unhex(P521), rsa] {
        let key = PublicKey::from_spki_der(&spki).unwrap();
        for position in 0..spki.len() {
            for bit in 0..8 {
                let mut changed = spki.clone();
                changed[position] ^= 1 << bit;
                assert_ne!(PublicKey::from_spki_der(&changed).as_ref(), Ok(&key));
            }
        }
    }
}

#[test]
fn certificates_give_the_key_that_they_certify() {
    let key = EcdsaSigner::all()[0].public_key();
    for version in ["a003020102", ""] {
        let certificate = certificate(version, key.spki_der());
        assert_eq!(
            PublicKey::from_certificate_der(&certificate),
            Ok(key.clone())
        );
        assert!(PublicKey::from_certificate_der(&[&certificate[..], &[0]].concat()).is_err());
        for length in 0..certificate.len() {
            assert!(PublicKey::from_certificate_der(&certificate[..length]).is_err());
        }
    }
    assert!(PublicKey::from_certificate_der(key.spki_der()).is_err());
}

/// The outline of a certificate: serial 1, one name as issuer and subject, no extensions.
fn certificate(version: &str, spki: &[u8]) -> Vec<u8> {
    let algorithm = unhex("300a06082a8648ce3d040302");
    let name = unhex("300c310a300806035504030c0141");
    let validity = unhex("301e170d3236303130313030303030305a170d3236303130313030313030305a");
    let tbs = sequence(&[
        &unhex(version),
        &unhex("020101"),
        &algorithm,
        &name,
        &validity,
        &name,
        spki,
    ]);
    sequence(&[&tbs, &algorithm, &unhex("030200ff")])
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    match body.len() {
        0..128 => [&[0x30, length[1]], &body[..]].concat(),
        128..256 => [&[0x30, 0x81, length[1]], &body[..]].concat(),
        _ => [&[0x30, 0x82, length[0], length[1]], &body[..]].concat(),
    }
}
