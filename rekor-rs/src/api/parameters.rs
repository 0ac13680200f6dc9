//! Query parameters: names are case-sensitive, unknown ones are ignored, the last of several
//! counts.

use http::Uri;

use crate::error::RequestError;

/// The decoded query of a request.
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn of(uri: &Uri) -> Self {
        let query = uri.query().unwrap_or_default();
        Self(
            url::form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    /// A parameter's value; none if it is absent or empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let last = self.0.iter().rev().find(|(given, _)| given == name);
        last.map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// All values of a parameter that are not empty.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let given = self.0.iter().filter(move |(given, _)| given == name);
        given
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// A parameter whose name is not among `known`.
    pub(super) fn other_than(&self, known: &[&str]) -> Option<&str> {
        let mut names = self.0.iter().map(|(name, _)| name.as_str());
        names.find(|name| !known.contains(name))
    }

    /// A number of at least `minimum`.
    pub(super) fn number(&self, name: &str, minimum: i64) -> Result<Option<u64>, RequestError> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let number: i64 = text.parse().map_err(|_| RequestError::Schema {
            code: 601,
            message: format!("{name} in query must be of type int64: {text:?}"),
        })?;
        match u64::try_from(number) {
            Ok(unsigned) if number >= minimum => Ok(Some(unsigned)),
            _ => Err(RequestError::Schema {
                code: 609,
                message: format!("{name} in query should be greater than or equal to {minimum}"),
            }),
        }
    }

    /// The digits of `treeID`.
    pub(super) fn tree_id(&self) -> Result<Option<&str>, RequestError> {
        match self.get("treeID") {
            Some(text) if !text.bytes().all(|byte| byte.is_ascii_digit()) => {
                Err(RequestError::Schema {
                    code: 605,
                    message: "treeID in query should match '^[0-9]+$'".to_owned(),
                })
            }
            given => Ok(given),
        }
    }
}
