//! The compact form of a token (RFC 7515 section 7.1), before anything in it is believed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde::Deserialize;

use crate::{Claims, TokenError};

/// Longest accepted token, in bytes. Tokens with many group claims reach some 10 KiB.
const MAX_TOKEN: usize = 64 << 10;

/// Leeway on `nbf`, in seconds. `exp` has none.
pub const NOT_BEFORE_LEEWAY_S: f64 = 300.0;

/// A token that was taken apart; nothing of it is verified.
#[derive(Debug)]
pub struct Unverified<'a> {
    /// What the signature covers: header, dot, payload.
    pub(crate) signed: &'a str,
    /// Signature, base64url.
    pub(crate) signature: &'a str,
    /// The header's algorithm.
    pub(crate) algorithm: Algorithm,
    /// The header's key id.
    pub(crate) key_id: Option<String>,
    /// The payload.
    pub claims: Claims,
}

/// The header's members that matter.
#[derive(Debug, Deserialize)]
pub struct Header {
    /// The algorithm's name.
    pub alg: String,
    /// The key's id.
    pub kid: Option<String>,
    crit: Option<serde::de::IgnoredAny>,
}

/// What a token says of its origin, whether it is believed or not; for the audit log.
#[derive(Debug, Default)]
pub struct Claimed {
    /// `iss`.
    pub issuer: Option<String>,
    /// `sub`.
    pub subject: Option<String>,
}

/// Reads what a token says of its origin, if it can be read.
#[must_use]
pub fn claimed(token: &str) -> Claimed {
    let payload = Parts::of(token)
        .ok()
        .and_then(|parts| parts.claims().ok())
        .unwrap_or_else(|| Claims::new(serde_json::Map::new()));
    let text = |name| payload.text(name).map(str::to_owned);
    Claimed {
        issuer: text("iss"),
        subject: text("sub"),
    }
}

/// The compact form's parts, still encoded.
#[derive(Debug)]
pub struct Parts<'a> {
    signed: &'a str,
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
}

impl<'a> Parts<'a> {
    /// Splits a token of at most 64 KiB at its two dots.
    pub fn of(token: &'a str) -> Result<Self, TokenError> {
        let token = token.trim_end();
        if token.is_empty() {
            return Err(TokenError::Absent);
        }
        if token.len() > MAX_TOKEN {
            return Err(TokenError::Malformed("longer than 64 KiB"));
        }
        // Counting before splitting: a token of nothing but dots must not allocate a slice per dot.
        if token.bytes().filter(|byte| *byte == b'.').take(3).count() != 2 {
            return Err(TokenError::Malformed("not three parts separated by dots"));
        }
        let parts = token.rsplit_once('.').and_then(|(signed, signature)| {
            signed
                .split_once('.')
                .map(|(header, payload)| (signed, header, payload, signature))
        });
        let (signed, header, payload, signature) =
            parts.ok_or(TokenError::Malformed("not three parts separated by dots"))?;
        Ok(Self {
            signed,
            header,
            payload,
            signature,
        })
    }

    /// Decodes the header.
    pub fn header(&self) -> Result<Header, TokenError> {
        let header = URL_SAFE_NO_PAD
            .decode(self.header)
            .map_err(|_| TokenError::Malformed("the header is not unpadded base64url"))?;
        serde_json::from_slice(&header)
            .map_err(|_| TokenError::Malformed("the header is not a JOSE header"))
    }

    /// Decodes the payload.
    pub fn claims(&self) -> Result<Claims, TokenError> {
        let payload = URL_SAFE_NO_PAD
            .decode(self.payload)
            .map_err(|_| TokenError::Malformed("the payload is not unpadded base64url"))?;
        serde_json::from_slice(&payload)
            .map(Claims::new)
            .map_err(|_| TokenError::Malformed("the payload is not a JSON object"))
    }
}

impl<'a> Unverified<'a> {
    /// Takes a token apart.
    pub fn parse(token: &'a str) -> Result<Self, TokenError> {
        let parts = Parts::of(token)?;
        let header = parts.header()?;
        if header.crit.is_some() {
            return Err(TokenError::Malformed("the header has critical extensions"));
        }
        Ok(Self {
            signed: parts.signed,
            signature: parts.signature,
            claims: parts.claims()?,
            algorithm: asymmetric(&header.alg).ok_or(TokenError::Algorithm)?,
            key_id: header.kid,
        })
    }

    /// The issuer that the token claims to come from.
    pub fn issuer(&self) -> Result<&str, TokenError> {
        self.claims.required("iss")
    }

    /// Checks audience and times at `now_s` (seconds since the Unix epoch).
    pub fn check(&self, audience: &str, now_s: f64) -> Result<(), TokenError> {
        check_audience(&self.claims, audience)?;
        check_times(&self.claims, now_s)
    }
}

