//! Logins under way: what a code stands for until it is redeemed.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Email;

/// What an authorization code stands for.
#[derive(Clone, Debug)]
pub(super) struct CodeGrant {
    pub(super) email: Email,
    pub(super) redirect_uri: String,
    pub(super) nonce: Option<String>,
    pub(super) challenge: Challenge,
}

/// What a device code stands for.
#[derive(Clone, Debug)]
pub(super) struct DeviceGrant {
    pub(super) user_code: String,
    pub(super) nonce: Option<String>,
    pub(super) challenge: Option<Challenge>,
    pub(super) decision: Decision,
}

/// What the person at the verification page said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Pending,
    Denied,
    Approved(Email),
}

/// A PKCE challenge (RFC 7636), method S256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Challenge([u8; 32]);

impl Challenge {
    /// Parses `code_challenge` of method `S256`: 43 characters of base64url.
    pub(super) fn from_s256(challenge: &str) -> Option<Self> {
        URL_SAFE_NO_PAD
            .decode(challenge)
            .ok()?
            .try_into()
            .ok()
            .map(Self)
    }

    /// Whether `verifier` is well-formed (RFC 7636 §4.1) and hashes to the challenge.
    pub(super) fn matches(&self, verifier: &str) -> bool {
        let well_formed = (43..=128).contains(&verifier.len())
            && verifier
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
        well_formed && crypto::sha256(verifier.as_bytes()) == self.0
    }
}

/// A map with a bounded number of entries, each for a bounded time.
#[derive(Debug)]
pub(super) struct Bounded<T> {
    limit: usize,
    lifetime_ms: u64,
    entries: HashMap<String, (u64, T)>,
}

/// There is no room; entries leave as they expire.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl<T> Bounded<T> {
    pub(super) fn new(limit: usize, lifetime: Duration) -> Self {
        let lifetime_ms = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        Self {
            limit,
            lifetime_ms,
            entries: HashMap::new(),
        }
    }

    pub(super) fn insert(&mut self, now_ms: u64, key: String, value: T) -> Result<(), Full> {
        self.entries
            .retain(|_, (expires_ms, _)| *expires_ms > now_ms);
        if self.entries.len() >= self.limit {
            return Err(Full);
        }
        self.entries
            .insert(key, (now_ms.saturating_add(self.lifetime_ms), value));
        Ok(())
    }

    pub(super) fn get(&self, now_ms: u64, key: &str) -> Option<&T> {
        self.entries
            .get(key)
            .filter(|(expires_ms, _)| *expires_ms > now_ms)
            .map(|(_, value)| value)
    }

    pub(super) fn remove(&mut self, now_ms: u64, key: &str) -> Option<T> {
        self.entries
            .remove(key)
            .filter(|(expires_ms, _)| *expires_ms > now_ms)
            .map(|(_, value)| value)
    }

    pub(super) fn find(&mut self, now_ms: u64, matches: impl Fn(&T) -> bool) -> Option<&mut T> {
        self.entries
            .values_mut()
            .find(|(expires_ms, value)| *expires_ms > now_ms && matches(value))
            .map(|(_, value)| value)
    }
}

/// A code that cannot be guessed: 256 random bits.
pub(super) fn random_code() -> Result<String, aws_lc_rs::error::Unspecified> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Letters of user codes: consonants, so that no words appear (RFC 8628 §6.1).
const USER_CODE_LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// A code for people to type: eight letters, `BCDF-GHJK`.
pub(super) fn random_user_code() -> Result<String, aws_lc_rs::error::Unspecified> {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes)?;
    let letters = bytes
        .iter()
        .filter_map(|byte| USER_CODE_LETTERS.get(usize::from(*byte) % 20));
    let mut code = String::with_capacity(9);
    for (position, letter) in letters.enumerate() {
        if position == 4 {
            code.push('-');
        }
        code.push(char::from(*letter));
    }
    Ok(code)
}

/// A user code as typed, in the form of [`random_user_code`]: case and separators do not matter.
pub(super) fn normalize_user_code(typed: &str) -> String {
    let letters: Vec<char> = typed
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(8)
        .map(|letter| letter.to_ascii_uppercase())
        .collect();
    let (head, tail) = letters.split_at(letters.len().min(4));
    format!(
        "{}-{}",
        head.iter().collect::<String>(),
        tail.iter().collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_of_rfc_7636_appendix_b_matches_its_verifier_only() {
        let challenge =
            Challenge::from_s256("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").unwrap();
        assert!(challenge.matches("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
        assert!(!challenge.matches("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl"));
        assert!(!challenge.matches(""));
        assert_eq!(Challenge::from_s256("short"), None);
    }

    #[test]
    fn an_entry_leaves_when_it_is_redeemed_or_expires() {
        let mut bounded = Bounded::new(2, Duration::from_millis(100));
        bounded.insert(0, "a".into(), 1).unwrap();
        bounded.insert(50, "b".into(), 2).unwrap();
        assert_eq!(bounded.insert(60, "c".into(), 3), Err(Full));
        assert_eq!(bounded.get(99, "a"), Some(&1));
        assert_eq!(bounded.get(100, "a"), None);
        assert_eq!(bounded.remove(100, "a"), None);
        assert_eq!(bounded.remove(100, "b"), Some(2));
        assert_eq!(bounded.remove(100, "b"), None);
        assert_eq!(bounded.insert(100, "c".into(), 3), Ok(()));
    }

    #[test]
    fn a_user_code_is_recognised_however_it_is_typed() {
        let code = random_user_code().unwrap();
        assert_eq!(code.len(), 9);
        assert_eq!(normalize_user_code(&code), code);
        assert_eq!(
            normalize_user_code(&format!(" {} ", code.to_lowercase().replace('-', " "))),
            code
        );
        assert_eq!(normalize_user_code(""), "-");
    }
}
