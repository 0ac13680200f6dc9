//! Fulcio's identity configuration file, as text: the YAML form (kebab-case keys) and the JSON
//! form (CamelCase keys, in any case). What the values mean is checked in [`super::registry`].

use super::extensions::{Field, IGNORED};
use super::tree::Tree;

/// The file, with unknown keys refused and values of the right type.
#[derive(Clone, Debug, Default)]
pub(crate) struct File {
    pub(crate) issuers: Vec<(String, RawIssuer)>,
    pub(crate) meta_issuers: Vec<(String, RawIssuer)>,
    pub(crate) providers: Vec<(String, RawProvider)>,
}

/// An entry of `oidc-issuers` or `meta-issuers`.
#[derive(Clone, Debug, Default)]
pub(crate) struct RawIssuer {
    pub(crate) issuer_url: Option<String>,
    pub(crate) client_id: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) ci_provider: Option<String>,
    pub(crate) issuer_claim: Option<String>,
    pub(crate) subject_domain: Option<String>,
    pub(crate) spiffe_trust_domain: Option<String>,
    pub(crate) challenge_claim: Option<String>,
    pub(crate) ca_cert: Option<String>,
    pub(crate) skip_email_verification: bool,
}

/// An entry of `ci-issuer-metadata`.
#[derive(Clone, Debug, Default)]
pub(crate) struct RawProvider {
    pub(crate) defaults: Vec<(String, String)>,
    pub(crate) extensions: Vec<(Field, String)>,
    pub(crate) subject_alternative_name: Option<String>,
}

/// Why the text is not a configuration file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// Neither JSON nor YAML.
    #[error("neither JSON nor YAML: {0}")]
    Syntax(String),
    /// A key that does not exist.
    #[error("{place}: unknown key {key:?}{remedy}")]
    UnknownKey {
        /// Where.
        place: String,
        /// The key.
        key: String,
        /// What to write instead.
        remedy: String,
    },
    /// A value of the wrong type.
    #[error("{place}: must be {expected}, and is {found}")]
    Type {
        /// Where.
        place: String,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// The same key twice, in different spellings.
    #[error("{place}: the key {key:?} occurs twice")]
    Twice {
        /// Where.
        place: String,
        /// The key.
        key: String,
    },
}

/// How keys are spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spelling {
    Json,
    Yaml,
}

impl Spelling {
    /// The kebab-case name of `key` among `known`.
    fn resolve(
        self,
        place: &str,
        key: &str,
        known: &[&'static str],
    ) -> Result<&'static str, FileError> {
        let squeezed = |text: &str| text.replace(['-', '_'], "").to_ascii_lowercase();
        let similar = known
            .iter()
            .find(|name| squeezed(name) == squeezed(key))
            .copied();
        let exact = match self {
            Self::Yaml => similar.filter(|name| *name == key),
            Self::Json => similar.filter(|_| !key.contains(['-', '_'])),
        };
        exact.ok_or_else(|| FileError::UnknownKey {
            place: place.to_owned(),
            key: key.to_owned(),
            remedy: match (similar, self) {
                (Some(name), Self::Yaml) => format!("; in YAML write {name:?}"),
                (Some(name), Self::Json) => format!("; in JSON write {:?}", name.replace('-', "")),
                (None, _) => format!("; known are {}", known.join(", ")),
            },
        })
    }
}

const TOP: [&str; 3] = ["oidc-issuers", "meta-issuers", "ci-issuer-metadata"];

const ISSUER: [&str; 13] = [
    "issuer-url",
    "client-id",
    "type",
    "ci-provider",
    "issuer-claim",
    "subject-domain",
    "spiffe-trust-domain",
    "challenge-claim",
    "ca-cert",
    "skip-email-verification",
    "description",
    "contact",
    "environment",
];

const PROVIDER: [&str; 3] = [
    "default-template-values",
    "extension-templates",
    "subject-alternative-name-template",
];

