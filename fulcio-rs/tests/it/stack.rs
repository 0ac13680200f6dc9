//! The service with everything it needs.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use custody::{Begin, NewKey, Purpose, Root};
use fulcio_rs::identity::Refresh;
use fulcio_rs::{Config, Issuers, Service};
use keys::{Algorithm, KeyUri, Passphrase, PassphraseSource};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncBufReadExt;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::log::Log;
use crate::provider::Provider;

/// A certificate authority on disk that the whole run shares: its keys are slow to encrypt.
pub(crate) struct Shared {
    pub(crate) directory: TempDir,
    pub(crate) files: Files,
    pub(crate) passphrase: PathBuf,
}

/// Where the authority's parts are.
pub(crate) struct Files {
    pub(crate) authority: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) chain: PathBuf,
}

/// Makes an authority in `directory`, an hour ago.
pub(crate) async fn make_authority(directory: &Path) -> Files {
    let secret = Passphrase::new("correct horse");
    std::fs::create_dir_all(directory.join("1")).unwrap();
    let files = Files {
        authority: directory.to_owned(),
        key: directory.join("1/key.pem"),
        chain: directory.join("1/chain.pem"),
    };
    let key = |path: &Path, algorithm| NewKey {
        uri: KeyUri::file(path),
        algorithm,
        existing: false,
        passphrase: Some(secret.clone()),
    };
    let earlier = clock::ManualClock::at_ms((crate::provider::now() - 3600) * 1000);
    let clock: clock::SharedClock = Arc::new(earlier);
    Begin {
        purpose: Purpose::CodeSigning,
        organization: "Corp".to_owned(),
        url: "https://fulcio.corp.example".to_owned(),
        key: key(&files.key, Algorithm::EcdsaP256Sha256),
        root: Root::New {
            key: key(&directory.join("root-key.pem"), Algorithm::EcdsaP384Sha384),
            lifetime: Duration::from_secs(3650 * 86_400),
        },
        lifetime: Duration::from_secs(1095 * 86_400),
    }
    .run(directory, &clock, "test")
    .await
    .unwrap();
    files
}

pub(crate) async fn authority() -> &'static Shared {
    static SHARED: OnceCell<Shared> = OnceCell::const_new();
    SHARED
        .get_or_init(|| async {
            let directory = tempfile::tempdir().unwrap();
            let passphrase = directory.path().join("passphrase");
            std::fs::write(&passphrase, "correct horse\n").unwrap();
            Shared {
                files: make_authority(&directory.path().join("ca")).await,
                directory,
                passphrase,
            }
        })
        .await
}

/// A configuration that works, without a log.
pub(crate) async fn config(identity: &str) -> Config {
    let shared = authority().await;
    let mut config = Config::new(
        Issuers::Inline(identity.to_owned()),
        shared.files.chain.clone(),
        KeyUri::file(shared.files.key.clone()),
    );
    config.passphrase = Some(PassphraseSource::File(shared.passphrase.clone()));
    config
}

/// Identity configuration with an issuer of every type under the provider's URL.
pub(crate) fn identity(provider: &str) -> String {
    let examples = include_str!("../../examples/ci-providers.yaml");
    let host = "http://127.0.0.1";
    let mut text = String::from("oidc-issuers:\n");
    for (prefix, rest) in [
        ("email", "type: email".to_owned()),
        (
            "skip",
            "type: email, skip-email-verification: true".to_owned(),
        ),
        (
            "dex",
            "type: email, issuer-claim: '$.federated_claims.connector_id'".to_owned(),
        ),
        ("uri", format!("type: uri, subject-domain: '{host}'")),
        (
            "username",
            "type: username, subject-domain: 127.0.0.1".to_owned(),
        ),
        (
            "spiffe",
            "type: spiffe, spiffe-trust-domain: td.example".to_owned(),
        ),
        ("k8s", "type: kubernetes".to_owned()),
        ("chainguard", "type: chainguard-identity".to_owned()),
        (
            "github",
            "type: ci-provider, ci-provider: github-workflow".to_owned(),
        ),
        (
            "gitlab",
            "type: ci-provider, ci-provider: gitlab-pipeline".to_owned(),
        ),
        ("odd", "type: ci-provider, ci-provider: odd".to_owned()),
    ] {
        text.push_str(&format!(
            "  {provider}/{prefix}: {{client-id: sigstore, {rest}}}\n"
        ));
    }
    text.push_str(&format!(
        "meta-issuers:\n  {provider}/tenant/*: {{client-id: sigstore, type: email}}\n"
    ));
    let (_, metadata) = examples.split_once("ci-issuer-metadata:\n").unwrap();
    text.push_str("ci-issuer-metadata:\n");
    text.push_str(metadata);
    text.push_str(
        "  odd:\n    subject-alternative-name-template: 'https://ci.example/{{ .project }}'\n    extension-templates:\n      source-repository-identifier: project_id\n      build-trigger: '{{ .trigger }}'\n      deployment-environment: '{{ index . \"odd.key\" }}'\n",
    );
    text
}

