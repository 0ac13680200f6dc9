//! Rotation of the services' own keys: an entry of the trust root that comes, and one that ends.
//!
//! No client notices it in this order: publish the next key or chain before it signs; wait until
//! every client has it (long-running ones ask once a day); switch the service; end the old entry.
//! An entry never goes, because what it signed is verified with it.

use std::collections::BTreeMap;
use std::fmt;

use crypto::{KeyKind, PublicKey};
use pki::chain::Chain;
use serde::Serialize;
use wire::trust::{
    AuthorityMaterial, CertificateAuthority, IdentityProviderMaterial, LogMaterial, RekorApi,
    RekorMaterial, ServiceMaterial, SigningConfig, TimeRange, Timestamp, TransparencyLog,
    TrustError, TrustedRoot,
};

use crate::metadata::{Sha256, TargetName};
use crate::repository::TargetFile;
use crate::trust::{
    SIGNING_CONFIG, SIGNING_CONFIG_REKOR_V2, TRUSTED_ROOT, TargetsError, target_files,
};

/// How much later than the last signature an entry ends, in seconds: clocks differ, and one client
/// takes the end of a timestamp authority for the first moment at which it is not trusted.
pub const MARGIN_SECS: u64 = 3600;

/// Kinds of service that the trust root names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Certificate authority: one entry for each intermediate.
    Fulcio,
    /// Certificate Transparency log.
    Ct,
    /// Rekor log: one entry for each shard with a key of its own.
    Rekor,
    /// Timestamp authority: one entry for each signing certificate.
    Timestamp,
}

/// Why the trust root was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Nothing to change.
    #[error("there is no {0} yet; stage it with `tuf-root collect` or `tuf-root target add`")]
    Missing(&'static str),
    /// It would not be one that clients accept.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The target files could not be made.
    #[error(transparent)]
    Targets(#[from] TargetsError),
    /// The signing config names nobody.
    #[error("the signing config names no {0}; stage a complete one with `tuf-root collect`")]
    Empty(&'static str),
    /// What comes next cannot be used.
    #[error("the next {kind}: {reason}")]
    Next {
        /// Of which kind.
        kind: Kind,
        /// What is wrong.
        reason: String,
    },
    /// It is there.
    #[error("{0} is in the trust root already")]
    Known(Sha256),
    /// It is not there.
    #[error(
        "no {kind} has the fingerprint {fingerprint}; `tuf-root rotate service {kind}` lists them"
    )]
    Unknown {
        /// Of which kind.
        kind: Kind,
        /// What was asked for.
        fingerprint: Sha256,
    },
    /// It has an end.
    #[error("{0} ends at {1} already")]
    Ended(Sha256, Timestamp),
    /// It would end before it began.
    #[error("{0} starts at {1} only; name a later end with --at")]
    NotBegun(Sha256, Timestamp),
    /// Nobody could sign any more.
    #[error("no other {0} would be valid after {1}: publish the next one first, with --next")]
    Last(Kind, Timestamp),
    /// Outside the years that can be written.
    #[error("not a time that a trust root can hold")]
    Time,
}

/// One entry of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// SHA-256 of the signing certificate, or of the log's DER SubjectPublicKeyInfo.
    pub fingerprint: Sha256,
    /// Where the service is.
    pub url: String,
    /// When it signs.
    #[serde(flatten)]
    pub valid_for: TimeRange,
}

/// What comes next.
#[derive(Clone, Debug)]
pub struct Next {
    /// The key of a log, or the chain of an authority, as PEM.
    pub pem: String,
    /// Where it will be; where the newest one of its kind is if left out.
    pub url: Option<String>,
    /// From when on it may sign. Left out: for a log from now, for an authority from the start of
    /// its certificates.
    pub from: Option<Timestamp>,
}

/// The services that a set of target files names, past and present.
#[derive(Clone, Debug)]
pub struct Services {
    material: ServiceMaterial,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fulcio => "fulcio",
            Self::Ct => "ct",
            Self::Rekor => "rekor",
            Self::Timestamp => "timestamp",
        })
    }
}

