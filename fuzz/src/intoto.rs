//! The `spec` of an `intoto` entry, proposed or canonical, read as both versions.

use crate::entries;

/// Takes the JSON as it is.
pub fn run(data: &[u8]) {
    if let Ok(spec) = std::str::from_utf8(data) {
        entries::look_at_text("intoto", "0.0.1", spec);
        entries::look_at_text("intoto", "0.0.2", spec);
    }
}
