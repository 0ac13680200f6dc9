//! Tokens: `TSTInfo` (RFC 3161 section 2.4.2) in a CMS `SignedData` (RFC 5652 section 5).

use std::time::{SystemTime, UNIX_EPOCH};

use crypto::HashAlgorithm;
use der::Encode;
use der::asn1::{GeneralizedTime, UtcTime};

use super::Request;
use super::identifiers::{self, Policy};
use crate::certificate::{Certificate, CertificateError};
use crate::chain::Chain;
use crate::unsigned::{SignatureAlgorithm, SignatureForm};
use crate::{Serial, tlv};

const SET: u8 = 0x31;

/// From here on times are written as GeneralizedTime (RFC 5652 section 11.3): 2050-01-01, in
/// seconds since the Unix epoch.
const END_OF_UTC_TIME: u64 = 2_524_608_000;

/// `Accuracy ::= SEQUENCE { seconds INTEGER }`: one second, which covers that the time is truncated.
const ACCURACY: &[u8] = &[tlv::SEQUENCE, 3, tlv::INTEGER, 1, 1];

/// Which certificates a token holds when its request asks for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Embed {
    /// The signer's, as RFC 3161 says.
    Leaf,
    /// All of its chain.
    Chain,
}

/// The parts of every token that depend on the signer only, made once.
#[derive(Clone, Debug)]
pub struct Profile {
    signature_algorithm: SignatureAlgorithm,
    hash: HashAlgorithm,
    /// `SignerIdentifier`: issuer and serial number.
    signer: Vec<u8>,
    /// `tsa [0] GeneralName`: the signer's subject.
    tsa: Vec<u8>,
    /// `Attribute` signingCertificateV2.
    signing_certificate: Vec<u8>,
    /// `certificates [0]`.
    certificates: Vec<u8>,
}

/// A token that lacks only its signature.
#[derive(Clone, Debug)]
pub struct UnsignedToken<'a> {
    profile: &'a Profile,
    tst_info: Vec<u8>,
    /// DER `SET OF Attribute`.
    attributes: Vec<u8>,
    with_certificates: bool,
}

/// Why no token was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The signer's certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The signer's key is neither P-256 nor P-384.
    #[error("the timestamp authority's key is neither P-256 nor P-384")]
    Key,
    /// A time before 1970 or after 9999.
    #[error("the time cannot be written into a token")]
    Time,
}

impl Profile {
    /// The profile of the signer that `chain` starts with.
    pub fn new(chain: &Chain, embed: Embed) -> Result<Self, TokenError> {
        let leaf = Certificate::from_der(chain.first())?;
        let signature_algorithm =
            SignatureAlgorithm::of(chain.public_key()).ok_or(TokenError::Key)?;
        let hash = match signature_algorithm {
            SignatureAlgorithm::EcdsaSha256 => HashAlgorithm::Sha256,
            SignatureAlgorithm::EcdsaSha384 => HashAlgorithm::Sha384,
        };
        let serial = tlv::encode(tlv::INTEGER, &[leaf.serial()]);
        let embedded: Vec<&[u8]> = match embed {
            Embed::Leaf => vec![chain.first()],
            Embed::Chain => chain.certificates().collect(),
        };
        Ok(Self {
            signature_algorithm,
            hash,
            signer: tlv::encode(tlv::SEQUENCE, &[leaf.issuer(), &serial]),
            tsa: tlv::encode(tlv::constructed(0), &[&directory_name(leaf.subject())]),
            signing_certificate: signing_certificate(chain.first(), leaf.issuer(), &serial),
            certificates: set_of(tlv::constructed(0), embedded),
        })
    }

    /// Builds the token that answers `request` with `time`, truncated to whole seconds.
    ///
    /// That the request's policy is `policy`, if it names one, is the caller's to check.
    pub fn prepare(
        &self,
        request: &Request,
        policy: &Policy,
        serial: &Serial,
        time: SystemTime,
    ) -> Result<UnsignedToken<'_>, TokenError> {
        let since_epoch = time
            .duration_since(UNIX_EPOCH)
            .map_err(|_| TokenError::Time)?;
        let generalized = GeneralizedTime::from_unix_duration(since_epoch)
            .and_then(|time| time.to_der())
            .map_err(|_| TokenError::Time)?;
        let signing_time = if since_epoch.as_secs() < END_OF_UTC_TIME {
            UtcTime::from_unix_duration(since_epoch)
                .and_then(|time| time.to_der())
                .map_err(|_| TokenError::Time)?
        } else {
            generalized.clone()
        };
        let tst_info = tlv::encode(
            tlv::SEQUENCE,
            &[
                &[tlv::INTEGER, 1, 1],
                &tlv::encode(tlv::OID, &[policy.as_octets()]),
                request.imprint(),
                &tlv::encode(tlv::INTEGER, &[serial.as_bytes()]),
                &generalized,
                ACCURACY,
                request.nonce().unwrap_or_default(),
                &self.tsa,
            ],
        );
        let digest = tlv::encode(tlv::OCTET_STRING, &[self.hash.digest(&tst_info).as_bytes()]);
        let content_type = attribute(
            identifiers::CONTENT_TYPE,
            &tlv::encode(tlv::OID, &[identifiers::TST_INFO]),
        );
        let message_digest = attribute(identifiers::MESSAGE_DIGEST, &digest);
        let signing_time = attribute(identifiers::SIGNING_TIME, &signing_time);
        let attributes = set_of(
            SET,
            vec![
                &content_type,
                &message_digest,
                &signing_time,
                &self.signing_certificate,
            ],
        );
        Ok(UnsignedToken {
            profile: self,
            tst_info,
            attributes,
            with_certificates: request.wants_certificates(),
        })
    }
}

