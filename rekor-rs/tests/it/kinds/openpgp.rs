//! Kinds that are signed with OpenPGP. The expected leaf hashes were computed by Rekor 1.5.4.

use serde_json::{Value, json};

use super::{bomb, entry, found_by_hash, found_by_key, in_flat_memory, refused, sha256, taken};
use crate::on_every_store;
use crate::stack::{Stack, b64, decode};

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../../../crates/openpgp/fixtures/", $name)).as_slice()
    };
}

const ARTIFACT: &[u8] = b"hello\n";

fn rekord(signature: &[u8], key: &[u8]) -> Value {
    entry(
        "rekord",
        &json!({
            "signature": {"format": "pgp", "content": b64(signature), "publicKey": {"content": b64(key)}},
            "data": {"content": b64(ARTIFACT)},
        }),
    )
}

fn rpm(package: &[u8], key: &[u8]) -> Value {
    entry(
        "rpm",
        &json!({"publicKey": {"content": b64(key)}, "package": {"content": b64(package)}}),
    )
}

fn helm(provenance: &[u8], key: &[u8]) -> Value {
    entry(
        "helm",
        &json!({
            "publicKey": {"content": b64(key)},
            "chart": {"provenance": {"content": b64(provenance)}},
        }),
    )
}

fn text(value: &Value) -> String {
    String::from_utf8(decode(value.as_str().unwrap())).unwrap()
}

async fn found_by_email(stack: &Stack, email: &str, id: &str) {
    for query in [json!({"email": email}), json!({"subject": email})] {
        assert!(stack.search(query).await.iter().any(|found| found == id));
    }
}

