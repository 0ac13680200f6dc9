//! What a deployment knows of its services, and the documents that follow from it.

use crypto::PublicKey;

use super::trusted_root::{ChainFacts, Role, check_chain, ed25519_log_id};
use super::{
    Base64, CertificateAuthority, CertificateChain, ChainCertificate, KeyDetails, LogHash, LogId,
    LogPublicKey, SelectorConfig, Service, SigningConfig, SigningConfigMediaType, TimeRange,
    Timestamp, TransparencyLog, TrustError, TrustedRoot, TrustedRootMediaType,
};

/// Every service of a deployment, past and present, in any order.
#[derive(Clone, Debug)]
pub struct ServiceMaterial {
    /// Who runs the services: names them apart from other operators' in the signing config.
    pub operator: String,
    /// Fulcio: one entry for each issuing certificate.
    pub fulcio: Vec<AuthorityMaterial>,
    /// Certificate Transparency logs.
    pub ct_logs: Vec<LogMaterial>,
    /// Rekor logs.
    pub rekor: Vec<RekorMaterial>,
    /// Timestamp authorities: one entry for each signing certificate; the URL is the endpoint,
    /// `…/api/v1/timestamp`.
    pub timestamp: Vec<AuthorityMaterial>,
    /// Identity providers, for the signing config.
    pub identity_providers: Vec<IdentityProviderMaterial>,
}

/// A certificate authority or timestamp authority.
#[derive(Clone, Debug)]
pub struct AuthorityMaterial {
    /// Where it is.
    pub url: String,
    /// DER certificates, signing end first, self-signed root last.
    pub chain: Vec<Vec<u8>>,
    /// When it issues; `None`: from the start of the newest certificate of the chain, with no end.
    pub valid_for: Option<TimeRange>,
}

/// A log. Its start must be remembered, not taken anew at each start of the service: entries
/// from before it would no longer verify.
#[derive(Clone, Debug)]
pub struct LogMaterial {
    /// Where it is.
    pub url: String,
    /// The key it signs with.
    pub key: PublicKey,
    /// When it signs with that key.
    pub valid_for: TimeRange,
}

/// A Rekor log.
#[derive(Clone, Debug)]
pub struct RekorMaterial {
    /// URL, key and period.
    pub log: LogMaterial,
    /// How clients write to it.
    pub api: RekorApi,
}

/// Version of Rekor's API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RekorApi {
    /// Rekor v1.
    V1,
    /// Rekor v2, with the origin line of its checkpoints.
    V2 {
        /// First line of the checkpoints.
        origin: String,
    },
}

/// An OpenID Connect issuer.
#[derive(Clone, Debug)]
pub struct IdentityProviderMaterial {
    /// Issuer URL.
    pub url: String,
    /// When clients may use it.
    pub valid_for: TimeRange,
}

impl ServiceMaterial {
    /// The trusted root: every entry, oldest first.
    pub fn trusted_root(&self) -> Result<TrustedRoot, TrustError> {
        let mut tlogs = Vec::with_capacity(self.rekor.len());
        for (i, rekor) in self.rekor.iter().enumerate() {
            let id = match &rekor.api {
                RekorApi::V2 { origin } => ed25519_log_id(origin, &rekor.log.key),
                RekorApi::V1 => None,
            };
            tlogs.push(rekor.log.entry(&format!("rekor[{i}]"), id)?);
        }
        let mut ctlogs = Vec::with_capacity(self.ct_logs.len());
        for (i, log) in self.ct_logs.iter().enumerate() {
            ctlogs.push(log.entry(&format!("ctLogs[{i}]"), None)?);
        }
        tlogs.sort_by_key(|l| l.public_key.valid_for.start);
        ctlogs.sort_by_key(|l| l.public_key.valid_for.start);
        let root = TrustedRoot {
            media_type: TrustedRootMediaType::V01,
            tlogs,
            certificate_authorities: authorities(
                "fulcio",
                &self.fulcio,
                Role::CertificateAuthority,
            )?,
            ctlogs,
            timestamp_authorities: authorities(
                "timestamp",
                &self.timestamp,
                Role::TimestampAuthority,
            )?,
        };
        root.check()?;
        Ok(root)
    }

    /// The signing config for clients of Rekor v1: what every released client understands.
    pub fn signing_config(&self) -> Result<SigningConfig, TrustError> {
        self.signing_config_for(1)
    }

    /// The signing config for clients of Rekor v2; `None` while there is no such log.
    pub fn signing_config_rekor_v2(&self) -> Result<Option<SigningConfig>, TrustError> {
        match self.rekor.iter().any(|r| r.api != RekorApi::V1) {
            true => self.signing_config_for(2).map(Some),
            false => Ok(None),
        }
    }