impl File {
    /// Parses the text: JSON if it is JSON, else YAML.
    pub(crate) fn parse(text: &str) -> Result<Self, FileError> {
        let (spelling, tree) = if text.trim_start().starts_with('{') {
            let tree =
                serde_json::from_str(text).map_err(|error| FileError::Syntax(error.to_string()))?;
            (Spelling::Json, tree)
        } else {
            let tree = serde_saphyr::from_str(text)
                .map_err(|error| FileError::Syntax(error.to_string()))?;
            (Spelling::Yaml, tree)
        };
        let mut file = Self::default();
        for (key, value) in fields(spelling, "the file", &TOP, tree)? {
            match key {
                "oidc-issuers" => {
                    file.issuers = named(key, value, |place, tree| issuer(spelling, place, tree))?
                }
                "meta-issuers" => {
                    file.meta_issuers =
                        named(key, value, |place, tree| issuer(spelling, place, tree))?
                }
                _ => {
                    file.providers =
                        named(key, value, |place, tree| provider(spelling, place, tree))?
                }
            }
        }
        Ok(file)
    }
}

/// The entries of a mapping with known keys.
fn fields(
    spelling: Spelling,
    place: &str,
    known: &[&'static str],
    tree: Tree,
) -> Result<Vec<(&'static str, Tree)>, FileError> {
    let mut fields: Vec<(&'static str, Tree)> = Vec::new();
    for (key, value) in mapping(place, tree)? {
        let name = spelling.resolve(place, &key, known)?;
        if fields.iter().any(|(known, _)| *known == name) {
            return Err(FileError::Twice {
                place: place.to_owned(),
                key,
            });
        }
        fields.push((name, value));
    }
    Ok(fields)
}

/// The entries of a mapping with free keys.
fn named<T>(
    place: &str,
    tree: Tree,
    parse: impl Fn(&str, Tree) -> Result<T, FileError>,
) -> Result<Vec<(String, T)>, FileError> {
    mapping(place, tree)?
        .into_iter()
        .map(|(name, value)| Ok((name.clone(), parse(&format!("{place}: {name}"), value)?)))
        .collect()
}

fn mapping(place: &str, tree: Tree) -> Result<Vec<(String, Tree)>, FileError> {
    match tree {
        Tree::Mapping(entries) => Ok(entries),
        Tree::Null => Ok(Vec::new()),
        other => Err(FileError::Type {
            place: place.to_owned(),
            expected: "a mapping",
            found: other.kind(),
        }),
    }
}

fn issuer(spelling: Spelling, place: &str, tree: Tree) -> Result<RawIssuer, FileError> {
    let mut issuer = RawIssuer::default();
    for (key, value) in fields(spelling, place, &ISSUER, tree)? {
        let place = format!("{place}: {key}");
        match key {
            "issuer-url" => issuer.issuer_url = text(&place, value)?,
            "client-id" => issuer.client_id = text(&place, value)?,
            "type" => issuer.kind = text(&place, value)?,
            "ci-provider" => issuer.ci_provider = text(&place, value)?,
            "issuer-claim" => issuer.issuer_claim = text(&place, value)?,
            "subject-domain" => issuer.subject_domain = text(&place, value)?,
            "spiffe-trust-domain" => issuer.spiffe_trust_domain = text(&place, value)?,
            "challenge-claim" => issuer.challenge_claim = text(&place, value)?,
            "ca-cert" => issuer.ca_cert = text(&place, value)?,
            "skip-email-verification" => issuer.skip_email_verification = flag(&place, &value)?,
            // Informational.
            _ => drop(text(&place, value)?),
        }
    }
    Ok(issuer)
}

fn provider(spelling: Spelling, place: &str, tree: Tree) -> Result<RawProvider, FileError> {
    let mut provider = RawProvider::default();
    for (key, value) in fields(spelling, place, &PROVIDER, tree)? {
        let place = format!("{place}: {key}");
        match key {
            "default-template-values" => {
                provider.defaults = named(&place, value, |place, tree| {
                    Ok(text(place, tree)?.unwrap_or_default())
                })?;
            }
            "extension-templates" => provider.extensions = extensions(spelling, &place, value)?,
            _ => provider.subject_alternative_name = text(&place, value)?,
        }
    }
    Ok(provider)
}

fn extensions(
    spelling: Spelling,
    place: &str,
    tree: Tree,
) -> Result<Vec<(Field, String)>, FileError> {
    let known: Vec<_> = Field::all().map(Field::kebab).chain(IGNORED).collect();
    let mut extensions = Vec::new();
    for (key, value) in fields(spelling, place, &known, tree)? {
        let template = text(&format!("{place}: {key}"), value)?;
        if let Some((field, template)) = Field::from_kebab(key).zip(template) {
            extensions.push((field, template));
        }
    }
    Ok(extensions)
}

/// A string; nothing and the empty string are the same.
fn text(place: &str, tree: Tree) -> Result<Option<String>, FileError> {
    match tree {
        Tree::Text(text) => Ok(Some(text).filter(|text| !text.is_empty())),
        Tree::Number(number) => Ok(Some(number)),
        Tree::Null => Ok(None),
        other => Err(FileError::Type {
            place: place.to_owned(),
            expected: "a string",
            found: other.kind(),
        }),
    }
}

fn flag(place: &str, tree: &Tree) -> Result<bool, FileError> {
    match tree {
        Tree::Bool(value) => Ok(*value),
        Tree::Null => Ok(false),
        other => Err(FileError::Type {
            place: place.to_owned(),
            expected: "true or false",
            found: other.kind(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let yaml = "oidc-issuers:\n  https://a.example:\n    issuer-url: https://a.example\n    client-id: sigstore\n    type: email\n    spiffe-trust-domain: td\nci-issuer-metadata:\n  x:\n    extension-templates:\n      build-signer-uri: a\n      github-workflow-sha: b\n";
        let json = r#"{"OIDCIssuers":{"https://a.example":{"IssuerURL":"https://a.example","clientid":"sigstore","Type":"email","SPIFFETrustDomain":"td"}},
            "CIIssuerMetadata":{"x":{"ExtensionTemplates":{"BuildSignerURI":"a","GithubWorkflowSHA":"b"}}}}"#;
        let (yaml, json) = (File::parse(yaml).unwrap(), File::parse(json).unwrap());
        assert_eq!(format!("{yaml:?}"), format!("{json:?}"));
        assert_eq!(yaml.issuers[0].1.client_id.as_deref(), Some("sigstore"));
        assert_eq!(yaml.providers[0].1.extensions.len(), 2);
    }

    #[test]
    fn json_spelling_in_yaml_is_refused_with_the_remedy() {
        let error = File::parse("OIDCIssuers: {}\n").unwrap_err().to_string();
        assert!(error.contains("in YAML write \"oidc-issuers\""), "{error}");
    }

    #[test]
    fn unknown_keys_are_refused_at_every_level() {
        for bad in [
            "oidc-issuer: {}",
            "oidc-issuers: {https://a.example: {issuer: x}}",
            "ci-issuer-metadata: {x: {templates: {}}}",
            "ci-issuer-metadata: {x: {extension-templates: {sha: x}}}",
            r#"{"oidc-issuers":{}}"#,
        ] {
            assert!(
                matches!(File::parse(bad), Err(FileError::UnknownKey { .. })),
                "{bad}"
            );
        }
    }

    #[test]
    fn one_key_in_two_spellings_is_refused() {
        let bad = r#"{"OIDCIssuers":{},"oidcissuers":{}}"#;
        assert!(matches!(File::parse(bad), Err(FileError::Twice { .. })));
    }

    #[test]
    fn wrong_types_are_refused() {
        for bad in [
            "oidc-issuers: []",
            "oidc-issuers: {https://a.example: {client-id: [a]}}",
            "oidc-issuers: {https://a.example: {skip-email-verification: maybe}}",
        ] {
            assert!(
                matches!(File::parse(bad), Err(FileError::Type { .. })),
                "{bad}"
            );
        }
    }
}
