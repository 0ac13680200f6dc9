//! What the service refuses to start with, and the command line.

use std::time::{Duration, SystemTime};

use fulcio_rs::{Config, Error, Issuers, Service};
use keys::{Algorithm, FileSigner, KeyUri, Passphrase, PassphraseSource};

use crate::stack::{authority, config};

async fn refusal(config: Config) -> String {
    refusal_at(config, clock::SystemClock::shared()).await
}

async fn refusal_at(config: Config, clock: clock::SharedClock) -> String {
    match Service::open(config, clock).await {
        Ok(_) => panic!("it started"),
        Err(error) => error.to_string(),
    }
}

const IDENTITY: &str =
    "oidc-issuers: {https://login.corp.example: {client-id: sigstore, type: email}}";

#[tokio::test]
async fn authorities_that_cannot_issue_are_refused() {
    let shared = authority().await;
    // Another key.
    let other = shared.directory.path().join("other.pem");
    let pass = Passphrase::new("correct horse");
    FileSigner::create(&other, Algorithm::EcdsaP256Sha256, &pass).unwrap();
    let mut mismatch = config(IDENTITY).await;
    mismatch.key = Some(KeyUri::file(other));
    assert!(refusal(mismatch).await.contains("key"));
    // The root's key with the root first: a chain in the wrong order.
    let mut reversed = config(IDENTITY).await;
    let chain = std::fs::read_to_string(&shared.files.chain).unwrap();
    let mut blocks = pem::parse_many(&chain).unwrap();
    blocks.reverse();
    let path = shared.directory.path().join("reversed.pem");
    std::fs::write(&path, pem::encode_many(&blocks)).unwrap();
    reversed.certificate_chain = Some(path);
    refusal(reversed).await;
    // A wrong passphrase, and none.
    let wrong = shared.directory.path().join("wrong-passphrase");
    std::fs::write(&wrong, "wrong\n").unwrap();
    let mut locked = config(IDENTITY).await;
    locked.passphrase = Some(PassphraseSource::File(wrong));
    assert!(refusal(locked).await.contains("passphrase"));
    // Not a chain.
    let mut broken = config(IDENTITY).await;
    broken.certificate_chain = Some(shared.passphrase.clone());
    refusal(broken).await;
}

#[tokio::test]
async fn an_expired_authority_is_refused() {
    let four_years = 4 * 365 * 24 * 3600 * 1000;
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_millis();
    let later = clock::ManualClock::at_ms(u64::try_from(now).unwrap() + four_years);
    refusal_at(config(IDENTITY).await, std::sync::Arc::new(later)).await;
}

#[tokio::test]
async fn a_missing_or_contradictory_configuration_is_refused() {
    let mut missing = config(IDENTITY).await;
    missing.issuers = Issuers::File("/nonexistent/config.yaml".into());
    assert!(refusal(missing).await.contains("/nonexistent/config.yaml"));
    for text in [
        "",
        "oidc-issuers: {https://a.example: {client-id: s, type: email, issuer-url: https://b.example}}",
        "oidc-issuers: {https://a.example: {client-id: s, type: email, scope: x}}",
        "oidc-issuers: {https://a.example: {client-id: s, type: email, ca-cert: nonsense}}",
    ] {
        refusal(config(text).await).await;
    }
    let mut unverifiable = config(IDENTITY).await;
    unverifiable.ct_log_url = Some("http://127.0.0.1:1/ct".parse().unwrap());
    assert!(refusal(unverifiable).await.contains("belong together"));
}

#[tokio::test]
async fn a_created_authority_holds_together_for_its_years() {
    let shared = authority().await;
    let chain = pki::chain::Chain::from_pem(&std::fs::read_to_string(&shared.files.chain).unwrap())
        .unwrap();
    let signer = FileSigner::load(&shared.files.key, &Passphrase::new("correct horse")).unwrap();
    let now = SystemTime::now();
    chain
        .check_certificate_authority(keys::Signer::public_key(&signer), now)
        .unwrap();
    for years in [1, 2] {
        let later = now + Duration::from_secs(years * 365 * 24 * 3600);
        chain
            .check_certificate_authority(keys::Signer::public_key(&signer), later)
            .unwrap();
    }
}

#[test]
fn the_examples_load() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    for name in ["identity.yaml", "identity.json", "ci-providers.yaml"] {
        let registry = Issuers::File(directory.join(name))
            .load()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(registry.issuers().count() > 1);
    }
    let config = Config::load(&directory.join("fulcio.yaml")).unwrap();
    assert!(config.server.metrics.is_some());
    assert!(matches!(
        Config::load(&directory.join("nope.yaml")),
        Err(Error::File { .. })
    ));
}

/// The program's exit code and output.
pub(crate) fn run(arguments: &[&str], input: &str) -> (Option<i32>, String) {
    use std::io::Write;
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_fulcio-rs"))
        .args(arguments)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn configurations_are_checked_on_the_command_line() {
    let directory = tempfile::tempdir().unwrap();
    let good = directory.path().join("good.yaml");
    std::fs::write(&good, IDENTITY).unwrap();
    let (code, text) = run(&["check-config", good.to_str().unwrap()], "");
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("https://login.corp.example (email, audience sigstore)"),
        "{text}"
    );
    let bad = directory.path().join("bad.yaml");
    std::fs::write(&bad, IDENTITY.replace("client-id", "clientid")).unwrap();
    let (code, text) = run(&["check-config", bad.to_str().unwrap()], "");
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("\"client-id\""), "{text}");
    let (code, _) = run(&["check-config", "/nonexistent"], "");
    assert_eq!(code, Some(2));
    let (code, _) = run(&["serve"], "");
    assert_eq!(code, Some(2));
    let (code, text) = run(&["check-config", "--json", bad.to_str().unwrap()], "");
    let found: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &found["ok"]), (Some(2), &serde_json::json!(false)));
}

#[tokio::test]
async fn a_services_configuration_is_checked_with_the_files_it_names() {
    let shared = authority().await;
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("identity.yaml"), IDENTITY).unwrap();
    let check = |more: &str| {
        let text = format!(
            "issuers: {}\ncertificate-chain: {}\nkey: {}\n{more}",
            path("identity.yaml").display(),
            shared.files.chain.display(),
            KeyUri::file(shared.files.key.clone()),
        );
        std::fs::write(path("fulcio.yaml"), text).unwrap();
        run(
            &[
                "check-config",
                "--json",
                path("fulcio.yaml").to_str().unwrap(),
            ],
            "",
        )
    };
    let (code, text) = check("");
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("is in order") && text.contains("login.corp.example"),
        "{text}"
    );
    for (more, named) in [
        (
            "server: {tls: {certificate: no-such.pem, key: no-such.pem}}\n",
            "no-such.pem",
        ),
        (
            "server: {grpc: {listen: '127.0.0.1:1', tls: {certificate: none.pem, key: none.pem}}}\n",
            "none.pem",
        ),
        (
            "pinned-jwks: {https://login.corp.example: nowhere.json}\n",
            "nowhere.json",
        ),
        (
            "ct-log-url: http://localhost/ct\nct-log-public-key: gone.pub\n",
            "gone.pub",
        ),
        ("policy: {https://other.example: []}\n", "no such issuer"),
    ] {
        let (code, text) = check(more);
        assert_eq!(code, Some(2), "{more}: {text}");
        assert!(text.contains(named), "{more}: {text}");
    }
}
