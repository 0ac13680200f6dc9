//! What a certificate costs with the intermediate's key in a file, in an HSM, and in a file that
//! the HSM unwraps: certificates per second, and which step takes the time.
//!
//! The HSM is SoftHSM, which computes where a real one would be waited for: what is measured is the
//! path to it, not the device.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::stack::{self, Stack};
use crate::{Error, load, work};

/// Where Debian, Fedora, a build from source and Homebrew put SoftHSM's module.
const SOFTHSM: &[&str] = &[
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
];
const PIN: &str = "1234";
const STEPS: &[&str] = &[
    "token",
    "proof",
    "precertificate",
    "sct",
    "certificate",
    "inventory",
];

/// Measures each place for `time` with each number of clients, beside a running stack whose root
/// and certificate transparency log it uses.
pub(crate) async fn measure(
    sigkeep: &Path,
    database: Option<&str>,
    clients: &[usize],
    time: Duration,
) -> Result<(), Error> {
    let stack = Stack::start(sigkeep, database).await?;
    let token = stack.token()?;
    let folder = tempfile::tempdir_in(".")?;
    let hsm = Hsm::create(folder.path())?;
    println!("share of the time from request to answer, by step");
    print!("key      clients   per s   p50 ms   p99 ms");
    STEPS.iter().for_each(|step| print!(" {step:>14}"));
    println!();
    for (name, key) in [
        (
            "file",
            format!("file:{}", folder.path().join("ca.pem").display()),
        ),
        ("pkcs11", hsm.key("ca")),
        ("wrapped", hsm.wrapped(folder.path())),
    ] {
        let place = folder.path().join(name);
        let authority = Authority::start(sigkeep, &stack, &hsm, &place, &key).await?;
        for &clients in clients {
            let before = authority.step_seconds().await?;
            let work = work::certificates(clients, &token);
            let outcome = load::run(&authority.address, clients, time, work).await?;
            let after = authority.step_seconds().await?;
            print!("{name:<8} {clients:>7} {}", outcome.figures());
            let spent: Vec<f64> = STEPS
                .iter()
                .map(|step| {
                    let of = |at: &BTreeMap<String, f64>| at.get(*step).copied().unwrap_or(0.0);
                    of(&after) - of(&before)
                })
                .collect();
            let all: f64 = spent.iter().sum();
            spent
                .iter()
                .for_each(|step| print!(" {:>13.0}%", 100.0 * step / all));
            println!();
        }
        stack::terminate(authority.child).await?;
    }
    stack.stop().await?;
    Ok(())
}

/// A token of SoftHSM in a folder of its own.
struct Hsm {
    configuration: PathBuf,
    module: &'static str,
    pin: PathBuf,
}

impl Hsm {
    fn create(folder: &Path) -> Result<Self, Error> {
        let missing = "SoftHSM is not installed: .ci/softhsm installs it";
        let module = SOFTHSM.iter().find(|module| Path::new(module).exists());
        let hsm = Self {
            configuration: folder.join("softhsm2.conf"),
            module: module.ok_or_else(|| Error::Stack(missing.to_owned()))?,
            pin: std::path::absolute(folder)?.join("pin"),
        };
        let tokens = std::path::absolute(folder)?.join("tokens");
        std::fs::create_dir(&tokens)?;
        let configuration = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\n",
            tokens.display()
        );
        std::fs::write(&hsm.configuration, configuration)?;
        std::fs::write(&hsm.pin, format!("{PIN}\n"))?;
        hsm.run(Command::new("softhsm2-util").args([
            "--init-token",
            "--free",
            "--label=bench",
            "--pin",
            PIN,
            "--so-pin=5555",
        ]))?;
        hsm.run(Command::new("pkcs11-tool").args([
            "--module",
            hsm.module,
            "--token-label=bench",
            "--login",
            "--pin",
            PIN,
            "--keygen",
            "--key-type=AES:32",
            "--label=kek",
            "--sensitive",
        ]))?;
        Ok(hsm)
    }

    fn key(&self, label: &str) -> String {
        format!(
            "pkcs11:token=bench;object={label}?module-path={}&pin-source=file:{}",
            self.module,
            self.pin.display()
        )
    }

    fn wrapped(&self, folder: &Path) -> String {
        let kek: String = self
            .key("kek")
            .bytes()
            .map(|byte| format!("%{byte:02x}"))
            .collect();
        let file = folder.join("wrapped.json");
        format!("wrapped:{}?kek={kek}&context=bench", file.display())
    }

    fn run(&self, command: &mut Command) -> Result<(), Error> {
        let output = command
            .env("SOFTHSM2_CONF", &self.configuration)
            .stdin(Stdio::null())
            .output()?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(Error::Stack(format!("{command:?}: {said}")))
    }
}

