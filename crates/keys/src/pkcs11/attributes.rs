//! What a token says about its keys.

use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use super::Pkcs11Error;
use super::config::KeySelector;

/// DER of the curves' object identifiers (`CKA_EC_PARAMS`) and what precedes a point in a DER
/// `SubjectPublicKeyInfo` (RFC 5480 section 2).
pub(super) const P256: Curve = Curve {
    parameters: &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
    spki_prefix: &[
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
        0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
    ],
    point: 65,
};
pub(super) const P384: Curve = Curve {
    parameters: &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22],
    spki_prefix: &[
        0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05,
        0x2b, 0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00,
    ],
    point: 97,
};
/// `CKA_EC_PARAMS` is the printable string `edwards25519` (PKCS#11 3.0 section 2.3.5).
pub(super) const ED25519: Curve = Curve {
    parameters: b"\x13\x0cedwards25519",
    spki_prefix: &[
        0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
    ],
    point: 32,
};
/// The other encoding that tokens use for the same: the object identifier of RFC 8410.
const ED25519_OID: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];

/// How one curve is written.
pub(super) struct Curve {
    pub(super) parameters: &'static [u8],
    spki_prefix: &'static [u8],
    /// Length of a point, in bytes.
    point: usize,
}

impl Curve {
    fn named(parameters: &[u8]) -> Option<&'static Self> {
        const CURVES: [&Curve; 3] = [&P256, &P384, &ED25519];
        if parameters == ED25519_OID {
            return Some(&ED25519);
        }
        CURVES
            .into_iter()
            .find(|curve| curve.parameters == parameters)
    }

    /// The key whose `CKA_EC_POINT` is `point`: an OCTET STRING around the point by the standard,
    /// the bare point in some modules. Their lengths tell them apart.
    fn public_key(&self, point: &[u8]) -> Option<crypto::PublicKey> {
        let bare = match point.strip_prefix(&[0x04, u8::try_from(self.point).ok()?]) {
            Some(inside) if inside.len() == self.point => inside,
            _ if point.len() == self.point => point,
            _ => return None,
        };
        crypto::PublicKey::from_spki_der(&[self.spki_prefix, bare].concat()).ok()
    }
}

/// Finds the one private key that `selector` means, checks that it may be used, and reads its
/// public half.
pub(super) fn private_key(
    session: &Session,
    selector: &KeySelector,
) -> Result<(ObjectHandle, crypto::PublicKey), Pkcs11Error> {
    let handle = only(
        session,
        &selector.template(ObjectClass::PRIVATE_KEY),
        "private keys",
    )?
    .ok_or(Pkcs11Error::NoKey)?;
    let mut parameters = None;
    let mut point = None;
    let mut identity = KeySelector {
        label: None,
        id: None,
    };
    let (mut sensitive, mut extractable) = (false, true);
    for attribute in session.get_attributes(
        handle,
        &[
            AttributeType::KeyType,
            AttributeType::Sensitive,
            AttributeType::Extractable,
            AttributeType::AlwaysAuthenticate,
            AttributeType::Sign,
            AttributeType::EcParams,
            AttributeType::EcPoint,
            AttributeType::Id,
            AttributeType::Label,
        ],
    )? {
        match attribute {
            Attribute::KeyType(kind) if kind != KeyType::EC && kind != KeyType::EC_EDWARDS => {
                return Err(Pkcs11Error::Key(format!(
                    "it is a {kind} key; use ECDSA P-256, ECDSA P-384 or Ed25519"
                )));
            }
            Attribute::Sensitive(is) => sensitive = is,
            Attribute::Extractable(is) => extractable = is,
            Attribute::AlwaysAuthenticate(true) => {
                return Err(Pkcs11Error::Key(
                    "it wants its PIN before every signature (CKA_ALWAYS_AUTHENTICATE); a service cannot use it"
                        .to_owned(),
                ));
            }
            Attribute::Sign(false) => {
                return Err(Pkcs11Error::Key(
                    "it may not sign (CKA_SIGN is false)".to_owned(),
                ));
            }
            Attribute::EcParams(is) => parameters = Some(is),
            Attribute::EcPoint(is) if !is.is_empty() => point = Some(is),
            Attribute::Id(is) if !is.is_empty() => identity.id = Some(is),
            Attribute::Label(is) if !is.is_empty() => identity.label = String::from_utf8(is).ok(),
            _ => {}
        }
    }
    not_readable(sensitive, extractable)?;
    let curve = parameters
        .as_deref()
        .and_then(Curve::named)
        .ok_or_else(|| {
            Pkcs11Error::Key(
                "it is on another curve; use ECDSA P-256, ECDSA P-384 or Ed25519".to_owned(),
            )
        })?;
    if point.is_none() {
        point = public_point(session, identity)?;
    }
    let public_key = point
        .as_deref()
        .and_then(|point| curve.public_key(point))
        .ok_or_else(|| {
            Pkcs11Error::Key(
                "the token has no readable public key (CKA_EC_POINT) beside it".to_owned(),
            )
        })?;
    Ok((handle, public_key))
}

