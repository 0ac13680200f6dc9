//! Keys and certificates of the services that come and go, on the command line.

use std::process::{Command, Output};

use keys::Algorithm;
use pki::authority::Purpose;
use serde_json::{Value, json};
use tempfile::TempDir;
use tuf_root::metadata::Sha256;
use wire::trust::{SigningConfig, TrustedRoot};
use x509_cert::der::pem::{LineEnding, encode_string};

use crate::material::{EPOCH_SECS, chain, epoch, log_key, services};

/// A repository with one of each service.
struct Workplace {
    dir: TempDir,
}

impl Workplace {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("passphrase"), "a passphrase for tests\n").unwrap();
        let work = Self { dir };
        work.ok(&["init", "--passphrase-file", "passphrase"]);
        for file in tuf_root::target_files(&services().await, epoch()).unwrap() {
            let name = file.name.as_str();
            std::fs::write(work.dir.path().join(name), &file.content).unwrap();
            work.ok(&["target", "add", name]);
        }
        work.publish();
        work
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_tuf-root"))
            .args(arguments)
            .current_dir(self.dir.path())
            .output()
            .unwrap()
    }

    fn ok(&self, arguments: &[&str]) -> Vec<u8> {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        output.stdout
    }

    fn rotate(&self, arguments: &[&str]) -> Vec<Value> {
        let all = [&["rotate", "service"], arguments, &["--json"]].concat();
        let said: Value = serde_json::from_slice(&self.ok(&all)).unwrap();
        said["entries"].as_array().unwrap().clone()
    }

    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(&[&["rotate", "service"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn publish(&self) {
        self.ok(&["publish", "--passphrase-file", "passphrase"]);
    }

    fn trusted_root(&self) -> TrustedRoot {
        TrustedRoot::from_json(&self.ok(&["export", "trusted-root"])).unwrap()
    }

    fn signing_config(&self) -> SigningConfig {
        SigningConfig::from_json(&self.ok(&["export", "signing-config"])).unwrap()
    }

    fn chain(&self, name: &str, chain: &[Vec<u8>]) -> String {
        let block = |der: &Vec<u8>| encode_string("CERTIFICATE", LineEnding::LF, der).unwrap();
        let text: String = chain.iter().map(block).collect();
        std::fs::write(self.dir.path().join(name), text).unwrap();
        Sha256::of(&chain[0]).to_string()
    }

    fn key(&self, name: &str, algorithm: Algorithm) -> String {
        let key = log_key(algorithm);
        std::fs::write(self.dir.path().join(name), key.to_pem()).unwrap();
        Sha256::of(key.spki_der()).to_string()
    }
}

fn fingerprint(entry: &Value) -> &str {
    entry["fingerprint"].as_str().unwrap()
}

#[tokio::test]
async fn a_log_is_announced_before_it_signs_and_the_old_one_ends_with_a_margin() {
    let work = Workplace::new().await;
    for service in ["rekor", "ct"] {
        let old = fingerprint(&work.rotate(&[service])[0]).to_owned();
        let new = work.key("next.pub", Algorithm::EcdsaP256Sha256);
        // Nothing takes over before there is another.
        let last = work.refused(&[service, "--end", &old]);
        assert!(last.contains("publish the next one first"), "{last}");
        let from = "2031-02-01T00:00:00Z";
        let entries = work.rotate(&[service, "--next", "next.pub", "--from", from]);
        assert_eq!(entries.len(), 2);
        assert_eq!(
            (fingerprint(&entries[1]), &entries[1]["start"]),
            (new.as_str(), &json!(from))
        );
        assert_eq!(entries[0]["url"], entries[1]["url"]);
        // The next one has not begun.
        work.refused(&[service, "--end", &old, "--at", "2031-01-31T22:00:00Z"]);
        let at = "2031-02-02T00:00:00Z";
        let entries = work.rotate(&[service, "--end", &old, "--at", at]);
        assert_eq!(entries[0]["end"], "2031-02-02T01:00:00Z");
        assert!(entries[1].get("end").is_none());
        let again = work.refused(&[service, "--end", &old]);
        assert!(
            again.contains("ends at 2031-02-02T01:00:00Z already"),
            "{again}"
        );
        let known = work.refused(&[service, "--next", "next.pub"]);
        assert!(known.contains("in the trust root already"), "{known}");
    }
    work.publish();
    let root = work.trusted_root();
    assert_eq!((root.tlogs.len(), root.ctlogs.len()), (2, 2));
    // One service for those who sign: the URL stays.
    let config = work.signing_config();
    assert_eq!(config.rekor_tlog_urls.len(), 1);
    assert_eq!(config.rekor_tlog_urls[0].valid_for.end, None);
}

#[tokio::test]
async fn a_log_elsewhere_takes_over_for_those_who_sign_when_it_starts() {
    let work = Workplace::new().await;
    work.key("next.pub", Algorithm::EcdsaP256Sha256);
    let from = "2031-02-01T00:00:00Z";
    let url = "http://localhost:3001/";
    work.rotate(&["rekor", "--next", "next.pub", "--from", from, "--url", url]);
    work.publish();
    let urls = work.signing_config().rekor_tlog_urls;
    let ends: Vec<_> = (urls.iter())
        .map(|s| (s.url.as_str(), s.valid_for.end.map(|end| end.to_string())))
        .collect();
    assert_eq!(
        ends,
        [
            ("http://localhost:3001", None),
            (
                "http://localhost:3000",
                Some("2031-01-31T23:59:59.999Z".to_owned())
            ),
        ]
    );
    // Who verifies accepts the old one all the same.
    assert_eq!(work.trusted_root().tlogs[0].public_key.valid_for.end, None);
}

#[tokio::test]
async fn an_authority_starts_with_its_certificates_whenever_it_is_announced() {
    let work = Workplace::new().await;
    for (service, purpose) in [
        ("fulcio", Purpose::CodeSigning),
        ("timestamp", Purpose::TimeStamping),
    ] {
        let new = work.chain("next.pem", &chain(purpose).await);
        let entries = work.rotate(&[service, "--next", "next.pem"]);
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0]["start"], entries[1]["start"]);
        assert!(entries.iter().any(|e| fingerprint(e) == new));
        let old = entries.iter().find(|e| fingerprint(e) != new).unwrap();
        work.rotate(&[service, "--end", fingerprint(old)]);
    }
    work.publish();
    let root = work.trusted_root();
    for list in [&root.certificate_authorities, &root.timestamp_authorities] {
        let ended = list.iter().filter(|a| a.valid_for.end.is_some()).count();
        assert_eq!((list.len(), ended), (2, 1));
        assert!(
            list.iter()
                .all(|a| a.valid_for.start.as_secs() == EPOCH_SECS)
        );
    }
    assert_eq!(work.signing_config().ca_urls.len(), 1);
    assert_eq!(work.signing_config().tsa_urls.len(), 1);
}

