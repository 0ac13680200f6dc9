//! PKCS#11 modules: loaded and initialised once in the process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use secrecy::SecretString;

use super::Pkcs11Error;
use super::config::TokenSelector;
use crate::Passphrase;

/// Modules are never finalised: another key may be using them, and some crash on a second
/// `C_Initialize`.
static MODULES: Mutex<BTreeMap<PathBuf, Arc<Module>>> = Mutex::new(BTreeMap::new());

/// One loaded library.
#[derive(Debug)]
pub(super) struct Module {
    pkcs11: Pkcs11,
    /// The PIN that each token (by serial number) has refused, to not offer it twice: keys on one
    /// token share its counter of wrong PINs. Locked during a login, because login state is shared
    /// by all sessions of the process.
    refused: Mutex<BTreeMap<String, Passphrase>>,
}

/// A token in its slot.
pub(super) struct Token {
    pub(super) slot: Slot,
    serial: String,
}

impl Module {
    /// The module at `path`, initialised for use by several threads.
    pub(super) fn load(path: &Path) -> Result<Arc<Self>, Pkcs11Error> {
        let refuse = |reason: String| Pkcs11Error::Module {
            path: path.to_owned(),
            reason,
        };
        let canonical = path
            .canonicalize()
            .map_err(|error| refuse(error.to_string()))?;
        let mut modules = lock(&MODULES);
        if let Some(module) = modules.get(&canonical) {
            return Ok(Arc::clone(module));
        }
        let pkcs11 = Pkcs11::new(&canonical).map_err(|error| refuse(error.to_string()))?;
        match pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            // Another library in the process may use the same module.
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(refuse(error.to_string())),
        }
        let module = Arc::new(Self {
            pkcs11,
            refused: Mutex::default(),
        });
        modules.insert(canonical, Arc::clone(&module));
        Ok(module)
    }

    /// The one token that `selector` means, in whatever slot it is now.
    pub(super) fn find(&self, selector: &TokenSelector) -> Result<Token, Pkcs11Error> {
        let mut found = Vec::new();
        for slot in self.pkcs11.get_slots_with_token()? {
            if selector.slot_id.is_some_and(|id| id != slot.id()) {
                continue;
            }
            let info = match self.pkcs11.get_token_info(slot) {
                Ok(info) => info,
                // It went away after the list was made, or is not ready.
                Err(error) if super::error::is_transient(&error) => continue,
                Err(error) => return Err(error.into()),
            };
            let fits = |wanted: &Option<String>, is: &str| {
                wanted
                    .as_deref()
                    .is_none_or(|wanted| wanted == is.trim_end())
            };
            if info.token_initialized()
                && fits(&selector.label, info.label())
                && fits(&selector.serial, info.serial_number())
                && fits(&selector.manufacturer, info.manufacturer_id())
                && fits(&selector.model, info.model())
            {
                found.push(Token {
                    slot,
                    serial: info.serial_number().to_owned(),
                });
            }
        }
        let several = found.len();
        match found.pop() {
            Some(token) if several == 1 => Ok(token),
            Some(_) => Err(Pkcs11Error::TokenAmbiguous(several)),
            None => Err(Pkcs11Error::NoToken),
        }
    }

    /// Opens a session with `token` and logs in, if no other session of the process has.
    pub(super) fn session(
        &self,
        token: &Token,
        pin: &Passphrase,
        writable: bool,
    ) -> Result<Session, Pkcs11Error> {
        let session = if writable {
            self.pkcs11.open_rw_session(token.slot)?
        } else {
            self.pkcs11.open_ro_session(token.slot)?
        };
        let mut refused = lock(&self.refused);
        if refused
            .get(&token.serial)
            .is_some_and(|refused| refused.expose() == pin.expose())
        {
            return Err(Pkcs11Error::PinRefused(RvError::PinIncorrect));
        }
        match session.login(UserType::User, Some(&SecretString::from(pin.expose()))) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
            Err(Error::Pkcs11(
                reason @ (RvError::PinIncorrect
                | RvError::PinInvalid
                | RvError::PinLenRange
                | RvError::PinExpired
                | RvError::PinLocked),
                _,
            )) => {
                refused.insert(token.serial.clone(), pin.clone());
                Err(Pkcs11Error::PinRefused(reason))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// A lock whose holder cannot leave anything half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