/// Finds the one AES key that `selector` means, and checks that it cannot be read out.
pub(super) fn secret_key(
    session: &Session,
    selector: &KeySelector,
) -> Result<ObjectHandle, Pkcs11Error> {
    let handle = only(
        session,
        &selector.template(ObjectClass::SECRET_KEY),
        "secret keys",
    )?
    .ok_or(Pkcs11Error::NoKey)?;
    let (mut aes, mut sensitive, mut extractable) = (false, false, true);
    for attribute in session.get_attributes(
        handle,
        &[
            AttributeType::KeyType,
            AttributeType::Sensitive,
            AttributeType::Extractable,
        ],
    )? {
        match attribute {
            Attribute::KeyType(kind) => aes = kind == KeyType::AES,
            Attribute::Sensitive(is) => sensitive = is,
            Attribute::Extractable(is) => extractable = is,
            _ => {}
        }
    }
    if !aes {
        return Err(Pkcs11Error::Key("it is not an AES key".to_owned()));
    }
    not_readable(sensitive, extractable)?;
    Ok(handle)
}

fn not_readable(sensitive: bool, extractable: bool) -> Result<(), Pkcs11Error> {
    if sensitive && !extractable {
        return Ok(());
    }
    Err(Pkcs11Error::Key(
        "it can be read out of the token (CKA_SENSITIVE must be true and CKA_EXTRACTABLE false); make another one there"
            .to_owned(),
    ))
}

/// `CKA_EC_POINT` of the public key object that belongs to the private key with `identity`.
fn public_point(session: &Session, identity: KeySelector) -> Result<Option<Vec<u8>>, Pkcs11Error> {
    // Public and private key share their CKA_ID (PKCS#11 section 4.7.2); labels may differ.
    let selector = match identity {
        KeySelector { id: Some(id), .. } => KeySelector {
            label: None,
            id: Some(id),
        },
        KeySelector { label: None, .. } => return Ok(None),
        by_label => by_label,
    };
    let Some(handle) = only(
        session,
        &selector.template(ObjectClass::PUBLIC_KEY),
        "public keys",
    )?
    else {
        return Ok(None);
    };
    let attributes = session.get_attributes(handle, &[AttributeType::EcPoint])?;
    Ok(attributes
        .into_iter()
        .find_map(|attribute| match attribute {
            Attribute::EcPoint(point) => Some(point),
            _ => None,
        }))
}

/// The only object that fits, or none; several are refused, because which one signs would be chance.
pub(super) fn only(
    session: &Session,
    template: &[Attribute],
    what: &str,
) -> Result<Option<ObjectHandle>, Pkcs11Error> {
    match session.find_objects(template)?.as_slice() {
        [] => Ok(None),
        [handle] => Ok(Some(*handle)),
        several => Err(Pkcs11Error::Key(format!(
            "{} {what} fit; name one with both object= and id=",
            several.len()
        ))),
    }
}

impl KeySelector {
    /// The objects of `class` that this means.
    pub(super) fn template(&self, class: ObjectClass) -> Vec<Attribute> {
        let mut template = vec![Attribute::Class(class), Attribute::Token(true)];
        template.extend(
            self.label
                .iter()
                .map(|label| Attribute::Label(label.as_bytes().to_vec())),
        );
        template.extend(self.id.iter().map(|id| Attribute::Id(id.clone())));
        template
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Algorithm, FileSigner, Signer};

    #[test]
    fn wrapped_and_bare_points_of_every_curve_are_the_same_key() {
        for (algorithm, curve) in [
            (Algorithm::EcdsaP256Sha256, &P256),
            (Algorithm::EcdsaP384Sha384, &P384),
            (Algorithm::Ed25519, &ED25519),
        ] {
            let signer = FileSigner::generate(algorithm).unwrap();
            let spki = signer.public_key().spki_der();
            let bare = &spki[spki.len() - curve.point..];
            let wrapped = [&[0x04, u8::try_from(curve.point).unwrap()], bare].concat();
            assert_eq!(curve.public_key(bare).as_ref(), Some(signer.public_key()));
            assert_eq!(
                curve.public_key(&wrapped).as_ref(),
                Some(signer.public_key())
            );
            for bad in [
                &bare[1..],
                &wrapped[1..],
                &[],
                &wrapped[..wrapped.len() - 1],
            ] {
                if bad.len() != curve.point {
                    assert_eq!(curve.public_key(bad), None);
                }
            }
        }
    }

    #[test]
    fn a_point_off_the_curve_is_no_key() {
        let mut point = [7; 65];
        point[0] = 4;
        assert_eq!(P256.public_key(&point), None);
    }

    #[test]
    fn other_curves_are_not_known() {
        // secp521r1 and secp256k1.
        assert!(Curve::named(&[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23]).is_none());
        assert!(Curve::named(&[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a]).is_none());
    }
}
