//! The `spec` of a `dsse` entry, proposed or canonical.

use crate::entries;

/// Takes the JSON as it is.
pub fn run(data: &[u8]) {
    if let Ok(spec) = std::str::from_utf8(data) {
        entries::look_at_text("dsse", "0.0.1", spec);
    }
}