/// A certificate authority that runs apart, beside a stack.
struct Authority {
    child: Child,
    /// `host:port`.
    address: String,
    metrics: String,
}

impl Authority {
    async fn start(
        sigkeep: &Path,
        stack: &Stack,
        hsm: &Hsm,
        folder: &Path,
        key: &str,
    ) -> Result<Self, Error> {
        std::fs::create_dir(folder)?;
        let (directory, root) = (folder.join("authority"), folder.join("root.pem"));
        let chain = std::fs::read_to_string(stack.folder().join("certificates/fulcio-chain.pem"))?;
        let start = chain.rfind("-----BEGIN").unwrap_or(0);
        std::fs::write(&root, chain.get(start..).unwrap_or_default())?;
        let passphrase = stack.folder().join("passphrase");
        let mut command = Command::new(sigkeep);
        command
            .args(["fulcio", "ca", "init"])
            .arg(&directory)
            .args(["--organization=Bench", "--url=http://localhost"])
            .arg("--root-certificate")
            .arg(&root)
            .arg("--root-key")
            .arg(format!(
                "file:{}",
                stack.folder().join("keys/fulcio-root.pem").display()
            ))
            .arg("--root-passphrase-file")
            .arg(&passphrase)
            .args(["--key", key, "--passphrase-file"])
            .arg(&passphrase);
        hsm.run(&mut command)?;

        let (address, metrics) = (free_address()?, free_address()?);
        let data = stack.folder();
        let configuration = format!(
            "issuers: {}\nauthority: {}\npassphrase:\n  file: {}\nct-log-url: {}\n\
             ct-log-public-key: {}\ninventory: {}\nserver:\n  listen: {address}\n  metrics: {metrics}\n",
            data.join("fulcio.yaml").display(),
            directory.display(),
            passphrase.display(),
            stack.ct,
            data.join("certificates/ct.pub").display(),
            folder.join("inventory.jsonl").display(),
        );
        let file = folder.join("config.yaml");
        std::fs::write(&file, configuration)?;
        let child = Command::new(sigkeep)
            .args(["fulcio", "serve", "--config"])
            .arg(&file)
            .env("SOFTHSM2_CONF", &hsm.configuration)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut authority = Self {
            child,
            address,
            metrics,
        };
        let begun = Instant::now();
        while load::get(&authority.address, "/readyz").await.is_err() {
            if authority.child.try_wait()?.is_some() || begun.elapsed() > Duration::from_secs(30) {
                authority.child.kill()?;
                let name = folder.display();
                return Err(Error::Stack(format!("fulcio was not ready: {name}")));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(authority)
    }

    /// Seconds spent in each step since the start, by the service's own histogram.
    async fn step_seconds(&self) -> Result<BTreeMap<String, f64>, Error> {
        let text = load::get(&self.metrics, "/metrics").await?;
        let text = String::from_utf8_lossy(&text);
        Ok(text
            .lines()
            .filter_map(|line| {
                let rest = line.strip_prefix("certificate_step_seconds_sum{step=\"")?;
                let (step, value) = rest.split_once("\"} ")?;
                Some((step.to_owned(), value.parse().ok()?))
            })
            .collect())
    }
}

fn free_address() -> Result<String, Error> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?.to_string())
}
