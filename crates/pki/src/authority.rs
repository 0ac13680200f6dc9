//! Certificates of the hierarchy: roots, issuing intermediates, timestamping leaves.
//!
//! | | root | intermediate | timestamping leaf |
//! |---|---|---|---|
//! | basic constraints, critical | CA | CA, path length 0 | – |
//! | key usage, critical | certSign, cRLSign | certSign, cRLSign | digitalSignature |
//! | extended key usage | – | its purpose | timeStamping, critical |
//! | subject key identifier | yes | yes | yes |
//! | authority key identifier | – | the issuer's | the issuer's |

use std::cell::RefCell;
use std::time::SystemTime;

use crypto::{KeyKind, PublicKey};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyUsagePurpose, PublicKeyData, SerialNumber,
    SigningKey,
};

use crate::certificate::{Certificate, CertificateError};
use crate::key_identifier::key_identifier;
use crate::name::Subject;
use crate::unsigned::SignatureAlgorithm;
use crate::{Serial, Unsigned, oid, serial, tlv};

/// What a hierarchy's leaves are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Fulcio: extended key usage `codeSigning`.
    CodeSigning,
    /// Timestamp authority: extended key usage `timeStamping`.
    TimeStamping,
}

/// A certificate's place in the hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Trust anchor; signs itself.
    Root,
    /// Issues leaves of one purpose; path length 0.
    Intermediate {
        /// Purpose of its leaves.
        purpose: Purpose,
    },
    /// The certificate that a timestamp authority signs with.
    TimestampLeaf,
}

/// What to put into a hierarchy certificate. Its serial number is random.
#[derive(Clone, Debug)]
pub struct Template {
    /// Place in the hierarchy.
    pub role: Role,
    /// Subject.
    pub subject: Subject,
    /// Start of validity; truncated to whole seconds.
    pub not_before: SystemTime,
    /// End of validity (inclusive); truncated to whole seconds. Not after the issuer's.
    pub not_after: SystemTime,
}

/// Who signs a hierarchy certificate.
#[derive(Clone, Copy, Debug)]
pub enum Issuer<'a> {
    /// The certificate's own key.
    SelfSigned,
    /// The key of this DER certificate.
    Certificate(&'a [u8]),
}

