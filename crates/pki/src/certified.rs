//! What a certificate has to be that somebody else made for a key of ours.
//!
//! The start-up checks of [`Chain`] ask whether a service can work with a chain that it has had for
//! years. A chain that has just come back from a root elsewhere is held to the profile that was asked
//! for: what is refused here costs a mail, what is found by clients later costs a new trust root.

use std::time::SystemTime;

use crypto::{KeyKind, PublicKey};

use crate::authority::{Purpose, Role};
use crate::certificate::{Certificate, CertificateError};
use crate::chain::{Chain, ChainError, DIGITAL_SIGNATURE, Fault, KEY_CERT_SIGN, refused};
use crate::{oid, tlv};

/// Key usage cRLSign.
const CRL_SIGN: u8 = 0x02;

/// Longest serial number, in octets (RFC 5280 section 4.1.2.2).
const MAX_SERIAL: usize = 20;

impl Chain {
    /// Checks that this chain is what was asked for `key`: it passes the start-up checks at `now`,
    /// ends with a self-signed root, every key is one that clients verify with, no certificate
    /// outlives its issuer, and the first has the profile of `role` and nothing else.
    pub fn check_certified(
        &self,
        role: Role,
        key: &PublicKey,
        now: SystemTime,
    ) -> Result<(), ChainError> {
        match role {
            Role::Root
            | Role::Intermediate {
                purpose: Purpose::CodeSigning,
            } => {
                self.check_certificate_authority(key, now)?;
            }
            Role::Intermediate {
                purpose: Purpose::TimeStamping,
            }
            | Role::TimestampLeaf => {
                self.check_timestamp_authority(key, now, true)?;
            }
        }
        let certificates: Vec<Certificate<'_>> = self
            .certificates()
            .enumerate()
            .map(|(at, der)| Certificate::from_der(der).map_err(|error| refused(at, error)))
            .collect::<Result<_, _>>()?;
        for (at, certificate) in certificates.iter().enumerate() {
            check_key(certificate).map_err(|fault| refused(at, fault))?;
        }
        for (at, pair) in certificates.windows(2).enumerate() {
            if let [certificate, issuer] = pair {
                check_under(certificate, issuer).map_err(|fault| refused(at, fault))?;
            }
        }
        if let [.., root] = certificates.as_slice()
            && (root.issuer() != root.subject() || root.check_issued_by(root).is_err())
        {
            return Err(refused(
                self.len() - 1,
                "the last certificate must be the self-signed root",
            ));
        }
        if let [first, _, ..] = certificates.as_slice() {
            return check_profile(first, role).map_err(|fault| refused(0, fault));
        }
        Err(refused(
            0,
            "the chain has to go on to the root: the certificate, those above it, the root last",
        ))
    }
}

fn check_key(certificate: &Certificate<'_>) -> Result<(), Fault> {
    let key = certificate.public_key()?;
    if key.kind() == KeyKind::Ed25519 {
        return Err(Fault::Rule(
            "its key is Ed25519, with which several clients verify nothing; use ECDSA",
        ));
    }
    crypto::check_strength(&key).map_err(|_| Fault::Rule("its key is too weak"))
}

fn check_under(certificate: &Certificate<'_>, issuer: &Certificate<'_>) -> Result<(), Fault> {
    // A verifier that checks the chain at the leaf's time does not notice (CVE-2026-24122).
    if certificate.not_after() > issuer.not_after() {
        return Err(Fault::Rule("it ends after its issuer does"));
    }
    let named = authority_key_identifier(certificate)?;
    let is = issuer.subject_key_identifier()?;
    if let (Some(named), Some(is)) = (named, is)
        && named != is
    {
        return Err(Fault::Rule(
            "its authority key identifier is not the subject key identifier of its issuer",
        ));
    }
    Ok(())
}

/// The profile of [`crate::authority`], exactly.
fn check_profile(certificate: &Certificate<'_>, role: Role) -> Result<(), Fault> {
    let rule = |reason| Err(Fault::Rule(reason));
    if certificate.serial().len() > MAX_SERIAL {
        return rule("its serial number is longer than 20 octets");
    }
    if certificate.subject() == certificate.issuer() || certificate.subject().len() <= 2 {
        return rule("it needs a subject of its own");
    }
    if certificate.subject_key_identifier()?.is_none() {
        return rule("it lacks a subject key identifier");
    }
    if authority_key_identifier(certificate)?.is_none() {
        return rule("it lacks an authority key identifier");
    }
    let is_critical = |oid| certificate.extension(oid).is_some_and(|is| is.critical);
    if !is_critical(oid::KEY_USAGE) {
        return rule("it needs a critical key usage");
    }
    let usage = certificate.key_usage()?.unwrap_or_default();
    let purposes = certificate.extended_key_usages()?.unwrap_or_default();
    match role {
        Role::Root | Role::Intermediate { .. } => {
            if usage & KEY_CERT_SIGN == 0 || usage & !(KEY_CERT_SIGN | CRL_SIGN) != 0 {
                return rule("its key usage must be keyCertSign and cRLSign and nothing else");
            }
            let constraints = certificate.ca_constraints()?;
            if constraints.is_none_or(|constraints| constraints.path_length != Some(0)) {
                return rule("its path length must be 0: it issues to clients only");
            }
            if purposes != [purpose(role)] || is_critical(oid::EXTENDED_KEY_USAGE) {
                return rule("its extended key usage must be its purpose alone, not critical");
            }
        }
        Role::TimestampLeaf => {
            if usage != DIGITAL_SIGNATURE {
                return rule("its key usage must be digitalSignature and nothing else");
            }
        }
    }
    // A constraint that not every client understands makes the chain invalid for those that do not.
    let known = [
        oid::BASIC_CONSTRAINTS,
        oid::KEY_USAGE,
        oid::EXTENDED_KEY_USAGE,
    ];
    let mut extensions = certificate.extensions().iter();
    if extensions.any(|extension| extension.critical && !known.contains(&extension.oid)) {
        return rule("it has a critical extension that clients do not expect");
    }
    Ok(())
}

