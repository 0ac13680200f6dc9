//! Whose signatures are logged.

use std::collections::HashSet;
use std::path::Path;

use super::{Refusal, SignersConfig};
use crate::config::ConfigError;
use crate::entry::{Anchors, Signer, Verified, Verifier};
use crate::pem;

/// Our authorities and the listed keys.
#[derive(Debug)]
pub(crate) struct Signers {
    authorities: Option<Anchors>,
    /// SHA-256 of DER SPKIs; of canonical forms, for keys that have none.
    keys: HashSet<[u8; 32]>,
}

impl Signers {
    pub(super) fn open(config: &SignersConfig) -> Result<Self, ConfigError> {
        let refuse = |key, reason| ConfigError::Value { key, reason };
        let authorities = config.authorities.as_deref().map(|path| {
            let text =
                read(path).map_err(|reason| refuse("write-policy.signers.authorities", reason))?;
            let mut certificates = Vec::new();
            let mut rest = text.as_str();
            while let Some((block, after)) = pem::first_block(rest) {
                if block.label == "CERTIFICATE" {
                    certificates.push(block.der);
                }
                rest = after;
            }
            let about = |reason: String| {
                let reason = format!("{}: {reason}", path.display());
                refuse("write-policy.signers.authorities", reason)
            };
            if certificates.is_empty() {
                return Err(about("it holds no certificate".to_owned()));
            }
            Anchors::new(certificates).map_err(|error| about(error.to_string()))
        });
        let mut keys = HashSet::new();
        for key in &config.keys {
            add_key(key, &mut keys).map_err(|reason| {
                refuse("write-policy.signers.keys", format!("{key}: {reason}"))
            })?;
        }
        Ok(Self {
            authorities: authorities.transpose()?,
            keys,
        })
    }

    /// Every signer of an entry must be known.
    pub(crate) fn check(&self, verified: &Verified) -> Result<(), Refusal> {
        if verified.signers.is_empty() {
            return Err(Refusal::Signer(format!(
                "this log takes entries of known signers only, and an entry of kind {} does not say who signed it",
                verified.kind
            )));
        }
        verified
            .signers
            .iter()
            .try_for_each(|signer| self.check_signer(signer))
    }

    fn check_signer(&self, signer: &Signer) -> Result<(), Refusal> {
        if self.keys.contains(signer.key()) {
            return Ok(());
        }
        let key = hex::encode(signer.key());
        let list = format!("ask the log's operator to list the key sha256:{key}");
        let refuse = |reason: String| Err(Refusal::Signer(reason));
        match (signer.chain(), &self.authorities) {
            ([], None) => refuse(format!(
                "this log takes signatures of listed keys only; {list}"
            )),
            ([], Some(_)) => refuse(format!(
                "this log takes signatures under certificates of its authority, and this one is by a bare key; sign with an identity instead of a key, or {list}"
            )),
            (_, None) => refuse(format!(
                "this log takes signatures of listed keys only, and the certificate's is not listed; {list}"
            )),
            (chain, Some(authorities)) => match authorities.verify(chain) {
                Ok(()) => Ok(()),
                Err(error) => refuse(format!(
                    "this log takes signatures under certificates of its authority only, and this certificate is not one of them ({error}); get one from the certificate authority that goes with this log, or {list}"
                )),
            },
        }
    }
}

/// A key of the configuration: a digest, or a file.
fn add_key(text: &str, keys: &mut HashSet<[u8; 32]>) -> Result<(), String> {
    if let Some(digits) = text.strip_prefix("sha256:") {
        let mut digest = [0; 32];
        hex::decode_to_slice(digits, &mut digest)
            .map_err(|_| "write 64 hexadecimal digits after sha256:".to_owned())?;
        keys.insert(digest);
        return Ok(());
    }
    let pem = read(Path::new(text))?;
    let mut rest = pem.as_str();
    let mut found = 0;
    while let Some((block, after)) = pem::first_block(rest) {
        let one = pem::print(block.label, &block.der);
        let verifier = Verifier::parse(one.as_bytes()).map_err(|error| error.to_string())?;
        keys.insert(crypto::sha256(verifier.key().spki_der()));
        found += 1;
        rest = after;
    }
    match found {
        0 => Err(
            "it holds no PEM key or certificate; write sha256:DIGEST or the name of a PEM file"
                .to_owned(),
        ),
        _ => Ok(()),
    }
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}
