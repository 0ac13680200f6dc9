//! Object identifiers, as the content octets of their DER encoding.

/// 1.2.840.10045.4.3.2.
pub(crate) const ECDSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
/// 1.2.840.10045.4.3.3.
pub(crate) const ECDSA_WITH_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
/// 1.2.840.10045.4.3.4.
pub(crate) const ECDSA_WITH_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04];
/// 1.2.840.113549.1.1.11.
pub(crate) const RSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
/// 1.2.840.113549.1.1.12.
pub(crate) const RSA_WITH_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c];
/// 1.2.840.113549.1.1.13.
pub(crate) const RSA_WITH_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d];
/// 1.3.101.112.
pub(crate) const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// 2.5.29.14.
pub(crate) const SUBJECT_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x0e];
/// 2.5.29.15.
pub(crate) const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
/// 2.5.29.17.
pub(crate) const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// 2.5.29.19.
pub(crate) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
/// 2.5.29.35.
pub(crate) const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x23];
/// 2.5.29.37.
pub(crate) const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];

/// 2.5.29.37.0.
pub(crate) const ANY_EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25, 0x00];
/// 1.3.6.1.5.5.7.3.3.
pub(crate) const CODE_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03];
/// 1.3.6.1.5.5.7.3.8.
pub(crate) const TIME_STAMPING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08];

/// 1.3.6.1.4.1.11129.2.4.2 (RFC 6962 section 3.3).
pub(crate) const SCT_LIST: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xd6, 0x79, 0x02, 0x04, 0x02];
/// 1.3.6.1.4.1.11129.2.4.3 (RFC 6962 section 3.1).
pub(crate) const POISON: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xd6, 0x79, 0x02, 0x04, 0x03];
/// 1.3.6.1.4.1.11129.2.4.4 (RFC 6962 section 3.1).
pub(crate) const PRECERT_SIGNING: &[u8] =
    &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xd6, 0x79, 0x02, 0x04, 0x04];

/// 1.3.6.1.4.1.57264.1, below which Fulcio's extensions are.
pub(crate) const FULCIO: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xbf, 0x30, 0x01];

#[cfg(test)]
mod tests {
    use der::asn1::ObjectIdentifier;

    #[test]
    fn octets_are_those_of_the_dotted_forms() {
        for (octets, dotted) in [
            (super::ECDSA_WITH_SHA256, "1.2.840.10045.4.3.2"),
            (super::ECDSA_WITH_SHA384, "1.2.840.10045.4.3.3"),
            (super::ECDSA_WITH_SHA512, "1.2.840.10045.4.3.4"),
            (super::RSA_WITH_SHA256, "1.2.840.113549.1.1.11"),
            (super::RSA_WITH_SHA384, "1.2.840.113549.1.1.12"),
            (super::RSA_WITH_SHA512, "1.2.840.113549.1.1.13"),
            (super::ED25519, "1.3.101.112"),
            (super::SUBJECT_KEY_IDENTIFIER, "2.5.29.14"),
            (super::KEY_USAGE, "2.5.29.15"),
            (super::SUBJECT_ALT_NAME, "2.5.29.17"),
            (super::BASIC_CONSTRAINTS, "2.5.29.19"),
            (super::AUTHORITY_KEY_IDENTIFIER, "2.5.29.35"),
            (super::EXTENDED_KEY_USAGE, "2.5.29.37"),
            (super::ANY_EXTENDED_KEY_USAGE, "2.5.29.37.0"),
            (super::CODE_SIGNING, "1.3.6.1.5.5.7.3.3"),
            (super::TIME_STAMPING, "1.3.6.1.5.5.7.3.8"),
            (super::SCT_LIST, "1.3.6.1.4.1.11129.2.4.2"),
            (super::POISON, "1.3.6.1.4.1.11129.2.4.3"),
            (super::PRECERT_SIGNING, "1.3.6.1.4.1.11129.2.4.4"),
            (super::FULCIO, "1.3.6.1.4.1.57264.1"),
        ] {
            assert_eq!(
                ObjectIdentifier::new_unwrap(dotted).as_bytes(),
                octets,
                "{dotted}"
            );
        }
    }
}
