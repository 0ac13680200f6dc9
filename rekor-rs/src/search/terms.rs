//! What entries are found by.

use logstore::SearchKey;

/// The kind that has no key of its own.
const COMMON_KIND: &str = wire::rekor::hashedrekord::KIND;

/// Something that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// The parameter that asks for it in a listing.
    pub parameter: &'static str,
    /// The parameter's value.
    pub value: String,
    /// Any of these keys will do.
    pub keys: Vec<SearchKey>,
}

impl Term {
    /// A subject alternative name of a signer's certificate.
    #[must_use]
    pub fn identity(name: &str) -> Self {
        Self {
            parameter: "identity",
            value: name.to_owned(),
            keys: vec![key(name)],
        }
    }

    /// The digest of an artifact, payload, envelope, or of a signer's key: hexadecimal, with or
    /// without its algorithm before it.
    #[must_use]
    pub fn hash(text: &str) -> Option<Self> {
        let (algorithm, digits) = digest(text)?;
        let value = format!("{algorithm}:{digits}");
        let mut keys = vec![key(&value)];
        // Keys of signers are indexed without the algorithm, which is always this one.
        if algorithm == "sha256" {
            keys.push(key(digits));
        }
        Some(Self {
            parameter: "hash",
            value,
            keys,
        })
    }

    /// SHA-256 of a signer's key or certificate in canonical form.
    #[must_use]
    pub fn signer(sha256: &[u8; 32]) -> Self {
        let value = hex::encode(sha256);
        Self {
            parameter: "key",
            keys: vec![key(&value)],
            value,
        }
    }

    /// The OIDC issuer that a signer's certificate names.
    #[must_use]
    pub fn issuer(url: &str) -> Self {
        Self {
            parameter: "issuer",
            value: url.to_owned(),
            keys: vec![issuer_key(url)],
        }
    }
}

/// The key of a term: the first half of SHA-256 of its lower-case form.
#[must_use]
pub fn key(term: &str) -> SearchKey {
    half(&crypto::sha256(term.to_lowercase().as_bytes()))
}

/// The key of an OIDC issuer.
#[must_use]
pub fn issuer_key(issuer: &str) -> SearchKey {
    apart("issuer", issuer)
}

/// The key of a kind of entry, if it has one.
#[must_use]
pub fn kind_key(kind: &str) -> Option<SearchKey> {
    (kind != COMMON_KIND).then(|| apart("kind", kind))
}

/// The key of a term of its own sort: the digest of the sort's name comes before it. That digest is
/// not UTF-8, so no text has this key.
fn apart(sort: &str, term: &str) -> SearchKey {
    let mut text = crypto::sha256(sort.as_bytes()).to_vec();
    text.extend_from_slice(term.to_lowercase().as_bytes());
    half(&crypto::sha256(&text))
}

fn half(digest: &[u8; 32]) -> SearchKey {
    let mut key = SearchKey::default();
    for (out, byte) in key.iter_mut().zip(digest) {
        *out = *byte;
    }
    key
}

/// Algorithm and digits, from digits with or without an algorithm's name before them.
fn digest(text: &str) -> Option<(&'static str, &str)> {
    let (named, digits) = match text.split_once(':') {
        Some((name, digits)) => (Some(name), digits),
        None => (None, text),
    };
    let algorithm = match digits.len() {
        40 => "sha1",
        64 => "sha256",
        128 => "sha512",
        _ => return None,
    };
    let fits = named.is_none_or(|name| name == algorithm)
        && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    fits.then_some((algorithm, digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_makes_no_difference() {
        assert_eq!(key("Dev@Example.COM"), key("dev@example.com"));
        assert_eq!(issuer_key("https://A"), issuer_key("https://a"));
        assert_ne!(key("a"), key("b"));
    }

    #[test]
    fn sorts_of_terms_do_not_meet() {
        let keys = [key("dsse"), issuer_key("dsse"), kind_key("dsse").unwrap()];
        assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2]);
        for sort in ["issuer", "kind"] {
            assert!(std::str::from_utf8(&crypto::sha256(sort.as_bytes())).is_err());
        }
        assert_eq!(kind_key("hashedrekord"), None);
    }

    #[test]
    fn digests_get_their_algorithm() {
        let digits = "Ab".repeat(32);
        let bare = Term::hash(&digits).unwrap();
        assert_eq!(bare, Term::hash(&format!("sha256:{digits}")).unwrap());
        assert_eq!(bare.keys, [key(&format!("sha256:{digits}")), key(&digits)]);
        assert_eq!(Term::hash(&"ab".repeat(20)).unwrap().keys.len(), 1);
        for hash in [
            "ab".repeat(48),
            format!("SHA256:{}", "ab".repeat(32)),
            format!("sha1:{}", "ab".repeat(32)),
            "zz".repeat(32),
        ] {
            assert_eq!(Term::hash(&hash), None, "{hash}");
        }
    }
}
