//! `sigkeep up` and `sigkeep token`, as processes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

const SIGKEEP: &str = env!("CARGO_BIN_EXE_sigkeep");

/// Longest time to wait for a start or a stop; unoptimised builds on a busy machine are slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running `sigkeep up`; killed when dropped.
struct Up {
    child: Child,
    directory: PathBuf,
}

impl Up {
    fn start(directory: &Path) -> Self {
        let endpoints = directory.join("endpoints.json");
        let _ = fs::remove_file(&endpoints);
        let log = fs::File::create(directory.with_extension("log")).unwrap();
        let mut child = Command::new(SIGKEEP)
            .args(["up", "--free-ports", "--data-dir"])
            .arg(directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while !endpoints.exists() {
            let ended = child.try_wait().unwrap();
            let log = || fs::read_to_string(directory.with_extension("log")).unwrap();
            assert!(ended.is_none(), "ended with {ended:?}:\n{}", log());
            assert!(begun.elapsed() < PATIENCE, "not ready:\n{}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
        Self {
            child,
            directory: directory.to_owned(),
        }
    }

    fn endpoints(&self) -> Value {
        serde_json::from_slice(&fs::read(self.directory.join("endpoints.json")).unwrap()).unwrap()
    }

    fn base(&self, service: &str) -> String {
        self.endpoints()[service].as_str().unwrap().to_owned()
    }

    /// SIGTERM, twice as `timeout` does; returns the exit code.
    fn stop(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        // One command a signal: two that are pending at one time are delivered as one.
        for _ in 0..2 {
            let sent = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
            // The second may come after the end.
            assert!(sent.success() || self.child.try_wait().unwrap().is_some());
        }
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("it did not stop");
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn sigkeep(arguments: &[&str], directory: &Path) -> Output {
    let (command, rest) = arguments.split_first().unwrap();
    Command::new(SIGKEEP)
        .arg(command)
        .arg("--data-dir")
        .arg(directory)
        .args(rest)
        .output()
        .unwrap()
}

fn payload(token: &str) -> Value {
    let payload = token.trim().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

fn client() -> Client {
    let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Client::builder().no_proxy().build().unwrap()
}

async fn get(url: String) -> Vec<u8> {
    let answer = client().get(&url).send().await.unwrap();
    assert!(answer.status().is_success(), "{url}: {}", answer.status());
    answer.bytes().await.unwrap().to_vec()
}

fn data() -> (TempDir, PathBuf) {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("data");
    (temporary, directory)
}

#[tokio::test]
async fn when_it_says_ready_every_service_answers_and_trust_material_is_there() {
    let (_temporary, directory) = data();
    let up = Up::start(&directory);
    for (service, path) in [
        ("oidc", "/.well-known/openid-configuration"),
        ("fulcio", "/api/v2/trustBundle"),
        ("rekor", "/api/v1/log"),
        ("tsa", "/api/v1/timestamp/certchain"),
        ("ct", "/ct/v1/get-sth"),
        ("tuf", "/1.root.json"),
    ] {
        let base = up.base(service);
        assert!(
            base.starts_with("http://localhost:") && !base.ends_with('/'),
            "{base}"
        );
        get(format!("{base}{path}")).await;
    }
    for file in [
        "root.json",
        "trusted_root.json",
        "signing_config.v0.2.json",
        "client_trust_config.json",
        "client.env",
    ] {
        assert!(directory.join("trust").join(file).exists(), "{file}");
    }
    let screen = fs::read_to_string(directory.with_extension("log")).unwrap();
    assert!(
        screen.contains("cosign initialize --mirror") && screen.contains("for development"),
        "{screen}"
    );
    assert!(
        screen.lines().all(|line| !line.starts_with('{')),
        "{screen}"
    );
    let environment = fs::read_to_string(directory.join("trust/client.env")).unwrap();
    let data = fs::canonicalize(&directory).unwrap();
    let token = format!("{SIGKEEP} token --data-dir {}", data.display());
    assert!(environment.contains(&token), "{environment}");
    let secrets = fs::read_to_string(directory.join("passphrase")).unwrap();
    assert!(!screen.contains(secrets.trim()));
    assert_eq!(up.stop(), Some(0));
}

#[tokio::test]
async fn stopping_and_starting_keeps_urls_keys_logs_and_trust_root() {
    let (_temporary, directory) = data();
    let observe = async |up: &Up| {
        let log: Value =
            serde_json::from_slice(&get(up.base("rekor") + "/api/v1/log").await).unwrap();
        (
            up.endpoints(),
            (
                log["treeID"].clone(),
                log["treeSize"].clone(),
                log["rootHash"].clone(),
            ),
            get(up.base("rekor") + "/api/v1/log/publicKey").await,
            get(up.base("fulcio") + "/api/v2/trustBundle").await,
            get(up.base("tsa") + "/api/v1/timestamp/certchain").await,
            get(up.base("tuf") + "/1.root.json").await,
            get(up.base("oidc") + "/keys").await,
            fs::read(directory.join("trust/trusted_root.json")).unwrap(),
        )
    };
    let up = Up::start(&directory);
    let before = observe(&up).await;
    assert_eq!(up.stop(), Some(0));
    assert!(!directory.join("endpoints.json").exists());
    let up = Up::start(&directory);
    assert_eq!(observe(&up).await, before);
    // Killed: it can remove nothing, and the next start must not mind.
    drop(up);
    let up = Up::start(&directory);
    assert_eq!(observe(&up).await, before);
    assert_eq!(up.stop(), Some(0));
}

#[tokio::test]
async fn one_directory_has_one_user() {
    let (_temporary, directory) = data();
    let up = Up::start(&directory);
    let second = sigkeep(&["up", "--free-ports"], &directory);
    assert_eq!(second.status.code(), Some(2));
    let message = String::from_utf8(second.stderr).unwrap();
    assert!(
        message.contains("already in use") && message.contains(&up.child.id().to_string()),
        "{message}"
    );
    assert!(directory.join("endpoints.json").exists());
    get(up.base("rekor") + "/api/v1/log").await;
    assert_eq!(up.stop(), Some(0));
}

#[test]
fn an_address_off_loopback_is_refused_before_anything_is_made() {
    let (_temporary, directory) = data();
    for address in ["0.0.0.0", "::", "192.0.2.1"] {
        let refused = sigkeep(&["up", "--bind", address], &directory);
        assert_eq!(refused.status.code(), Some(2), "{address}");
        assert!(
            String::from_utf8(refused.stderr)
                .unwrap()
                .contains("loopback")
        );
        assert!(!directory.exists());
    }
}

#[tokio::test]
async fn a_token_is_printed_alone_and_the_running_issuer_stands_for_it() {
    let (_temporary, directory) = data();
    let none = sigkeep(&["token", "--email", "dev@corp.example"], &directory);
    assert_eq!(none.status.code(), Some(2));
    assert!(
        none.stdout.is_empty()
            && String::from_utf8(none.stderr)
                .unwrap()
                .contains("sigkeep up")
    );

    let up = Up::start(&directory);
    let printed = sigkeep(
        &["token", "--email", "dev@corp.example", "--claim", "level=7"],
        &directory,
    );
    assert!(printed.status.success());
    let token = String::from_utf8(printed.stdout).unwrap();
    assert_eq!(token.lines().count(), 1);
    let claims = payload(&token);
    assert_eq!(claims["iss"], up.base("oidc"));
    assert_eq!(
        (&claims["email"], &claims["level"]),
        (&json!("dev@corp.example"), &json!(7))
    );

    let keys: Value = serde_json::from_slice(&get(up.base("oidc") + "/keys").await).unwrap();
    let header = URL_SAFE_NO_PAD
        .decode(token.split('.').next().unwrap())
        .unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    assert_eq!(keys["keys"][0]["kid"], header["kid"]);

    let printed = sigkeep(&["token", "--issuer", "gitlab", "--json"], &directory);
    let answer: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!(answer["issuer"], format!("{}/gitlab", up.base("oidc")));
    assert_eq!(
        payload(answer["token"].as_str().unwrap())["iss"],
        answer["issuer"]
    );

    let said = String::from_utf8(sigkeep(&["token"], &directory).stderr).unwrap();
    assert!(said.contains("--email dev@corp.example"), "{said}");
    for wrong in [
        ["token", "--email", "nobody"].as_slice(),
        &["token"],
        &["token", "--email", "a@b.example", "--claim", "x"],
        &["token", "--email", "a@b.example", "--issuer", "github"],
    ] {
        assert_eq!(
            sigkeep(wrong, &directory).status.code(),
            Some(2),
            "{wrong:?}"
        );
    }
}

/// Runs `up` to its end; it must refuse. Returns what it said.
fn refused(directory: &Path) -> String {
    let output = sigkeep(&["up", "--free-ports"], directory);
    assert_eq!(output.status.code(), Some(1));
    assert!(!directory.join("endpoints.json").exists());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_database_that_is_lost_or_exchanged_is_not_made_anew() {
    let (_temporary, directory) = data();
    assert_eq!(Up::start(&directory).stop(), Some(0));
    let database = directory.join("logs.db");
    let content = fs::read(&database).unwrap();

    fs::remove_file(&database).unwrap();
    let said = refused(&directory);
    assert!(
        said.contains("logs.db is missing") && said.contains("backup"),
        "{said}"
    );

    // An empty file is an empty database. Its logs would have the old keys and a new history.
    fs::write(&database, b"").unwrap();
    let said = refused(&directory);
    assert!(said.contains("rolled back"), "{said}");

    fs::write(&database, content).unwrap();
    assert_eq!(Up::start(&directory).stop(), Some(0));

    let keys = directory.join("tuf/keys");
    fs::rename(&keys, directory.join("elsewhere")).unwrap();
    let said = refused(&directory);
    assert!(
        said.contains("tuf/keys is missing") && said.contains("backup"),
        "{said}"
    );
    fs::rename(directory.join("elsewhere"), &keys).unwrap();
}

#[tokio::test]
async fn every_development_issuer_leads_to_a_certificate() {
    let (_temporary, directory) = data();
    let up = Up::start(&directory);
    let oidc = up.base("oidc");
    for (arguments, identity) in [
        (
            ["--email", "dev@corp.example"],
            "dev@corp.example".to_owned(),
        ),
        (
            ["--issuer", "github"],
            "https://github.com/example/project/.github/workflows/release.yml@refs/heads/main"
                .to_owned(),
        ),
        (
            ["--issuer", "gitlab"],
            "https://gitlab.com/example/project//.gitlab-ci.yml@refs/heads/main".to_owned(),
        ),
        (
            ["--issuer", "kubernetes"],
            "https://kubernetes.io/namespaces/default/serviceaccounts/default".to_owned(),
        ),
        (["--issuer", "uri"], format!("{oidc}/workloads/dev")),
    ] {
        let [flag, value] = arguments;
        let printed = sigkeep(&["token", flag, value], &directory);
        let token = String::from_utf8(printed.stdout).unwrap().trim().to_owned();
        let key = rcgen::KeyPair::generate().unwrap();
        let request = rcgen::CertificateParams::default()
            .serialize_request(&key)
            .unwrap();
        let body = json!({
            "credentials": { "oidcIdentityToken": token },
            "certificateSigningRequest": STANDARD.encode(request.pem().unwrap()),
        });
        let url = up.base("fulcio") + "/api/v2/signingCert";
        let answer = client().post(url).json(&body).send().await.unwrap();
        let status = answer.status();
        let answer: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "{identity}: {answer}");
        let chain = &answer["signedCertificateEmbeddedSct"]["chain"]["certificates"];
        let (_, leaf) = pem_rfc7468::decode_vec(chain[0].as_str().unwrap().as_bytes()).unwrap();
        // Both are ASCII strings in the certificate.
        for text in [
            identity,
            payload(&token)["iss"].as_str().unwrap().to_owned(),
        ] {
            assert!(
                leaf.windows(text.len())
                    .any(|window| window == text.as_bytes()),
                "{text}"
            );
        }
    }
    assert_eq!(up.stop(), Some(0));
}
