//! How long each step towards a certificate takes: the histogram `certificate_step_seconds`.

use std::time::Instant;

/// A step, in the order in which they are taken.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// The identity token is verified, its provider's keys fetched if need be.
    Token,
    /// The client's proof that it has the key is verified.
    Proof,
    /// The precertificate is built and signed.
    Precertificate,
    /// The log has taken it, and its promise is verified.
    Sct,
    /// The certificate is signed and compared with the precertificate.
    Certificate,
    /// The certificate is in the inventory.
    Inventory,
}

impl Step {
    const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Proof => "proof",
            Self::Precertificate => "precertificate",
            Self::Sct => "sct",
            Self::Certificate => "certificate",
            Self::Inventory => "inventory",
        }
    }

    /// Takes the step; its time counts whether it succeeds or not.
    pub(crate) async fn take<T>(self, work: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        let outcome = work.await;
        metrics::histogram!("certificate_step_seconds", "step" => self.name())
            .record(begun.elapsed());
        outcome
    }
}
