//! Distinguished names of the hierarchy's certificates.

/// The subject of a hierarchy certificate: `O=…, CN=…`, both UTF8String.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// `O`. Not empty.
    pub organization: String,
    /// `CN`. Not empty.
    pub common_name: String,
}
