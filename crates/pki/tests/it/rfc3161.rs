//! Timestamp tokens, with the `cms` crate as a second reader.

use std::time::{Duration, UNIX_EPOCH};

use cms::cert::CertificateChoices;
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{SignedData, SignerIdentifier};
use crypto::{Digest, HashAlgorithm};
use der::asn1::{AnyRef, ObjectIdentifier, OctetString};
use der::{Decode, Encode, Sequence};
use pki::Serial;
use pki::authority::{Issuer, Purpose, Role, prepare};
use pki::certificate::Certificate;
use pki::chain::Chain;
use pki::cms::CmsError;
use pki::rfc3161::{Embed, Policy, Profile, Request, ResponseError, TokenError, verify_response};

use crate::support::{Hierarchy, Key, YEAR, at, template};

/// `TimeStampResp`.
#[derive(Sequence)]
struct Response<'a> {
    status: AnyRef<'a>,
    token: ContentInfo,
}

struct Authority {
    key: Key,
    chain: Chain,
}

impl Authority {
    fn new(key: Key) -> Self {
        let hierarchy = Hierarchy::new(Purpose::TimeStamping);
        let issuer = Issuer::Certificate(&hierarchy.intermediate);
        let unsigned = prepare(
            &template(Role::TimestampLeaf, "tsa", 2),
            &key.public,
            issuer,
        )
        .unwrap();
        let leaf = hierarchy.key.finish(unsigned);
        let chain = Chain::from_der([vec![leaf], hierarchy.chain()].concat()).unwrap();
        Self { key, chain }
    }

    fn answer(&self, embed: Embed, request: &Request) -> Vec<u8> {
        let profile = Profile::new(&self.chain, embed).unwrap();
        let serial = Serial::from_bytes([0x11; 20]).unwrap();
        let token = profile
            .prepare(request, &Policy::SIGSTORE, &serial, at(0))
            .unwrap();
        let signature = self.key.sign(token.signed_attributes());
        token.finish(&signature).unwrap()
    }
}

fn request(certificates: bool) -> Request {
    let digest = Digest::new(HashAlgorithm::Sha512, vec![7; 64]).unwrap();
    Request::new(digest, None, Some(&[0xff, 1]), certificates).unwrap()
}

fn read(response: &[u8]) -> SignedData {
    let response = Response::from_der(response).unwrap();
    assert_eq!(response.status.value(), [2, 1, 0]);
    assert_eq!(
        response.token.content_type,
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2")
    );
    response.token.content.decode_as().unwrap()
}

