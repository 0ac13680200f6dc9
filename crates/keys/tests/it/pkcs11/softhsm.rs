//! SoftHSM with a directory of its own, behind a module that can fail on request (`fault.c`).

use std::path::{Path, PathBuf};
use std::process::Command;

use keys::{Algorithm, KeyUri, SharedSigner};

/// The user PIN of every token.
pub(super) const PIN: &str = "2324";

/// The directory of the test's process.
const DIRECTORY: &str = "KEYS_TEST_DIRECTORY";

/// SoftHSM as one test sees it.
pub(super) struct SoftHsm {
    directory: PathBuf,
    module: PathBuf,
}

/// Runs `body` as the test `pkcs11::name` with an initialised token `ca`.
pub(super) fn with_token(name: &str, body: impl FnOnce(&SoftHsm)) {
    crate::process::alone(
        &format!("pkcs11::{name}"),
        |command| {
            let directory = tempfile::tempdir().unwrap();
            let root = directory.path();
            std::fs::create_dir(root.join("tokens")).unwrap();
            std::fs::create_dir(root.join("faults")).unwrap();
            std::fs::write(root.join("pin"), format!("{PIN}\n")).unwrap();
            let configuration = root.join("softhsm2.conf");
            std::fs::write(
                &configuration,
                format!(
                    "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
                    root.join("tokens").display()
                ),
            )
            .unwrap();
            command
                .env("SOFTHSM2_CONF", configuration)
                .env("KEYS_TEST_MODULE", softhsm_module())
                .env("KEYS_TEST_FAULTS", root.join("faults"))
                .env("KEYS_TEST_PIN", PIN)
                .env("KEYS_TEST_WRONG_PIN", "9999")
                .env(DIRECTORY, root);
            directory
        },
        || {
            let hsm = SoftHsm {
                directory: std::env::var_os(DIRECTORY).unwrap().into(),
                module: fault_module(),
            };
            hsm.init_token("ca");
            body(&hsm);
        },
    );
}

impl SoftHsm {
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn module(&self) -> &Path {
        &self.module
    }

    /// A new AES-256 key of this label.
    pub(super) fn secret_key(&self, label: &str) {
        self.tool(&[
            "--keygen",
            "--key-type",
            "AES:32",
            "--label",
            label,
            "--sensitive",
        ]);
    }

    pub(super) fn init_token(&self, label: &str) {
        run(Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--so-pin", "5555"])
            .args(["--label", label, "--pin", PIN]));
    }

    /// A URI of the key in the token `ca` that `key` (path attributes) means, with the right PIN.
    pub(super) fn uri(&self, key: &str) -> KeyUri {
        self.uri_with(key, "pin-source=env:KEYS_TEST_PIN")
    }

    pub(super) fn uri_with(&self, key: &str, query: &str) -> KeyUri {
        format!(
            "pkcs11:token=ca;{key}?module-path={}&{query}",
            self.module.display()
        )
        .parse()
        .unwrap()
    }

    /// A new P-256 key of this label, made and opened by the backend.
    pub(super) async fn key(&self, label: &str) -> SharedSigner {
        let uri = self.uri(&format!("object={label}"));
        keys::create(&uri, Algorithm::EcdsaP256Sha256, None)
            .await
            .unwrap()
    }

    /// OpenSC's tool, on SoftHSM directly and logged in to the token `ca`.
    pub(super) fn tool(&self, arguments: &[&str]) {
        run(Command::new("pkcs11-tool")
            .arg("--module")
            .arg(softhsm_module())
            .args(["--token-label", "ca", "--login", "--pin", PIN])
            .args(arguments));
    }

    /// Turns a fault on.
    pub(super) fn fault(&self, name: &str) {
        std::fs::write(self.directory.join("faults").join(name), "").unwrap();
    }

    /// Turns it off.
    pub(super) fn repair(&self, name: &str) {
        std::fs::remove_file(self.directory.join("faults").join(name)).unwrap();
    }

    /// How often something happened.
    pub(super) fn count(&self, name: &str) -> usize {
        std::fs::read(self.directory.join("faults").join(name)).map_or(0, |calls| calls.len())
    }
}

fn run(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; `make tools` installs it"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn softhsm_module() -> PathBuf {
    let named = std::env::var_os("SOFTHSM2_MODULE").map(PathBuf::from);
    named
        .into_iter()
        .chain(
            [
                "/usr/lib/softhsm/libsofthsm2.so",
                "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
                "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
                "/usr/lib64/softhsm/libsofthsm2.so",
                "/usr/lib64/pkcs11/libsofthsm2.so",
                "/usr/local/lib/softhsm/libsofthsm2.so",
                "/opt/homebrew/lib/softhsm/libsofthsm2.so",
            ]
            .map(PathBuf::from),
        )
        .find(|path| path.exists())
        .expect("SoftHSM is not installed; `make tools` installs it, or set SOFTHSM2_MODULE")
}

/// `fault.c`, compiled when it was changed.
fn fault_module() -> PathBuf {
    const SOURCE: &str = include_str!("fault.c");
    let hash = crypto::sha256(SOURCE.as_bytes());
    let name = format!(
        "fault-{:016x}.so",
        u64::from_ne_bytes(hash[..8].try_into().unwrap())
    );
    let module = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if !module.exists() {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/pkcs11/fault.c");
        let unfinished = module.with_extension(std::process::id().to_string());
        run(Command::new("cc")
            .args([
                "-shared", "-fPIC", "-O1", "-Wall", "-Werror", source, "-pthread", "-ldl", "-o",
            ])
            .arg(&unfinished));
        std::fs::rename(unfinished, &module).unwrap();
    }
    module
}