#[tokio::test]
async fn what_clients_could_not_verify_is_refused() {
    let work = Workplace::new().await;
    work.key("p384.pub", Algorithm::EcdsaP384Sha384);
    assert!(
        work.refused(&["rekor", "--next", "p384.pub"])
            .contains("P-256")
    );
    let mut unordered = chain(Purpose::CodeSigning).await;
    unordered.reverse();
    work.chain("unordered.pem", &unordered);
    work.refused(&["fulcio", "--next", "unordered.pem"]);
    // A timestamp chain without its signing certificate, and a leaf that is none of an authority.
    let stamps = chain(Purpose::TimeStamping).await;
    work.chain("no-leaf.pem", &stamps[1..]);
    work.refused(&["timestamp", "--next", "no-leaf.pem"]);
    work.chain("leaf.pem", &stamps);
    work.refused(&["fulcio", "--next", "leaf.pem"]);
    std::fs::write(work.dir.path().join("empty.pem"), "").unwrap();
    work.refused(&["ct", "--next", "empty.pem"]);
    let nobody = "0".repeat(64);
    let unknown = work.refused(&["ct", "--end", &nobody]);
    assert!(
        unknown.contains("`tuf-root rotate service ct` lists them"),
        "{unknown}"
    );
    work.refused(&["ct", "--next", "p384.pub", "--end", &nobody]);
    let listed: Value = serde_json::from_slice(&work.ok(&["target", "list", "--json"])).unwrap();
    assert_eq!(listed["unpublished"], json!([]));
}
