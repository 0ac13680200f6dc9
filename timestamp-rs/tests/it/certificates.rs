//! Certificates that the product would not make.

use keys::{FileSigner, Signer};

use super::der::tlv;

/// 1.3.6.1.5.5.7.3.8.
pub(crate) const TIMESTAMPING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 8];
/// Content of the key usage: digitalSignature, or keyCertSign.
pub(crate) const DIGITAL_SIGNATURE: u8 = 0x80;
pub(crate) const CERT_SIGN: u8 = 0x04;
/// DER BasicConstraints of a CA.
pub(crate) const CA: &[u8] = &[0x30, 3, 1, 1, 0xff];

#[derive(Clone, Copy)]
pub(crate) struct Profile<'a> {
    pub(crate) basic_constraints: Option<&'a [u8]>,
    pub(crate) key_usage: u8,
    /// Whether critical, and the purposes.
    pub(crate) extended_key_usage: Option<(bool, &'a [&'a [u8]])>,
}

/// A certificate from 2020 to 2049, signed by a P-256 or P-384 key.
pub(crate) async fn certificate(
    profile: &Profile<'_>,
    subject: &str,
    key: &crypto::PublicKey,
    issuer: &str,
    issuer_key: &FileSigner,
) -> Vec<u8> {
    let extension = |last: u8, critical: bool, value: &[u8]| {
        let flag: &[u8] = if critical { &[1, 1, 0xff] } else { &[] };
        tlv(0x30, &[&[6, 3, 0x55, 0x1d, last], flag, &tlv(4, &[value])])
    };
    let mut extensions = vec![extension(
        15,
        true,
        &[
            3,
            2,
            profile.key_usage.trailing_zeros() as u8,
            profile.key_usage,
        ],
    )];
    if let Some(constraints) = profile.basic_constraints {
        extensions.push(extension(19, true, constraints));
    }
    if let Some((critical, purposes)) = profile.extended_key_usage {
        let purposes: Vec<u8> = purposes.iter().flat_map(|oid| tlv(6, &[oid])).collect();
        extensions.push(extension(37, critical, &tlv(0x30, &[&purposes])));
    }
    let name = |text: &str| {
        let attribute = tlv(0x30, &[&[6, 3, 0x55, 4, 3], &tlv(0x0c, &[text.as_bytes()])]);
        tlv(0x30, &[&tlv(0x31, &[&attribute])])
    };
    // ecdsa-with-SHA256 or -SHA384
    let last = if issuer_key.algorithm() == keys::Algorithm::EcdsaP256Sha256 {
        2
    } else {
        3
    };
    let algorithm = tlv(0x30, &[&[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, last]]);
    let serial = tlv(2, &[&[0x11; 12]]);
    let validity = tlv(
        0x30,
        &[
            &tlv(0x17, &[b"200101000000Z"]),
            &tlv(0x17, &[b"491231235959Z"]),
        ],
    );
    let tbs = tlv(
        0x30,
        &[
            &[0xa0, 3, 2, 1, 2],
            &serial,
            &algorithm,
            &name(issuer),
            &validity,
            &name(subject),
            key.spki_der(),
            &tlv(0xa3, &[&tlv(0x30, &[&extensions.concat()])]),
        ],
    );
    let signature = issuer_key.sign(&tbs).await.unwrap();
    tlv(0x30, &[&tbs, &algorithm, &tlv(3, &[&[0], &signature])])
}
