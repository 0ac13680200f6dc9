//! The program itself.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::der::request;
use super::*;

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_timestamp-rs"));
    command
        .args(arguments)
        .env("RUST_LOG", "info")
        .kill_on_drop(true);
    command
}

/// Starts to serve, and returns the address from the log.
async fn serve_on_free_port(config: &str) -> (Child, String) {
    let mut child = program(&["serve", "--config", config])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        let event: serde_json::Value =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        if let Some(address) = event["address"].as_str() {
            let address = address.to_owned();
            // Somebody has to go on reading.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return (child, address);
        }
    }
    panic!("the program ended early");
}

#[tokio::test]
async fn a_made_chain_serves_until_the_program_is_told_to_stop() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("passphrase"), "correct horse\n").unwrap();
    let create = [
        "chain",
        "init",
        &path("made/on/the/way"),
        "--organization",
        "Corp",
        "--url",
        "https://tsa.corp.example/api/v1/timestamp",
        "--passphrase-file",
        &path("passphrase"),
        "--algorithm",
        "ecdsa-p384",
    ];
    let created = program(&create).output().await.unwrap();
    assert!(created.status.success(), "{created:?}");
    let config = format!(
        "authority: '{}'\npassphrase: {{file: '{}'}}\nserver: {{listen: '127.0.0.1:0'}}\n",
        path("made/on/the/way"),
        path("passphrase")
    );
    std::fs::write(path("config.yaml"), config).unwrap();

    let (mut child, address) = serve_on_free_port(&path("config.yaml")).await;
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let query = client
        .post(format!("http://{address}/api/v1/timestamp"))
        .header("content-type", "application/timestamp-query");
    assert_eq!(query.body(request(&[])).send().await.unwrap().status(), 200);

    let pid = child.id().unwrap().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .await
            .unwrap()
            .success()
    );
    let ended = tokio::time::timeout(Duration::from_secs(10), child.wait())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(ended.code(), Some(0));
}

#[tokio::test]
async fn a_configuration_is_checked_without_its_key() {
    let (directory, files, _) = material(Algorithm::EcdsaP256Sha256).await;
    let config = directory.path().join("timestamp.yaml");
    let check = async |text: String| {
        std::fs::write(&config, text).unwrap();
        let arguments = ["check-config", config.to_str().unwrap()];
        let output = program(&arguments).output().await.unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let chain = files.certificate_chain.display();
    let good = format!(
        "certificate-chain: {chain}\nkey: file:elsewhere.pem\nclock: {{ntp-servers: [ntp.corp.example]}}\n"
    );
    let (code, said) = check(good.clone()).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("is in order")
            && said.contains("without ntp.corp.example within 1000 ms of the clock"),
        "{said}"
    );
    let tls = "server: {tls: {certificate: no-such.pem, key: no-such.pem}}\n";
    let (code, said) = check(format!("{good}{tls}")).await;
    assert_eq!(
        (code, said.contains("no-such.pem")),
        (Some(2), true),
        "{said}"
    );
    let (code, said) = check(good.replace("chain.pem", "gone.pem")).await;
    assert_eq!((code, said.contains("gone.pem")), (Some(2), true), "{said}");
    let (code, said) = check(format!("{good}clocks: {{}}\n")).await;
    assert_eq!((code, said.contains("clocks")), (Some(2), true), "{said}");
}

#[tokio::test]
async fn wrong_usage_and_configuration_exit_with_2() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config.yaml");
    std::fs::write(&config, "certificate-chain: chain.pem\nkey: chain.pem\n").unwrap();
    for (arguments, says) in [
        (&["serve"][..], "--config"),
        (
            &["serve", "--config", "no/such/file.yaml"],
            "no/such/file.yaml",
        ),
        (
            &["serve", "--config", config.to_str().unwrap()],
            "file:chain.pem",
        ),
        (
            &["serve", "--config", config.to_str().unwrap()],
            "config.yaml",
        ),
        (
            &[
                "chain",
                "init",
                "no/such/directory",
                "--organization",
                "Corp",
                "--url",
                "https://tsa.corp.example/api/v1/timestamp",
                "--passphrase-file",
                "no/such/file",
            ],
            "no/such/file",
        ),
    ] {
        let output = program(arguments).output().await.unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
}
