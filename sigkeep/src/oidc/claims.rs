//! What identity tokens say.

use std::str::FromStr;

use serde_json::{Map, Value, json};

use super::{AUDIENCE, TOKEN_LIFETIME};

/// An e-mail address that the certificate authority accepts as an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email(String);

/// Why an e-mail address was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address:?} is not usable as an e-mail address: {reason}")]
pub struct EmailError {
    /// What was given.
    pub address: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Email {
    /// Longest address (RFC 5321 §4.5.3.1.3, without the angle brackets).
    const MAX: usize = 254;

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = EmailError;

    fn from_str(address: &str) -> Result<Self, EmailError> {
        let refuse = |reason| {
            Err(EmailError {
                address: address.chars().take(Self::MAX).collect(),
                reason,
            })
        };
        if address.len() > Self::MAX {
            return refuse("it is longer than 254 characters");
        }
        let Some((local, domain)) = address.split_once('@') else {
            return refuse("it has no @");
        };
        let is_atom =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&byte);
        if local.is_empty() || local.len() > 64 || !local.bytes().all(is_atom) {
            return refuse("the part before the @ must be 1 to 64 plain ASCII characters");
        }
        if local.starts_with('.') || local.ends_with('.') || local.contains("..") {
            return refuse("the part before the @ has a dot at an end or two in a row");
        }
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if !domain.split('.').all(is_label) {
            return refuse("the part after the @ is not a domain name");
        }
        if !domain.contains('.') {
            return refuse("the domain needs a dot, as in dev@corp.example");
        }
        Ok(Self(address.to_owned()))
    }
}

/// The kinds of identity that the issuer vouches for; each has an issuer URL of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Shape {
    /// A person: `email`, verified.
    Email,
    /// A GitHub Actions workflow run.
    Github,
    /// A GitLab CI job.
    Gitlab,
    /// A Kubernetes service account.
    Kubernetes,
    /// A URI under the issuer's host.
    Uri,
}

impl Shape {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Email,
        Self::Github,
        Self::Gitlab,
        Self::Kubernetes,
        Self::Uri,
    ];

    /// The path of the issuer URL, without slash; empty for [`Self::Email`].
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Email => "",
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Kubernetes => "kubernetes",
            Self::Uri => "uri",
        }
    }

    /// The shape whose issuer has this path.
    #[must_use]
    pub fn from_path(path: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|shape| shape.path() == path && !path.is_empty())
    }

    /// The `iss` of this shape's tokens; `base` has no trailing slash.
    #[must_use]
    pub fn issuer_url(self, base: &str) -> String {
        match self.path() {
            "" => base.to_owned(),
            path => format!("{base}/{path}"),
        }
    }

    /// A plausible identity, for scripts that do not care which.
    fn defaults(self, base: &str) -> Map<String, Value> {
        let value = match self {
            Self::Email => json!({}),
            Self::Github => json!({
                "sub": "repo:example/project:ref:refs/heads/main",
                "actor": "dev",
                "event_name": "push",
                "job_workflow_ref": "example/project/.github/workflows/release.yml@refs/heads/main",
                "job_workflow_sha": COMMIT,
                "ref": "refs/heads/main",
                "ref_type": "branch",
                "repository": "example/project",
                "repository_id": "1001",
                "repository_owner": "example",
                "repository_owner_id": "1000",
                "repository_visibility": "private",
                "run_attempt": "1",
                "run_id": "1",
                "run_number": "1",
                "runner_environment": "self-hosted",
                "sha": COMMIT,
                "workflow": "release",
                "workflow_ref": "example/project/.github/workflows/release.yml@refs/heads/main",
                "workflow_sha": COMMIT,
            }),
            Self::Gitlab => json!({
                "sub": "project_path:example/project:ref_type:branch:ref:main",
                "ci_config_ref_uri": "gitlab.com/example/project//.gitlab-ci.yml@refs/heads/main",
                "ci_config_sha": COMMIT,
                "job_id": "1",
                "namespace_id": "1000",
                "namespace_path": "example",
                "pipeline_id": "1",
                "pipeline_source": "push",
                "project_id": "1001",
                "project_path": "example/project",
                "project_visibility": "private",
                "ref": "main",
                "ref_path": "refs/heads/main",
                "ref_type": "branch",
                "runner_environment": "self-hosted",
                "runner_id": 1,
                "sha": COMMIT,
            }),
            Self::Kubernetes => json!({
                "sub": "system:serviceaccount:default:default",
                "kubernetes.io": {
                    "namespace": "default",
                    "pod": { "name": "dev", "uid": "00000000-0000-4000-8000-000000000002" },
                    "serviceaccount": { "name": "default", "uid": "00000000-0000-4000-8000-000000000001" },
                },
            }),
            Self::Uri => json!({ "sub": format!("{base}/workloads/dev") }),
        };
        match value {
            Value::Object(claims) => claims,
            _ => Map::new(),
        }
    }
}

/// The commit that example workflows claim to run at.
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// The claims of one token, before it is known when it is issued.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    shape: Shape,
    email: Option<Email>,
    nonce: Option<String>,
    extra: Map<String, Value>,
}