on_every_store! {
    async fn detached_signatures_of_gpg_are_taken(stack) {
        for (signature, key, email) in [
            (fixture!("rsa.asc"), fixture!("rsa.pub"), "rsa@example.org"),
            (fixture!("ed25519.asc"), fixture!("ed25519.pub"), "ed25519@example.org"),
            (fixture!("p256.asc"), fixture!("p256.pub"), "P256@Example.org"),
            (fixture!("dsa.asc"), fixture!("dsa.pub"), "dsa@example.org"),
            (fixture!("zoe.asc"), fixture!("zoe.pub"), "zoe@corp.example"),
            (fixture!("expired.asc"), fixture!("expired.pub"), "expired@example.org"),
        ] {
            let (id, spec) = taken(stack, &rekord(signature, key)).await;
            assert_eq!(spec["data"], json!({"hash": sha256(ARTIFACT)}));
            assert_eq!(spec["signature"]["format"], "pgp");
            assert_eq!(spec["signature"]["content"], b64(signature), "as it was");
            let canonical = text(&spec["signature"]["publicKey"]["content"]);
            assert!(canonical.starts_with("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n"));
            assert!(canonical.ends_with("\n-----END PGP PUBLIC KEY BLOCK-----"));
            found_by_key(stack, "pgp", key, &id).await;
            found_by_email(stack, email, &id).await;
            // The canonical key is a key, too, and makes the same entry.
            let again = rekord(signature, canonical.as_bytes());
            assert_eq!(stack.submit(&again).await.status(), 409);
        }
    }

    async fn binary_and_armoured_keys_are_one_key(stack) {
        let (id, spec) = taken(stack, &rekord(fixture!("ed25519.sig"), fixture!("ed25519.gpg"))).await;
        let armoured = text(&spec["signature"]["content"]);
        assert!(armoured.starts_with("-----BEGIN PGP SIGNATURE-----\n\n"));
        assert!(!armoured.ends_with('\n'));
        found_by_key(stack, "pgp", fixture!("ed25519.pub"), &id).await;
        found_by_hash(stack, ARTIFACT, &id).await;
        let same = rekord(armoured.as_bytes(), fixture!("ed25519.pub"));
        assert_eq!(stack.submit(&same).await.status(), 409);
    }

    async fn packages_of_rpmsign_are_kept_as_hash_and_name(stack) {
        for (package, key, leaf) in [
            (
                fixture!("rsa.rpm"),
                fixture!("rsa.pub"),
                "10b94ba859d8f113c3752c3f78cd54aeeb2071fbe906477b62a5c7df2b38f5d9",
            ),
            (
                fixture!("rsa-v3.rpm"),
                fixture!("rsa.pub"),
                "ca2fa62558e8d89fcd975eb57be905b9528b31a4de38427db07cf04439921814",
            ),
            (
                fixture!("ed25519.rpm"),
                fixture!("ed25519.pub"),
                "3897dc51aa9798c8aed737c78c10385c270139d3a2de92e7ad93683fbf872872",
            ),
            (
                fixture!("dsa.rpm"),
                fixture!("dsa.pub"),
                "1bcc55c4220e74186bfd8767999918a288a8befb14aa2c9495002aa6a95ec5c0",
            ),
        ] {
            let (id, spec) = taken(stack, &rpm(package, key)).await;
            assert_eq!(id[16..], *leaf, "{spec}");
            assert_eq!(spec["package"]["hash"], sha256(package));
            assert_eq!(spec["package"]["headers"]["Name"], "fixture");
            assert_eq!(spec["package"]["headers"]["Epoch"], "3");
            assert!(spec["package"].get("content").is_none());
            found_by_hash(stack, package, &id).await;
            found_by_key(stack, "pgp", key, &id).await;
        }
        assert_eq!(stack.search(json!({"email": "RSA@example.org"})).await.len(), 2);
    }

    async fn provenance_of_helm_is_kept_as_hash_of_the_chart(stack) {
        for (provenance, key, leaf) in [
            (
                fixture!("helm.prov"),
                fixture!("rsa.pub"),
                "b5a46975f705d59da75feea3732e2a07a80d6a3e5650bc0d6c6ef495aaeb32f1",
            ),
            (
                fixture!("helm-ed25519.prov"),
                fixture!("ed25519.pub"),
                "03704ef442921450e0e4467bee09df9b912a691393db2c339c0587133e56329b",
            ),
        ] {
            let (id, spec) = taken(stack, &helm(provenance, key)).await;
            assert_eq!(id[16..], *leaf, "{spec}");
            let hash = spec["chart"]["hash"]["value"].as_str().unwrap();
            let found = stack.search(json!({"hash": hash})).await;
            assert!(found.contains(&id));
            found_by_key(stack, "pgp", key, &id).await;
        }
    }

    async fn detached_signatures_that_do_not_hold_are_refused(stack) {
        let (rsa, p256) = (fixture!("rsa.pub"), fixture!("p256.asc"));
        refused(stack, &rekord(p256, rsa), "signature made by unknown entity").await;
        let mut other = rekord(fixture!("rsa.asc"), rsa);
        other["spec"]["data"]["content"] = b64("other").into();
        refused(stack, &other, "openpgp: invalid signature").await;
        refused(
            stack,
            &rekord(fixture!("revoked-after.asc"), fixture!("revoked.pub")),
            "signature made by revoked key",
        )
        .await;
        refused(
            stack,
            &rekord(fixture!("ed25519.asc"), fixture!("ed25519.secret")),
            "this is a private key",
        )
        .await;
        refused(stack, &rekord(b"hello", rsa), "openpgp: invalid data").await;
        refused(stack, &rekord(rsa, rsa), "expected PGP SIGNATURE").await;
        refused(stack, &rekord(p256, p256), "expected PGP PUBLIC KEY BLOCK").await;
        refused(stack, &rekord(p256, b"-----BEGIN PGP"), "no PGP public keys").await;
        let query = json!({"publicKey": {"format": "pgp", "content": b64(p256)}});
        let response = stack.post("/api/v1/index/retrieve", &query).await;
        let (_, message) = crate::stack::refusal(response, 400).await;
        assert_eq!(message, "public key provided could not be parsed");
    }
}

/// Where a package's header begins, and its payload.
fn parts(package: &[u8]) -> (usize, usize) {
    let length = |at: usize| {
        let number = |at: usize| u32::from_be_bytes(package[at..at + 4].try_into().unwrap());
        usize::try_from(16 + number(at + 8) * 16 + number(at + 12)).unwrap()
    };
    let header = 96 + length(96).next_multiple_of(8);
    (header, header + length(header))
}

