//! moto's server, one for each test.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Where the switches of the test's server are.
const DIRECTORY: &str = "KEYS_TEST_DIRECTORY";

/// A server of the test's process.
struct Running {
    process: Child,
    _directory: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// The server as the test sees it.
pub(super) struct Moto {
    directory: PathBuf,
}

/// Runs `body` as the test `awskms::name` with a server started with `arguments` and the
/// environment that leads to it.
pub(super) fn with_server(name: &str, arguments: &[&str], body: impl FnOnce(&Moto)) {
    crate::process::alone(
        &format!("awskms::{name}"),
        |command| {
            let directory = tempfile::tempdir().unwrap();
            let mut process = Command::new(python())
                .arg(concat!(
                    env!("CARGO_MANIFEST_DIR"),
                    "/tests/it/awskms/server.py"
                ))
                .arg(directory.path())
                .args(arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut port = String::new();
            BufReader::new(process.stdout.take().unwrap())
                .read_line(&mut port)
                .unwrap();
            let port: u16 = port.trim().parse().expect("moto did not start");
            if arguments.contains(&"--tls") {
                command
                    .env("AWS_CA_BUNDLE", directory.path().join("ca.pem"))
                    .env("KEYS_TEST_PORT", port.to_string());
            } else {
                command.env("AWS_ENDPOINT_URL_KMS", format!("http://127.0.0.1:{port}"));
            }
            command
                .env("AWS_ACCESS_KEY_ID", "testing")
                .env("AWS_SECRET_ACCESS_KEY", "not-so-secret-testing-key")
                .env("AWS_REGION", "eu-central-1")
                .env("AWS_EC2_METADATA_DISABLED", "true")
                .env("AWS_CONFIG_FILE", "/nonexistent")
                .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
                .env(DIRECTORY, directory.path());
            Running {
                process,
                _directory: directory,
            }
        },
        || {
            body(&Moto {
                directory: std::env::var_os(DIRECTORY).unwrap().into(),
            });
        },
    );
}

impl Moto {
    /// Sets a switch.
    pub(super) fn set(&self, name: &str, value: &str) {
        std::fs::write(self.directory.join(name), value).unwrap();
    }

    /// Requests to sign that came.
    pub(super) fn signatures(&self) -> usize {
        std::fs::read(self.directory.join("signatures")).map_or(0, |calls| calls.len())
    }

    /// A client beside the one under test, for an operator's work.
    pub(super) async fn operator(&self) -> aws_sdk_kms::Client {
        let http = aws_smithy_http_client::Builder::new().build_http();
        let loader = aws_config::defaults(aws_config::BehaviorVersion::latest()).http_client(http);
        aws_sdk_kms::Client::new(&loader.load().await)
    }
}

/// The Python that `.ci/moto` installed moto for.
fn python() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let python = target.join("moto/bin/python");
    assert!(
        python.exists(),
        "moto is not installed; `make tools` installs it"
    );
    python
}
