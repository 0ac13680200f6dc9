//! The target files of a Sigstore trust root.
//!
//! Current clients read `trusted_root.json` and `signing_config.v0.2.json`. Older ones (cosign 2,
//! gitsign, older Kyverno) look for single keys and certificates, which they find by the custom
//! metadata `{"sigstore":{"usage":…,"status":…}}`, and each usage in a way of its own:
//!
//! - `Rekor`, `CTFE`: one PEM public key a file; every file of the usage is a log.
//! - `Fulcio`: PEM certificates; what is self-issued becomes a trusted root, all else an
//!   intermediate. A chain in one file would do, but roots and intermediates have files of their
//!   own, as clients that go by the names expect.
//! - `TSA`: PEM certificates of all files taken together, which must hold exactly one leaf. So
//!   only the authority that signs now is there.

use std::collections::BTreeSet;

use der::pem::{LineEnding, encode_string};
use wire::trust::{
    AuthorityMaterial, LogMaterial, RekorApi, RekorMaterial, ServiceMaterial, SigningConfig,
    TimeRange, Timestamp, TrustError, TrustedRoot,
};
use x509_cert::der;

use crate::metadata::{Custom, NameError, SigstoreCustom, Status, TargetName, Usage};
use crate::repository::TargetFile;

/// Name of the trusted root.
pub const TRUSTED_ROOT: &str = "trusted_root.json";
/// Name of the signing config that every client understands.
pub const SIGNING_CONFIG: &str = "signing_config.v0.2.json";
/// Name of the signing config that cosign asks for when it may use Rekor v2.
pub const SIGNING_CONFIG_REKOR_V2: &str = "signing_config_rekor_v2.v0.2.json";

/// Whether clients ask for a file of this name, rather than by its custom metadata.
#[must_use]
pub fn is_asked_for(name: &TargetName) -> bool {
    [TRUSTED_ROOT, SIGNING_CONFIG, SIGNING_CONFIG_REKOR_V2].contains(&name.as_str())
}

/// Why target files could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetsError {
    /// The services do not make up a trust root that clients accept.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// A certificate could not be written as PEM.
    #[error("a certificate cannot be written as PEM")]
    Pem,
    /// A name outside the profile.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// All target files for `material`. The same material gives the same bytes, except that a key
/// whose time ended by `now` becomes `Expired` for older clients.
pub fn target_files(
    material: &ServiceMaterial,
    now: Timestamp,
) -> Result<Vec<TargetFile>, TargetsError> {
    let mut files = Files {
        now,
        files: Vec::new(),
    };
    files.add(TRUSTED_ROOT, material.trusted_root()?.to_json(), None)?;
    // Nobody writes to a log that has ended; what it holds is verified with the trusted root.
    let open = |r: &&RekorMaterial| r.log.valid_for.end.is_none_or(|end| end > now);
    let signing = ServiceMaterial {
        rekor: material.rekor.iter().filter(open).cloned().collect(),
        ..material.clone()
    };
    files.add(SIGNING_CONFIG, signing.signing_config()?.to_json(), None)?;
    if let Some(config) = signing.signing_config_rekor_v2()? {
        files.add(SIGNING_CONFIG_REKOR_V2, config.to_json(), None)?;
    }
    let rekor = material
        .rekor
        .iter()
        .filter(|r| r.api == RekorApi::V1)
        .map(|r| &r.log);
    files.logs("rekor", Usage::Rekor, rekor.collect())?;
    files.logs("ctfe", Usage::Ctfe, material.ct_logs.iter().collect())?;
    files.fulcio(&material.fulcio)?;
    files.timestamp(&material.timestamp)?;
    Ok(files.files)
}

/// Checks a target that clients read as a trust document; other targets pass.
pub fn check_document(name: &TargetName, content: &[u8]) -> Result<(), TrustError> {
    match name.as_str() {
        TRUSTED_ROOT => TrustedRoot::from_json(content).map(drop),
        SIGNING_CONFIG | SIGNING_CONFIG_REKOR_V2 => SigningConfig::from_json(content).map(drop),
        _ => Ok(()),
    }
}

