//! What every key-encryption key must do for wrapped keys.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use keys::{Algorithm, KeyUri};
use serde_json::Value;

/// The URI of the wrapped key in `path`.
pub(crate) fn uri(path: &Path, kek: &KeyUri, context: &str) -> KeyUri {
    let escaped: String = kek
        .to_string()
        .bytes()
        .map(|byte| format!("%{byte:02X}"))
        .collect();
    let context = if context.is_empty() {
        String::new()
    } else {
        format!("&context={context}")
    };
    format!("wrapped:{}?kek={escaped}{context}", path.display())
        .parse()
        .unwrap()
}

/// Makes wrapped keys under `kek` in `directory`, opens them, and fails to open what is not as it was
/// made; `other` is another key of the same kind.
pub(crate) async fn keeps_what_it_promises(kek: &KeyUri, other: &KeyUri, directory: &Path) {
    for (name, algorithm) in [
        ("a.json", Algorithm::EcdsaP256Sha256),
        ("b.json", Algorithm::EcdsaP384Sha384),
        ("c.json", Algorithm::Ed25519),
    ] {
        let uri = uri(&directory.join(name), kek, "ca");
        let made = keys::create(&uri, algorithm, None).await.unwrap();
        let opened = keys::open(&uri, None).await.unwrap();
        assert_eq!(opened.algorithm(), algorithm);
        assert_eq!(opened.public_key(), made.public_key());
        let signature = opened.sign(b"message").await.unwrap();
        let hash = algorithm.hash().unwrap_or(crypto::HashAlgorithm::Sha512);
        made.public_key()
            .verify(hash, b"message", &signature)
            .unwrap();

        let again = keys::create(&uri, algorithm, None)
            .await
            .unwrap_err()
            .to_string();
        assert!(again.contains("never overwritten"), "{again}");
    }
    let path = directory.join("a.json");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // Another purpose, and another key-encryption key.
    let error = keys::open(&uri(&path, kek, "tsa"), None)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("\"ca\", not \"tsa\""), "{error}");
    keys::open(&uri(&path, kek, ""), None).await.unwrap_err();
    let error = keys::open(&uri(&path, other, "ca"), None)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("key-encryption key"), "{error}");

    // The purpose rewritten in the file as well; parts exchanged; bits flipped.
    let a: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let b: Value =
        serde_json::from_slice(&std::fs::read(directory.join("b.json")).unwrap()).unwrap();
    let changed = directory.join("changed.json");
    let mut refused = Vec::new();
    for field in ["public_key", "data_key", "private_key"] {
        let mut value = a.clone();
        value[field] = b[field].clone();
        refused.push(("ca", value));
    }
    for field in ["data_key", "private_key"] {
        for position in [12, 40, 60] {
            let mut value = a.clone();
            value[field] = flipped(a[field].as_str().unwrap(), position).into();
            refused.push(("ca", value));
        }
    }
    let mut value = a.clone();
    value["context"] = "tsa".into();
    refused.push(("tsa", value));
    let mut value = a.clone();
    value["format"] = "sigkeep-wrapped-key-v2".into();
    refused.push(("ca", value));
    let mut value = a.clone();
    value["comment"] = "".into();
    refused.push(("ca", value));
    for (context, value) in refused {
        std::fs::write(&changed, value.to_string()).unwrap();
        let opened = keys::open(&uri(&changed, kek, context), None).await;
        assert!(opened.is_err(), "{value}");
    }
    std::fs::write(&changed, a.to_string()).unwrap();
    keys::open(&uri(&changed, kek, "ca"), None).await.unwrap();
}

/// `base64` with one character exchanged.
fn flipped(base64: &str, position: usize) -> String {
    let mut characters: Vec<char> = base64.chars().collect();
    characters[position] = if characters[position] == 'A' {
        'B'
    } else {
        'A'
    };
    characters.into_iter().collect()
}
