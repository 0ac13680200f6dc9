//! Wrong usage: what is said, and the exit code.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const SIGKEEP: &str = env!("CARGO_BIN_EXE_sigkeep");

fn sigkeep(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(SIGKEEP)
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap()
}

/// Runs a command that must be refused as used wrongly; returns what it said.
fn refused(directory: &Path, arguments: &[&str]) -> String {
    let output = sigkeep(directory, arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
    said
}

/// A configuration of the log service, for a database, with a Rekor v1 log.
fn rekor_yaml(directory: &Path, database: &str) {
    let yaml = format!(
        "hostname: rekor.test\nguard-dir: guards\npassphrase: {{file: passphrase}}\n\
         logs: [{{kind: rekor-v1, key: 'file:log.pem'}}]\n\
         server: {{listen: '127.0.0.1:0', database: '{database}'}}\n"
    );
    fs::write(directory.join("rekor.yaml"), yaml).unwrap();
    fs::write(directory.join("passphrase"), "correct horse\n").unwrap();
}

#[test]
fn the_password_of_a_database_url_is_not_repeated() {
    let directory = tempfile::tempdir().unwrap();
    for url in [
        "mysql://u:s3cret@db.example/logs",
        "s3cret",
        "postgres://u:s3cret@db.example:99999/logs",
        "postgres://u:s3cret@[db.example/logs",
    ] {
        let data = directory.path().join("data");
        let data = data.to_str().unwrap();
        let up = ["up", "--free-ports", "--data-dir", data];
        let by_option = refused(directory.path(), &[&up[..], &["--database", url]].concat());
        let by_variable = Command::new(SIGKEEP)
            .args(up)
            .env("SIGKEEP_DATABASE", url)
            .output()
            .unwrap();
        assert_eq!(by_variable.status.code(), Some(2), "{url}");
        for said in [by_option, String::from_utf8(by_variable.stderr).unwrap()] {
            assert!(!said.contains("s3cret"), "{said}");
            assert!(said.contains("database"), "{said}");
        }
    }
}

#[test]
fn a_log_whose_configuration_cannot_work_is_not_served() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let serve = ["rekor", "serve", "--config", "rekor.yaml"];
    assert!(refused(directory, &serve).starts_with("error: rekor.yaml"));
    rekor_yaml(directory, "mysql://u:s3cret@db.example/logs");
    let said = refused(directory, &serve);
    assert!(said.starts_with("error: database:"), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
    rekor_yaml(directory, "sqlite:logs.db");
    let said = refused(directory, &serve);
    assert!(
        said.contains("error: logs[0]: key file log.pem") && said.contains("sigkeep key create"),
        "{said}"
    );
}

#[test]
fn listing_and_freezing_logs_makes_no_database() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    rekor_yaml(directory, "sqlite:mistyped.db");
    for command in [
        &["rekor", "log", "list", "--config", "rekor.yaml"][..],
        &["rekor", "log", "freeze", "--config", "rekor.yaml", "1"],
    ] {
        let said = refused(directory, command);
        assert!(said.contains("no database mistyped.db"), "{said}");
        assert!(!directory.join("mistyped.db").exists());
    }
}

#[test]
fn a_key_is_made_once_and_a_log_is_created_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    rekor_yaml(directory, "sqlite:logs.db");
    let said = refused(directory, &["key", "create", "file:log.pem"]);
    assert!(said.contains("--passphrase-file"), "{said}");

    let create = [
        "key",
        "create",
        "file:log.pem",
        "--passphrase-file",
        "passphrase",
    ];
    let made = sigkeep(directory, &create);
    assert!(made.status.success());
    let pem = String::from_utf8(made.stdout).unwrap();
    let key = crypto::PublicKey::from_pem(&pem).unwrap();
    assert_eq!(key.kind(), crypto::KeyKind::EcdsaP256);
    let file = fs::read_to_string(directory.join("log.pem")).unwrap();
    assert!(file.contains("ENCRYPTED PRIVATE KEY"), "{file}");
    assert!(refused(directory, &create).contains("never overwritten"));
    assert_eq!(fs::read_to_string(directory.join("log.pem")).unwrap(), file);

    let log = ["rekor", "log", "create", "--config", "rekor.yaml"];
    let log = [&log[..], &["--kind", "rekor-v1", "--key"]].concat();
    let said = refused(directory, &[&log[..], &["file:other.pem"]].concat());
    assert!(
        said.starts_with("error: --key: key file other.pem"),
        "{said}"
    );
    let created = sigkeep(directory, &[&log[..], &["file:log.pem"]].concat());
    assert!(created.status.success());
    let listed = sigkeep(
        directory,
        &["rekor", "log", "list", "--config", "rekor.yaml"],
    );
    let id = String::from_utf8(created.stdout).unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.starts_with(id.trim()), "{listed}");
}

#[test]
fn a_key_is_described_as_json() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("passphrase"), "correct horse\n").unwrap();
    let made = sigkeep(
        directory.path(),
        &[
            "key",
            "create",
            "file:k.pem",
            "--algorithm",
            "ecdsa-p384",
            "--passphrase-file",
            "passphrase",
            "--json",
        ],
    );
    let json: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    assert_eq!(json["key"], "file:k.pem");
    assert_eq!(json["algorithm"], "ecdsa-p384");
    let key = crypto::PublicKey::from_pem(json["public_key"].as_str().unwrap()).unwrap();
    assert_eq!(key.kind(), crypto::KeyKind::EcdsaP384);
}

#[test]
fn the_configuration_of_logs_is_checked_without_opening_anything() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    rekor_yaml(directory, "sqlite:logs.db");
    let check = ["rekor", "check-config", "rekor.yaml"];
    let output = sigkeep(directory, &check);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.starts_with("log rekor.test (rekor-v1)\n"), "{said}");
    assert!(!directory.join("logs.db").exists() && !directory.join("guards").exists());

    let yaml = fs::read_to_string(directory.join("rekor.yaml")).unwrap();
    let ct = yaml.replace("kind: rekor-v1", "kind: ct, origin: ctlog");
    fs::write(directory.join("rekor.yaml"), &ct).unwrap();
    assert!(refused(directory, &check).contains("ct-roots"));
    fs::write(directory.join("roots.pem"), "nothing\n").unwrap();
    fs::write(
        directory.join("rekor.yaml"),
        format!("{ct}ct-roots: roots.pem\n"),
    )
    .unwrap();
    assert!(refused(directory, &check).contains("roots.pem holds no PEM certificate"));
    fs::write(directory.join("rekor.yaml"), format!("{yaml}typo: 1\n")).unwrap();
    assert!(refused(directory, &check).contains("typo"));
}