/// A running program; it ends when this is dropped.
pub(crate) struct Program {
    _child: tokio::process::Child,
    _directory: TempDir,
}

/// Lines of a program's log.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap().join("\n")
    }

    /// The lines, parsed.
    pub(crate) fn json(&self) -> Vec<Value> {
        self.0
            .lock()
            .unwrap()
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Waits for a line.
    pub(crate) async fn wait_for(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..1000 {
            if let Some(line) = self.json().into_iter().find(&wanted) {
                return line;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the line did not come: {}", self.text());
    }
}

/// A running service.
pub(crate) struct Stack {
    pub(crate) url: String,
    pub(crate) provider: Provider,
    pub(crate) log: Log,
    pub(crate) client: reqwest::Client,
    stop: CancellationToken,
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Stack {
    /// The program itself, started with a configuration file; lines of its log go to `lines`.
    pub(crate) async fn program(lines: &Lines) -> (Self, Program) {
        Self::program_with(lines, |_| String::new()).await
    }

    /// The same, with more in the configuration; `more` gets the provider's URL.
    pub(crate) async fn program_with(
        lines: &Lines,
        more: impl FnOnce(&str) -> String,
    ) -> (Self, Program) {
        let provider = Provider::start().await;
        let log = Log::start().await;
        let shared = authority().await;
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("identity.yaml"), identity(&provider.url)).unwrap();
        std::fs::write(path("ct.pub"), log.public_key.to_pem()).unwrap();
        let config = format!(
            "issuers: {}\ncertificate-chain: {}\nkey: {}\npassphrase:\n  file: {}\nct-log-url: {}\nct-log-public-key: {}\nserver:\n  listen: 127.0.0.1:0\n{}",
            path("identity.yaml").display(),
            shared.files.chain.display(),
            KeyUri::file(shared.files.key.clone()),
            shared.passphrase.display(),
            log.url,
            path("ct.pub").display(),
            more(&provider.url),
        );
        std::fs::write(path("fulcio.yaml"), config).unwrap();
        let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_fulcio-rs"))
            .args(["serve", "--config"])
            .arg(path("fulcio.yaml"))
            .stderr(std::process::Stdio::piped())
            .env_remove("RUST_LOG")
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut output = tokio::io::BufReader::new(child.stderr.take().unwrap()).lines();
        let written = lines.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = output.next_line().await {
                written.0.lock().unwrap().push(line);
            }
        });
        let started = lines.wait_for(|line| line["message"] == "serving").await;
        let stack = Self {
            url: format!("http://{}", started["address"].as_str().unwrap()),
            provider,
            log,
            client: http_client(),
            stop: CancellationToken::new(),
        };
        (
            stack,
            Program {
                _child: child,
                _directory: directory,
            },
        )
    }

    /// With a log, every issuer, and no changes.
    pub(crate) async fn start() -> Self {
        Self::with(|_| ()).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let provider = Provider::start().await;
        Self::at(provider, change).await
    }

    pub(crate) async fn at(provider: Provider, change: impl FnOnce(&mut Config)) -> Self {
        let log = Log::start().await;
        let mut config = config(&identity(&provider.url)).await;
        let key = tempfile::NamedTempFile::new_in(authority().await.directory.path()).unwrap();
        std::fs::write(key.path(), log.public_key.to_pem()).unwrap();
        config.ct_log_url = Some(log.url.parse().unwrap());
        config.ct_log_public_key = Some(key.path().to_owned());
        config.refresh = Refresh {
            interval: Duration::from_secs(30),
            max_age: Duration::from_secs(3600),
            after_failure: Duration::from_millis(50),
        };
        change(&mut config);
        let service = Service::open(config, clock::SystemClock::shared())
            .await
            .unwrap();
        let listener = serve::listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        tokio::spawn(serve::serve(
            "fulcio",
            listener,
            service.router(),
            None,
            fulcio_rs::limits(),
            stop.clone(),
        ));
        Self {
            url,
            provider,
            log,
            client: http_client(),
            stop,
        }
    }

    pub(crate) fn without_log(config: &mut Config) {
        config.ct_log_url = None;
        config.ct_log_public_key = None;
    }
}

/// A client; the program under test may be the only part of a test that has set up TLS.
fn http_client() -> reqwest::Client {
    let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::new()
}
