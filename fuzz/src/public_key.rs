//! A client's public key, PEM or DER, with a signature: one byte for the signature's length, the
//! signature, the key.

use fulcio_rs::challenge::{AllowList, Encodings, Proof};

/// Checks the key as one that a client sent.
pub fn run(data: &[u8]) {
    let Some((length, rest)) = data.split_first() else {
        return;
    };
    let Some((signature, key)) = rest.split_at_checked(usize::from(*length)) else {
        return;
    };
    let proof = Proof::Signature { key, signature };
    let challenges = ["dev@corp.example".to_owned()];
    if let Ok(key) = proof.verify(&challenges, Encodings::PemOrDer, &AllowList::default()) {
        is_reprinted_the_same(&key);
    }
}

/// A key that was accepted is one key, however it was written.
#[expect(clippy::unwrap_used, reason = "what must not fail")]
pub(crate) fn is_reprinted_the_same(key: &crypto::PublicKey) {
    assert_eq!(&crypto::PublicKey::from_pem(&key.to_pem()).unwrap(), key);
}
