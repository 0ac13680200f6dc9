use serde_json::{Value, json};

use super::{bomb, entry, found_by_hash, in_flat_memory, refused, sha256, taken};
use crate::on_every_store;
use crate::stack::{b64, decode};

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../fixtures/", $name)).as_slice()
    };
}

fn jar(archive: &[u8]) -> Value {
    entry("jar", &json!({"archive": {"content": b64(archive)}}))
}

fn text(value: &Value) -> String {
    String::from_utf8(decode(value.as_str().unwrap())).unwrap()
}

on_every_store! {
    async fn archives_that_jarsigner_signed_are_taken(stack) {
        for archive in [
            fixture!("ec.jar"),
            fixture!("rsa.jar"),
            fixture!("rsa384.jar"),
            fixture!("pss.jar"),
            fixture!("sections.jar"),
            fixture!("internal.jar"),
        ] {
            let (id, spec) = taken(stack, &jar(archive)).await;
            assert_eq!(spec["archive"], json!({"hash": sha256(archive)}));
            let block = text(&spec["signature"]["content"]);
            assert!(
                block.starts_with("-----BEGIN PKCS7-----\n")
                    && block.ends_with("-----END PKCS7-----\n")
            );
            let certificate = text(&spec["signature"]["publicKey"]["content"]);
            assert!(certificate.starts_with("-----BEGIN CERTIFICATE-----\n"));
            found_by_hash(stack, archive, &id).await;
        }
    }

    async fn archives_with_anything_changed_are_refused(stack) {
        for (archive, reason) in [
            (fixture!("changed-file.jar"), "mismatch"),
            (
                fixture!("changed-manifest.jar"),
                "manifest main attributes signature",
            ),
            (fixture!("missing-file.jar"), "is in manifest but not JAR"),
            (fixture!("no-block.jar"), "with no matching signature"),
            (
                fixture!("added-section.jar"),
                "missing signed section \"B.class\"",
            ),
            (fixture!("unsigned.jar"), "no signatures detected"),
            (fixture!("two.jar"), "multiple signatures detected"),
            (b"PK\x05\x06", "zip: "),
            (b"", "missing archive content"),
        ] {
            refused(stack, &jar(archive), reason).await;
        }
        let mut hash = jar(fixture!("ec.jar"));
        hash["spec"]["archive"]["hash"] = sha256(b"other");
        refused(stack, &hash, "SHA mismatch").await;
        refused(
            stack,
            &entry("jar", &json!({})),
            "archive in body is required",
        )
        .await;
    }
}

/// A ZIP archive of files that are compressed already, and said to be as long as they can be.
fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for (name, packed) in files {
        let mut fields = Vec::new();
        for field in [20u16, 0, 8, 0, 0x21] {
            fields.extend(field.to_le_bytes());
        }
        for field in [0, u32::try_from(packed.len()).unwrap(), u32::MAX - 1] {
            fields.extend(field.to_le_bytes());
        }
        fields.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        fields.extend([0, 0]);
        let offset = u32::try_from(out.len()).unwrap().to_le_bytes();
        out.extend([b"PK\x03\x04", fields.as_slice(), name.as_bytes(), packed].concat());
        directory.extend(
            [
                b"PK\x01\x02\x14\x00",
                fields.as_slice(),
                &[0; 10],
                &offset,
                name.as_bytes(),
            ]
            .concat(),
        );
    }
    let count = u16::try_from(files.len()).unwrap().to_le_bytes();
    let size = u32::try_from(directory.len()).unwrap().to_le_bytes();
    let start = u32::try_from(out.len()).unwrap().to_le_bytes();
    let end = [
        &b"PK\x05\x06\0\0\0\0"[..],
        &count,
        &count,
        &size,
        &start,
        &[0, 0],
    ]
    .concat();
    [out, directory, end].concat()
}

on_every_store! {
    async fn metadata_that_unpack_to_more_than_the_limit_are_refused_in_flat_memory(stack) {
        let bomb = bomb();
        in_flat_memory(async {
            for name in ["MANIFEST.MF", "X.SF", "X.RSA"] {
                let archive = zip(&[(&format!("META-INF/{name}"), &bomb)]);
                refused(
                    stack,
                    &jar(&archive),
                    "uncompressed jar metadata exceeds max allowed size",
                )
                .await;
            }
        })
        .await;
    }

    async fn more_files_than_archives_have_are_not_read(stack) {
        let names: Vec<String> = (0..20_001).map(|n| n.to_string()).collect();
        let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
        refused(stack, &jar(&zip(&files)), "too many files").await;
    }
}
