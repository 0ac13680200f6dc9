//! Checks and translates Rekor's search request.

use logstore::SearchKey;
use wire::rekor::{Operator, PublicKeyFormat, SearchIndex};

use super::Term;

/// Longest subject, in characters.
const MAX_SUBJECT: usize = 512;

/// A search: terms and how they combine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// What is asked for. No terms match nothing.
    pub terms: Vec<Term>,
    /// Whether an entry has to carry all or any of them.
    pub operator: Operator,
}

/// What is wrong with a search request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Not an e-mail address.
    #[error("email in body must be of type email: {0:?}")]
    Email(String),
    /// Not a digest with or without its algorithm.
    #[error(
        "hash in body should match '^(sha512:)?[0-9a-fA-F]{{128}}$|^(sha256:)?[0-9a-fA-F]{{64}}$|^(sha1:)?[0-9a-fA-F]{{40}}$'"
    )]
    Hash,
    /// Neither `and` nor `or`.
    #[error("operator in body should be one of [and or]")]
    Operator,
    /// `publicKey` without `format`.
    #[error("publicKey.format in body is required")]
    FormatRequired,
    /// An unknown `publicKey.format`.
    #[error("publicKey.format in body should be one of [pgp x509 minisign ssh tuf]")]
    Format,
    /// Too long.
    #[error("subject in body should be at most {MAX_SUBJECT} chars long")]
    Subject,
    /// Not a key of the format that it is said to have.
    #[error("public key provided could not be parsed")]
    PublicKey,
    /// A format whose signatures this build does not verify.
    #[error(
        "the PKI format requested is not supported by this server: it was built without OpenPGP; release builds have it (cargo feature `openpgp`)"
    )]
    FormatUnsupported,
}

impl Query {
    /// Translates a request, whose members are checked in alphabetical order.
    pub fn parse(request: &SearchIndex<'_>) -> Result<Self, QueryError> {
        let mut terms = Vec::new();
        let given = |text: &Option<wire::rekor::Text<'_>>| {
            text.as_deref()
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        };
        if let Some(email) = given(&request.email) {
            if !is_email(&email) {
                return Err(QueryError::Email(email));
            }
            terms.push(Term::identity(&email));
        }
        if let Some(hash) = given(&request.hash) {
            terms.push(Term::hash(&hash).ok_or(QueryError::Hash)?);
        }
        let operator = match given(&request.operator) {
            Some(name) => Operator::from_name(&name).ok_or(QueryError::Operator)?,
            None => Operator::default(),
        };
        let key = match &request.public_key {
            Some(key) => {
                let format = key.format.as_deref().ok_or(QueryError::FormatRequired)?;
                let format = PublicKeyFormat::from_name(format).ok_or(QueryError::Format)?;
                Some((format, key.content.clone().unwrap_or_default().0))
            }
            None => None,
        };
        if let Some(subject) = given(&request.subject) {
            if subject.chars().count() > MAX_SUBJECT {
                return Err(QueryError::Subject);
            }
            terms.push(Term::identity(&subject));
        }
        if let Some((format, content)) = key {
            let canonical = crate::entry::canonical_key(format, &content)
                .ok_or(QueryError::FormatUnsupported)?
                .map_err(|_| QueryError::PublicKey)?;
            terms.push(Term::signer(&crypto::sha256(&canonical)));
        }
        Ok(Self { terms, operator })
    }

    /// Of each clause an entry must carry one key.
    #[must_use]
    pub fn clauses(&self) -> Vec<Vec<SearchKey>> {
        let keys = self.terms.iter().map(|term| term.keys.clone());
        match self.operator {
            Operator::And => keys.collect(),
            Operator::Or => vec![keys.flatten().collect()],
        }
    }
}

/// Whether a text has the form `local@domain`.
pub(crate) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let plain =
        |part: &str| !part.is_empty() && !part.chars().any(|c| c.is_whitespace() || c.is_control());
    plain(local)
        && !local.contains('@')
        && plain(domain)
        && !domain.starts_with('.')
        && !domain.ends_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Query, QueryError> {
        Query::parse(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn all_terms_or_any_of_them() {
        let json = r#"{"email":"a@b.example","subject":"c","operator":"OP"}"#;
        let (a, c) = (crate::search::key("a@b.example"), crate::search::key("c"));
        let and = parse(&json.replace("OP", "and")).unwrap();
        assert_eq!(and.clauses(), [[a], [c]]);
        let or = parse(&json.replace("OP", "or")).unwrap();
        assert_eq!(or.clauses(), [[a, c]]);
    }

    #[test]
    fn other_digests_are_refused() {
        assert_eq!(
            parse(&format!(r#"{{"hash":"{}"}}"#, "ab".repeat(48))),
            Err(QueryError::Hash)
        );
    }

    #[test]
    fn empty_members_are_no_terms() {
        assert_eq!(
            parse(r#"{"email":"","hash":"","subject":"","operator":""}"#).unwrap(),
            Query::default()
        );
    }

    #[test]
    fn operators_addresses_subjects_and_formats_are_checked() {
        assert_eq!(parse(r#"{"operator":"AND"}"#), Err(QueryError::Operator));
        assert_eq!(
            parse(r#"{"email":"nobody"}"#),
            Err(QueryError::Email("nobody".into()))
        );
        assert_eq!(
            parse(&format!(r#"{{"subject":"{}"}}"#, "x".repeat(513))),
            Err(QueryError::Subject)
        );
        assert!(parse(&format!(r#"{{"subject":"{}"}}"#, "x".repeat(512))).is_ok());
        assert_eq!(
            parse(r#"{"publicKey":{}}"#),
            Err(QueryError::FormatRequired)
        );
        assert_eq!(
            parse(r#"{"publicKey":{"format":"gpg"}}"#),
            Err(QueryError::Format)
        );
        assert_eq!(
            parse(r#"{"publicKey":{"format":"x509","content":"aGk="}}"#),
            Err(QueryError::PublicKey)
        );
    }
}
