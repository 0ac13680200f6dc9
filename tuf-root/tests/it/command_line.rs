//! `tuf-root` as people and scripts run it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;
use wire::trust::ClientTrustConfig;

use crate::material::services;

struct Workplace {
    dir: TempDir,
}

impl Workplace {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("passphrase"), "a passphrase for tests\n").unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_tuf-root"))
            .args(arguments)
            .current_dir(self.dir.path())
            .output()
            .unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {errors}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Fails with this exit code; returns what it says.
    fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        said
    }

    /// Fails with this exit code and says this.
    fn says(&self, code: i32, arguments: &[&str], words: &str) {
        let said = self.fails(code, arguments);
        assert!(
            said.contains(words),
            "{arguments:?}: wanted {words:?}, got {said:?}"
        );
    }

    /// Makes the key of a holder and a claim to it, `OWNER.pem` and `OWNER.json`.
    fn claim(&self, owner: &str) {
        let (key, out) = (
            format!("--key=file:{owner}.pem"),
            format!("--out={owner}.json"),
        );
        let claim = ["key", "claim", "--owner", owner, &key, &out];
        let made = self.run(&[&claim[..], &PASSPHRASE[..]].concat());
        assert!(made.status.success());
    }

    async fn write_trust_documents(&self) {
        let files = tuf_root::target_files(&services().await, crate::material::epoch()).unwrap();
        for file in files {
            std::fs::write(self.path(file.name.as_str()), &file.content).unwrap();
        }
    }
}

const PASSPHRASE: [&str; 2] = ["--passphrase-file", "passphrase"];

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[tokio::test]
async fn from_nothing_to_an_exported_trust_root() {
    let work = Workplace::new();
    work.write_trust_documents().await;
    work.json(&[&["init"], &PASSPHRASE[..]].concat());
    work.json(&["target", "add", "trusted_root.json"]);
    work.json(&["target", "add", "signing_config.v0.2.json"]);
    let rekor = [
        "--usage",
        "rekor",
        "--status",
        "active",
        "--uri",
        "http://localhost:3000",
    ];
    work.json(&[&["target", "add", "rekor.pub"], &rekor[..]].concat());
    let listed = work.json(&["target", "list"]);
    assert_eq!(listed["published"], json!([]));
    assert_eq!(listed["unpublished"].as_array().unwrap().len(), 3);

    let published = work.json(&[&["publish"], &PASSPHRASE[..]].concat());
    let one = json!({"root": 1, "targets": 1, "snapshot": 1, "timestamp": 1});
    assert_eq!(published["published"], one);
    let again = work.json(&[&["publish"], &PASSPHRASE[..]].concat());
    assert_eq!(again["published"], json!({}));

    let verified = work.json(&["verify"]);
    assert_eq!(
        (&verified["ok"], verified["roles"].as_array().unwrap().len()),
        (&json!(true), 4)
    );
    let soon = work.fails(1, &["verify", "--within", "8d"]);
    assert!(soon.contains("tuf-root refresh"), "{soon}");

    work.json(&[
        "export",
        "--out",
        "trust",
        "--mirror",
        "http://localhost:8085/",
    ]);
    let config = read(&work.path("trust/client_trust_config.json"));
    ClientTrustConfig::from_json(&config).unwrap();
    let printed = work.run(&["export", "client-trust-config"]);
    assert_eq!(printed.stdout, config);
    assert_eq!(
        read(&work.path("trust/trusted_root.json")),
        read(&work.path("trusted_root.json"))
    );
    assert_eq!(
        read(&work.path("trust/root.json")),
        read(&work.path("tuf/published/root.json"))
    );
    let env = String::from_utf8(read(&work.path("trust/client.env"))).unwrap();
    assert!(
        env.contains("export TUF_MIRROR='http://localhost:8085'\n"),
        "{env}"
    );
}

