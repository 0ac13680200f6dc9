//! URIs as they are printed into certificates: percent-encoded where needed, otherwise verbatim.

/// Why a text is not a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UriError(&'static str);

/// Checks an absolute URI with a host and prints it as RFC 3986 wants it: characters that a URI
/// cannot contain are percent-encoded, everything else stays byte for byte.
pub(crate) fn uri(text: &str) -> Result<String, UriError> {
    let (scheme, rest) = text
        .split_once("://")
        .ok_or(UriError("not an absolute URI with a host"))?;
    let scheme_is_good = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    if !scheme_is_good {
        return Err(UriError("bad scheme"));
    }
    if text.chars().any(char::is_control) {
        return Err(UriError("contains a control character"));
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let host_is_good = !authority.is_empty()
        && authority.chars().all(|c| {
            c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':' | '[' | ']' | '~')
        });
    if !host_is_good {
        return Err(UriError("bad host"));
    }
    let (before_fragment, fragment) = match tail.split_once('#') {
        Some((before, fragment)) => (before, Some(fragment)),
        None => (tail, None),
    };
    let (path, query) = match before_fragment.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (before_fragment, None),
    };
    let mut out = format!("{}://{authority}", scheme.to_ascii_lowercase());
    encode(path, "/:@$&+,;=!'()*[]", &mut out)?;
    if let Some(query) = query {
        out.push('?');
        encode(query, "/:@$&+,;=!'()*[]?", &mut out)?;
    }
    if let Some(fragment) = fragment {
        out.push('#');
        encode(fragment, "/:@$&+,;=!'()*[]?", &mut out)?;
    }
    Ok(out)
}

fn encode(text: &str, allowed: &str, out: &mut String) -> Result<(), UriError> {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let character = char::from(byte);
        if character == '%' {
            let digits = [bytes.next(), bytes.next()];
            let [Some(high), Some(low)] = digits else {
                return Err(UriError("bad % escape"));
            };
            if !(high.is_ascii_hexdigit() && low.is_ascii_hexdigit()) {
                return Err(UriError("bad % escape"));
            }
            out.extend(['%', char::from(high), char::from(low)]);
        } else if character.is_ascii_alphanumeric()
            || matches!(character, '-' | '.' | '_' | '~')
            || (character.is_ascii() && allowed.contains(character))
        {
            out.push(character);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_uris_stay_as_they_are() {
        for good in [
            "https://github.com/o/r/.github/workflows/ci.yml@refs/heads/main",
            "https://github.com/o/r/.github/workflows/ci.yml@refs/heads/a+b,c;d=(e)!",
            "https://buildkite.com/o/p/builds/1#job",
            "spiffe://td/a/b",
            "https://example.com:8443",
            "https://example.com/a%20b?q=1&r=/2",
        ] {
            assert_eq!(uri(good).unwrap(), good);
        }
    }

    #[test]
    fn spaces_and_non_ascii_are_percent_encoded() {
        assert_eq!(
            uri("https://h.example/a b/ü?x y").unwrap(),
            "https://h.example/a%20b/%C3%BC?x%20y"
        );
        assert_eq!(
            uri("https://h.example/<\">").unwrap(),
            "https://h.example/%3C%22%3E"
        );
    }

    #[test]
    fn what_is_no_uri_is_refused() {
        for bad in [
            "",
            "foo",
            "https://",
            "https:///x",
            "https://a b/x",
            "https://ü.example/",
            "https://h/%zz",
            "https://h/%4",
            "https://h/\n",
            "1x://h/",
            "https://u@h/",
        ] {
            assert!(uri(bad).is_err(), "{bad}");
        }
    }
}
