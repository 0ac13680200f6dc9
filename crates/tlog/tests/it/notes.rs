//! Signed notes.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use crypto::PublicKey;
use tlog::checkpoint::Checkpoint;
use tlog::note::{
    Note, Signature, VerifierKey, VerifierKeyError, VerifyError, ed25519_key_id, rsa_key_id,
    spki_key_hint,
};

const NAME: &str = "log2026-1.rekor.example.com";
const VKEY: &str =
    "log2026-1.rekor.example.com+06fb759a+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4";
const NOTE: &str = "log2026-1.rekor.example.com\n1\ng8R+Lr+GQEeuFuW2CaP6alhf/qZcBhLk5cJ4WCnlhoI=\n\n\u{2014} log2026-1.rekor.example.com Bvt1mkKTXrjriWZMvK6iiH5/0eGht1TBogF2FPDH2tMl6Y4Lij2qGEJiVdtQdnRWOWLamMEcYAB7Cept/RGhgL4BRQ0=\n";
/// Base64 of the log id.
const LOG_ID: &str = "06fb759a30e9736d4a28697bd7c7b8e4ffbc70b07006a162007567f73dedcf47";

/// Ed25519 with seed 00..1f.
fn log_key() -> Ed25519KeyPair {
    let seed: Vec<u8> = (0..32).collect();
    Ed25519KeyPair::from_seed_unchecked(&seed).unwrap()
}

fn other_key(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn verifier(name: &str, key: &Ed25519KeyPair) -> VerifierKey {
    let bytes: [u8; 32] = key.public_key().as_ref().try_into().unwrap();
    VerifierKey::new(name, PublicKey::from_ed25519_bytes(&bytes).unwrap()).unwrap()
}

fn sign(name: &str, key: &Ed25519KeyPair, text: &str) -> Signature {
    Signature {
        name: name.to_owned(),
        key_hint: verifier(name, key).hint(),
        signature: key.sign(text.as_bytes()).as_ref().to_vec(),
    }
}

#[test]
fn the_worked_example_is_parsed_verified_and_printed() {
    let note = Note::parse(NOTE).unwrap();
    assert_eq!(note.print(), NOTE);
    let key = VerifierKey::parse(VKEY).unwrap();
    assert_eq!(key.name(), NAME);
    assert_eq!(hex::encode(key.id()), LOG_ID);
    assert_eq!(key.to_string(), VKEY);
    assert_eq!(key, verifier(NAME, &log_key()));
    assert_eq!(note.verify(std::slice::from_ref(&key)), Ok(vec![&key]));

    let checkpoint = Checkpoint::parse(&note.text).unwrap();
    assert_eq!((checkpoint.origin.as_str(), checkpoint.size), (NAME, 1));
    let text = checkpoint.text();
    let signed = Note {
        signatures: vec![sign(NAME, &log_key(), &text)],
        text,
    };
    assert_eq!(signed.print(), NOTE);
}

#[test]
fn key_ids_of_public_logs() {
    let pem = "-----BEGIN PUBLIC KEY-----\n\
               MCowBQYDK2VwAyEAt8rlp1knGwjfbcXAYPYAkn0XiLz1x8O4t0YkEhie244=\n\
               -----END PUBLIC KEY-----\n";
    let key = PublicKey::from_pem(pem).unwrap();
    let name = "log2025-1.rekor.sigstore.dev";
    // Base64: zxGZFVvd0FEmjR8WrFwMdcAJ9vtaY/QXf44Y1wUeP6A=
    let id = "cf1199155bddd051268d1f16ac5c0c75c009f6fb5a63f4177f8e18d7051e3fa0";
    assert_eq!(
        hex::encode(ed25519_key_id(name, key.ed25519_bytes().unwrap())),
        id
    );
    assert_eq!(hex::encode(VerifierKey::new(name, key).unwrap().id()), id);
}

#[test]
fn an_ecdsa_log_key_has_the_same_id_under_every_name() {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let spki = AsDer::as_der(pair.public_key()).unwrap();
    let key = PublicKey::from_spki_der(spki.as_ref()).unwrap();
    let text = "rekor.example - 1\n0\nroot\n";
    let signature = pair.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
    for name in ["rekor.example", "another.example"] {
        let verifier = VerifierKey::new(name, key.clone()).unwrap();
        assert_eq!(verifier.id(), key.key_id());
        assert_eq!(verifier.hint(), spki_key_hint(key.spki_der()));
        assert_eq!(
            VerifierKey::parse(&verifier.to_string()),
            Ok(verifier.clone())
        );
        let line = Signature {
            name: name.to_owned(),
            key_hint: spki_key_hint(key.spki_der()),
            signature: signature.as_ref().to_vec(),
        };
        let note = Note {
            text: text.to_owned(),
            signatures: vec![line],
        };
        let note = Note::parse(&note.print()).unwrap();
        assert_eq!(
            note.verify(std::slice::from_ref(&verifier)),
            Ok(vec![&verifier])
        );
    }
}

#[test]
fn an_rsa_key_verifies_notes() {
    let pair = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let key = PublicKey::from_pkcs1_der(pair.public_key().as_ref()).unwrap();
    let verifier = VerifierKey::new(NAME, key.clone()).unwrap();
    assert_eq!(verifier.id(), rsa_key_id(NAME, key.spki_der()));
    assert_eq!(
        VerifierKey::parse(&verifier.to_string()),
        Ok(verifier.clone())
    );
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        b"text\n",
        &mut signature,
    )
    .unwrap();
    assert!(verifier.verify("text\n", &signature));
    assert!(!verifier.verify("tex\n", &signature));
}

