//! `SigningConfig`: the services that clients sign with.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{TimeRange, Timestamp, TrustError, UrlPath, check_url, parse, print};

/// Where to sign. Lists are newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SigningConfig {
    /// Names the document and its version.
    pub media_type: SigningConfigMediaType,
    /// Fulcio instances.
    pub ca_urls: Vec<Service>,
    /// Identity providers.
    pub oidc_urls: Vec<Service>,
    /// Rekor logs.
    pub rekor_tlog_urls: Vec<Service>,
    /// Which of the logs to write to. Always written: a client crashes without.
    pub rekor_tlog_config: SelectorConfig,
    /// Timestamp authorities, with the full path of their endpoint.
    pub tsa_urls: Vec<Service>,
    /// Which of the timestamp authorities to ask. Always written: a client crashes without.
    pub tsa_config: SelectorConfig,
}

/// The one media type of [`SigningConfig`] that clients accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SigningConfigMediaType {
    /// Version 0.2.
    #[serde(rename = "application/vnd.dev.sigstore.signingconfig.v0.2+json")]
    V02,
}

/// One service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Service {
    /// Base URL; for a timestamp authority the endpoint itself.
    pub url: String,
    /// Version of the service's API: 1, or 2 for Rekor v2.
    pub major_api_version: u32,
    /// When the service accepts requests.
    pub valid_for: TimeRange,
    /// Who runs it. Clients use at most one service of each operator.
    pub operator: String,
}

/// How many of the listed services a client uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelectorConfig {
    /// How to choose.
    pub selector: ServiceSelector,
    /// How many different operators; with [`ServiceSelector::Exact`] only.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "super::not_null"
    )]
    pub count: Option<u32>,
}

impl SelectorConfig {
    /// Any one service.
    pub const ANY: Self = Self {
        selector: ServiceSelector::Any,
        count: None,
    };
}

/// `ServiceSelector`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServiceSelector {
    /// Every service.
    #[serde(rename = "ALL")]
    All,
    /// Any one.
    #[serde(rename = "ANY")]
    Any,
    /// `count` of them, of different operators.
    #[serde(rename = "EXACT")]
    Exact,
}

impl SigningConfig {
    /// Reads and checks a signing config.
    ///
    /// # Errors
    /// If any supported client would refuse it or choose another service than its neighbours.
    pub fn from_json(json: &[u8]) -> Result<Self, TrustError> {
        let config: Self = parse("signing config", json)?;
        config.check()?;
        Ok(config)
    }

    /// Indented JSON with a final newline; the same document always gives the same bytes.
    #[must_use]
    pub fn to_json(&self) -> String {
        print(self)
    }

    /// Checks what the types cannot express.
    pub fn check(&self) -> Result<(), TrustError> {
        check_services("caUrls", &self.ca_urls, UrlPath::None, 1)?;
        check_services("oidcUrls", &self.oidc_urls, UrlPath::Any, 1)?;
        check_services("rekorTlogUrls", &self.rekor_tlog_urls, UrlPath::None, 2)?;
        check_services("tsaUrls", &self.tsa_urls, UrlPath::TimestampEndpoint, 1)?;
        check_selector(
            "rekorTlogConfig",
            self.rekor_tlog_config,
            &self.rekor_tlog_urls,
        )?;
        check_selector("tsaConfig", self.tsa_config, &self.tsa_urls)?;
        let rekor_v2 = self
            .rekor_tlog_urls
            .iter()
            .any(|s| s.major_api_version == 2);
        if rekor_v2 && self.tsa_urls.is_empty() {
            // A Rekor v2 entry carries no time, so nothing would say when the certificate was used.
            return Err(TrustError::refused(
                "tsaUrls",
                "signing with Rekor v2 needs a timestamp authority",
            ));
        }
        Ok(())
    }

    /// The services of `list` that are usable at `at`.
    #[must_use]
    pub fn usable(list: &[Service], at: Timestamp) -> Vec<&Service> {
        list.iter().filter(|s| s.valid_for.contains(at)).collect()
    }
}

fn check_services(
    list: &str,
    services: &[Service],
    path: UrlPath,
    newest_api: u32,
) -> Result<(), TrustError> {
    let mut last: Option<Timestamp> = None;
    for (i, service) in services.iter().enumerate() {
        let at = format!("{list}[{i}]");
        check_url(&format!("{at}.url"), &service.url, path)?;
        if !(1..=newest_api).contains(&service.major_api_version) {
            let reason = format!("no client speaks version {}", service.major_api_version);
            return Err(TrustError::refused(format!("{at}.majorApiVersion"), reason));
        }
        if service.operator.is_empty() {
            return Err(TrustError::refused(
                format!("{at}.operator"),
                "must not be empty",
            ));
        }
        if service.valid_for.is_empty() {
            return Err(TrustError::refused(
                format!("{at}.validFor"),
                "ends before it starts",
            ));
        }
        if last.is_some_and(|last| service.valid_for.start > last) {
            return Err(TrustError::refused(
                at,
                "entries must be sorted by validFor.start, newest first",
            ));
        }
        last = Some(service.valid_for.start);
        let rival = services.iter().take(i).find(|other| {
            other.operator == service.operator
                && other.major_api_version == service.major_api_version
                && other.valid_for.overlaps(&service.valid_for)
        });
        if rival.is_some() {
            // Of two usable ones some clients take the newest and others the last in the list.
            let reason =
                "overlaps another entry of this operator and version: give the older one an end";
            return Err(TrustError::refused(format!("{at}.validFor"), reason));
        }
    }
    Ok(())
}

fn check_selector(
    at: &str,
    config: SelectorConfig,
    services: &[Service],
) -> Result<(), TrustError> {
    let operators: BTreeSet<&str> = services.iter().map(|s| s.operator.as_str()).collect();
    let enough = |count: u32| usize::try_from(count).is_ok_and(|count| count <= operators.len());
    match (config.selector, config.count) {
        (ServiceSelector::Exact, Some(count)) if count > 0 && enough(count) => Ok(()),
        (ServiceSelector::Exact, _) => Err(TrustError::refused(
            at,
            "EXACT needs a count of at least 1 and that many different operators",
        )),
        (_, Some(_)) => Err(TrustError::refused(at, "only EXACT has a count")),
        (_, None) => Ok(()),
    }
}
