//! Publishing to a bucket, in the emulator moto.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// Where the tree goes.
const TO: [&str; 2] = ["--to", "s3://trust/tuf"];

struct Server {
    process: Child,
    port: u16,
    dir: TempDir,
}

impl Server {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/s3.py");
        let mut process = Command::new(python())
            .arg(script)
            .arg(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut port)
            .unwrap();
        let port = port.trim().parse().expect("moto did not start");
        let server = Self { process, port, dir };
        let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let made = reqwest::Client::new().put(server.url("")).send().await;
        assert!(made.unwrap().status().is_success());
        server
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/trust{path}", self.port)
    }

    /// Paths that were written under the prefix, in order, with what they were conditional on.
    fn writes(&self) -> Vec<[String; 4]> {
        let log = std::fs::read_to_string(self.dir.path().join("writes")).unwrap();
        let lines = log.lines().filter_map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let name = words.first()?.strip_prefix("/trust/tuf/")?;
            Some([name, words.get(1)?, words.get(2)?, words.get(3)?].map(str::to_owned))
        });
        lines.collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

fn python() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let python = target.join("moto/bin/python");
    assert!(
        python.exists(),
        "moto is not installed; `make tools` installs it"
    );
    python
}

struct Publisher {
    dir: TempDir,
    port: u16,
}

impl Publisher {
    fn new(server: &Server) -> Self {
        let made = Self {
            dir: tempfile::tempdir().unwrap(),
            port: server.port,
        };
        std::fs::write(
            made.dir.path().join("passphrase"),
            "a passphrase for tests\n",
        )
        .unwrap();
        made.json(&["init"]);
        made.add("first");
        made
    }

    /// Somebody else with a copy of everything.
    fn copy(&self) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let copied = Command::new("cp")
            .args(["-a", "."])
            .arg(dir.path())
            .current_dir(self.dir.path())
            .status();
        assert!(copied.unwrap().success());
        Self {
            dir,
            port: self.port,
        }
    }

    fn add(&self, content: &str) {
        std::fs::write(self.dir.path().join("note.txt"), content).unwrap();
        self.json(&["target", "add", "note.txt"]);
    }

    fn run(&self, arguments: &[&str], port: u16) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tuf-root"));
        command
            .args(arguments)
            .arg("--json")
            .current_dir(self.dir.path())
            .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"))
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", "testing")
            .env("AWS_SECRET_ACCESS_KEY", "not-so-secret-testing-key");
        if arguments
            .first()
            .is_some_and(|a| !matches!(*a, "target" | "verify" | "recover"))
        {
            command.args(["--passphrase-file", "passphrase"]);
        }
        command.output().unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments, self.port);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {errors}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn fails(&self, arguments: &[&str], port: u16) -> String {
        let output = self.run(arguments, port);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn publish(&self) -> Value {
        self.json(&["publish", TO[0], TO[1]])
    }

    /// What a client of the bucket makes of it; the version of timestamp.
    fn clients_see(&self, server: &Server) -> u64 {
        let url = server.url("/tuf");
        let root = "tuf/roots/1.root.json";
        let seen = self.json(&["verify", "--mirror", &url, "--root", root]);
        let roles = seen["roles"].as_array().unwrap();
        let timestamp = roles.iter().find(|r| r["role"] == "timestamp").unwrap();
        timestamp["version"].as_u64().unwrap()
    }
}