/// The `aud` claim, a string or a list of strings, contains `audience`.
pub fn check_audience(claims: &Claims, audience: &str) -> Result<(), TokenError> {
    let contained = match claims.get("aud") {
        Some(serde_json::Value::String(one)) => one == audience,
        Some(serde_json::Value::Array(many)) => {
            many.iter().any(|one| one.as_str() == Some(audience))
        }
        _ => false,
    };
    if contained {
        Ok(())
    } else {
        Err(TokenError::Audience {
            expected: audience.to_owned(),
        })
    }
}

/// `exp` is present and not past (no leeway); `nbf`, if present, is at most five minutes ahead.
/// `iat` is not looked at.
pub fn check_times(claims: &Claims, now_s: f64) -> Result<(), TokenError> {
    let time = |name| {
        claims.get(name).map(|value| {
            value
                .as_f64()
                .ok_or(TokenError::Malformed("a time is not a number"))
        })
    };
    match time("exp").transpose()? {
        Some(expiry) if expiry >= now_s => {}
        Some(_) => return Err(TokenError::Expired),
        None => {
            return Err(TokenError::Claim {
                name: "exp",
                reason: "is missing".to_owned(),
            });
        }
    }
    match time("nbf").transpose()? {
        Some(start) if start > now_s + NOT_BEFORE_LEEWAY_S => Err(TokenError::NotYetValid),
        _ => Ok(()),
    }
}

/// A signature algorithm by its JOSE name. `none` and the symmetric ones have no name here, so
/// nothing can ask for them.
#[must_use]
pub fn asymmetric(name: &str) -> Option<Algorithm> {
    Some(match name {
        "RS256" => Algorithm::RS256,
        "RS384" => Algorithm::RS384,
        "RS512" => Algorithm::RS512,
        "PS256" => Algorithm::PS256,
        "PS384" => Algorithm::PS384,
        "PS512" => Algorithm::PS512,
        "ES256" => Algorithm::ES256,
        "ES384" => Algorithm::ES384,
        "EdDSA" => Algorithm::EdDSA,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, payload: &str) -> String {
        format!(
            "{}.{}.c2ln",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(payload)
        )
    }

    #[test]
    fn three_parts_are_needed() {
        for bad in ["", "   ", "a", "a.b", "a.b.c.d", "...", &".".repeat(60_000)] {
            assert!(Unverified::parse(bad).is_err(), "{bad:.20}");
        }
    }

    #[test]
    fn trailing_white_space_is_tolerated_and_padding_is_not() {
        let good = token(r#"{"alg":"RS256"}"#, r#"{"iss":"https://i.example"}"#);
        assert!(Unverified::parse(&format!("{good}\n")).is_ok());
        let padded = good.replacen('.', "=.", 1);
        assert!(Unverified::parse(&padded).is_err());
    }

    #[test]
    fn algorithms_without_a_public_key_have_no_name() {
        for bad in ["none", "None", "HS256", "HS384", "HS512", "ES256K", ""] {
            let token = token(&format!(r#"{{"alg":"{bad}"}}"#), "{}");
            assert!(
                matches!(Unverified::parse(&token), Err(TokenError::Algorithm)),
                "{bad}"
            );
        }
    }

    #[test]
    fn critical_header_extensions_are_refused() {
        let token = token(r#"{"alg":"RS256","crit":["b64"],"b64":false}"#, "{}");
        assert!(matches!(
            Unverified::parse(&token),
            Err(TokenError::Malformed(_))
        ));
    }

    fn claims(json: &str) -> Claims {
        Claims::new(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn expiry_has_no_leeway_and_is_required() {
        assert!(check_times(&claims(r#"{"exp":100}"#), 100.0).is_ok());
        assert!(check_times(&claims(r#"{"exp":100}"#), 100.001).is_err());
        assert!(check_times(&claims("{}"), 1.0).is_err());
        assert!(check_times(&claims(r#"{"exp":"100"}"#), 1.0).is_err());
    }

    #[test]
    fn not_before_has_five_minutes() {
        assert!(check_times(&claims(r#"{"exp":1000,"nbf":400}"#), 100.0).is_ok());
        assert!(check_times(&claims(r#"{"exp":1000,"nbf":401}"#), 100.0).is_err());
    }

    #[test]
    fn audience_is_a_string_or_a_list() {
        assert!(check_audience(&claims(r#"{"aud":"sigstore"}"#), "sigstore").is_ok());
        assert!(check_audience(&claims(r#"{"aud":["x","sigstore"]}"#), "sigstore").is_ok());
        for bad in [
            r#"{"aud":"sigstor"}"#,
            r#"{"aud":["x"]}"#,
            "{}",
            r#"{"aud":{"sigstore":1}}"#,
        ] {
            assert!(check_audience(&claims(bad), "sigstore").is_err(), "{bad}");
        }
    }
}