/// Why a hierarchy certificate was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// The template contradicts itself or its issuer.
    #[error("{0}")]
    Template(&'static str),
    /// A key is neither P-256 nor P-384.
    #[error("the {0}'s key is neither P-256 nor P-384")]
    Key(&'static str),
    /// The issuer's certificate cannot be used.
    #[error("issuer: {0}")]
    Issuer(#[from] CertificateError),
    /// No serial number could be drawn.
    #[error(transparent)]
    Serial(#[from] serial::NoRandomness),
    /// The certificate could not be written.
    #[error("building the certificate: {0}")]
    Build(String),
}

/// Builds a hierarchy certificate for `subject_key`, to be signed by the issuer's key
/// (P-256 with SHA-256, P-384 with SHA-384).
pub fn prepare(
    template: &Template,
    subject_key: &PublicKey,
    issuer: Issuer<'_>,
) -> Result<Unsigned, AuthorityError> {
    check_subject(&template.subject)?;
    if template.not_before >= template.not_after {
        return Err(AuthorityError::Template(
            "the validity ends before it starts",
        ));
    }
    let params = parameters(template, subject_key)?;
    let subject_key_data = rcgen_key(subject_key, "subject")?;
    let (tbs, algorithm) = match issuer {
        Issuer::SelfSigned => {
            if template.role != Role::Root {
                return Err(AuthorityError::Template("only a root signs itself"));
            }
            let key = Recorder::new(subject_key_data);
            params.self_signed(&key).map_err(build)?;
            (
                key.recorded.into_inner(),
                SignatureAlgorithm::of(subject_key).ok_or(AuthorityError::Key("subject"))?,
            )
        }
        Issuer::Certificate(der) => {
            let issuer = Certificate::from_der(der)?;
            check_issuer(template, &issuer)?;
            let issuer_key = issuer.public_key()?;
            let key = Recorder::new(rcgen_key(&issuer_key, "issuer")?);
            let mut params = params;
            params.use_authority_key_identifier_extension =
                issuer.subject_key_identifier()?.is_some();
            let rcgen_issuer =
                rcgen::Issuer::from_ca_cert_der(&der.to_vec().into(), &key).map_err(build)?;
            params
                .signed_by(&subject_key_data, &rcgen_issuer)
                .map_err(build)?;
            drop(rcgen_issuer);
            (
                key.recorded.into_inner(),
                SignatureAlgorithm::of(&issuer_key).ok_or(AuthorityError::Key("issuer"))?,
            )
        }
    };
    check_copied(&tbs, subject_key, issuer)?;
    Ok(Unsigned::new(tbs, algorithm))
}

/// Builds a certificate signing request (RFC 2986) for a certificate of this `role`, to be signed by
/// `subject_key`'s own private half. It asks for the extensions of the table above; whoever
/// certifies may answer with others, so that what comes back is to be checked
/// ([`crate::chain::Chain::check_certified`]).
pub fn request(
    role: Role,
    subject: &Subject,
    subject_key: &PublicKey,
) -> Result<Unsigned, AuthorityError> {
    let template = Template {
        role,
        subject: subject.clone(),
        // Requests have no validity.
        not_before: SystemTime::UNIX_EPOCH,
        not_after: SystemTime::UNIX_EPOCH,
    };
    check_subject(subject)?;
    let mut params = parameters(&template, subject_key)?;
    params.serial_number = None;
    let key = Recorder::new(rcgen_key(subject_key, "subject")?);
    params.serialize_request(&key).map_err(build)?;
    let algorithm = SignatureAlgorithm::of(subject_key).ok_or(AuthorityError::Key("subject"))?;
    Ok(Unsigned::new(key.recorded.into_inner(), algorithm))
}

fn check_subject(subject: &Subject) -> Result<(), AuthorityError> {
    if subject.is_valid() {
        return Ok(());
    }
    Err(AuthorityError::Template(
        "organization and common name must have 1 to 64 printable characters",
    ))
}

fn parameters(
    template: &Template,
    subject_key: &PublicKey,
) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::default();
    params.not_before = template.not_before.into();
    params.not_after = template.not_after.into();
    params.serial_number = Some(SerialNumber::from_slice(Serial::random()?.as_bytes()));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(
        DnType::OrganizationName,
        DnValue::Utf8String(template.subject.organization.clone()),
    );
    params.distinguished_name.push(
        DnType::CommonName,
        DnValue::Utf8String(template.subject.common_name.clone()),
    );
    let identifier = key_identifier(subject_key.spki_der())?.to_vec();
    match template.role {
        Role::Root => {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        }
        Role::Intermediate { purpose } => {
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            params.extended_key_usages = vec![match purpose {
                Purpose::CodeSigning => ExtendedKeyUsagePurpose::CodeSigning,
                Purpose::TimeStamping => ExtendedKeyUsagePurpose::TimeStamping,
            }];
        }
        Role::TimestampLeaf => {
            params.is_ca = IsCa::NoCa;
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            // rcgen writes extended key usages as not critical and the key identifier for CAs only.
            let purposes = tlv::encode(
                tlv::SEQUENCE,
                &[&tlv::encode(tlv::OID, &[oid::TIME_STAMPING])],
            );
            let mut usage = CustomExtension::from_oid_content(&[2, 5, 29, 37], purposes);
            usage.set_criticality(true);
            let key_identifier = tlv::encode(tlv::OCTET_STRING, &[&identifier]);
            params.custom_extensions = vec![
                usage,
                CustomExtension::from_oid_content(&[2, 5, 29, 14], key_identifier),
            ];
        }
    }
    params.key_identifier_method = KeyIdMethod::PreSpecified(identifier);
    Ok(params)
}

fn check_issuer(template: &Template, issuer: &Certificate<'_>) -> Result<(), AuthorityError> {
    let refuse = |reason| Err(AuthorityError::Template(reason));
    let Some(constraints) = issuer.ca_constraints()? else {
        return refuse("the issuer is not a certificate authority");
    };
    if issuer.key_usage()?.is_some_and(|usage| usage & 0x04 == 0) {
        return refuse("the issuer's key usage does not permit signing certificates");
    }
    let purpose = match template.role {
        Role::Root => return refuse("a root signs itself"),
        Role::Intermediate { .. } if constraints.path_length == Some(0) => {
            return refuse("the issuer's path length permits no intermediate");
        }
        Role::Intermediate {
            purpose: Purpose::CodeSigning,
        } => oid::CODE_SIGNING,
        Role::Intermediate {
            purpose: Purpose::TimeStamping,
        }
        | Role::TimestampLeaf => oid::TIME_STAMPING,
    };
    let usages = issuer.extended_key_usages()?;
    if usages.is_some_and(|usages| {
        !usages.contains(&purpose) && !usages.contains(&oid::ANY_EXTENDED_KEY_USAGE)
    }) {
        return refuse("the issuer's extended key usage does not permit this purpose");
    }
    if template.not_before < issuer.not_before() || template.not_after > issuer.not_after() {
        return refuse("the validity reaches beyond the issuer's");
    }
    Ok(())
}

/// rcgen writes names and keys from its own models; a verifier compares bytes.
fn check_copied(
    tbs: &[u8],
    subject_key: &PublicKey,
    issuer: Issuer<'_>,
) -> Result<(), AuthorityError> {
    let fields = tlv::single(tbs, tlv::SEQUENCE).map_err(CertificateError::from)?;
    let mut fields = fields.open(tlv::SEQUENCE).map_err(CertificateError::from)?;
    let mut skip = |count: usize| -> Result<&[u8], CertificateError> {
        let mut raw: &[u8] = &[];
        for _ in 0..count {
            raw = fields.element()?.raw;
        }
        Ok(raw)
    };
    // version, serialNumber, signature, issuer | validity, subject | subjectPublicKeyInfo
    let issuer_name = skip(4)?;
    let subject = skip(2)?;
    let spki = skip(1)?;
    let expected = match issuer {
        Issuer::SelfSigned => subject,
        Issuer::Certificate(der) => Certificate::from_der(der)?.subject(),
    };
    if issuer_name != expected || spki != subject_key.spki_der() {
        return Err(AuthorityError::Build(
            "a name or key would not be copied byte for byte".into(),
        ));
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "passed to map_err")]
fn build(error: rcgen::Error) -> AuthorityError {
    AuthorityError::Build(error.to_string())
}

fn rcgen_key(key: &PublicKey, whose: &'static str) -> Result<KeyData, AuthorityError> {
    let algorithm = match key.kind() {
        KeyKind::EcdsaP256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        KeyKind::EcdsaP384 => &rcgen::PKCS_ECDSA_P384_SHA384,
        _ => return Err(AuthorityError::Key(whose)),
    };
    let mut fields = tlv::single(key.spki_der(), tlv::SEQUENCE)
        .and_then(|spki| spki.open(tlv::SEQUENCE))
        .map_err(CertificateError::from)?;
    fields.element().map_err(CertificateError::from)?;
    match fields
        .expect(tlv::BIT_STRING)
        .map_err(CertificateError::from)?
        .content
    {
        [0, point @ ..] => Ok(KeyData {
            point: point.to_vec(),
            algorithm,
        }),
        _ => Err(AuthorityError::Key(whose)),
    }
}

/// A public key as rcgen wants it.
struct KeyData {
    point: Vec<u8>,
    algorithm: &'static rcgen::SignatureAlgorithm,
}

impl PublicKeyData for KeyData {
    fn der_bytes(&self) -> &[u8] {
        &self.point
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.algorithm
    }
}

/// Signs nothing: records what rcgen, which signs synchronously, wants signed.
struct Recorder {
    key: KeyData,
    recorded: RefCell<Vec<u8>>,
}

impl Recorder {
    fn new(key: KeyData) -> Self {
        Self {
            key,
            recorded: RefCell::default(),
        }
    }
}

impl PublicKeyData for Recorder {
    fn der_bytes(&self) -> &[u8] {
        self.key.der_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.key.algorithm()
    }
}

impl SigningKey for Recorder {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.recorded.replace(message.to_vec());
        Ok(Vec::new())
    }
}
