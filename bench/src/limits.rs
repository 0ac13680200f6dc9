//! What the machine itself allows: the figures that no service on it can pass.

use std::io::Write;
use std::time::{Duration, Instant};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

use crate::Error;
use crate::work::Key;

/// Limits, per second.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Limits {
    /// Cores.
    pub(crate) cores: usize,
    /// P-256 verifications on one core.
    pub(crate) verify: f64,
    /// P-256 signatures on one core.
    pub(crate) sign: f64,
    /// Writes of 4 KiB made durable one after the other.
    pub(crate) fsync: f64,
}

impl Limits {
    /// Log writes that all cores could verify (one signature) and promise (one signature).
    pub(crate) fn log_writes(&self) -> f64 {
        self.cores as f64 / (1.0 / self.verify + 1.0 / self.sign)
    }

    /// Certificates that all cores could make: verify the proof of possession and the SCT, sign
    /// precertificate, SCT and certificate. The token's own signature is not counted.
    pub(crate) fn certificates(&self) -> f64 {
        self.cores as f64 / (2.0 / self.verify + 3.0 / self.sign)
    }
}

/// Measures each for about `time`.
pub(crate) fn measure(time: Duration) -> Result<Limits, Error> {
    let key = Key::generate();
    let message = [7; 256];
    let signature = key.sign(&message);
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.public());
    let verify = rate(time, || public.verify(&message, &signature).is_ok());
    let sign = rate(time, || !key.sign(&message).is_empty());
    let mut file = tempfile::tempfile_in(".")?;
    let fsync = rate(time, || {
        file.write_all(&[0; 4096]).is_ok() && file.sync_data().is_ok()
    });
    Ok(Limits {
        cores: std::thread::available_parallelism()?.get(),
        verify,
        sign,
        fsync,
    })
}

fn rate(time: Duration, mut once: impl FnMut() -> bool) -> f64 {
    let start = Instant::now();
    let mut count = 0_u32;
    while start.elapsed() < time && once() {
        count += 1;
    }
    f64::from(count) / start.elapsed().as_secs_f64()
}
