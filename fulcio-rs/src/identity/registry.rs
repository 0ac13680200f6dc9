//! The configured issuers, checked: what cannot work or contradicts itself is refused at load.

mod check;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oidc::{FetchError, fetchable};

use super::ci_provider::Templates;
use super::email::Email;
use super::file::{File, FileError};
use super::pattern::Pattern;
use super::spiffe::TrustDomain;
use super::uri::SubjectDomain;
use super::workflow::Workflow;
use super::{Claims, IdentityError, Principal, SyntaxError};
use super::{chainguard, kubernetes, username};

/// Issuer whose presence means that this runs in a cluster and asks its API server.
const CLUSTER_ISSUER: &str = "https://kubernetes.default.svc";
/// The API server's certificate authority, as the deployment mounts it.
const CLUSTER_CA: &str = "/var/run/fulcio/ca.crt";
/// The pod's own token.
const CLUSTER_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// Why the configured issuers were refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The text is not a configuration file.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is no issuer in it.
    #[error(
        "no issuer is configured, so nobody could get a certificate: add one under `oidc-issuers`"
    )]
    Empty,
    /// An issuer's entry.
    #[error("issuer {issuer}: {reason}")]
    Issuer {
        /// Its key.
        issuer: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A CI provider's templates.
    #[error("ci-issuer-metadata {provider}: {reason}")]
    Provider {
        /// Its key.
        provider: String,
        /// What is wrong and what to do.
        reason: String,
    },
}

/// What an issuer's tokens stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerType(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Email(Email),
    Uri { domain: SubjectDomain, text: String },
    Username { domain: String },
    Spiffe(TrustDomain),
    Kubernetes,
    Chainguard,
    CiProvider(Arc<Templates>),
    Workflow(Workflow),
}

impl IssuerType {
    /// Its name in the configuration.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self.0 {
            Kind::Email(_) => "email",
            Kind::Uri { .. } => "uri",
            Kind::Username { .. } => "username",
            Kind::Spiffe(_) => "spiffe",
            Kind::Kubernetes => "kubernetes",
            Kind::Chainguard => "chainguard-identity",
            Kind::CiProvider(_) => "ci-provider",
            Kind::Workflow(ref workflow) => workflow.system.name(),
        }
    }
}

/// A configured issuer.
#[derive(Clone, Debug)]
pub struct Issuer {
    url: String,
    pattern: Option<Pattern>,
    client_id: String,
    kind: IssuerType,
    challenge_claim: &'static str,
    extra_roots: Option<String>,
    token_file: Option<PathBuf>,
}

impl Issuer {
    /// The issuer's URL, or its pattern.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether [`Self::url`] is a pattern.
    #[must_use]
    pub const fn is_wildcard(&self) -> bool {
        self.pattern.is_some()
    }

    /// The audience that tokens must have.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// What its tokens stand for.
    #[must_use]
    pub const fn kind(&self) -> &IssuerType {
        &self.kind
    }

    /// The claim that clients are told to prove possession over: `email` or `sub`.
    #[must_use]
    pub const fn challenge_claim(&self) -> &'static str {
        self.challenge_claim
    }

    /// The `subject-domain`, or nothing.
    #[must_use]
    pub fn subject_domain(&self) -> &str {
        match &self.kind.0 {
            Kind::Uri { text, .. } => text,
            Kind::Username { domain } => domain,
            _ => "",
        }
    }

    /// The `spiffe-trust-domain`, or nothing.
    #[must_use]
    pub fn spiffe_trust_domain(&self) -> &str {
        match &self.kind.0 {
            Kind::Spiffe(domain) => domain.as_str(),
            _ => "",
        }
    }

    /// Whether addresses that the provider does not call verified are taken.
    #[must_use]
    pub const fn skips_email_verification(&self) -> bool {
        matches!(
            &self.kind.0,
            Kind::Email(Email {
                skip_verification: true,
                ..
            })
        )
    }

    /// A URL like those of this issuer: a name stands in for each wildcard.
    pub(crate) fn representative(&self) -> Result<url::Url, FetchError> {
        fetchable(&self.url.replace('*', "x"))
    }

    /// PEM certificates trusted for this provider besides the system's.
    pub(crate) fn extra_roots(&self) -> Option<&str> {
        self.extra_roots.as_deref()
    }

    /// File with the bearer token that the provider wants.
    pub(crate) fn token_file(&self) -> Option<&Path> {
        self.token_file.as_deref()
    }

    /// Reads the identity from the claims of a token that `issuer` signed.
    pub(crate) fn principal(
        &self,
        issuer: &str,
        claims: &Claims,
    ) -> Result<Principal, IdentityError> {
        match &self.kind.0 {
            Kind::Email(email) => email.principal(issuer, claims),
            Kind::Uri { domain, .. } => domain.principal(issuer, claims),
            Kind::Username { domain } => username::principal(domain, issuer, claims),
            Kind::Spiffe(domain) => domain.principal(issuer, claims),
            Kind::Kubernetes => kubernetes::principal(issuer, claims),
            Kind::Chainguard => chainguard::principal(issuer, claims),
            Kind::CiProvider(templates) => templates.principal(issuer, claims),
            Kind::Workflow(workflow) => workflow.principal(issuer, claims),
        }
    }
}

