//! A `sigkeep up` to measure.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Error;
use crate::work::EMAIL;

/// A running stack in a folder that is removed with it.
pub(crate) struct Stack {
    child: Child,
    sigkeep: PathBuf,
    folder: tempfile::TempDir,
    /// `host:port` of Rekor.
    pub(crate) rekor: String,
    /// `host:port` of Fulcio.
    pub(crate) fulcio: String,
    /// URL of the certificate transparency log.
    pub(crate) ct: String,
    /// From process start until every service answered, on a data directory that exists.
    pub(crate) ready: Duration,
}

impl Stack {
    /// Starts a stack twice: first to create keys and databases, then to measure a start.
    pub(crate) async fn start(sigkeep: &Path, database: Option<&str>) -> Result<Self, Error> {
        let folder = tempfile::tempdir_in(".")?;
        let first = Self::launch(sigkeep, folder, database).await?;
        let folder = first.stop().await?;
        Self::launch(sigkeep, folder, database).await
    }

    async fn launch(
        sigkeep: &Path,
        folder: tempfile::TempDir,
        database: Option<&str>,
    ) -> Result<Self, Error> {
        let mut command = Command::new(sigkeep);
        command
            .arg("up")
            .arg("--data-dir")
            .arg(folder.path())
            .arg("--free-ports");
        if let Some(url) = database {
            command.args(["--database", url]);
        }
        let start = Instant::now();
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let file = folder.path().join("endpoints.json");
        while !file.exists() {
            if let Some(status) = child.try_wait()? {
                return Err(Error::Stack(format!("`sigkeep up` ended early: {status}")));
            }
            if start.elapsed() > Duration::from_secs(60) {
                child.kill()?;
                return Err(Error::Stack(
                    "`sigkeep up` was not ready within 60 s".into(),
                ));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let ready = start.elapsed();
        let endpoints: serde_json::Value = serde_json::from_slice(&std::fs::read(&file)?)
            .map_err(|error| Error::Stack(format!("endpoints.json: {error}")))?;
        let address = |name: &str| {
            endpoints
                .get(name)
                .and_then(serde_json::Value::as_str)
                .and_then(|url| url.strip_prefix("http://"))
                .map(str::to_owned)
                .ok_or_else(|| Error::Stack(format!("endpoints.json has no http URL for {name}")))
        };
        let (rekor, fulcio) = (address("rekor")?, address("fulcio")?);
        let ct = format!("http://{}", address("ct")?);
        Ok(Self {
            child,
            sigkeep: sigkeep.to_owned(),
            folder,
            rekor,
            fulcio,
            ct,
            ready,
        })
    }

    /// Its data directory.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// An identity token of the development issuer.
    pub(crate) fn token(&self) -> Result<String, Error> {
        let output = Command::new(&self.sigkeep)
            .args(["token", "--email", EMAIL, "--data-dir"])
            .arg(self.folder.path())
            .output()?;
        if !output.status.success() {
            return Err(Error::Stack(format!(
                "`sigkeep token` failed: {}",
                String::from_utf8_lossy(&output.stderr)
            )));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Resident memory now, in bytes.
    pub(crate) fn resident_bytes(&self) -> Result<u64, Error> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok())
            .map(|kib| kib * 1024)
            .ok_or_else(|| Error::Stack("no VmRSS in /proc".into()))
    }

    /// Stops it as an operator would, and returns its folder.
    pub(crate) async fn stop(self) -> Result<tempfile::TempDir, Error> {
        terminate(self.child).await?;
        Ok(self.folder)
    }
}

/// Stops a service as an operator would; it must end well.
pub(crate) async fn terminate(mut child: Child) -> Result<(), Error> {
    Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()?;
    let status = tokio::task::spawn_blocking(move || child.wait())
        .await
        .map_err(|error| Error::Stack(error.to_string()))??;
    if !status.success() {
        return Err(Error::Stack(format!(
            "a service ended with {status} when asked to stop"
        )));
    }
    Ok(())
}
