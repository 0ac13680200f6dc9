//! Tokens in the eyes of `openssl ts -verify`.

use std::path::Path;
use std::process::{Command, Output};

use super::der::*;
use super::*;

fn openssl(arguments: &[&str], directory: &Path) -> Output {
    Command::new("openssl")
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("the openssl program is needed")
}

/// Whether OpenSSL verifies `reply.tsr` against `query.tsq`.
fn verifies(directory: &Path) -> bool {
    let pem = std::fs::read_to_string(directory.join("authority/1/chain.pem")).unwrap();
    let (leaf, root) = pem.split_at(pem.rfind("-----BEGIN").unwrap());
    std::fs::write(directory.join("leaf.pem"), leaf).unwrap();
    std::fs::write(directory.join("root.pem"), root).unwrap();
    let arguments = [
        "ts",
        "-verify",
        "-queryfile",
        "query.tsq",
        "-in",
        "reply.tsr",
        "-CAfile",
        "root.pem",
        "-untrusted",
        "leaf.pem",
    ];
    let output = openssl(&arguments, directory);
    output.status.success()
        && String::from_utf8_lossy(&[output.stdout, output.stderr].concat())
            .contains("Verification: OK")
}

#[tokio::test]
async fn openssl_verifies_every_hash_with_and_without_certificates() {
    for algorithm in [Algorithm::EcdsaP256Sha256, Algorithm::EcdsaP384Sha384] {
        for include_chain in [false, true] {
            let tsa =
                Tsa::start_with(algorithm, |config| config.include_chain = include_chain).await;
            let directory = tsa.directory.path();
            std::fs::write(directory.join("data"), "signed data").unwrap();
            for hash in ["-sha256", "-sha384", "-sha512"] {
                for extra in [&[][..], &["-cert"], &["-no_nonce"]] {
                    let query = [
                        &["ts", "-query", "-data", "data", hash, "-out", "query.tsq"],
                        extra,
                    ]
                    .concat();
                    assert!(openssl(&query, directory).status.success());
                    let reply = tsa
                        .reply(&std::fs::read(directory.join("query.tsq")).unwrap())
                        .await;
                    std::fs::write(directory.join("reply.tsr"), reply).unwrap();
                    assert!(
                        verifies(directory),
                        "{algorithm} {include_chain} {hash} {extra:?}"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn openssl_refuses_other_data_and_altered_tokens() {
    let tsa = Tsa::start().await;
    let directory = tsa.directory.path();
    let original = request(&[CERT_REQ]);
    std::fs::write(directory.join("query.tsq"), &original).unwrap();
    let reply = tsa.reply(&original).await;
    std::fs::write(directory.join("reply.tsr"), &reply).unwrap();
    assert!(verifies(directory));
    // The hash of the certificate in signingCertificateV2 is the only place with its SHA-256.
    let chain = pki::chain::Chain::from_pem(
        &std::fs::read_to_string(tsa.file("authority/1/chain.pem")).unwrap(),
    )
    .unwrap();
    let hash = crypto::sha256(chain.first());
    let position = reply.windows(32).position(|window| window == hash).unwrap();
    for altered in [
        position,
        reply.len() - 1,
        reply
            .windows(4)
            .position(|window| window == [7; 4])
            .unwrap(),
    ] {
        let mut reply = reply.clone();
        reply[altered] ^= 1;
        std::fs::write(directory.join("reply.tsr"), reply).unwrap();
        assert!(!verifies(directory), "octet {altered}");
    }
    let other = over(&imprint(&nist_hash(SHA384), &[7; 48]), &[CERT_REQ]);
    std::fs::write(directory.join("reply.tsr"), tsa.reply(&other).await).unwrap();
    assert!(!verifies(directory));
}
