use serde_json::{Value, json};

use super::{bomb, entry, found_by_hash, found_by_key, in_flat_memory, refused, sha256, taken};
use crate::keys::Key;
use crate::on_every_store;
use crate::stack::b64;

const PACKAGE: &[u8] = include_bytes!("../../fixtures/fixture.apk");
const KEY: &str = include_str!("../../fixtures/fixture-apk.pem");

fn apk(package: &[u8], key: &str) -> Value {
    entry(
        "alpine",
        &json!({"publicKey": {"content": b64(key)}, "package": {"content": b64(package)}}),
    )
}

/// Where the gzip members begin.
fn members() -> Vec<usize> {
    (0..PACKAGE.len())
        .filter(|at| PACKAGE[*at..].starts_with(b"\x1f\x8b\x08\0"))
        .collect()
}

on_every_store! {
    async fn a_package_is_kept_as_hash_and_description(stack) {
        let (id, spec) = taken(stack, &apk(PACKAGE, KEY)).await;
        assert_eq!(spec["package"]["hash"], sha256(PACKAGE));
        assert_eq!(spec["publicKey"], json!({"content": b64(KEY)}));
        let info = &spec["package"]["pkginfo"];
        assert_eq!(info["pkgname"], "fixture");
        assert_eq!(info["depend"], "busybox", "the last one counts");
        assert_eq!(info["pkgdesc"], "A fixture", "what follows is a comment");
        assert!(spec["package"].get("content").is_none());
        found_by_hash(stack, PACKAGE, &id).await;
        found_by_key(stack, "x509", KEY.as_bytes(), &id).await;
    }

    async fn control_and_data_are_both_covered(stack) {
        let members = members();
        assert_eq!(members.len(), 3);
        refused(
            stack,
            &apk(&[PACKAGE, b"x"].concat(), KEY),
            "checksum for data.tar.gz",
        )
        .await;
        // A field of the gzip header: the same content in other bytes.
        let mut control = PACKAGE.to_vec();
        control[members[1] + 4] ^= 1;
        refused(
            stack,
            &apk(&control, KEY),
            "crypto/rsa: verification error",
        )
        .await;
        refused(
            stack,
            &apk(PACKAGE, &Key::rsa2048().pem),
            "crypto/rsa: verification error",
        )
        .await;
        refused(
            stack,
            &apk(PACKAGE, &Key::p256().pem),
            "verification error",
        )
        .await;
        refused(
            stack,
            &apk(&PACKAGE[members[1]..], KEY),
            "no signature detected",
        )
        .await;
        refused(stack, &apk(b"not gzip", KEY), "reading signature.tar.gz").await;
        let mut hash = apk(PACKAGE, KEY);
        hash["spec"]["package"]["hash"] = sha256(b"other");
        refused(stack, &hash, "SHA mismatch").await;
        refused(
            stack,
            &entry("alpine", &json!({})),
            "publicKey in body is required",
        )
        .await;
        refused(stack, &apk(b"", KEY), "missing package content").await;
    }

    async fn what_unpacks_to_more_than_the_limit_is_refused_in_flat_memory(stack) {
        let header = b"\x1f\x8b\x08\0\0\0\0\0\0\xff";
        let bomb = [&header[..], &bomb(), &[0; 8]].concat();
        in_flat_memory(async {
            refused(
                stack,
                &apk(&bomb, KEY),
                "decompressed size of signature.tar.gz exceeds",
            )
            .await;
            let control = [&PACKAGE[..members()[1]], &bomb].concat();
            refused(
                stack,
                &apk(&control, KEY),
                "decompressed size of control.tar.gz exceeds",
            )
            .await;
        })
        .await;
    }
}