impl Services {
    /// Reads target files.
    pub fn read(files: &BTreeMap<TargetName, Vec<u8>>) -> Result<Self, ServiceError> {
        let file = |name: &str| {
            let found = files.iter().find(|(known, _)| known.as_str() == name);
            found.map(|(_, content)| content.as_slice())
        };
        let root = file(TRUSTED_ROOT).ok_or(ServiceError::Missing(TRUSTED_ROOT))?;
        let config = file(SIGNING_CONFIG).ok_or(ServiceError::Missing(SIGNING_CONFIG))?;
        let config_v2 = file(SIGNING_CONFIG_REKOR_V2);
        let config = SigningConfig::from_json(config)?;
        let names = files.iter().map(|(name, content)| (name.as_str(), content));
        let operator = config.ca_urls.first().map(|service| &service.operator);
        let material = ServiceMaterial {
            operator: operator
                .ok_or(ServiceError::Empty("certificate authority"))?
                .clone(),
            identity_providers: identity_providers(&config),
            ..published(
                &TrustedRoot::from_json(root)?,
                config_v2
                    .map(SigningConfig::from_json)
                    .transpose()?
                    .as_ref(),
                names,
            )?
        };
        Ok(Self { material })
    }

    /// The entries of a kind, oldest first.
    #[must_use]
    pub fn entries(&self, kind: Kind) -> Vec<Entry> {
        let log = |log: &LogMaterial| Entry {
            fingerprint: Sha256::of(log.key.spki_der()),
            url: log.url.clone(),
            valid_for: log.valid_for,
        };
        let authority = |authority: &AuthorityMaterial| {
            Some(Entry {
                fingerprint: Sha256::of(authority.chain.first()?),
                url: authority.url.clone(),
                valid_for: authority.valid_for?,
            })
        };
        let material = &self.material;
        match kind {
            Kind::Fulcio => material.fulcio.iter().filter_map(authority).collect(),
            Kind::Timestamp => material.timestamp.iter().filter_map(authority).collect(),
            Kind::Ct => material.ct_logs.iter().map(log).collect(),
            Kind::Rekor => material.rekor.iter().map(|rekor| log(&rekor.log)).collect(),
        }
    }

    /// Adds an entry. It changes nothing for what is signed by others.
    pub fn announce(
        &mut self,
        kind: Kind,
        next: &Next,
        now: Timestamp,
    ) -> Result<(), ServiceError> {
        let refuse = |reason: String| ServiceError::Next { kind, reason };
        let known = self.entries(kind);
        let url = match (&next.url, known.last()) {
            (Some(url), _) => url.trim_end_matches('/').to_owned(),
            (None, Some(newest)) => newest.url.clone(),
            (None, None) => return Err(refuse("say where it is, with --url".to_owned())),
        };
        let unknown = |bytes: &[u8]| match Sha256::of(bytes) {
            known_one if known.iter().any(|e| e.fingerprint == known_one) => {
                Err(ServiceError::Known(known_one))
            }
            _ => Ok(()),
        };
        match kind {
            Kind::Fulcio | Kind::Timestamp => {
                let chain = Chain::from_pem(&next.pem).map_err(|e| refuse(e.to_string()))?;
                let chain: Vec<Vec<u8>> = chain.certificates().map(<[u8]>::to_vec).collect();
                unknown(chain.first().map_or(&[], Vec::as_slice))?;
                let authorities = match kind {
                    Kind::Fulcio => &mut self.material.fulcio,
                    _ => &mut self.material.timestamp,
                };
                authorities.push(AuthorityMaterial {
                    url,
                    chain,
                    valid_for: next.from.map(TimeRange::since),
                });
                // Back from the document, which finds out when the certificates start.
                let root = self.material.trusted_root()?;
                self.material.fulcio = authorities_of(&root.certificate_authorities);
                self.material.timestamp = authorities_of(&root.timestamp_authorities);
            }
            Kind::Ct | Kind::Rekor => {
                let key = PublicKey::from_pem(&next.pem).map_err(|e| refuse(e.to_string()))?;
                if key.kind() != KeyKind::EcdsaP256 {
                    return Err(refuse(
                        "clients verify ECDSA P-256 only, for this kind of log".to_owned(),
                    ));
                }
                unknown(key.spki_der())?;
                let log = LogMaterial {
                    url,
                    key,
                    valid_for: TimeRange::since(next.from.unwrap_or(now)),
                };
                match kind {
                    Kind::Ct => self.material.ct_logs.push(log),
                    _ => self.material.rekor.push(RekorMaterial {
                        log,
                        api: RekorApi::V1,
                    }),
                }
            }
        }
        Ok(())
    }