    fn signing_config_for(&self, rekor_version: u32) -> Result<SigningConfig, TrustError> {
        let service = |url: &str, major_api_version: u32, valid_for: TimeRange| Service {
            url: url.to_owned(),
            major_api_version,
            valid_for,
            operator: self.operator.clone(),
        };
        let authority =
            |(a, valid_for): (&AuthorityMaterial, TimeRange)| service(&a.url, 1, valid_for);
        let ca = ranges("fulcio", &self.fulcio, Role::CertificateAuthority)?;
        let tsa = ranges("timestamp", &self.timestamp, Role::TimestampAuthority)?;
        let rekor = self.rekor.iter().filter(|r| match r.api {
            RekorApi::V1 => rekor_version == 1,
            RekorApi::V2 { .. } => rekor_version == 2,
        });
        let rekor = rekor.map(|r| service(&r.log.url, rekor_version, r.log.valid_for));
        let oidc = self
            .identity_providers
            .iter()
            .map(|p| service(&p.url, 1, p.valid_for));
        let config = SigningConfig {
            media_type: SigningConfigMediaType::V02,
            ca_urls: in_succession(ca.into_iter().map(authority)),
            oidc_urls: newest_first(oidc),
            rekor_tlog_urls: in_succession(rekor),
            rekor_tlog_config: SelectorConfig::ANY,
            tsa_urls: in_succession(tsa.into_iter().map(authority)),
            tsa_config: SelectorConfig::ANY,
        };
        config.check()?;
        Ok(config)
    }
}

impl LogMaterial {
    /// The entry of a Rekor v1 or CT log in a trusted root.
    pub fn transparency_log(&self) -> Result<TransparencyLog, TrustError> {
        let log = self.entry("log", None)?;
        super::check_url("url", &self.url, super::UrlPath::Any)?;
        Ok(log)
    }

    fn entry(&self, at: &str, id: Option<[u8; 32]>) -> Result<TransparencyLog, TrustError> {
        let key_details = KeyDetails::of(&self.key)
            .ok_or_else(|| TrustError::refused(at, "clients know no such kind of log key"))?;
        Ok(TransparencyLog {
            base_url: self.url.clone(),
            hash_algorithm: LogHash::Sha256,
            public_key: LogPublicKey {
                raw_bytes: Base64(self.key.spki_der().to_vec()),
                key_details,
                valid_for: self.valid_for,
            },
            log_id: LogId {
                key_id: Base64(id.unwrap_or_else(|| self.key.key_id()).to_vec()),
            },
        })
    }
}

impl AuthorityMaterial {
    fn facts(&self, at: &str, role: Role) -> Result<ChainFacts, TrustError> {
        let chain: Vec<&[u8]> = self.chain.iter().map(Vec::as_slice).collect();
        check_chain(at, &chain, role)
    }

    fn range(&self, facts: &ChainFacts) -> TimeRange {
        self.valid_for
            .unwrap_or_else(|| TimeRange::since(facts.not_before))
    }
}

fn authorities(
    at: &str,
    list: &[AuthorityMaterial],
    role: Role,
) -> Result<Vec<CertificateAuthority>, TrustError> {
    let mut out = Vec::with_capacity(list.len());
    for (i, authority) in list.iter().enumerate() {
        let at = format!("{at}[{i}]");
        let facts = authority.facts(&at, role)?;
        let valid_for = authority.range(&facts);
        if facts.not_after.is_some_and(|end| end < valid_for.start) {
            return Err(TrustError::refused(
                at,
                "the certificate ends before validFor starts",
            ));
        }
        let certificates = authority.chain.iter().map(|der| ChainCertificate {
            raw_bytes: Base64(der.clone()),
        });
        out.push(CertificateAuthority {
            subject: facts.subject,
            uri: authority.url.clone(),
            cert_chain: CertificateChain {
                certificates: certificates.collect(),
            },
            valid_for,
        });
    }
    out.sort_by_key(|a| a.valid_for.start);
    Ok(out)
}

fn ranges<'a>(
    at: &str,
    list: &'a [AuthorityMaterial],
    role: Role,
) -> Result<Vec<(&'a AuthorityMaterial, TimeRange)>, TrustError> {
    let range = |(i, authority): (usize, &'a AuthorityMaterial)| {
        let facts = authority.facts(&format!("{at}[{i}]"), role)?;
        Ok((authority, authority.range(&facts)))
    };
    list.iter().enumerate().map(range).collect()
}

/// One service a URL, whatever number of keys or chains stands behind it; newest first, and each
/// ends where the next begins: of two usable ones some clients take the newest and others the
/// last in the list.
fn in_succession(services: impl Iterator<Item = Service>) -> Vec<Service> {
    let mut merged: Vec<Service> = Vec::new();
    for service in services {
        match merged.iter_mut().find(|known| known.url == service.url) {
            Some(known) => known.valid_for = known.valid_for.hull(service.valid_for),
            None => merged.push(service),
        }
    }
    let mut services = newest_first(merged.into_iter());
    let mut next: Option<Timestamp> = None;
    for service in &mut services {
        let range = &mut service.valid_for;
        if let Some(next) = next.filter(|next| range.start < *next && range.contains(*next)) {
            range.end = Some(next.just_before());
        }
        next = Some(range.start);
    }
    services
}

fn newest_first(services: impl Iterator<Item = Service>) -> Vec<Service> {
    let mut services: Vec<Service> = services.collect();
    services.sort_by_key(|s| std::cmp::Reverse(s.valid_for.start));
    services
}
