//! A trusted root made ready for verifying.

use crypto::PublicKey;
use pki::chain::Chain;
use wire::trust::{CertificateAuthority, TimeRange, TransparencyLog, TrustedRoot};

use crate::refusal::Refusal;

/// The keys and chains of a trusted root, parsed.
#[derive(Clone, Debug)]
pub struct Anchors {
    pub(crate) logs: Vec<Log>,
    pub(crate) ct_logs: Vec<Log>,
    pub(crate) authorities: Vec<Authority>,
    pub(crate) timestamp_authorities: Vec<Authority>,
}

/// A transparency log.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    pub(crate) url: String,
    pub(crate) id: Vec<u8>,
    pub(crate) key: PublicKey,
    pub(crate) range: TimeRange,
}

/// A certificate authority or timestamp authority.
#[derive(Clone, Debug)]
pub(crate) struct Authority {
    pub(crate) chain: Chain,
    pub(crate) range: TimeRange,
}

impl Anchors {
    /// Parses what `root` lists.
    ///
    /// # Errors
    /// If a key cannot be used, or a chain's signatures do not verify, which the trusted root's own
    /// check leaves to clients.
    pub fn new(root: &TrustedRoot) -> Result<Self, Refusal> {
        let logs = |list: &[TransparencyLog]| list.iter().map(Log::new).collect::<Result<_, _>>();
        let chains = |list: &[CertificateAuthority]| {
            list.iter().map(Authority::new).collect::<Result<_, _>>()
        };
        Ok(Self {
            logs: logs(&root.tlogs)?,
            ct_logs: logs(&root.ctlogs)?,
            authorities: chains(&root.certificate_authorities)?,
            timestamp_authorities: chains(&root.timestamp_authorities)?,
        })
    }

    pub(crate) fn has_logs(&self) -> bool {
        !self.logs.is_empty()
    }
}

impl Log {
    fn new(log: &TransparencyLog) -> Result<Self, Refusal> {
        let id = &log.log_id.key_id.0;
        let key =
            (log.key()).map_err(|e| Refusal::UnknownLog(format!("{}: {e}", hex::encode(id))))?;
        Ok(Self {
            url: log.base_url.clone(),
            id: id.clone(),
            key,
            range: log.public_key.valid_for,
        })
    }
}

impl Authority {
    fn new(authority: &CertificateAuthority) -> Result<Self, Refusal> {
        let certificates = authority.cert_chain.certificates.iter();
        let chain = Chain::from_der(certificates.map(|c| c.raw_bytes.0.clone()).collect());
        Ok(Self {
            chain: chain.map_err(|e| {
                Refusal::Certificate(format!("chain of {} is broken: {e}", authority.uri))
            })?,
            range: authority.valid_for,
        })
    }
}