/// Which of several comes first where some reader knows one only: the one that signs now. That is
/// the oldest that has no end, because the next one is published before it signs; what has ended
/// comes last, newest first.
pub(crate) fn turn(range: TimeRange) -> (bool, u64) {
    let start = range.start.as_ms();
    match range.end {
        None => (false, start),
        Some(_) => (true, u64::MAX - start),
    }
}

struct Files {
    now: Timestamp,
    files: Vec<TargetFile>,
}

impl Files {
    fn add(
        &mut self,
        name: &str,
        content: String,
        custom: Option<Custom>,
    ) -> Result<(), TargetsError> {
        self.files.push(TargetFile {
            name: name.parse()?,
            content: content.into_bytes(),
            custom,
        });
        Ok(())
    }

    /// `rekor.pub` for the log that is in use, `rekor_2.pub` and so on for the others.
    fn logs(
        &mut self,
        name: &str,
        usage: Usage,
        mut logs: Vec<&LogMaterial>,
    ) -> Result<(), TargetsError> {
        logs.sort_by_key(|log| turn(log.valid_for));
        for (i, log) in logs.into_iter().enumerate() {
            let name = match i {
                0 => format!("{name}.pub"),
                i => format!("{name}_{}.pub", i + 1),
            };
            let custom = self.custom(usage, Some(log.valid_for), &log.url);
            self.add(&name, log.key.to_pem(), Some(custom))?;
        }
        Ok(())
    }

    fn fulcio(&mut self, authorities: &[AuthorityMaterial]) -> Result<(), TargetsError> {
        let Some(newest) = authorities.last() else {
            return Ok(());
        };
        let (mut roots, mut intermediates) = (Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        for authority in authorities {
            let Some((root, rest)) = authority.chain.split_last() else {
                continue;
            };
            roots.extend(seen.insert(root).then_some(root));
            intermediates.extend(rest.iter().filter(|der| seen.insert(*der)));
        }
        let custom = self.custom(Usage::Fulcio, None, &newest.url);
        // Two names for the roots: clients that go by names know one or the other.
        self.add("fulcio.crt.pem", pem(&roots)?, Some(custom.clone()))?;
        self.add("fulcio_v1.crt.pem", pem(&roots)?, Some(custom.clone()))?;
        if !intermediates.is_empty() {
            self.add(
                "fulcio_intermediate_v1.crt.pem",
                pem(&intermediates)?,
                Some(custom),
            )?;
        }
        Ok(())
    }

    fn timestamp(&mut self, authorities: &[AuthorityMaterial]) -> Result<(), TargetsError> {
        let usable =
            |a: &&AuthorityMaterial| a.valid_for.is_none_or(|range| range.contains(self.now));
        let in_use = authorities
            .iter()
            .filter(usable)
            .min_by_key(|a| a.valid_for.map(turn));
        let Some((authority, (leaf, issuers))) =
            in_use.and_then(|a| Some((a, a.chain.split_first()?)))
        else {
            return Ok(());
        };
        let custom = self.custom(Usage::Tsa, authority.valid_for, &authority.url);
        self.add("tsa_leaf.crt.pem", pem(&[leaf])?, Some(custom.clone()))?;
        let Some((root, intermediates)) = issuers.split_last() else {
            return Ok(());
        };
        for (i, intermediate) in intermediates.iter().enumerate() {
            self.add(
                &format!("tsa_intermediate_{i}.crt.pem"),
                pem(&[intermediate])?,
                Some(custom.clone()),
            )?;
        }
        self.add("tsa_root.crt.pem", pem(&[root])?, Some(custom))
    }

    fn custom(&self, usage: Usage, valid_for: Option<TimeRange>, url: &str) -> Custom {
        let ended = valid_for
            .and_then(|range| range.end)
            .is_some_and(|end| end < self.now);
        let status = if ended {
            Status::Expired
        } else {
            Status::Active
        };
        Custom {
            sigstore: SigstoreCustom {
                status,
                uri: Some(url.to_owned()),
                usage,
            },
        }
    }
}

/// PEM certificates, one after the other, each with a final newline.
fn pem(certificates: &[&Vec<u8>]) -> Result<String, TargetsError> {
    let mut out = String::new();
    for der in certificates {
        out.push_str(
            &encode_string("CERTIFICATE", LineEnding::LF, der).map_err(|_| TargetsError::Pem)?,
        );
    }
    Ok(out)
}