impl UnsignedToken<'_> {
    /// The DER signed attributes: what the signer signs (P-256 with SHA-256, P-384 with SHA-384).
    #[must_use]
    pub fn signed_attributes(&self) -> &[u8] {
        &self.attributes
    }

    /// Puts the signature (DER ECDSA) on; returns the DER `TimeStampResp`, status granted.
    ///
    /// Only the signature's form is checked: a signer verifies what it signed.
    pub fn finish(self, signature: &[u8]) -> Result<Vec<u8>, SignatureForm> {
        if !tlv::is_ecdsa_signature(signature) {
            return Err(SignatureForm);
        }
        let profile = self.profile;
        let hash = hash_identifier(profile.hash);
        let mut attributes = self.attributes;
        // Signed as a SET OF, sent as an IMPLICIT [0] (RFC 5652 section 5.4).
        if let Some(tag) = attributes.first_mut() {
            *tag = tlv::constructed(0);
        }
        let signer_info = tlv::encode(
            tlv::SEQUENCE,
            &[
                &[tlv::INTEGER, 1, 1],
                &profile.signer,
                &hash,
                &attributes,
                &profile.signature_algorithm.identifier(),
                &tlv::encode(tlv::OCTET_STRING, &[signature]),
            ],
        );
        let content = tlv::encode(
            tlv::constructed(0),
            &[&tlv::encode(tlv::OCTET_STRING, &[&self.tst_info])],
        );
        let content_type = tlv::encode(tlv::OID, &[identifiers::TST_INFO]);
        let certificates: &[u8] = if self.with_certificates {
            &profile.certificates
        } else {
            &[]
        };
        let signed_data = tlv::encode(
            tlv::SEQUENCE,
            &[
                &[tlv::INTEGER, 1, 3],
                &tlv::encode(SET, &[&hash]),
                &tlv::encode(tlv::SEQUENCE, &[&content_type, &content]),
                certificates,
                &tlv::encode(SET, &[&signer_info]),
            ],
        );
        let token = tlv::encode(
            tlv::SEQUENCE,
            &[
                &tlv::encode(tlv::OID, &[identifiers::SIGNED_DATA]),
                &tlv::encode(tlv::constructed(0), &[&signed_data]),
            ],
        );
        // PKIStatusInfo: granted.
        Ok(tlv::encode(
            tlv::SEQUENCE,
            &[&[tlv::SEQUENCE, 3, tlv::INTEGER, 1, 0], &token],
        ))
    }
}

/// `SigningCertificateV2` with one `ESSCertIDv2` (RFC 5035 section 4), whose hash is the default,
/// SHA-256, and therefore not written.
fn signing_certificate(leaf: &[u8], issuer: &[u8], serial: &[u8]) -> Vec<u8> {
    let hash = tlv::encode(tlv::OCTET_STRING, &[&crypto::sha256(leaf)]);
    let names = tlv::encode(tlv::SEQUENCE, &[&directory_name(issuer)]);
    let issuer_serial = tlv::encode(tlv::SEQUENCE, &[&names, serial]);
    let identifier = tlv::encode(tlv::SEQUENCE, &[&hash, &issuer_serial]);
    let identifiers = tlv::encode(tlv::SEQUENCE, &[&identifier]);
    attribute(
        identifiers::SIGNING_CERTIFICATE_V2,
        &tlv::encode(tlv::SEQUENCE, &[&identifiers]),
    )
}

/// `GeneralName`: `directoryName [4] Name`.
fn directory_name(name: &[u8]) -> Vec<u8> {
    tlv::encode(tlv::constructed(4), &[name])
}

/// `Attribute` with one value.
fn attribute(oid: &[u8], value: &[u8]) -> Vec<u8> {
    tlv::encode(
        tlv::SEQUENCE,
        &[&tlv::encode(tlv::OID, &[oid]), &tlv::encode(SET, &[value])],
    )
}

/// `AlgorithmIdentifier` of a hash, without parameters (RFC 5754 section 2).
fn hash_identifier(hash: HashAlgorithm) -> Vec<u8> {
    tlv::encode(
        tlv::SEQUENCE,
        &[&tlv::encode(tlv::OID, &[identifiers::of_hash(hash)])],
    )
}

/// A `SET OF` in DER order: by the elements' octets (X.690 section 11.6). No element is a prefix of
/// another, so padding with zeros, which that section asks for, changes nothing.
fn set_of(tag: u8, mut elements: Vec<&[u8]>) -> Vec<u8> {
    elements.sort_unstable();
    tlv::encode(tag, &elements)
}
