//! Media types of requests and answers.

use axum::extract::Request;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderMap, Method};

use crate::error::RequestError;

/// Media types that a resource can answer in, with their list as a refusal prints it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    types: &'static [&'static str],
    printed: &'static str,
}

/// What all resources but one answer in.
pub(super) const JSON: Offer = Offer {
    types: &["application/json"],
    printed: "application/json",
};

/// What the public key is answered in; the first is the default.
pub(super) const PUBLIC_KEY: Offer = Offer {
    types: &["application/x-pem-file", "application/json"],
    printed: "application/x-pem-file application/json",
};

/// Checks the type of the request's body, if there is one, and chooses that of the answer.
pub(super) fn choose(request: &Request, offer: Offer) -> Result<&'static str, RequestError> {
    check_body(request)?;
    accepted(request.headers(), offer).ok_or(RequestError::NotAcceptable(offer.printed))
}

fn check_body(request: &Request) -> Result<(), RequestError> {
    let headers = request.headers();
    let has_body = headers.contains_key(TRANSFER_ENCODING)
        || headers
            .get(CONTENT_LENGTH)
            .is_some_and(|length| length.as_bytes() != b"0");
    if request.method() != Method::POST || !has_body {
        return Ok(());
    }
    let given = headers
        .get(CONTENT_TYPE)
        .map(|value| value.to_str().unwrap_or_default());
    let given = given.unwrap_or("application/octet-stream");
    let essence = given.split(';').next().unwrap_or_default().trim();
    match essence.eq_ignore_ascii_case("application/json") {
        true => Ok(()),
        false => Err(RequestError::MediaType(essence.to_owned())),
    }
}

/// The first offered type that the client takes. Preferences among several are not looked at.
fn accepted(headers: &HeaderMap, offer: Offer) -> Option<&'static str> {
    let listed: Vec<&str> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter(|range| !range.trim().is_empty())
        .collect();
    if listed.is_empty() {
        return offer.types.first().copied();
    }
    let ranges: Vec<_> = listed.into_iter().filter_map(range).collect();
    let takes = |offered: &&&str| {
        let group = offered.split_once('/').map_or("", |(group, _)| group);
        ranges.iter().any(|range| match range.strip_suffix("/*") {
            Some("*") => true,
            Some(wanted) => wanted.eq_ignore_ascii_case(group),
            None => range.eq_ignore_ascii_case(offered),
        })
    };
    offer.types.iter().find(takes).copied()
}

/// One media range; none if the client gives it weight zero.
fn range(text: &str) -> Option<&str> {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next().filter(|range| !range.is_empty())?;
    let refused = parts.any(|part| {
        let weight = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
        weight
            .and_then(|weight| weight.trim().parse::<f32>().ok())
            .is_some_and(|weight| weight <= 0.0)
    });
    (!refused).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(accept: Option<&'static str>, offer: Offer) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert(ACCEPT, accept.parse().unwrap());
        }
        accepted(&headers, offer)
    }

    #[test]
    fn json_is_taken_by_those_who_say_so_and_who_say_nothing() {
        for accept in [
            None,
            Some("*/*"),
            Some("application/*;q=0.1"),
            Some("text/html, application/JSON;q=0.9"),
            Some(""),
        ] {
            assert_eq!(chosen(accept, JSON), Some("application/json"), "{accept:?}");
        }
        for accept in ["text/html", "application/json;q=0", "application/yaml"] {
            assert_eq!(chosen(Some(accept), JSON), None, "{accept}");
        }
    }

    #[test]
    fn the_key_is_pem_unless_json_is_asked_for() {
        assert_eq!(chosen(None, PUBLIC_KEY), Some("application/x-pem-file"));
        assert_eq!(
            chosen(Some("*/*"), PUBLIC_KEY),
            Some("application/x-pem-file")
        );
        assert_eq!(
            chosen(Some("application/json"), PUBLIC_KEY),
            Some("application/json")
        );
    }
}
