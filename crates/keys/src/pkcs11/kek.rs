//! AES keys on a token that encrypt other keys, with `CKM_AES_GCM`.

use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use zeroize::Zeroizing;

use super::attributes::secret_key;
use super::session::Target;
use super::{Pkcs11Error, Pkcs11Uri};
use crate::Passphrase;

/// Length of the nonce before the ciphertext, in bytes.
const NONCE: usize = 12;
/// Length of the tag, in bits.
const TAG_BITS: u64 = 128;

/// Encrypts `secret`, bound to `binding`: nonce, ciphertext, tag. Blocks.
pub(crate) fn encrypt(
    uri: &Pkcs11Uri,
    passphrase: Option<&Passphrase>,
    secret: &[u8],
    binding: &[u8; 32],
) -> Result<Vec<u8>, Pkcs11Error> {
    let target = Target::new(uri, passphrase)?;
    let session = target.session(false)?;
    let key = secret_key(&session, &target.location().key)?;
    let mut nonce = [0; NONCE];
    aws_lc_rs::rand::fill(&mut nonce)
        .map_err(|_| Pkcs11Error::Key("the system's random number generator failed".to_owned()))?;
    let mut in_use = nonce;
    let mechanism = Mechanism::AesGcm(GcmParams::new(&mut in_use, binding, TAG_BITS.into())?);
    let sealed = session.encrypt(&mechanism, key, secret)?;
    if in_use != nonce {
        return Err(Pkcs11Error::Key(
            "the token chose a nonce of its own for CKM_AES_GCM, which is not supported".to_owned(),
        ));
    }
    Ok([nonce.as_slice(), &sealed].concat())
}

/// Decrypts what [`encrypt`] returned. The token refuses another key or binding. Blocks.
pub(crate) fn decrypt(
    uri: &Pkcs11Uri,
    passphrase: Option<&Passphrase>,
    wrapped: &[u8],
    binding: &[u8; 32],
) -> Result<Zeroizing<Vec<u8>>, Pkcs11Error> {
    let (nonce, sealed) = wrapped
        .split_first_chunk::<NONCE>()
        .ok_or_else(|| Pkcs11Error::Key("the wrapped data key is too short".to_owned()))?;
    let target = Target::new(uri, passphrase)?;
    let session = target.session(false)?;
    let key = secret_key(&session, &target.location().key)?;
    let mut nonce = *nonce;
    let mechanism = Mechanism::AesGcm(GcmParams::new(&mut nonce, binding, TAG_BITS.into())?);
    Ok(Zeroizing::new(session.decrypt(&mechanism, key, sealed)?))
}
