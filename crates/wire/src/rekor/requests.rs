//! Bodies of requests. Every member may be absent; what is required is checked by who reads it,
//! because each omission has its own answer.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Base64;

/// Most items in one list of a query, and in all its lists together.
pub const MAX_QUERY_ITEMS: usize = 10;

/// A string, borrowed from the request where it holds no escapes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// An entry that someone proposes, or asks for.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProposedEntry<'a> {
    /// Kind of entry.
    #[serde(borrow)]
    pub kind: Option<Text<'a>>,
    /// Version of the kind's schema.
    #[serde(borrow)]
    pub api_version: Option<Text<'a>>,
    /// The kind's own.
    #[serde(borrow)]
    pub spec: Option<&'a RawValue>,
}

/// `POST /api/v1/log/entries/retrieve`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SearchLogQuery<'a> {
    /// UUIDs and entry ids.
    #[serde(borrow, rename = "entryUUIDs")]
    pub entry_uuids: Option<Vec<Text<'a>>>,
    /// Indices over all shards.
    pub log_indexes: Option<Vec<Option<i64>>>,
    /// Entries, proposed or canonical.
    #[serde(borrow)]
    pub entries: Option<Vec<Option<&'a RawValue>>>,
}

/// `POST /api/v1/index/retrieve`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SearchIndex<'a> {
    /// An address in a certificate or key.
    #[serde(borrow)]
    pub email: Option<Text<'a>>,
    /// Any subject alternative name.
    #[serde(borrow)]
    pub subject: Option<Text<'a>>,
    /// A digest of artifact, payload or envelope.
    #[serde(borrow)]
    pub hash: Option<Text<'a>>,
    /// Who signed.
    #[serde(borrow)]
    pub public_key: Option<PublicKeyQuery<'a>>,
    /// [`Operator`]'s name.
    #[serde(borrow)]
    pub operator: Option<Text<'a>>,
}

/// `publicKey` of [`SearchIndex`].
#[derive(Debug, Deserialize)]
pub struct PublicKeyQuery<'a> {
    /// [`PublicKeyFormat`]'s name.
    #[serde(borrow)]
    pub format: Option<Text<'a>>,
    /// The key.
    pub content: Option<Base64>,
}

/// How the terms of a [`SearchIndex`] combine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Operator {
    /// Entries that carry all terms.
    And,
    /// Entries that carry any term.
    #[default]
    Or,
}

impl Operator {
    /// By name; lower case only.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "and" => Some(Self::And),
            "or" => Some(Self::Or),
            _ => None,
        }
    }
}

/// What a key in a query is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublicKeyFormat {
    /// OpenPGP.
    Pgp,
    /// PEM public key or certificates.
    X509,
    /// minisign or signify.
    Minisign,
    /// An OpenSSH public key.
    Ssh,
    /// TUF root metadata.
    Tuf,
}

impl PublicKeyFormat {
    /// By name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "pgp" => Some(Self::Pgp),
            "x509" => Some(Self::X509),
            "minisign" => Some(Self::Minisign),
            "ssh" => Some(Self::Ssh),
            "tuf" => Some(Self::Tuf),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_strings_are_borrowed_from_the_request() {
        let entry: ProposedEntry<'_> = serde_json::from_slice(
            br#"{"kind":"dsse","apiVersion":"0.0.\u0031","spec":{"x":1},"more":[]}"#,
        )
        .unwrap();
        assert!(matches!(entry.kind, Some(Text(Cow::Borrowed("dsse")))));
        assert_eq!(&*entry.api_version.unwrap(), "0.0.1");
        assert_eq!(entry.spec.unwrap().get(), r#"{"x":1}"#);
    }

    #[test]
    fn null_members_are_absent() {
        let query: SearchLogQuery<'_> =
            serde_json::from_str(r#"{"entryUUIDs":null,"logIndexes":[1,null],"entries":null}"#)
                .unwrap();
        assert!(query.entry_uuids.is_none() && query.entries.is_none());
        assert_eq!(query.log_indexes.unwrap(), [Some(1), None]);
    }
}
