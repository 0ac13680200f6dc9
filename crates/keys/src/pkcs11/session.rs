//! One session with a token, logged in, with its key at hand.

use cryptoki::error::Error;
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use std::sync::Arc;

use super::attributes::private_key;
use super::config::Location;
use super::module::Module;
use super::{Pkcs11Error, Pkcs11Uri};
use crate::pinned::{Input, Pinned, asn1_signature};
use crate::{Passphrase, SignError};

/// A key on a token, and how to get (back) to it.
pub(super) struct Target {
    module: Arc<Module>,
    location: Location,
}

/// An open session that can sign.
pub(super) struct Connection {
    session: Session,
    key: ObjectHandle,
}

impl Target {
    pub(super) fn new(
        uri: &Pkcs11Uri,
        passphrase: Option<&Passphrase>,
    ) -> Result<Self, Pkcs11Error> {
        let location = Location::resolve(uri, passphrase)?;
        let module = Module::load(&location.module)?;
        Ok(Self { module, location })
    }

    pub(super) fn location(&self) -> &Location {
        &self.location
    }

    /// A logged-in session with the token, in whatever slot it is now.
    pub(super) fn session(&self, writable: bool) -> Result<Session, Pkcs11Error> {
        let token = self.module.find(&self.location.token)?;
        self.module.session(&token, &self.location.pin, writable)
    }

    /// Connects for the first time: the key's public half is what will be pinned.
    pub(super) fn connect(&self) -> Result<(Connection, crypto::PublicKey), Pkcs11Error> {
        let session = self.session(false)?;
        let (key, public_key) = private_key(&session, &self.location.key)?;
        Ok((Connection { session, key }, public_key))
    }

    /// Connects again; a token with another key under the same name is refused.
    pub(super) fn reconnect(&self, pinned: &Pinned) -> Result<Connection, Pkcs11Error> {
        let (connection, public_key) = self.connect()?;
        if &public_key != pinned.public_key() {
            return Err(Pkcs11Error::Key(
                "the token now has another key under this name than when it was opened".to_owned(),
            ));
        }
        Ok(connection)
    }

    /// Signs on `connection`, or on a new one if it is missing or lost.
    ///
    /// A lost session is replaced once in a call. The first attempt may have signed before the
    /// session was lost; its signature then never left the token, and signing the same bytes again
    /// makes no second document.
    pub(super) fn sign(
        &self,
        connection: &mut Option<Connection>,
        pinned: &Pinned,
        input: &Input,
    ) -> Result<Vec<u8>, SignError> {
        let (open, fresh) = match connection.take() {
            Some(open) => (open, false),
            None => (
                self.reconnect(pinned)
                    .map_err(Pkcs11Error::into_sign_error)?,
                true,
            ),
        };
        let (open, signed) = match open.sign(input) {
            Err(error) if !fresh && super::error::is_transient(&error) => {
                tracing::warn!(%error, "PKCS#11 session lost; opening another");
                // Closed first: a token may allow no more sessions than there are.
                drop(open);
                let open = self
                    .reconnect(pinned)
                    .map_err(Pkcs11Error::into_sign_error)?;
                let signed = open.sign(input);
                (open, signed)
            }
            signed => (open, signed),
        };
        // After an error the session may be in the middle of an operation; it is not used again.
        let signature = signed.map_err(|error| Pkcs11Error::from(error).into_sign_error())?;
        *connection = Some(open);
        let signature = match input {
            Input::Digest(_) => asn1_signature(&signature).ok_or(SignError::BadSignature)?,
            Input::Message(_) => signature,
        };
        pinned.release(input, signature)
    }
}

impl Connection {
    /// The token's own form of a signature: `r‖s`, or Ed25519's 64 bytes.
    fn sign(&self, input: &Input) -> Result<Vec<u8>, Error> {
        let mechanism = match input {
            Input::Digest(_) => Mechanism::Ecdsa,
            Input::Message(_) => Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519)),
        };
        self.session.sign(&mechanism, self.key, input.as_bytes())
    }
}
