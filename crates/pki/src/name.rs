//! Distinguished names of the hierarchy's certificates.

/// The subject of a hierarchy certificate: `O=…, CN=…`, both UTF8String.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// `O`: 1 to 64 characters, none of them a control character.
    pub organization: String,
    /// `CN`: as `organization`.
    pub common_name: String,
}

impl Subject {
    /// Whether both attributes have a permitted length (RFC 5280 appendix A.1) and content.
    pub(crate) fn is_valid(&self) -> bool {
        [&self.organization, &self.common_name]
            .into_iter()
            .all(|text| {
                (1..=64).contains(&text.chars().count()) && !text.chars().any(char::is_control)
            })
    }
}
