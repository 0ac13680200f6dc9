//! The trust documents, made from what running services say of themselves.
//!
//! Whoever answers for a service could hand out keys of their own. So nothing new is taken without
//! its fingerprint having been approved by somebody who knows it from elsewhere. What is published
//! stays: a log or authority that is not offered any more ends, it does not go.

mod fetch;

use std::collections::BTreeSet;

pub use fetch::{Endpoints, Found};
use serde::Serialize;
use wire::trust::{
    AuthorityMaterial, IdentityProviderMaterial, LogMaterial, RekorApi, RekorMaterial,
    ServiceMaterial, TimeRange, Timestamp, TrustError,
};

use crate::export::Export;
use crate::metadata::Sha256;
use crate::repository::TargetFile;
use crate::services;
use crate::trust::{TargetsError, target_files};

/// Why nothing was collected.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// A service did not answer, or not in its own way.
    #[error("{url}: {reason}")]
    Answer {
        /// What was asked.
        url: String,
        /// What came back.
        reason: String,
    },
    /// What is published cannot be read.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// What was collected does not make up a trust root.
    #[error(transparent)]
    Targets(#[from] TargetsError),
    /// The first collection needs to know more.
    #[error("nothing is published yet: say {0}")]
    First(&'static str),
}

/// Whether a key or certificate is published, offered, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Offered and published.
    Known,
    /// Offered and not published: to be approved.
    New,
    /// Published as in use and not offered any more.
    Gone,
}

/// One key or certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Published, offered, or both.
    pub standing: Standing,
    /// Which service: `fulcio`, `ct`, `rekor` or `timestamp`.
    pub service: &'static str,
    /// Its URL.
    pub url: String,
    /// SHA-256 of the DER certificate, or of the DER SubjectPublicKeyInfo of a log's key.
    pub fingerprint: Sha256,
}

/// What a collection led to.
#[derive(Debug)]
pub struct Collection {
    /// Every key and certificate, in a fixed order.
    pub findings: Vec<Finding>,
    material: ServiceMaterial,
    now: Timestamp,
}

/// For the signing config of the first collection.
#[derive(Clone, Debug, Default)]
pub struct Deployment {
    /// Who runs the services; by default as it is published.
    pub operator: Option<String>,
    /// The OpenID Connect issuer; by default as it is published.
    pub identity_provider: Option<String>,
}

/// Asks the services and compares with what is published.
pub async fn collect(
    endpoints: &Endpoints,
    deployment: &Deployment,
    published: Option<&Export>,
    now: Timestamp,
) -> Result<Collection, CollectError> {
    let found = fetch::fetch(endpoints).await?;
    Collection::of(&found, endpoints, deployment, published, now)
}

impl Collection {
    fn of(
        found: &Found,
        endpoints: &Endpoints,
        deployment: &Deployment,
        published: Option<&Export>,
        now: Timestamp,
    ) -> Result<Self, CollectError> {
        let mut merge = Merge {
            findings: Vec::new(),
            material: current(deployment, published, now)?,
            first: published.is_none(),
            now,
        };
        merge.authorities("fulcio", &endpoints.fulcio, &found.fulcio);
        let chain = std::slice::from_ref(&found.timestamp);
        merge.authorities("timestamp", &endpoints.timestamp, chain);
        // Nothing was signed before the first certificate: that is when the first logs start.
        let start = merge.first_start()?;
        merge.ct(&endpoints.ct, &endpoints.ct_key, start);
        merge.rekor(&endpoints.rekor, found, start);
        Ok(Self {
            findings: merge.findings,
            material: merge.material,
            now,
        })
    }

    /// Whether services and published documents part.
    #[must_use]
    pub fn drifted(&self) -> bool {
        self.findings.iter().any(|f| f.standing != Standing::Known)
    }

    /// Fingerprints that are new and not among the approved.
    #[must_use]
    pub fn unapproved(&self, approved: &BTreeSet<Sha256>) -> Vec<&Finding> {
        let open = |f: &&Finding| f.standing == Standing::New && !approved.contains(&f.fingerprint);
        self.findings.iter().filter(open).collect()
    }

    /// The target files. Call it when nothing is left to approve.
    pub fn target_files(&self) -> Result<Vec<TargetFile>, CollectError> {
        Ok(target_files(&self.material, self.now)?)
    }
}

struct Merge {
    findings: Vec<Finding>,
    material: ServiceMaterial,
    first: bool,
    now: Timestamp,
}

impl Merge {
    fn authorities(&mut self, service: &'static str, url: &str, offered: &[Vec<Vec<u8>>]) {
        let list = match service {
            "fulcio" => &mut self.material.fulcio,
            _ => &mut self.material.timestamp,
        };
        let mut findings = Vec::new();
        let mut find = |standing, url: &str, chain: &[Vec<u8>]| {
            findings.extend(chain.iter().map(|der| Finding {
                standing,
                service,
                url: url.to_owned(),
                fingerprint: Sha256::of(der),
            }));
        };
        for known in list.iter_mut() {
            let open = known.valid_for.is_none_or(|range| range.end.is_none());
            match offered.contains(&known.chain) {
                true => find(Standing::Known, &known.url, &known.chain),
                // It may come back, and what it signed stays valid: that it ended, and when, is
                // for a person to say.
                false if open => find(Standing::Gone, &known.url, &known.chain),
                false => {}
            }
        }
        for chain in offered {
            if !list.iter().any(|known| known.chain == *chain) {
                find(Standing::New, url, chain);
                list.push(AuthorityMaterial {
                    url: url.to_owned(),
                    chain: chain.clone(),
                    valid_for: None,
                });
            }
        }
        self.findings.append(&mut findings);
    }

