//! Entries of kind `hashedrekord`.

use crate::keys::{Key, authority, certify};
use crate::on_every_store;
use crate::stack::{Stack, b64, hashedrekord, header, refusal, signed_artifact};
use base64::Engine as _;
use serde_json::{Value, json};

const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
const SIGNATURE: &str = "MEYCIQDXj0vuWTRJPrVfnDtC0QBgi4cmgf9nO5ir7Ro6F4rS8wIhANyctCb34GOUtRUK5Dpu0WCN0671iLa+bexkoLXAcHuI";
const PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
    MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n\
    6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n\
    -----END PUBLIC KEY-----\n";

/// 1024 bits, and a PKCS #1 v1.5 signature over `hello` with it.
const RSA_1024: &str = "-----BEGIN PUBLIC KEY-----\n\
    MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDICN1ouyex7zclpgz7Desdww7j\n\
    av6gTpC/MpBldH1WfEeO77JvMoVvX762K4FzS+lukpkj0VTMmJfp6rb3SdJ07oPC\n\
    pgCxpiXoRcX6g6zJkjqS2d/+CnJDe/kZlZtzADoNEn7Ku21QpsRZcaVxFqDTFadz\n\
    Ctykm189Z1U4PceuJwIDAQAB\n\
    -----END PUBLIC KEY-----\n";
const RSA_1024_SIGNATURE: &str = "wlNqy5q2G0F88GMG6AIB7dDbnSJeS/KqknQ82BkIrIJK/4eCgG53SKqVOXk9R7zNqgET+tYE9vYMoWj5Y8A6E8Vootn5HIozX7DSz3BJgOU+FC8gD9dsjczL6cdCduCJDA2W5IIs9QgewYGNUYxnS2SK2OrXorTAvqkjlVYgxt4=";

/// P-384, and a signature over SHA-256 of `hello` with it.
const P384: &str = "-----BEGIN PUBLIC KEY-----\n\
    MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE9nH8Q41ni2ILqww13YUf8A8xBjuLqhAD\n\
    7++GlTSRxQdvfaHpZZIzQVsgvQGIImJXo56h73SLWWFuyQ/DeiRmkKCzNx5aGyPW\n\
    6LrJjsPiaM7mS1Q9sANXZ8vo/WuB4xcE\n\
    -----END PUBLIC KEY-----\n";
const P384_SHA256_SIGNATURE: &str = "MGQCMBOuyCc6Vgh+4coBXGFpDS/fpaNiLygmuDK9zzChXPusI9Ep4ryWLiXwdWTP4sp1TwIwcYLoMPMExsgbLbtT3yaV2xajY0yBDDnTUcauzvp3FDBkcs8BbvRfG8BGSbvaWmNy";

/// What a live Rekor was given and how it named it.
pub(crate) fn vector() -> Value {
    with_key(PEM)
}

fn with_key(pem: &str) -> Value {
    hashedrekord("sha256", HELLO, &decode(SIGNATURE), pem)
}

fn decode(text: &str) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .unwrap()
}

fn sha512(artifact: &[u8]) -> String {
    hex::encode(crypto::HashAlgorithm::Sha512.digest(artifact).as_bytes())
}

async fn invalid(stack: &Stack, entry: &Value, expected: &str) {
    let (code, message) = stack.refused(entry, 400).await;
    assert_eq!(code, 400);
    let detail = message
        .strip_prefix("error processing entry: ")
        .unwrap_or_else(|| panic!("{message}"));
    assert!(detail.contains(expected), "{message}");
}