#[test]
fn the_signature_covers_the_attributes_and_they_cover_the_content() {
    for (key, hash) in [
        (Key::p256(), HashAlgorithm::Sha256),
        (Key::p384(), HashAlgorithm::Sha384),
    ] {
        let authority = Authority::new(key);
        let signed = read(&authority.answer(Embed::Leaf, &request(true)));
        assert_eq!(signed.version, CmsVersion::V3);
        let content = signed.encap_content_info.econtent.unwrap();
        let content: OctetString = content.decode_as().unwrap();
        let signer = signed.signer_infos.0.get(0).unwrap();
        let attributes = signer.signed_attrs.as_ref().unwrap();
        let digest = attributes
            .iter()
            .find(|attribute| attribute.oid == ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4"))
            .map(|attribute| attribute.values.get(0).unwrap().value().to_vec())
            .unwrap();
        assert_eq!(digest, hash.digest(content.as_bytes()).as_bytes());
        let signed_octets = attributes.to_der().unwrap();
        assert_eq!(signed_octets[0], 0x31);
        let signature = signer.signature.as_bytes();
        assert_eq!(
            authority.key.public.verify(hash, &signed_octets, signature),
            Ok(())
        );
    }
}

#[test]
fn the_signer_is_named_by_its_certificates_issuer_and_serial_number() {
    let authority = Authority::new(Key::p256());
    let signed = read(&authority.answer(Embed::Leaf, &request(false)));
    let leaf = Certificate::from_der(authority.chain.first()).unwrap();
    let signer = signed.signer_infos.0.get(0).unwrap();
    let SignerIdentifier::IssuerAndSerialNumber(named) = &signer.sid else {
        panic!("named by key identifier")
    };
    assert_eq!(named.issuer.to_der().unwrap(), leaf.issuer());
    assert_eq!(named.serial_number.as_bytes(), leaf.serial());
    assert!(signed.certificates.is_none());
}

#[test]
fn a_token_is_der_throughout() {
    let authority = Authority::new(Key::p256());
    for (embed, count) in [(Embed::Leaf, 1), (Embed::Chain, 3)] {
        let response = authority.answer(embed, &request(true));
        let signed = read(&response);
        let certificates = signed.certificates.as_ref().unwrap();
        assert_eq!(certificates.0.len(), count);
        assert!(
            certificates
                .0
                .iter()
                .all(|choice| matches!(choice, CertificateChoices::Certificate(_)))
        );
        // The other library sorts what it writes, so this compares the order too.
        assert!(response.ends_with(&signed.to_der().unwrap()));
    }
}

#[test]
fn signatures_of_another_form_are_refused() {
    let authority = Authority::new(Key::p256());
    let profile = Profile::new(&authority.chain, Embed::Leaf).unwrap();
    let serial = Serial::random().unwrap();
    for signature in [&[][..], &[7; 64], &[0x30, 0]] {
        let token = profile
            .prepare(&request(false), &Policy::SIGSTORE, &serial, at(0))
            .unwrap();
        assert!(token.finish(signature).is_err());
    }
}

#[test]
fn times_that_cannot_be_written_are_refused() {
    let authority = Authority::new(Key::p256());
    let profile = Profile::new(&authority.chain, Embed::Leaf).unwrap();
    let serial = Serial::random().unwrap();
    let prepare = |time| {
        profile
            .prepare(&request(false), &Policy::SIGSTORE, &serial, time)
            .map(|_| ())
    };
    let before_1970 = UNIX_EPOCH - Duration::from_secs(1);
    assert_eq!(prepare(before_1970), Err(TokenError::Time));
    assert_eq!(prepare(at(8000 * YEAR)), Err(TokenError::Time));
    assert_eq!(prepare(at(30 * YEAR)), Ok(()), "after UTCTime ends");
}

#[test]
fn an_answer_verifies_and_one_with_a_changed_bit_in_what_is_signed_does_not() {
    for key in [Key::p256(), Key::p384()] {
        let authority = Authority::new(key);
        let answer = authority.answer(Embed::Leaf, &request(true));
        verify_response(&answer).unwrap();
        let signed = read(&answer);
        let content = signed.encap_content_info.econtent.unwrap();
        let signer = signed.signer_infos.0.get(0).unwrap();
        let covered = [
            content.value().to_vec(),
            signer.signed_attrs.as_ref().unwrap().to_der().unwrap()[4..].to_vec(),
            signer.signature.as_bytes().to_vec(),
        ];
        for part in covered {
            let start = answer
                .windows(part.len())
                .position(|window| window == part)
                .unwrap();
            for place in start..start + part.len() {
                let mut changed = answer.clone();
                changed[place] ^= 0x01;
                assert!(verify_response(&changed).is_err(), "byte {place}");
            }
        }
        for length in 0..answer.len() {
            assert!(
                verify_response(&answer[..length]).is_err(),
                "{length} bytes"
            );
        }
    }
}

#[test]
fn an_answer_without_its_certificate_or_not_granted_is_refused() {
    let authority = Authority::new(Key::p256());
    let without = authority.answer(Embed::Leaf, &request(false));
    assert_eq!(
        verify_response(&without),
        Err(ResponseError::Token(CmsError::NoCertificate))
    );
    assert_eq!(
        verify_response(b"\x30\x05\x30\x03\x02\x01\x02"),
        Err(ResponseError::NotGranted(2))
    );
}