#[test]
fn a_line_of_an_unknown_key_is_ignored() {
    let mut note = Note::parse(NOTE).unwrap();
    note.signatures
        .insert(0, sign("unknown.example", &other_key(1), &note.text));
    let key = VerifierKey::parse(VKEY).unwrap();
    let note = Note::parse(&note.print()).unwrap();
    assert_eq!(note.verify(std::slice::from_ref(&key)), Ok(vec![&key]));
}

#[test]
fn an_invalid_line_of_a_known_key_spoils_the_note() {
    let witness = other_key(1);
    let known = [
        VerifierKey::parse(VKEY).unwrap(),
        verifier("witness.example", &witness),
    ];
    for spoiled in 0..2 {
        let mut note = Note::parse(NOTE).unwrap();
        note.signatures
            .push(sign("witness.example", &witness, &note.text));
        assert_eq!(note.verify(&known).map(|keys| keys.len()), Ok(2));
        note.signatures[spoiled].signature[7] ^= 1;
        let name = note.signatures[spoiled].name.clone();
        assert_eq!(note.verify(&known), Err(VerifyError::Invalid(name)));
    }
}

#[test]
fn a_line_with_the_right_hint_under_another_name_is_unverified() {
    let known = [VerifierKey::parse(VKEY).unwrap()];
    let mut note = Note::parse(NOTE).unwrap();
    note.signatures[0].name = "another.example".to_owned();
    assert_eq!(note.verify(&known), Err(VerifyError::Unverified));
    let mut note = Note::parse(NOTE).unwrap();
    note.signatures[0].key_hint[0] ^= 1;
    assert_eq!(note.verify(&known), Err(VerifyError::Unverified));
    assert_eq!(
        Note::parse(NOTE).unwrap().verify(&[]),
        Err(VerifyError::Unverified)
    );
}

#[test]
fn a_changed_text_does_not_verify() {
    let known = [VerifierKey::parse(VKEY).unwrap()];
    let note = Note::parse(&NOTE.replacen("\n1\n", "\n2\n", 1)).unwrap();
    assert_eq!(
        note.verify(&known),
        Err(VerifyError::Invalid(NAME.to_owned()))
    );
}

#[test]
fn repeated_lines_of_one_key_count_once() {
    let key = VerifierKey::parse(VKEY).unwrap();
    let mut note = Note::parse(NOTE).unwrap();
    note.signatures.push(note.signatures[0].clone());
    assert_eq!(note.verify(std::slice::from_ref(&key)), Ok(vec![&key]));
}

#[test]
fn one_hundred_signatures_parse_and_no_more() {
    let mut note = Note::parse(NOTE).unwrap();
    let key = VerifierKey::parse(VKEY).unwrap();
    for count in [16, 100, 101] {
        while note.signatures.len() < count {
            let other = other_key(u8::try_from(note.signatures.len()).unwrap());
            note.signatures
                .insert(0, sign("witness.example", &other, &note.text));
        }
        let parsed = Note::parse(&note.print());
        assert_eq!(parsed.is_ok(), count <= 100, "{count} signatures");
        if let Ok(parsed) = parsed {
            assert_eq!(parsed.verify(std::slice::from_ref(&key)), Ok(vec![&key]));
        }
    }
}