#[test]
fn wrong_steps_say_the_right_one() {
    let work = Workplace::new();
    let says = |code, arguments: &[&str], words: &str| work.says(code, arguments, words);
    says(2, &["publish"], "tuf-root init");
    says(2, &["init"], "--passphrase-file");
    says(
        2,
        &["init", "--threshold", "owner=2"],
        "root, targets, snapshot and timestamp",
    );
    says(2, &["init", "--expiry", "root=1y"], "365d");
    work.json(&[&["init"], &PASSPHRASE[..]].concat());
    says(2, &[&["init"], &PASSPHRASE[..]].concat(), "already");
    says(2, &["refresh"], "tuf-root publish");
    says(2, &["export", "trusted-root"], "tuf-root publish");
    says(1, &["verify"], "timestamp.json is missing");
    says(2, &["target", "add", "passphrase", "--name", "A/B"], "a-z");
    says(2, &["target", "remove", "nothing"], "target list");
    std::fs::write(work.path("trusted_root.json"), "{}").unwrap();
    says(
        2,
        &["target", "add", "trusted_root.json"],
        "clients would refuse it",
    );
    // The keys are encrypted, and nobody said with what.
    work.json(&["target", "add", "passphrase", "--name", "note"]);
    says(2, &["publish"], "--passphrase-file");
    let published = work.run(&[&["publish"], &PASSPHRASE[..]].concat());
    let (out, err) = (text(&published.stdout), text(&published.stderr));
    assert!(out.contains("its SHA-256 is"), "{out}");
    assert!(err.contains("trusted_root.json is not among"), "{err}");
    let tree = ["init", "--dir", "tuf/published"];
    says(2, &[&tree, &PASSPHRASE[..]].concat(), "clients see");
    says(2, &["unstage", "root"], "nothing is staged for root\n");
    let odd = work.run(&["target", "add", "passphrase", "--name", "other"]);
    let odd = text(&odd.stdout);
    assert!(odd.contains("No client asks for"), "{odd}");
    says(2, &["verify", "--dir", "nowhere"], "--dir");
}

