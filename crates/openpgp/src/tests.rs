//! Keys and signatures that GnuPG made, and what Rekor's own code makes of them.

use std::time::{Duration, Instant};

use super::*;

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../fixtures/", $name)).as_slice()
    };
}

fn keys(bytes: &[u8]) -> Keyring {
    Keyring::parse(bytes).unwrap()
}

fn verify(keyring: &[u8], signature: &[u8], data: &[u8]) -> Result<(), Error> {
    DetachedSignature::parse(signature)?.verify(&Keyring::parse(keyring)?, data)
}

/// SHA-256 of the canonical form, in hexadecimal digits.
fn fingerprint(keyring: &Keyring) -> String {
    let digest = digest(8, &[keyring.canonical()]).unwrap();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn canonical_keys_are_those_of_rekor_byte_for_byte() {
    for (key, expected, emails) in [
        (
            fixture!("rsa.pub"),
            "f5983f454a15158d6aed8a9fb5c338b7e630556adb358945d62de752dd0fede8",
            &["Rsa@Example.org"][..],
        ),
        (
            fixture!("ed25519.pub"),
            "b761e8b2db6cf1c157a6e8cf4f46b7118e614bb9a33ffa79584b75d2e0e76515",
            &["ed25519@example.org"],
        ),
        (
            fixture!("ed25519.gpg"),
            "b761e8b2db6cf1c157a6e8cf4f46b7118e614bb9a33ffa79584b75d2e0e76515",
            &["ed25519@example.org"],
        ),
        (
            fixture!("p256.pub"),
            "faad90031ec8975e34092bfe7b9ad7e9de85ebd0ca89c9ef3f832532c1193f22",
            &["p256@example.org"],
        ),
        (
            fixture!("dsa.pub"),
            "222244fea5b7bc25234278d8b1f02acf95561402f78caf8c653b119369ae39f4",
            &["dsa@example.org"],
        ),
        // A direct-key signature, a photo, a certification that is not for export, a revoked
        // subkey and one of an unusual curve.
        (
            fixture!("odd.pub"),
            "58932d38c3a2e983cdf795a6479c4f50ddb909ba2b4eb6aee76d63c136f296d1",
            &["odd@example.org"],
        ),
        (
            fixture!("revoked.pub"),
            "9ea560ab7a3e12afc5ab70acc98abdab6b42030b6c217a3a62fc354442a7e2bd",
            &["revoked@example.org"],
        ),
        // Two blocks.
        (
            fixture!("two.pub"),
            "037d1c1dd53d99532f0685c3a1fe6a8a1ebb4694c013ad648816b7b8bf87ccb9",
            &["Rsa@Example.org", "p256@example.org"],
        ),
    ] {
        let parsed = keys(key);
        assert_eq!(fingerprint(&parsed), expected, "{emails:?}");
        assert_eq!(parsed.emails(), emails);
        assert!(!parsed.canonical().ends_with(b"\n"));
        // What is canonical stays as it is.
        assert_eq!(keys(parsed.canonical()).canonical(), parsed.canonical());
    }
}

#[test]
fn user_ids_stay_in_their_order_which_is_one_of_those_of_rekor() {
    let parsed = keys(fixture!("zoe.pub"));
    assert_eq!(
        fingerprint(&parsed),
        "b07f71a1d9bcb042866849556be93bd4e34a27ed2e27f5e3ac217d9babc387c0"
    );
    assert_eq!(
        parsed.emails(),
        ["zoe@corp.example", "zoe@example.org", "gone@example.org"]
    );
}

#[test]
fn signatures_of_every_algorithm_and_form_are_verified() {
    for (key, signature) in [
        (fixture!("rsa.pub"), fixture!("rsa.asc")),
        (fixture!("ed25519.pub"), fixture!("ed25519.asc")),
        (fixture!("ed25519.gpg"), fixture!("ed25519.sig")),
        (fixture!("ed25519.pub"), fixture!("text.sig")),
        (fixture!("rsa.pub"), fixture!("sha1.sig")),
        (fixture!("p256.pub"), fixture!("p256.asc")),
        (fixture!("dsa.pub"), fixture!("dsa.asc")),
        (fixture!("odd.pub"), fixture!("odd.asc")),
        (fixture!("zoe.pub"), fixture!("zoe.asc")),
        (fixture!("two.pub"), fixture!("p256.asc")),
        (fixture!("two.pub"), fixture!("rsa.asc")),
    ] {
        verify(key, signature, b"hello\n").unwrap();
        assert!(matches!(
            verify(key, signature, b"hullo\n"),
            Err(Error::BadSignature(_))
        ));
    }
    verify(fixture!("ed25519.pub"), fixture!("text.sig"), b"hello\r\n").unwrap();
    assert!(
        verify(
            fixture!("ed25519.pub"),
            fixture!("ed25519.sig"),
            b"hello\r\n"
        )
        .is_err()
    );
    assert_eq!(
        verify(fixture!("rsa.pub"), fixture!("p256.asc"), b"hello\n"),
        Err(Error::UnknownIssuer)
    );
}

#[test]
fn keys_are_judged_at_the_time_of_the_signature() {
    let signed = |key, signature| verify(key, signature, b"hello\n");
    // The key lived for a day, and the signature is of that day.
    signed(fixture!("expired.pub"), fixture!("expired.asc")).unwrap();
    // Superseded after the first signature and before the second.
    signed(fixture!("revoked.pub"), fixture!("revoked.asc")).unwrap();
    assert_eq!(
        signed(fixture!("revoked.pub"), fixture!("revoked-after.asc")),
        Err(Error::Revoked)
    );
    // A compromised key may have been compromised at any time.
    assert_eq!(
        signed(fixture!("compromised.pub"), fixture!("revoked.asc")),
        Err(Error::Revoked)
    );
}

#[test]
fn armoured_signatures_are_kept_and_binary_ones_armoured() {
    let armoured = DetachedSignature::parse(fixture!("ed25519.asc")).unwrap();
    assert_eq!(armoured.canonical(), fixture!("ed25519.asc"));
    let binary = DetachedSignature::parse(fixture!("ed25519.sig")).unwrap();
    assert!(
        binary
            .canonical()
            .starts_with(b"-----BEGIN PGP SIGNATURE-----\n\n")
    );
    assert!(
        binary
            .canonical()
            .ends_with(b"\n-----END PGP SIGNATURE-----")
    );
    let again = DetachedSignature::parse(binary.canonical()).unwrap();
    assert_eq!(again.canonical(), binary.canonical());
}

#[test]
fn what_is_neither_key_nor_signature_is_refused() {
    assert_eq!(
        Keyring::parse(fixture!("ed25519.secret")).unwrap_err(),
        Error::Private
    );
    assert_eq!(Keyring::parse(b"").unwrap_err(), Error::NoKey);
    assert_eq!(
        Keyring::parse(b"-----BEGIN PGP nothing").unwrap_err(),
        Error::NoKey
    );
    assert_eq!(
        Keyring::parse(fixture!("ed25519.asc")).unwrap_err(),
        Error::Type("PGP PUBLIC KEY BLOCK")
    );
    assert!(Keyring::parse(b"hello").is_err());
    assert_eq!(
        DetachedSignature::parse(fixture!("ed25519.pub")).unwrap_err(),
        Error::Type("PGP SIGNATURE")
    );
    assert_eq!(
        DetachedSignature::parse(fixture!("ed25519.gpg")).unwrap_err(),
        Error::NoSignature
    );
    assert_eq!(
        DetachedSignature::parse(b"").unwrap_err(),
        Error::NoSignature
    );
    assert_eq!(
        SignaturePacket::parse(&fixture!("ed25519.sig").repeat(2)).unwrap_err(),
        Error::Trailing
    );
    let mut old = fixture!("ed25519.sig").to_vec();
    old[2] = 3;
    assert_eq!(
        DetachedSignature::parse(&old).unwrap_err(),
        Error::Unsupported("signature packet version 3".to_owned())
    );
}

#[test]
fn a_certificate_with_a_bit_changed_is_refused_or_another() {
    let whole = fixture!("ed25519.gpg");
    let same = keys(whole);
    let mut refused = 0;
    for at in 0..whole.len() {
        let mut changed = whole.to_vec();
        changed[at] ^= 1;
        match Keyring::parse(&changed) {
            Err(_) => refused += 1,
            // Unhashed subpackets are not covered by any signature.
            Ok(changed) => assert_ne!(changed.canonical(), same.canonical(), "{at}"),
        }
    }
    assert!(
        refused > whole.len() * 3 / 4,
        "{refused} of {}",
        whole.len()
    );
}

#[test]
fn cleartext_messages_are_verified_without_dashes_and_trailing_blanks() {
    let message = Cleartext::parse(fixture!("dash.txt.asc")).unwrap();
    assert_eq!(message.text(), b"- dash\nFrom x\n\n--- more\nlast");
    message.verify(&keys(fixture!("p256.pub"))).unwrap();
    assert_eq!(
        message.verify(&keys(fixture!("rsa.pub"))),
        Err(Error::UnknownIssuer)
    );
    let text = String::from_utf8(fixture!("dash.txt.asc").to_vec()).unwrap();
    let windows = text.replace('\n', "\r\n");
    let windows = Cleartext::parse(windows.as_bytes()).unwrap();
    windows.verify(&keys(fixture!("p256.pub"))).unwrap();
    assert_eq!(
        windows.signature().canonical(),
        message.signature().canonical()
    );
    let changed = text.replace("From x", "From y");
    assert!(matches!(
        Cleartext::parse(changed.as_bytes())
            .unwrap()
            .verify(&keys(fixture!("p256.pub"))),
        Err(Error::BadSignature(_))
    ));
    for (from, to) in [
        ("-----BEGIN PGP SIGNED MESSAGE-----", "text"),
        ("Hash: SHA256", "Comment: x"),
        ("-----BEGIN PGP SIGNATURE-----", "text"),
        ("-----END PGP SIGNATURE-----", "text"),
    ] {
        assert!(
            Cleartext::parse(text.replace(from, to).as_bytes()).is_err(),
            "{from}"
        );
    }
}

/// Must be answered in a time that does not grow with the square of the input.
fn quickly<T>(work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let done = work();
    assert!(started.elapsed() < Duration::from_secs(5));
    done
}

#[test]
fn packets_lines_and_signatures_without_end_are_refused_in_time() {
    let primary = &fixture!("ed25519.gpg")[..53];
    let user = &fixture!("ed25519.gpg")[53..220];
    let subkey = &fixture!("ed25519.gpg")[220..];
    let too_much = |bytes: &[u8]| {
        let error = quickly(|| Keyring::parse(bytes).unwrap_err());
        assert!(matches!(error, Error::TooMuch(..)), "{error}");
    };
    too_much(&vec![b'x'; 600 << 10]);
    too_much(&[primary, &[0xcd, 0].repeat(100_000)].concat());
    too_much(&[primary, &user.repeat(600)].concat());
    too_much(&[primary, user, &subkey.repeat(200)].concat());
    too_much(&fixture!("ed25519.pub").repeat(100));
    too_much(&fixture!("ed25519.gpg").repeat(100));
    let lines = ["-----BEGIN PGP", "\n"].concat().repeat(30_000);
    assert!(quickly(|| Keyring::parse(lines.as_bytes())).is_err());
    let texts = ["x\n", "a: b\n", "-----\n", "\n", "===="].map(|line| line.repeat(20_000));
    for text in &texts {
        for before in ["", "a: b\n\n", "\n"] {
            let text = format!(
                "-----BEGIN PGP SIGNATURE-----\n{before}{text}-----END PGP SIGNATURE-----\n"
            );
            let error = quickly(|| DetachedSignature::parse(text.as_bytes()).unwrap_err());
            assert!(error.to_string().len() < 300, "{before}{}", &text[..40]);
        }
    }
    assert!(matches!(
        DetachedSignature::parse(&fixture!("ed25519.sig").repeat(33)),
        Err(Error::TooMuch("PGP signatures", 32))
    ));
    let long = format!(
        "-----BEGIN PGP SIGNED MESSAGE-----\n\n{}",
        "\n".repeat(900_000)
    );
    assert!(quickly(|| Cleartext::parse(long.as_bytes())).is_err());
}

#[test]
fn nothing_is_decompressed() {
    // A compressed data packet of 8 MiB of zeros, before and after a key, and as a signature.
    let mut bomb = vec![0xc8, 0xff, 0, 0, 0, 15, 1];
    bomb.extend_from_slice(b"\xed\xc1\x01\x01\0\0\0\x80\x90\xfe\xaf\xee\x08\x0a");
    let key = fixture!("ed25519.gpg");
    assert_eq!(
        keys(&[key, &bomb].concat()).canonical(),
        keys(key).canonical()
    );
    assert_eq!(
        keys(&[bomb.as_slice(), key].concat()).canonical(),
        keys(key).canonical()
    );
    assert_eq!(
        DetachedSignature::parse(&bomb).unwrap_err(),
        Error::NoSignature
    );
}

#[test]
fn keys_that_are_too_weak_or_too_long_are_refused() {
    let size = |algorithm: u8, bits: u16| {
        let mut body = vec![4, 0, 0, 0, 1, algorithm];
        body.extend(bits.to_be_bytes());
        body.extend(vec![0xff; usize::from(bits).div_ceil(8)]);
        body.extend([0, 17, 1, 0, 1]);
        let mut packet = vec![0xc6, 0xff];
        packet.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
        Keyring::parse(&[packet, body].concat()).unwrap_err()
    };
    let refused = |bits, what: &str| Error::Unsupported(format!("{what} key of {bits} bits"));
    assert_eq!(size(1, 512), refused(512, "RSA"));
    assert_eq!(size(1, 16_384), refused(16_384, "RSA"));
    assert_eq!(size(17, 768), refused(768, "DSA"));
    assert_eq!(size(17, 65_535), refused(65_535, "DSA"));
}
