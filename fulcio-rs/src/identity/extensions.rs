//! The certificate extensions 1.3.6.1.4.1.57264.1.n that describe where an identity comes from.

use std::collections::BTreeMap;

/// Extensions that configuration can fill: last arc, name in JSON (kebab-case of it in YAML).
///
/// 1, 8 (issuer) and 24 (subject) always come from the token; 7 is not an extension.
const FIELDS: [(u32, &str, &str); 20] = [
    (2, "GithubWorkflowTrigger", "github-workflow-trigger"),
    (3, "GithubWorkflowSHA", "github-workflow-sha"),
    (4, "GithubWorkflowName", "github-workflow-name"),
    (5, "GithubWorkflowRepository", "github-workflow-repository"),
    (6, "GithubWorkflowRef", "github-workflow-ref"),
    (9, "BuildSignerURI", "build-signer-uri"),
    (10, "BuildSignerDigest", "build-signer-digest"),
    (11, "RunnerEnvironment", "runner-environment"),
    (12, "SourceRepositoryURI", "source-repository-uri"),
    (13, "SourceRepositoryDigest", "source-repository-digest"),
    (14, "SourceRepositoryRef", "source-repository-ref"),
    (
        15,
        "SourceRepositoryIdentifier",
        "source-repository-identifier",
    ),
    (
        16,
        "SourceRepositoryOwnerURI",
        "source-repository-owner-uri",
    ),
    (
        17,
        "SourceRepositoryOwnerIdentifier",
        "source-repository-owner-identifier",
    ),
    (18, "BuildConfigURI", "build-config-uri"),
    (19, "BuildConfigDigest", "build-config-digest"),
    (20, "BuildTrigger", "build-trigger"),
    (21, "RunInvocationURI", "run-invocation-uri"),
    (
        22,
        "SourceRepositoryVisibilityAtSigning",
        "source-repository-visibility-at-signing",
    ),
    (23, "DeploymentEnvironment", "deployment-environment"),
];

/// Template names that are accepted in configuration and have no effect: the token decides them.
pub(crate) const IGNORED: [&str; 2] = ["issuer", "subject"];

/// An extension that configuration can fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Field(u32);

impl Field {
    /// Every field, in the order of the certificate.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        FIELDS.iter().map(|(number, ..)| Self(*number))
    }

    /// The last arc of the object identifier.
    pub(crate) const fn number(self) -> u32 {
        self.0
    }

    /// Name in YAML.
    pub(crate) fn kebab(self) -> &'static str {
        FIELDS
            .iter()
            .find(|(number, ..)| *number == self.0)
            .map_or("", |(_, _, kebab)| kebab)
    }

    /// The field of a YAML name.
    pub(crate) fn from_kebab(name: &str) -> Option<Self> {
        FIELDS
            .iter()
            .find(|(_, _, kebab)| *kebab == name)
            .map(|(number, ..)| Self(*number))
    }
}

/// Name of an extension, for people; empty if there is none of this number.
#[must_use]
pub fn extension_name(number: u32) -> &'static str {
    match number {
        1 | 8 => "Issuer",
        24 => "Subject",
        _ => FIELDS
            .iter()
            .find(|(known, ..)| *known == number)
            .map_or("", |(_, json, _)| json),
    }
}

/// The extensions of one certificate, in ascending order of their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions(BTreeMap<u32, String>);

impl Extensions {
    /// What every certificate says: the issuer (1 and 8) and the subject (24) of the token.
    #[must_use]
    pub fn of_token(issuer: &str, subject: &str) -> Self {
        let mut extensions = Self::default();
        extensions.set(1, issuer);
        extensions.set(8, issuer);
        extensions.set(24, subject);
        extensions
    }

    /// Sets extension `number`; an empty value is left out of the certificate.
    pub fn set(&mut self, number: u32, value: impl Into<String>) {
        let value = value.into();
        if !value.is_empty() {
            self.0.insert(number, value);
        }
    }

    /// The value of extension `number`.
    #[must_use]
    pub fn get(&self, number: u32) -> Option<&str> {
        self.0.get(&number).map(String::as_str)
    }

    /// Numbers and values, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &str)> {
        self.0
            .iter()
            .map(|(number, value)| (*number, value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_names_are_the_kebab_case_of_the_json_names() {
        for (_, json, kebab) in FIELDS {
            assert_eq!(json.to_ascii_lowercase(), kebab.replace('-', ""));
        }
    }

    #[test]
    fn empty_values_are_left_out() {
        let mut extensions = Extensions::of_token("https://issuer.example", "");
        extensions.set(23, "");
        assert_eq!(
            extensions.iter().map(|(n, _)| n).collect::<Vec<_>>(),
            [1, 8]
        );
    }
}