#[test]
fn a_policy_that_no_root_can_follow_leaves_nothing_behind() {
    let work = Workplace::new();
    let init = |more: &'static str| [&["init"], &PASSPHRASE[..], &[more]].concat();
    for (threshold, words) in [
        ("--threshold=root=2", "--ceremony"),
        ("--threshold=snapshot=2", "--key snapshot=URI"),
        ("--threshold=root=0", "zero"),
    ] {
        let said = work.fails(2, &init(threshold));
        assert!(said.contains(words), "{threshold}: {said}");
        assert!(!work.path("tuf").exists(), "{threshold}");
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn roles_get_the_keys_thresholds_and_expiries_that_were_asked_for() {
    let work = Workplace::new();
    let roles = [
        "--key=root=file:a.pem",
        "--key=root=file:b.pem",
        "--key=root=file:c.pem",
        "--threshold=root=2",
        "--expiry=root=400d",
        "--expiry=timestamp=1d",
    ];
    work.json(&[&["init"], &PASSPHRASE[..], &roles[..]].concat());
    for key in ["a.pem", "b.pem", "c.pem", "keys/timestamp.pem"] {
        let pem = String::from_utf8(read(&work.path("tuf").join(key))).unwrap();
        assert!(
            pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"),
            "{key}"
        );
    }
    work.json(&["target", "add", "passphrase", "--name", "note"]);
    work.json(&[&["publish"], &PASSPHRASE[..]].concat());
    let root: Value = serde_json::from_slice(&read(&work.path("tuf/published/root.json"))).unwrap();
    assert_eq!(root["signed"]["roles"]["root"]["threshold"], 2);
    assert_eq!(
        root["signed"]["roles"]["root"]["keyids"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    assert_eq!(root["signatures"].as_array().unwrap().len(), 2);
    let days: Vec<u64> = work.json(&["verify"])["roles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|role| role["seconds_left"].as_u64().unwrap().div_ceil(86_400))
        .collect();
    assert_eq!(days, [400, 365, 365, 1]);
}

#[test]
fn a_ceremony_says_at_each_step_what_comes_next() {
    let work = Workplace::new();
    let says = |code, arguments: &[&str], words: &str| work.says(code, arguments, words);
    let two = ["--ceremony", "--threshold=root=2", "--threshold=targets=1"];
    work.json(&[&["init"], &PASSPHRASE[..], &two[..]].concat());
    says(2, &["stage", "root"], "root has 0 keys");
    says(2, &["publish"], "tuf-root stage root");
    says(
        2,
        &["key", "import", "--role=root", "passphrase"],
        "tuf-root key claim",
    );
    for owner in ["ann", "ben"] {
        work.claim(owner);
        let roles = ["--role=root", "--role=targets"];
        work.json(
            &[
                &["key", "import"],
                &roles[..],
                &[format!("{owner}.json").as_str()],
            ]
            .concat(),
        );
    }
    says(
        2,
        &["key", "import", "--role=root", "ann.json"],
        "already (held by ann)",
    );
    says(
        2,
        &["key", "remove", "--role=root", "zz"],
        "tuf-root key list",
    );
    says(
        2,
        &["payload", "export", "root", "--out=r.json"],
        "tuf-root stage root",
    );
    work.json(&["stage", "root"]);
    work.json(&["payload", "export", "root", "--out=r.json"]);
    says(
        2,
        &[&["publish"], &PASSPHRASE[..]].concat(),
        "tuf-root signature import",
    );
    let sign = [
        "sign",
        "r.json",
        "--key=file:ann.pem",
        "--record=signed",
        "--yes",
        "--json",
    ];
    says(2, &sign, "passphrase");
    let signed = work.run(&[&sign[..], &PASSPHRASE[..]].concat());
    assert!(
        signed.status.success(),
        "{}",
        String::from_utf8_lossy(&signed.stderr)
    );
    let signed: Value = serde_json::from_slice(&signed.stdout).unwrap();
    let file = signed["files"][0].as_str().unwrap();
    let progress = work.json(&["signature", "import", file]);
    assert_eq!(progress["staged"][0]["complete"], false);
    // Nobody says yes.
    let mut unsure: Vec<&str> = sign[..4].to_vec();
    unsure.extend(PASSPHRASE);
    says(2, &unsure, "not signed");
    says(2, &["stage", "root"], "tuf-root unstage root");
    assert_eq!(work.json(&["status"])["phase"], "ceremony");
}

#[tokio::test]
async fn mistakes_of_a_ceremony_are_told_before_anybody_signs_for_nothing() {
    let work = Workplace::new();
    work.write_trust_documents().await;
    let says = |arguments: &[&str], words: &str| work.says(2, arguments, words);
    let pending = |words: &str| {
        let status = work.json(&["status"]);
        let lines = status["pending"].as_array().unwrap();
        let found = lines
            .iter()
            .any(|line| line.as_str().unwrap().contains(words));
        assert!(found, "wanted {words:?}, got {lines:?}");
    };
    let two = ["--ceremony", "--threshold=root=2", "--threshold=targets=2"];
    work.json(&[&["init"], &PASSPHRASE[..], &two[..]].concat());
    pending("root: 0 keys, 2 must sign");
    pending("tuf-root key import");
    for owner in ["ann", "ben", "cho"] {
        work.claim(owner);
    }
    let import = ["key", "import", "--role=root", "--role=targets"];
    for owner in ["ann", "ben"] {
        work.json(&[&import[..], &[format!("{owner}.json").as_str()]].concat());
    }
    says(&[&import[..], &["ann.pem"]].concat(), "tuf-root key claim");
    work.json(&["stage", "root"]);
    pending("nothing is staged for targets");
    // A key that comes late is not in what people are about to sign.
    let late = work.run(&[&import[..], &["cho.json"]].concat());
    let late = text(&late.stdout);
    assert!(late.contains("tuf-root unstage root"), "{late}");
    pending("root: its keys or its threshold were changed");
    work.json(&["unstage", "root"]);
    work.json(&["stage", "root"]);
    work.json(&["payload", "export", "root", "--out=r.json"]);
    says(&["signature", "import", "r.json"], "this is a request");
    says(
        &["key", "import", "--role=root", "r.json"],
        "tuf-root key claim",
    );
    let sign = |owner: &str, file: &str| {
        let key = format!("--key=file:{owner}.pem");
        let record = format!("--record={owner}.record");
        let sign = ["sign", file, &key, &record, "--yes", "--json"];
        let signed = work.run(&[&sign[..], &PASSPHRASE[..]].concat());
        let signed: Value = serde_json::from_slice(&signed.stdout).unwrap();
        let file = signed["files"][0].as_str().unwrap();
        work.json(&["signature", "import", file]);
    };
    let typo = ["sign", "r.json", "--key=file:an.pem", "--yes"];
    says(
        &[&typo, &PASSPHRASE[..]].concat(),
        "the claim was made with",
    );
    sign("ann", "r.json");
    let lacks = work.fails(2, &[&["publish"], &PASSPHRASE[..]].concat());
    assert!(
        !lacks.contains("held by ann") && lacks.contains("held by ben"),
        "{lacks}"
    );
    sign("ben", "r.json");
    // Root has its signatures, and nobody thought of the targets.
    says(
        &[&["publish"], &PASSPHRASE[..]].concat(),
        "tuf-root stage targets",
    );
    let empty = work.json(&["stage", "targets"]);
    let summary = empty["summary"].as_array().unwrap();
    assert!(
        summary
            .iter()
            .any(|line| line.as_str().unwrap().contains("NO FILES")),
        "{summary:?}"
    );
    work.json(&["target", "add", "trusted_root.json"]);
    says(
        &["payload", "export", "targets", "--out=t.json"],
        "tuf-root unstage targets",
    );
    work.json(&["unstage", "targets"]);
    work.json(&["stage", "targets"]);
    work.json(&["payload", "export", "targets", "--out=t.json"]);
    sign("ann", "t.json");
    sign("cho", "t.json");
    let published = work.json(&[&["publish"], &PASSPHRASE[..]].concat());
    assert_eq!(published["warnings"], json!([]));
    assert_eq!(work.json(&["status"])["pending"], json!([]));
}

#[test]
fn the_absence_of_the_refresh_is_noticed_long_before_clients_notice() {
    let work = Workplace::new();
    work.json(&[&["init"], &PASSPHRASE[..]].concat());
    std::fs::write(work.path("note.txt"), "content").unwrap();
    work.json(&["target", "add", "note.txt"]);
    work.json(&[&["publish"], &PASSPHRASE[..]].concat());
    work.json(&["verify"]);
    // As if days had gone by: the policy asks for a signature that should have been there long ago.
    let path = work.path("tuf/state.json");
    let mut state: Value = serde_json::from_slice(&read(&path)).unwrap();
    state["roles"]["timestamp"]["window_secs"] = json!(20 * 86_400);
    std::fs::write(&path, state.to_string()).unwrap();
    let said = work.fails(1, &["verify"]);
    assert!(said.contains("`tuf-root refresh`"), "{said}");
    work.json(&["verify", "--within", "1d"]);
}

#[test]
fn rotate_alone_says_what_it_can_do() {
    let work = Workplace::new();
    work.json(&[&["init"], &PASSPHRASE[..]].concat());
    let said = work.fails(2, &["rotate", "--dir", "tuf"]);
    assert!(said.contains("--check"), "{said}");
    let said = work.fails(2, &["rotate", "--check", "nowhere"]);
    assert!(said.contains("nowhere: No such file"), "{said}");
}