    /// Ends an entry that signed last at `last`; it stays trusted for what it signed until then.
    pub fn end(
        &mut self,
        kind: Kind,
        fingerprint: Sha256,
        last: Timestamp,
    ) -> Result<(), ServiceError> {
        let entries = self.entries(kind);
        let unknown = ServiceError::Unknown { kind, fingerprint };
        let entry = entries.iter().find(|e| e.fingerprint == fingerprint);
        let range = entry.ok_or(unknown)?.valid_for;
        let end = Timestamp::from_secs(last.as_secs().saturating_add(MARGIN_SECS));
        let end = end.map_err(|_| ServiceError::Time)?;
        match range.end {
            Some(end) => return Err(ServiceError::Ended(fingerprint, end)),
            None if last < range.start => {
                return Err(ServiceError::NotBegun(fingerprint, range.start));
            }
            None => {}
        }
        let goes_on = |e: &Entry| {
            let TimeRange { start, end: other } = e.valid_for;
            e.fingerprint != fingerprint && start <= end && other.is_none_or(|other| other > end)
        };
        if !entries.iter().any(goes_on) {
            return Err(ServiceError::Last(kind, end));
        }
        let ended = |range: &mut TimeRange| range.end = Some(end);
        let is = |bytes: &[u8]| Sha256::of(bytes) == fingerprint;
        let material = &mut self.material;
        let authorities = match kind {
            Kind::Fulcio => &mut material.fulcio[..],
            Kind::Timestamp => &mut material.timestamp[..],
            Kind::Ct | Kind::Rekor => &mut [],
        };
        (authorities.iter_mut())
            .filter(|a| a.chain.first().is_some_and(|der| is(der)))
            .filter_map(|a| a.valid_for.as_mut())
            .for_each(ended);
        let logs: Vec<&mut LogMaterial> = match kind {
            Kind::Ct => material.ct_logs.iter_mut().collect(),
            Kind::Rekor => material.rekor.iter_mut().map(|r| &mut r.log).collect(),
            Kind::Fulcio | Kind::Timestamp => Vec::new(),
        };
        (logs.into_iter())
            .filter(|log| is(log.key.spki_der()))
            .for_each(|log| ended(&mut log.valid_for));
        Ok(())
    }

    /// The target files.
    pub fn target_files(&self, now: Timestamp) -> Result<Vec<TargetFile>, ServiceError> {
        Ok(target_files(&self.material, now)?)
    }
}

pub(crate) fn identity_providers(config: &SigningConfig) -> Vec<IdentityProviderMaterial> {
    let provider = |service: &wire::trust::Service| IdentityProviderMaterial {
        url: service.url.clone(),
        valid_for: service.valid_for,
    };
    config.oidc_urls.iter().map(provider).collect()
}

/// What trust documents say of logs and authorities; without operator and identity providers.
/// `files`: the published target files, by names that end as theirs do.
pub(crate) fn published<'a>(
    root: &TrustedRoot,
    config_v2: Option<&SigningConfig>,
    files: impl IntoIterator<Item = (&'a str, &'a Vec<u8>)>,
) -> Result<ServiceMaterial, TrustError> {
    let v1: Vec<&[u8]> = (files.into_iter())
        .filter(|(name, _)| name.ends_with(".pub") && name.contains("rekor"))
        .map(|(_, content)| content.as_slice())
        .collect();
    let mut rekor = Vec::with_capacity(root.tlogs.len());
    for entry in &root.tlogs {
        let log = log(entry)?;
        // Both kinds of log stand in one list; the older clients' files tell them apart.
        let is_v1 = v1.contains(&log.key.to_pem().as_bytes());
        let in_v2 = config_v2.is_some_and(|c| c.rekor_tlog_urls.iter().any(|s| s.url == log.url));
        let of_v2 = entry.log_id.key_id.0 != log.key.key_id();
        let host = log.url.split_once("://").map_or("", |(_, host)| host);
        let api = match !is_v1 && (in_v2 || of_v2) {
            true => RekorApi::V2 {
                origin: host.to_owned(),
            },
            false => RekorApi::V1,
        };
        rekor.push(RekorMaterial { log, api });
    }
    Ok(ServiceMaterial {
        operator: String::new(),
        fulcio: authorities_of(&root.certificate_authorities),
        ct_logs: root.ctlogs.iter().map(log).collect::<Result<_, _>>()?,
        rekor,
        timestamp: authorities_of(&root.timestamp_authorities),
        identity_providers: Vec::new(),
    })
}

fn authorities_of(entries: &[CertificateAuthority]) -> Vec<AuthorityMaterial> {
    let authority = |entry: &CertificateAuthority| {
        let certificates = &entry.cert_chain.certificates;
        AuthorityMaterial {
            url: entry.uri.clone(),
            chain: certificates.iter().map(|c| c.raw_bytes.0.clone()).collect(),
            valid_for: Some(entry.valid_for),
        }
    };
    entries.iter().map(authority).collect()
}

fn log(entry: &TransparencyLog) -> Result<LogMaterial, TrustError> {
    Ok(LogMaterial {
        url: entry.base_url.clone(),
        key: entry.key()?,
        valid_for: entry.public_key.valid_for,
    })
}