on_every_store! {
    async fn packages_with_anything_changed_are_refused(stack) {
        let (package, key) = (fixture!("rsa.rpm"), fixture!("rsa.pub"));
        let (header, payload) = parts(package);
        let changed = |at: usize| {
            let mut package = package.to_vec();
            package[at] ^= 1;
            package
        };
        for (package, reason) in [
            (changed(payload - 1), "SHA-256 mismatch in signature header"),
            (changed(payload), "payload digest mismatch"),
            (changed(package.len() - 1), "payload digest mismatch"),
            (changed(header), "bad magic for header"),
            (changed(0), "file is not an RPM"),
            (package[..payload - 1].to_vec(), "unexpected end of file"),
            (package[..50].to_vec(), "file is not an RPM"),
            (
                fixture!("unsigned.rpm").to_vec(),
                "no supported PGP signature found in RPM",
            ),
            (fixture!("ed25519.rpm").to_vec(), "unknown entity"),
            (Vec::new(), "'content' must be specified for package"),
        ] {
            refused(stack, &rpm(&package, key), reason).await;
        }
        let mut hash = rpm(package, key);
        hash["spec"]["package"]["hash"] = sha256(b"other");
        refused(stack, &hash, "SHA mismatch").await;
        hash["spec"]["package"]["content"] = "".into();
        refused(stack, &hash, "missing package content").await;
        refused(stack, &entry("rpm", &json!({})), "publicKey in body is required").await;
        let mut without = rpm(package, key);
        without["spec"]["package"] = Value::Null;
        refused(stack, &without, "package in body is required").await;
    }

    async fn provenance_with_anything_changed_is_refused(stack) {
        let key = fixture!("rsa.pub");
        let provenance = String::from_utf8(fixture!("helm.prov").to_vec()).unwrap();
        for (from, to, reason) in [
            ("name: fixture", "name: other", "openpgp: invalid signature"),
            ("sha256:8a", "sha256:8b", "openpgp: invalid signature"),
            ("SIGNED MESSAGE", "MESSAGE", "unable to decode cleartext"),
            ("-----BEGIN PGP SIGNATURE-----", "", "its signature is missing"),
        ] {
            let changed = provenance.replace(from, to);
            refused(stack, &helm(changed.as_bytes(), key), reason).await;
        }
        refused(
            stack,
            &helm(fixture!("helm.prov"), fixture!("p256.pub")),
            "unknown entity",
        )
        .await;
        // Signed, and about nothing.
        refused(
            stack,
            &helm(fixture!("dash.txt.asc"), fixture!("p256.pub")),
            "at least two parts",
        )
        .await;
        refused(stack, &helm(b"", key), "missing provenance content").await;
        refused(
            stack,
            &entry("helm", &json!({"publicKey": {"content": b64(key)}, "chart": {}})),
            "chart.provenance in body is required",
        )
        .await;
    }

    async fn packet_bombs_and_long_headers_are_refused_in_flat_memory(stack) {
        let key = fixture!("ed25519.gpg");
        in_flat_memory(async {
            // A compressed packet, which nobody unpacks.
            let bomb = bomb();
            let mut packet = vec![0xc8, 0xff];
            packet.extend(u32::try_from(bomb.len() + 1).unwrap().to_be_bytes());
            packet.push(1);
            packet.extend(&bomb);
            refused(stack, &rekord(&packet, key), "too long bytes of PGP signature").await;
            refused(stack, &rekord(fixture!("ed25519.sig"), &packet), "bytes of PGP key").await;
            refused(stack, &helm(&packet, key), "too long bytes of cleartext").await;
            let users = [&key[..53], &key[53..220].repeat(600)].concat();
            refused(stack, &rekord(fixture!("ed25519.sig"), &users), "self-signatures").await;
            // Headers that state 4 GiB, of entries and of store.
            let mut package = fixture!("rsa.rpm")[..112].to_vec();
            for at in [104, 108] {
                package[at..at + 4].fill(0xff);
                refused(stack, &rpm(&package, key), "unexpected end of file").await;
            }
            // A payload that unpacks to gigabytes is as good as any.
            let whole = [fixture!("unsigned.rpm"), &bomb].concat();
            refused(stack, &rpm(&whole, key), "payload digest mismatch").await;
        })
        .await;
    }
}
