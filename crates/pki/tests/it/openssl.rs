//! The `openssl` program.

use std::path::PathBuf;
use std::process::{Command, Output};

use crate::support::NOW;

pub(crate) struct Directory(tempfile::TempDir);

impl Directory {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn certificate(&self, name: &str, der: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, pki::chain::certificate_to_pem(der)).unwrap();
        path
    }
}

fn run(command: &mut Command) -> (bool, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("openssl is installed");
    (
        status.success(),
        format!(
            "{}{}",
            String::from_utf8_lossy(&stdout),
            String::from_utf8_lossy(&stderr)
        ),
    )
}

/// `openssl verify` at [`NOW`].
pub(crate) fn verify(
    root: &[u8],
    intermediate: Option<&[u8]>,
    leaf: &[u8],
    arguments: &[&str],
) -> (bool, String) {
    let directory = Directory::new();
    let mut command = Command::new("openssl");
    command
        .args(["verify", "-x509_strict", "-attime", &NOW.to_string()])
        .args(arguments);
    command
        .arg("-CAfile")
        .arg(directory.certificate("root", root));
    if let Some(intermediate) = intermediate {
        command
            .arg("-untrusted")
            .arg(directory.certificate("intermediate", intermediate));
    }
    command.arg(directory.certificate("leaf", leaf));
    run(&mut command)
}

/// `openssl x509 -text` without lines that change with every run.
pub(crate) fn text(certificate: &[u8]) -> String {
    let directory = Directory::new();
    let mut command = Command::new("openssl");
    command
        .args(["x509", "-noout", "-text", "-in"])
        .arg(directory.certificate("certificate", certificate));
    let (success, text) = run(&mut command);
    assert!(success, "{text}");
    text
}
