//! A certificate signing request, PEM; what does not begin like PEM is taken for DER and wrapped.

use fulcio_rs::challenge::{AllowList, Encodings, Proof};

use crate::public_key::is_reprinted_the_same;

/// Checks the request as one that a client sent.
pub fn run(data: &[u8]) {
    let wrapped;
    let pem = if data.first() == Some(&b'-') {
        data
    } else {
        wrapped = pem::encode(&pem::Pem::new("CERTIFICATE REQUEST", data));
        wrapped.as_bytes()
    };
    if let Ok(key) = Proof::Request(pem).verify(&[], Encodings::Pem, &AllowList::default()) {
        is_reprinted_the_same(&key);
    }
}