/// The configured issuers.
#[derive(Clone, Debug)]
pub struct Registry {
    fixed: HashMap<String, Arc<Issuer>>,
    wildcards: Vec<Arc<Issuer>>,
    /// In the order of the file.
    order: Vec<Arc<Issuer>>,
}

impl Registry {
    /// Parses and checks a configuration file.
    pub fn parse(text: &str) -> Result<Self, RegistryError> {
        let file = File::parse(text)?;
        let mut templates = HashMap::new();
        for (provider, raw) in &file.providers {
            let refuse = |reason: String| RegistryError::Provider {
                provider: provider.clone(),
                reason,
            };
            let parsed = Templates::parse(raw)
                .map_err(|error: SyntaxError| refuse(error.to_string()))?
                .ok_or_else(|| refuse("subject-alternative-name-template is missing".to_owned()))?;
            templates.insert(provider.as_str(), Arc::new(parsed));
        }
        let in_cluster = file.issuers.iter().any(|(url, _)| url == CLUSTER_ISSUER);
        let mut registry = Self {
            fixed: HashMap::new(),
            wildcards: Vec::new(),
            order: Vec::new(),
        };
        for (url, raw) in &file.issuers {
            let refuse = |reason: String| RegistryError::Issuer {
                issuer: url.clone(),
                reason,
            };
            let mut issuer = check::check(url, raw, &templates, false).map_err(refuse)?;
            if in_cluster && issuer.kind.0 == Kind::Kubernetes {
                issuer.use_cluster().map_err(refuse)?;
            }
            let issuer = Arc::new(issuer);
            registry.fixed.insert(url.clone(), Arc::clone(&issuer));
            registry.order.push(issuer);
        }
        for (url, raw) in &file.meta_issuers {
            let refuse = |reason: String| RegistryError::Issuer {
                issuer: url.clone(),
                reason,
            };
            let issuer = Arc::new(check::check(url, raw, &templates, true).map_err(refuse)?);
            if let Some(other) = registry
                .wildcards
                .iter()
                .find(|other| overlap(other, &issuer))
            {
                return Err(refuse(format!(
                    "some URLs match {} as well, so which one applies would be chance: make the patterns disjoint",
                    other.url
                )));
            }
            registry.wildcards.push(Arc::clone(&issuer));
            registry.order.push(issuer);
        }
        if registry.order.is_empty() {
            return Err(RegistryError::Empty);
        }
        Ok(registry)
    }

    /// The issuer of a token: the exact one, else the one whose pattern matches.
    pub(crate) fn find(&self, url: &str) -> Option<&Arc<Issuer>> {
        self.fixed.get(url).or_else(|| {
            let matches = |issuer: &&Arc<Issuer>| {
                issuer
                    .pattern
                    .as_ref()
                    .is_some_and(|pattern| pattern.matches(url))
            };
            self.wildcards.iter().find(matches)
        })
    }

    /// All issuers, in the order of the file.
    pub fn issuers(&self) -> impl Iterator<Item = &Issuer> {
        self.order.iter().map(AsRef::as_ref)
    }
}

impl Issuer {
    fn use_cluster(&mut self) -> Result<(), String> {
        if self.extra_roots.is_none() {
            let pem = std::fs::read_to_string(CLUSTER_CA).map_err(|error| {
                format!("{CLUSTER_CA}: {error}; mount the cluster's CA there or set ca-cert")
            })?;
            self.extra_roots = Some(pem);
        }
        self.token_file = Some(PathBuf::from(CLUSTER_TOKEN));
        Ok(())
    }
}

fn overlap(left: &Issuer, right: &Issuer) -> bool {
    match (&left.pattern, &right.pattern) {
        (Some(left), Some(right)) => left.overlaps(right),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
