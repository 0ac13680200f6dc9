//! Who may write.
//!
//! A bearer token decides if there is one, otherwise the certificate of the TLS connection.

use std::sync::Arc;
use std::time::SystemTime;

use clock::SharedClock;
use http::header::AUTHORIZATION;
use http::{Extensions, HeaderMap};
use oidc::{
    Conditions, Fetcher, Patterns, PinnedKeys, Provider, Refresh, TokenError, Unverified, fetchable,
};

use super::{ClientsConfig, Refusal, TokenConfig};
use crate::config::ConfigError;
use crate::entry::subjects_of;

/// The rules.
#[derive(Debug)]
pub(super) struct Clients {
    certificates: Option<Patterns>,
    tokens: Vec<Tokens>,
    clock: SharedClock,
}

/// Tokens that are taken.
#[derive(Debug)]
struct Tokens {
    issuer: String,
    audience: String,
    keys: Keys,
    claims: Conditions,
}

/// Where a provider's keys come from.
#[derive(Debug)]
enum Keys {
    Pinned(PinnedKeys),
    Asked(Arc<Provider>),
}

impl Clients {
    pub(super) fn open(config: &ClientsConfig, clock: &SharedClock) -> Result<Self, ConfigError> {
        let mut tokens: Vec<Tokens> = Vec::with_capacity(config.tokens.len());
        for token in &config.tokens {
            let keys = Keys::open(token, &tokens).map_err(|reason| ConfigError::Value {
                key: "write-policy.clients.tokens",
                reason: format!("{}: {reason}", token.issuer),
            })?;
            tokens.push(Tokens {
                issuer: token.issuer.clone(),
                audience: token.audience.clone(),
                keys,
                claims: token.claims.clone(),
            });
        }
        Ok(Self {
            certificates: config.certificates.clone(),
            tokens,
            clock: clock.clone(),
        })
    }

    /// The name of whoever sent a request, if they are on the list.
    pub(super) async fn authenticate(
        &self,
        headers: &HeaderMap,
        connection: &Extensions,
    ) -> Result<String, Refusal> {
        if let Some(token) = bearer(headers)? {
            return self.token(token).await;
        }
        let certificate = connection.get::<serve::ClientCertificate>();
        match (&self.certificates, certificate) {
            (Some(patterns), Some(certificate)) => by_certificate(patterns, certificate.der()),
            (Some(_), None) if self.tokens.is_empty() => Err(Refusal::Unauthenticated(
                "this log is for known clients; connect with a TLS client certificate".to_owned(),
            )),
            (Some(_), None) => Err(Refusal::Unauthenticated(
                "this log is for known clients; connect with a TLS client certificate, or send an identity token as `Authorization: Bearer`".to_owned(),
            )),
            (None, _) => Err(Refusal::Unauthenticated(
                "this log is for known clients; send an identity token as `Authorization: Bearer`".to_owned(),
            )),
        }
    }

    async fn token(&self, token: &str) -> Result<String, Refusal> {
        let unauthenticated = |error: TokenError| match error {
            TokenError::Provider(error) => {
                Refusal::Unavailable(format!("the token's provider cannot be asked: {error}"))
            }
            error => Refusal::Unauthenticated(error.to_string()),
        };
        let token = Unverified::parse(token).map_err(unauthenticated)?;
        let issuer = token.issuer().map_err(unauthenticated)?;
        let now = self.clock.now();
        let now = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0.0, |since| since.as_secs_f64());
        // Of several rules for one issuer, what the last one misses is said.
        let mut refusal = unauthenticated(TokenError::UnknownIssuer);
        for tokens in self.tokens.iter().filter(|tokens| tokens.issuer == issuer) {
            let verified = match token.check(&tokens.audience, now) {
                Ok(()) => tokens.keys.verify(&token).await,
                refused => refused,
            };
            if let Err(error) = verified {
                refusal = unauthenticated(error);
                continue;
            }
            let subject = token.claims.subject().map_err(unauthenticated)?;
            match tokens.claims.hold(&token.claims) {
                Ok(()) => return Ok(format!("{subject} of {issuer}")),
                Err(reason) => {
                    refusal = Refusal::Client(format!(
                        "{subject} of {issuer} may not do this: it {reason}"
                    ));
                }
            }
        }
        Err(refusal)
    }
}

impl Keys {
    /// Rules for the same issuer share what is asked.
    fn open(config: &TokenConfig, others: &[Tokens]) -> Result<Self, String> {
        if let Some(path) = &config.jwks {
            return PinnedKeys::open(path).map(Self::Pinned);
        }
        let same = others.iter().find(|other| other.issuer == config.issuer);
        if let Some(Tokens {
            keys: Self::Asked(provider),
            ..
        }) = same
        {
            return Ok(Self::Asked(Arc::clone(provider)));
        }
        let roots = config.ca_cert.as_ref().map(|path| {
            std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
        });
        let url = fetchable(&config.issuer).map_err(|error| error.to_string())?;
        let client = oidc::http_client(&url, roots.transpose()?.as_deref())?;
        let fetcher =
            Fetcher::new(&config.issuer, Some(client), None).map_err(|error| error.to_string())?;
        Ok(Self::Asked(Arc::new(Provider::new(
            fetcher,
            Refresh::default(),
        ))))
    }

    async fn verify(&self, token: &Unverified<'_>) -> Result<(), TokenError> {
        match self {
            Self::Pinned(keys) => keys.verify(token).await,
            Self::Asked(provider) => provider.verify(token).await,
        }
    }
}

/// The token of a request, if it has one.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let Some(value) = headers.get(AUTHORIZATION) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim())),
        _ => Err(Refusal::Unauthenticated(
            "the Authorization header is not `Bearer` and a token".to_owned(),
        )),
    }
}

fn by_certificate(patterns: &Patterns, der: &[u8]) -> Result<String, Refusal> {
    let names = subjects_of(der);
    match names.iter().find(|name| patterns.matches(name)) {
        Some(name) => Ok(name.clone()),
        None => Err(Refusal::Client(format!(
            "the client certificate is for {}, which is not among the names that may do this: {patterns}",
            if names.is_empty() {
                "nobody".to_owned()
            } else {
                names.join(", ")
            }
        ))),
    }
}