impl Claims {
    /// A person.
    #[must_use]
    pub fn of_email(email: Email) -> Self {
        Self {
            shape: Shape::Email,
            email: Some(email),
            nonce: None,
            extra: Map::new(),
        }
    }

    /// A workload with example claims. [`Shape::Email`] needs an address: `None`.
    #[must_use]
    pub fn of_workload(shape: Shape) -> Option<Self> {
        (shape != Shape::Email).then(|| Self {
            shape,
            email: None,
            nonce: None,
            extra: Map::new(),
        })
    }

    /// Echoes the client's nonce.
    #[must_use]
    pub fn with_nonce(mut self, nonce: Option<String>) -> Self {
        self.nonce = nonce;
        self
    }

    /// Adds claims; they win over all others. `null` removes a claim.
    #[must_use]
    pub fn with(mut self, extra: impl IntoIterator<Item = (String, Value)>) -> Self {
        self.extra.extend(extra);
        self
    }

    /// The claim set of a token issued at `now` (seconds since the Unix epoch).
    #[must_use]
    pub fn to_json(&self, base: &str, now: u64) -> Map<String, Value> {
        let mut claims = self.shape.defaults(base);
        claims.insert("iss".into(), self.shape.issuer_url(base).into());
        claims.insert("aud".into(), AUDIENCE.into());
        claims.insert("iat".into(), now.into());
        claims.insert("nbf".into(), now.into());
        claims.insert(
            "exp".into(),
            now.saturating_add(TOKEN_LIFETIME.as_secs()).into(),
        );
        if let Some(email) = &self.email {
            claims.insert("sub".into(), email.as_str().into());
            claims.insert("email".into(), email.as_str().into());
            claims.insert("email_verified".into(), true.into());
        }
        if let Some(nonce) = &self.nonce {
            claims.insert("nonce".into(), nonce.as_str().into());
        }
        claims.extend(self.extra.clone());
        claims.retain(|_, value| !value.is_null());
        claims
    }
}

/// Parses `name=value`. A value that is JSON is taken as such (`7`, `true`, `{"a":1}`), anything
/// else is a string.
pub fn parse_claim(argument: &str) -> Result<(String, Value), String> {
    match argument.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            let value =
                serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
            Ok((name.to_owned(), value))
        }
        _ => Err("write it as NAME=VALUE, for example repository=example/project".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "http://localhost:8080";

    #[test]
    fn addresses_that_the_certificate_authority_would_refuse_are_refused_here() {
        for good in ["dev@corp.example", "a.b+c@x-y.example.org"] {
            assert!(good.parse::<Email>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "dev",
            "dev@",
            "@corp.example",
            "dev@localhost",
            "dev@corp..example",
            "a b@corp.example",
            "dév@corp.example",
            ".dev@corp.example",
            "a..b@corp.example",
            "dev@-corp.example",
            "a@b@corp.example",
        ] {
            assert!(bad.parse::<Email>().is_err(), "{bad}");
        }
        let long = format!("{}@corp.example", "a".repeat(250));
        assert!(long.parse::<Email>().is_err());
    }

    #[test]
    fn a_persons_token_has_a_verified_email_for_ten_minutes() {
        let claims =
            Claims::of_email("dev@corp.example".parse().unwrap()).with_nonce(Some("n".into()));
        assert_eq!(
            Value::Object(claims.to_json(BASE, 1000)),
            json!({
                "iss": BASE, "aud": "sigstore", "sub": "dev@corp.example", "email": "dev@corp.example",
                "email_verified": true, "iat": 1000, "nbf": 1000, "exp": 1600, "nonce": "n",
            })
        );
    }

    #[test]
    fn extra_claims_win_and_null_removes() {
        let extra = [
            ("sub", json!("opaque")),
            ("email_verified", json!(false)),
            ("nbf", Value::Null),
        ];
        let claims = Claims::of_email("dev@corp.example".parse().unwrap())
            .with(extra.map(|(name, value)| (name.to_owned(), value)))
            .to_json(BASE, 1000);
        assert_eq!(claims["sub"], "opaque");
        assert_eq!(claims["email_verified"], false);
        assert!(!claims.contains_key("nbf"));
    }

    #[test]
    fn workloads_have_no_email_so_that_clients_prove_possession_over_sub() {
        for shape in Shape::ALL {
            let Some(claims) = Claims::of_workload(shape) else {
                assert_eq!(shape, Shape::Email);
                continue;
            };
            let claims = claims.to_json(BASE, 1000);
            assert!(!claims.contains_key("email"));
            assert_eq!(claims["iss"], format!("{BASE}/{}", shape.path()));
            assert!(claims["sub"].is_string());
        }
    }

    #[test]
    fn claim_values_are_json_where_they_parse() {
        let value = |argument| parse_claim(argument).unwrap().1;
        assert_eq!(value("a=7"), json!(7));
        assert_eq!(value("a=true"), json!(true));
        assert_eq!(value("a=\"7\""), json!("7"));
        assert_eq!(value("a={\"b\":[1]}"), json!({"b": [1]}));
        assert_eq!(value("a=refs/heads/main"), json!("refs/heads/main"));
        assert_eq!(value("a=x=y"), json!("x=y"));
        assert_eq!(value("a="), json!(""));
        assert!(parse_claim("a").is_err());
        assert!(parse_claim("=a").is_err());
    }
}
