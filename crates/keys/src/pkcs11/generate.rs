//! New keys on a token.

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, ObjectClass};

use super::Pkcs11Error;
use super::attributes::{ED25519, P256, P384};
use super::config::KeySelector;
use super::session::Target;
use crate::Algorithm;

/// Makes a key pair under the label and id of `target`.
pub(super) fn key_pair(target: &Target, algorithm: Algorithm) -> Result<(), Pkcs11Error> {
    let selector = &target.location().key;
    let session = target.session(true)?;
    // Either name alone must stay unambiguous, so neither may be taken.
    for taken in [
        selector.label.as_ref().map(|label| KeySelector {
            label: Some(label.clone()),
            id: None,
        }),
        selector.id.as_ref().map(|id| KeySelector {
            label: None,
            id: Some(id.clone()),
        }),
    ]
    .into_iter()
    .flatten()
    {
        for class in [
            ObjectClass::PRIVATE_KEY,
            ObjectClass::PUBLIC_KEY,
            ObjectClass::SECRET_KEY,
        ] {
            if !session.find_objects(&taken.template(class))?.is_empty() {
                return Err(Pkcs11Error::Key(
                    "the token already has a key of this label or id; keys are never replaced: use it, or choose another name".to_owned(),
                ));
            }
        }
    }
    let id = match &selector.id {
        Some(id) => id.clone(),
        None => {
            let mut id = [0; 16];
            aws_lc_rs::rand::fill(&mut id).map_err(|_| {
                Pkcs11Error::Key("the system's random number generator failed".to_owned())
            })?;
            id.to_vec()
        }
    };
    let (mechanism, curve) = match algorithm {
        Algorithm::EcdsaP256Sha256 => (Mechanism::EccKeyPairGen, &P256),
        Algorithm::EcdsaP384Sha384 => (Mechanism::EccKeyPairGen, &P384),
        Algorithm::Ed25519 => (Mechanism::EccEdwardsKeyPairGen, &ED25519),
    };
    let mut common = vec![Attribute::Token(true), Attribute::Id(id)];
    common.extend(
        selector
            .label
            .iter()
            .map(|label| Attribute::Label(label.as_bytes().to_vec())),
    );
    let public = [
        common.clone(),
        vec![
            Attribute::Private(false),
            Attribute::Verify(true),
            Attribute::EcParams(curve.parameters.to_vec()),
        ],
    ]
    .concat();
    let private = [
        common,
        vec![
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
        ],
    ]
    .concat();
    session.generate_key_pair(&mechanism, &public, &private)?;
    Ok(())
}