#[tokio::test]
async fn files_go_up_in_the_order_in_which_clients_need_them() {
    let server = Server::start().await;
    let publisher = Publisher::new(&server);
    publisher.publish();
    assert_eq!(publisher.clients_see(&server), 1);
    let writes = server.writes();
    let names: Vec<&str> = writes.iter().map(|[name, ..]| name.as_str()).collect();
    assert!(names[0].starts_with("targets/"), "{names:?}");
    let rest = [
        "1.targets.json",
        "1.snapshot.json",
        "1.root.json",
        "root.json",
        "timestamp.json",
    ];
    assert_eq!(names[1..], rest);
    // Only the copy for people may be replaced at any time.
    for [name, if_none_match, ..] in &writes {
        assert_eq!(if_none_match == "*", name != "root.json", "{name}");
    }

    publisher.add("second");
    publisher.publish();
    assert_eq!(publisher.clients_see(&server), 2);
    let [name, _, if_match, status] = server.writes().pop().unwrap();
    assert_eq!((name.as_str(), status.as_str()), ("timestamp.json", "200"));
    assert_ne!(if_match, "-", "the one that was read before, or none");

    let head = reqwest::get(server.url("/tuf/2.targets.json"))
        .await
        .unwrap();
    let header = |name: &str| head.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/json");
    assert!(header("cache-control").contains("immutable"));
    let head = reqwest::get(server.url("/tuf/timestamp.json"))
        .await
        .unwrap();
    assert_eq!(head.headers()["cache-control"], "no-store");
}

#[tokio::test]
async fn of_two_publishers_one_wins_and_the_other_is_told() {
    let server = Server::start().await;
    let one = Publisher::new(&server);
    one.publish();
    let other = one.copy();
    one.add("by the one");
    one.publish();
    other.add("by the other");
    let error = other.fails(&["publish", TO[0], TO[1]], server.port);
    assert!(error.contains("somebody else publishes here"), "{error}");
    assert!(error.contains("`tuf-root recover`"), "{error}");
    assert_eq!(one.clients_see(&server), 2);
    // The way out that the error names.
    let url = server.url("/tuf");
    other.json(&["recover", "--mirror", &url]);
    other.publish();
    assert!(other.clients_see(&server) > 100);
}

#[tokio::test]
async fn a_publisher_that_came_in_between_is_noticed_at_the_last_file() {
    let server = Server::start().await;
    let publisher = Publisher::new(&server);
    publisher.publish();
    let before = std::fs::read(publisher.dir.path().join("tuf/published/timestamp.json")).unwrap();
    let intruder = [before.as_slice(), b"\n"].concat();
    publisher.add("second");
    // The check at the beginning finds nothing wrong; this comes after it.
    let output = publisher.run(&["publish"], publisher.port);
    assert!(output.status.success());
    std::fs::write(server.dir.path().join("intrude"), &intruder).unwrap();
    let error = publisher.fails(&["refresh", TO[0], TO[1]], server.port);
    assert!(error.contains("somebody else publishes here"), "{error}");
    let [name, _, _, status] = server.writes().pop().unwrap();
    assert_eq!((name.as_str(), status.as_str()), ("timestamp.json", "412"));
}

#[tokio::test]
async fn a_bucket_that_was_down_is_caught_up_with() {
    let server = Server::start().await;
    let publisher = Publisher::new(&server);
    publisher.publish();
    publisher.add("second");
    // Nobody listens on the discard port.
    let error = publisher.fails(&["publish", TO[0], TO[1]], 9);
    assert!(error.contains("run the same command again"), "{error}");
    assert_eq!(publisher.clients_see(&server), 1);
    publisher.publish();
    assert_eq!(publisher.clients_see(&server), 2);
}

#[tokio::test]
async fn a_rotation_reaches_the_bucket_step_by_step() {
    let server = Server::start().await;
    let publisher = Publisher::new(&server);
    publisher.publish();
    publisher.json(&["rotate", "online", TO[0], TO[1]]);
    assert_eq!(publisher.clients_see(&server), 2);
    let writes = server.writes();
    let names: Vec<&str> = writes.iter().map(|[name, ..]| name.as_str()).collect();
    let place = |name: &str| names.iter().position(|n| *n == name).unwrap();
    let timestamps: Vec<usize> = (names.iter().enumerate())
        .filter_map(|(i, name)| (*name == "timestamp.json").then_some(i))
        .collect();
    // Signed by both keys under the old root; then the new root. The old key's signature goes with
    // a later refresh.
    assert!(place("2.snapshot.json") < timestamps[1]);
    assert!(timestamps[1] < place("2.root.json") && timestamps.len() == 2);
}