    fn ct(&mut self, url: &str, key: &crypto::PublicKey, start: Timestamp) {
        let fingerprint = |key: &crypto::PublicKey| Sha256::of(key.spki_der());
        let mut offered = false;
        for log in &self.material.ct_logs {
            let same = log.key.spki_der() == key.spki_der();
            offered |= same;
            let standing = match (same, log.valid_for.end) {
                (true, _) => Standing::Known,
                (false, None) => Standing::Gone,
                (false, Some(_)) => continue,
            };
            self.findings.push(Finding {
                standing,
                service: "ct",
                url: log.url.clone(),
                fingerprint: fingerprint(&log.key),
            });
        }
        if !offered {
            self.findings.push(Finding {
                standing: Standing::New,
                service: "ct",
                url: url.to_owned(),
                fingerprint: fingerprint(key),
            });
            self.material.ct_logs.push(LogMaterial {
                url: url.to_owned(),
                key: key.clone(),
                valid_for: TimeRange::since(start),
            });
        }
    }

    fn rekor(&mut self, url: &str, found: &Found, start: Timestamp) {
        let all = || std::iter::once(&found.rekor).chain(&found.inactive);
        for rekor in &self.material.rekor {
            // Rekor v2 logs are not asked for here.
            if rekor.api != RekorApi::V1 {
                continue;
            }
            let same = |key: &crypto::PublicKey| key.spki_der() == rekor.log.key.spki_der();
            let standing = match (all().any(same), rekor.log.valid_for.end) {
                (true, _) => Standing::Known,
                (false, None) => Standing::Gone,
                (false, Some(_)) => continue,
            };
            self.findings.push(Finding {
                standing,
                service: "rekor",
                url: rekor.log.url.clone(),
                fingerprint: Sha256::of(rekor.log.key.spki_der()),
            });
        }
        let active = found.rekor.spki_der();
        for key in all() {
            let same = |r: &RekorMaterial| r.log.key.spki_der() == key.spki_der();
            if self.material.rekor.iter().any(same) {
                continue;
            }
            self.findings.push(Finding {
                standing: Standing::New,
                service: "rekor",
                url: url.to_owned(),
                fingerprint: Sha256::of(key.spki_der()),
            });
            self.material.rekor.push(RekorMaterial {
                log: LogMaterial {
                    url: url.to_owned(),
                    key: key.clone(),
                    valid_for: TimeRange::since(start),
                },
                api: RekorApi::V1,
            });
        }
        // An inactive log signs nothing any more: clients write to the active one only.
        let end = Timestamp::from_secs(self.now.as_secs().saturating_add(services::MARGIN_SECS));
        for rekor in &mut self.material.rekor {
            let key = rekor.log.key.spki_der();
            let inactive = found.inactive.iter().any(|k| k.spki_der() == key);
            if inactive && key != active && rekor.log.valid_for.end.is_none() {
                rekor.log.valid_for.end = end.ok();
            }
        }
    }

    /// When new logs start: now, or in a first collection with the oldest authority.
    fn first_start(&self) -> Result<Timestamp, CollectError> {
        if !self.first {
            return Ok(self.now);
        }
        let root = ServiceMaterial {
            ct_logs: Vec::new(),
            rekor: Vec::new(),
            ..self.material.clone()
        };
        let root = root.trusted_root()?;
        let starts = root
            .certificate_authorities
            .iter()
            .map(|a| a.valid_for.start);
        Ok(starts.min().unwrap_or(self.now))
    }
}

/// What is published, as material.
fn current(
    deployment: &Deployment,
    published: Option<&Export>,
    now: Timestamp,
) -> Result<ServiceMaterial, CollectError> {
    let service = published.and_then(|p| p.signing_config.ca_urls.first());
    let operator = match (&deployment.operator, service) {
        (Some(operator), _) => operator.clone(),
        (None, Some(service)) => service.operator.clone(),
        (None, None) => return Err(CollectError::First("--operator NAME")),
    };
    let mut identity_providers = published.map_or_else(Vec::new, |p| {
        services::identity_providers(&p.signing_config)
    });
    if let Some(url) = &deployment.identity_provider
        && !identity_providers.iter().any(|p| p.url == *url)
    {
        identity_providers.push(IdentityProviderMaterial {
            url: url.clone(),
            valid_for: TimeRange::since(now),
        });
    }
    if identity_providers.is_empty() {
        return Err(CollectError::First("--oidc URL"));
    }
    let material = match published {
        Some(export) => services::published(
            &export.trusted_root,
            export.signing_config_rekor_v2.as_ref(),
            (export.tree.files.iter()).map(|(name, content)| (name.as_str(), content)),
        )?,
        None => ServiceMaterial {
            operator: String::new(),
            fulcio: Vec::new(),
            ct_logs: Vec::new(),
            rekor: Vec::new(),
            timestamp: Vec::new(),
            identity_providers: Vec::new(),
        },
    };
    Ok(ServiceMaterial {
        operator,
        identity_providers,
        ..material
    })
}