const fn purpose(role: Role) -> &'static [u8] {
    match role {
        Role::Root
        | Role::Intermediate {
            purpose: Purpose::CodeSigning,
        } => oid::CODE_SIGNING,
        Role::Intermediate {
            purpose: Purpose::TimeStamping,
        }
        | Role::TimestampLeaf => oid::TIME_STAMPING,
    }
}

/// The key identifier in the authority key identifier (RFC 5280 section 4.2.1.1), if there is one.
fn authority_key_identifier<'a>(
    certificate: &Certificate<'a>,
) -> Result<Option<&'a [u8]>, CertificateError> {
    let Some(extension) = certificate.extension(oid::AUTHORITY_KEY_IDENTIFIER) else {
        return Ok(None);
    };
    let mut fields = tlv::single(extension.value, tlv::SEQUENCE)?.open(tlv::SEQUENCE)?;
    Ok(fields.optional(tlv::context(0))?.map(|field| field.content))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{
        BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose,
        IsCa, KeyPair, KeyUsagePurpose,
    };

    use super::*;

    const ROLE: Role = Role::Intermediate {
        purpose: Purpose::CodeSigning,
    };

    fn now() -> SystemTime {
        SystemTime::now()
    }

    fn params(name: &str, days: u64) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = (now() - Duration::from_secs(60)).into();
        params.not_after = (now() + Duration::from_secs(days * 86_400)).into();
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
    }

    type Change = Box<dyn FnOnce(&mut CertificateParams)>;

    /// The verdict on an intermediate that `change` makes something else of.
    fn verdict(change: impl FnOnce(&mut CertificateParams)) -> Result<(), String> {
        let (root_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut root = params("root", 1000);
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root_der = root.self_signed(&root_key).unwrap().der().to_vec();
        let issuer = rcgen::Issuer::new(root, root_key);
        let mut asked = params("intermediate", 100);
        asked.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        asked.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        asked.use_authority_key_identifier_extension = true;
        change(&mut asked);
        let der = asked.signed_by(&key, &issuer).unwrap().der().to_vec();
        let chain = Chain::from_der(vec![der, root_der]).map_err(|error| error.to_string())?;
        let key = chain.public_key().clone();
        chain
            .check_certified(ROLE, &key, now())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_profile_that_was_asked_for_is_accepted() {
        verdict(|_| ()).unwrap();
    }

    #[test]
    fn each_deviation_is_refused_with_its_rule() {
        let critical = |oid: &[u64]| {
            let mut extension = CustomExtension::from_oid_content(oid, vec![0x05, 0x00]);
            extension.set_criticality(true);
            extension
        };
        let cases: [(&str, Change); 8] = [
            (
                "path length",
                Box::new(|p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
            ),
            (
                "path length",
                Box::new(|p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(1))),
            ),
            (
                "nothing else",
                Box::new(|p| p.key_usages.push(KeyUsagePurpose::DigitalSignature)),
            ),
            (
                "purpose alone",
                Box::new(|p| {
                    p.extended_key_usages
                        .push(ExtendedKeyUsagePurpose::ServerAuth)
                }),
            ),
            (
                "after its issuer",
                Box::new(|p| p.not_after = (now() + Duration::from_secs(1001 * 86_400)).into()),
            ),
            (
                "lacks an authority key identifier",
                Box::new(|p| p.use_authority_key_identifier_extension = false),
            ),
            (
                "clients do not expect",
                Box::new(move |p| p.custom_extensions.push(critical(&[1, 2, 3]))),
            ),
            (
                "not valid yet",
                Box::new(|p| p.not_before = (now() + Duration::from_secs(60)).into()),
            ),
        ];
        for (says, change) in cases {
            let error = verdict(change).unwrap_err();
            assert!(error.contains(says), "{says}: {error}");
        }
    }

    #[test]
    fn a_root_is_self_signed_and_there_is_one() {
        let root_key = KeyPair::generate().unwrap();
        let mut root = params("root", 1000);
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let der = root.self_signed(&root_key).unwrap().der().to_vec();
        let chain = Chain::from_der(vec![der]).unwrap();
        let error = chain
            .check_certified(ROLE, chain.public_key(), now())
            .unwrap_err();
        assert!(error.to_string().contains("go on to the root"), "{error}");
    }
}