on_every_store! {
    async fn the_public_vector_gets_its_name_and_a_second_one_is_told_where_it_is(stack) {
        let (id, entry) = stack.create(&vector()).await;
        assert_eq!(id[16..], *"15cae233fa9e7cf66feaa8f08baa90bcbccccedbeb8b0b0e19fd24dc77da7451");
        assert_eq!(entry["logIndex"], 0);
        assert_eq!(entry["verification"]["inclusionProof"]["hashes"], json!([]));
        assert_eq!(entry["verification"]["inclusionProof"]["rootHash"], id[16..]);

        let again = stack.submit(&vector()).await;
        assert_eq!(header(&again, "location"), Some(format!("/api/v1/log/entries/{id}")));
        let (code, message) = refusal(again, 409).await;
        assert_eq!(code, 409);
        assert_eq!(message, format!("an equivalent entry already exists in the transparency log with UUID {id}"));
    }

    async fn equivalent_submissions_are_duplicates_and_others_are_not(stack) {
        let (id, _) = stack.create(&vector()).await;
        let mut extra = vector();
        extra["spec"]["more"] = json!([1, {"a": null}]);
        for same in [with_key(&format!("\n\n {PEM}")), with_key(&PEM.replace('\n', "\r\n")), extra] {
            assert_eq!(stack.submit(&same).await.status(), 409);
        }
        let mut upper = vector();
        upper["spec"]["data"]["hash"]["value"] = HELLO.to_uppercase().into();
        let (other, _) = stack.create(&upper).await;
        assert_ne!(id, other);
    }

    async fn signatures_that_do_not_match_are_refused(stack) {
        let mut flipped = decode(SIGNATURE);
        flipped[20] ^= 1;
        invalid(stack, &hashedrekord("sha256", HELLO, &flipped, PEM), "verifying signature:").await;
        let other = hex::encode(crypto::sha256(b"other"));
        invalid(stack, &hashedrekord("sha256", &other, &decode(SIGNATURE), PEM), "verifying signature:").await;
        invalid(stack, &hashedrekord("sha256", HELLO, b"", PEM), "verifying signature:").await;
        let rsa = Key::rsa2048();
        let pss = rsa.sign_rsa(&aws_lc_rs::signature::RSA_PSS_SHA256, b"hello");
        invalid(stack, &hashedrekord("sha256", HELLO, &pss, &rsa.pem), "crypto/rsa: verification error").await;
    }

    async fn digests_must_fit_their_algorithm(stack) {
        let signature = decode(SIGNATURE);
        invalid(stack, &hashedrekord("sha256", &sha512(b"hello"), &signature, PEM), "invalid value for hash").await;
        invalid(stack, &hashedrekord("sha256", &"zz".repeat(32), &signature, PEM), "invalid value for hash").await;
        invalid(stack, &hashedrekord("md5", HELLO, &signature, PEM), "validation failure list:").await;
    }

    async fn ed25519_signs_digests_only_as_ed25519ph(stack) {
        let key = Key::ed25519([7; 32]);
        let pure = key.sign(b"hello");
        invalid(stack, &hashedrekord("sha256", HELLO, &pure, &key.pem),
            r#"unsupported hash algorithm: "SHA-256" not in [SHA-512]"#).await;
        invalid(stack, &hashedrekord("sha512", &sha512(b"hello"), &pure, &key.pem),
            "ed25519: invalid signature").await;
        stack.create(&hashedrekord("sha512", &sha512(b"hello"), &key.sign_ed25519ph(b"hello"), &key.pem)).await;
    }

    async fn keys_and_hashes_must_pair(stack) {
        invalid(stack, &hashedrekord("sha256", HELLO, &decode(P384_SHA256_SIGNATURE), P384),
            "entry algorithms are not allowed").await;
        let p384 = Key::p384_sha384();
        let digest = hex::encode(crypto::HashAlgorithm::Sha384.digest(b"hello").as_bytes());
        stack.create(&hashedrekord("sha384", &digest, &p384.sign(b"hello"), &p384.pem)).await;
        let p521 = Key::p521_sha512();
        stack.create(&hashedrekord("sha512", &sha512(b"hello"), &p521.sign(b"hello"), &p521.pem)).await;
    }

    async fn rsa_needs_2048_bits(stack) {
        stack.refused(&hashedrekord("sha256", HELLO, &decode(RSA_1024_SIGNATURE), RSA_1024), 400).await;
        stack.create(&signed_artifact(b"hello", &Key::rsa2048())).await;
    }

    async fn raw_ecdsa_signatures_are_kept_as_they_are(stack) {
        let key = Key::p256_raw();
        let signature = key.sign(b"hello");
        assert_eq!(signature.len(), 64);
        let (_, entry) = stack.create(&hashedrekord("sha256", HELLO, &signature, &key.pem)).await;
        let body: Value = serde_json::from_slice(&decode(entry["body"].as_str().unwrap())).unwrap();
        assert_eq!(body["spec"]["signature"]["content"], b64(&signature));
    }

    async fn keys_come_as_pem_of_the_right_sort(stack) {
        let der = decode(&PEM.lines().filter(|line| !line.starts_with('-')).collect::<String>());
        let entry = |key: &[u8]| {
            let mut entry = vector();
            entry["spec"]["signature"]["publicKey"]["content"] = b64(key).into();
            entry
        };
        invalid(stack, &entry(&der), "invalid public key: failure decoding PEM").await;
        let pkcs1 = PEM.replace("PUBLIC KEY", "RSA PUBLIC KEY");
        invalid(stack, &entry(pkcs1.as_bytes()), "cannot handle type RSA PUBLIC KEY").await;
        let mut missing = vector();
        missing["spec"]["signature"].as_object_mut().unwrap().remove("publicKey");
        invalid(stack, &missing, "missing public key").await;
        invalid(stack, &entry(b""), "failure decoding PEM").await;
    }

    async fn a_single_certificate_may_have_expired(stack) {
        let expired = certify("old", None, |params| {
            params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        });
        let (_, entry) = stack.create(&signed_artifact(b"hello", &expired.key)).await;
        let body: Value = serde_json::from_slice(&decode(entry["body"].as_str().unwrap())).unwrap();
        assert_eq!(body["spec"]["signature"]["publicKey"]["content"], b64(&expired.pem));
    }

    async fn a_chain_must_be_one(stack) {
        let root = certify("root", None, authority);
        let intermediate = certify("intermediate", Some(&root), authority);
        let leaf = certify("leaf", Some(&intermediate), |params| {
            params.not_after = rcgen::date_time_ymd(2020, 1, 2);
        });
        let entry = |chain: &[&str]| {
            let digest = hex::encode(crypto::sha256(b"hello"));
            hashedrekord("sha256", &digest, &leaf.key.sign(b"hello"), &chain.concat())
        };
        let (_, taken) = stack.create(&entry(&[&leaf.pem, &intermediate.pem, &root.pem])).await;
        let body: Value = serde_json::from_slice(&decode(taken["body"].as_str().unwrap())).unwrap();
        let kept = decode(body["spec"]["signature"]["publicKey"]["content"].as_str().unwrap());
        assert_eq!(kept, [leaf.pem.as_str(), &intermediate.pem, &root.pem].concat().into_bytes());

        invalid(stack, &entry(&[&leaf.pem, &root.pem]), "verifying signature: x509:").await;
        invalid(stack, &entry(&[&root.pem, &intermediate.pem, &leaf.pem]), "verifying signature: x509:").await;
        let eleven = [leaf.pem.as_str()].repeat(11);
        invalid(stack, &entry(&eleven), "too many certificates specified in PEM block").await;
        let not_an_authority = certify("impostor", None, |_| {});
        let forged = certify("leaf", Some(&not_an_authority), |_| {});
        let digest = hex::encode(crypto::sha256(b"hello"));
        let chain = [forged.pem.as_str(), &not_an_authority.pem].concat();
        invalid(stack, &hashedrekord("sha256", &digest, &forged.key.sign(b"hello"), &chain),
            "verifying signature: x509:").await;
    }

    async fn fifty_parallel_posts_of_one_entry_make_one_leaf(stack) {
        let entry = vector();
        let posts = (0..50).map(|_| stack.submit(&entry));
        let answers = futures::future::join_all(posts).await;
        let created = answers.iter().filter(|answer| answer.status() == 201).count();
        let conflicts = answers.iter().filter(|answer| answer.status() == 409).count();
        assert_eq!((created, conflicts), (1, 49));
        let info: Value = stack.get("/api/v1/log").await.json().await.unwrap();
        assert_eq!(info["treeSize"], 1);
    }
}
