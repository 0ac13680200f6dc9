//! A detached signature and its key, in any of the formats of a `rekord`. The first byte chooses
//! the format, then comes the signature with its length before it, then the key.

use serde_json::json;

use crate::entries::{b64, halves, look_at};

const FORMATS: [&str; 4] = ["pgp", "minisign", "ssh", "x509"];
const ARTIFACT: &[u8] = b"hello\n";

/// Verifies it over an artifact that the seeds sign.
pub fn run(data: &[u8]) {
    let Some((chosen, rest)) = data.split_first() else {
        return;
    };
    let format = FORMATS.get(usize::from(*chosen) % FORMATS.len());
    if let Some((signature, key)) = halves(rest) {
        let spec = json!({
            "data": {"content": b64(ARTIFACT)},
            "signature": {"format": format, "content": b64(signature), "publicKey": {"content": b64(key)}},
        });
        look_at("rekord", "0.0.1", &spec);
    }
}