#[test]
fn the_last_blank_line_ends_the_text() {
    let text = "origin\n\nmore\n\n\n";
    let note = Note {
        signatures: vec![sign(NAME, &log_key(), text)],
        text: text.to_owned(),
    };
    let parsed = Note::parse(&note.print()).unwrap();
    assert_eq!(parsed, note);
    assert!(parsed.verify(&[VerifierKey::parse(VKEY).unwrap()]).is_ok());
}

#[test]
fn malformed_notes_are_refused() {
    let (text, line) = NOTE.split_once("\n\n").unwrap();
    let line = line.trim_end();
    let with = |line: &str| format!("{text}\n\n{line}\n");
    assert!(Note::parse(&with(line)).is_ok());
    for bad in [
        String::new(),
        "\n\n".to_owned(),
        format!("{text}\n"),
        format!("{text}\n\n"),
        format!("{text}\n{line}\n"),
        NOTE.trim_end().to_owned(),
        format!("{NOTE}\n"),
        format!("{NOTE} "),
        NOTE.replace('\n', "\r\n"),
        NOTE.replacen('\n', "\r\n", 1),
        NOTE.replacen("log", "l\0g", 1),
        NOTE.replacen("log", "l\tg", 1),
        NOTE.replacen("log", "l\u{1b}g", 1),
        with(&line.replacen('\u{2014}', "-", 1)),
        with(&line.replacen("\u{2014} ", "\u{2014}", 1)),
        with(&line.replacen("\u{2014} ", "\u{2014}  ", 1)),
        with(&line.replacen(NAME, "", 1)),
        with(&line.replacen(NAME, "a+b", 1)),
        with(&line.replacen(NAME, "a\u{a0}b", 1)),
        with(&line.replacen(NAME, "a b", 1)),
        with(&format!("\u{2014} {NAME}")),
        with(&format!("\u{2014} {NAME} ")),
        with(&format!("\u{2014} {NAME} Bvt1mg==")),
        with(&format!("\u{2014} {NAME} Bvt1mkI")),
        with(&format!("\u{2014} {NAME} !!!!")),
        with(&format!("{line}\nrubbish")),
        with(&format!("{line}\n\n{text}")),
        format!("{}{NOTE}", "a".repeat(1 << 20)),
    ] {
        assert!(Note::parse(&bad).is_err(), "{}", &bad[..bad.len().min(400)]);
    }
}

#[test]
fn malformed_vkeys_are_refused() {
    let ecdsa = "3059301306072a8648ce3d020106082a8648ce3d030107034200046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
    let ecdsa = PublicKey::from_spki_der(&hex::decode(ecdsa).unwrap()).unwrap();
    let ecdsa = VerifierKey::new("a", ecdsa).unwrap().to_string();
    assert!(VerifierKey::parse(&ecdsa).is_ok());
    for (bad, error) in [
        (
            VKEY.replacen("+06fb759a+", "+06fb759b+", 1),
            VerifierKeyError::Hint,
        ),
        (
            VKEY.replacen("+06fb759a+", "+06FB759A+", 1),
            VerifierKeyError::Hint,
        ),
        (
            VKEY.replacen("+06fb759a+", "+6fb759a+", 1),
            VerifierKeyError::Hint,
        ),
        (
            VKEY.replacen("log2026", "log2027", 1),
            VerifierKeyError::Hint,
        ),
        (
            VKEY.replacen("log2026", "log 2026", 1),
            VerifierKeyError::Name,
        ),
        (VKEY.replacen(NAME, "", 1), VerifierKeyError::Name),
        (VKEY.replacen("+AQO", "+CQO", 1), VerifierKeyError::Type),
        (VKEY.replacen("+AQO", "+/wO", 1), VerifierKeyError::Type),
        (VKEY.replacen("+AQO", "+", 1), VerifierKeyError::Malformed),
        (
            VKEY.replacen("VTG4", "VTG4AAAA", 1),
            VerifierKeyError::Malformed,
        ),
        (format!("{NAME}+06fb759a+"), VerifierKeyError::Malformed),
        (format!("{NAME}+06fb759a"), VerifierKeyError::Malformed),
        (String::new(), VerifierKeyError::Malformed),
    ] {
        assert_eq!(VerifierKey::parse(&bad), Err(error), "{bad}");
    }
}
