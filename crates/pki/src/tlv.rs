//! DER tag-length-value, byte for byte.
//!
//! Precertificates live on exact bytes: what a log signs must be what a client cuts out of the
//! final certificate. So certificates are read and written here as nested slices, and are never
//! decoded into typed models and encoded again.

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const NULL: u8 = 0x05;
pub(crate) const OID: u8 = 0x06;
pub(crate) const UTF8_STRING: u8 = 0x0c;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;

/// Context-specific, primitive.
pub(crate) const fn context(number: u8) -> u8 {
    0x80 | number
}

/// Context-specific, constructed.
pub(crate) const fn constructed(number: u8) -> u8 {
    0xa0 | number
}

/// Not DER, or not the structure that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed DER: {0}")]
pub(crate) struct DerError(pub(crate) &'static str);

/// One element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Element<'a> {
    /// Identifier octet.
    pub(crate) tag: u8,
    /// Content octets.
    pub(crate) content: &'a [u8],
    /// All octets: identifier, length, content.
    pub(crate) raw: &'a [u8],
}

impl<'a> Element<'a> {
    /// A reader over the content, if the tag is `tag`.
    pub(crate) fn open(self, tag: u8) -> Result<Reader<'a>, DerError> {
        if self.tag == tag {
            Ok(Reader::new(self.content))
        } else {
            Err(DerError("unexpected tag"))
        }
    }
}

/// Reads consecutive elements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next element. Tags of one octet, definite lengths in their shortest form.
    pub(crate) fn element(&mut self) -> Result<Element<'a>, DerError> {
        const SHORT: DerError = DerError("truncated");
        let (&tag, rest) = self.rest.split_first().ok_or(SHORT)?;
        if tag & 0x1f == 0x1f {
            return Err(DerError("tag number too large"));
        }
        let (&first, mut rest) = rest.split_first().ok_or(SHORT)?;
        let length = if first < 0x80 {
            usize::from(first)
        } else {
            let count = usize::from(first & 0x7f);
            if count == 0 || count > 4 {
                return Err(DerError("indefinite or too large length"));
            }
            let (octets, after) = rest.split_at_checked(count).ok_or(SHORT)?;
            rest = after;
            let length = octets
                .iter()
                .fold(0u64, |sum, octet| sum << 8 | u64::from(*octet));
            if length < 0x80 || octets.first() == Some(&0) {
                return Err(DerError("length is not in its shortest form"));
            }
            usize::try_from(length).map_err(|_| DerError("length too large"))?
        };
        let (content, after) = rest.split_at_checked(length).ok_or(SHORT)?;
        let (raw, _) = self
            .rest
            .split_at_checked(self.rest.len() - after.len())
            .ok_or(SHORT)?;
        self.rest = after;
        Ok(Element { tag, content, raw })
    }

    /// The next element, which must have this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Result<Element<'a>, DerError> {
        let element = self.element()?;
        if element.tag == tag {
            Ok(element)
        } else {
            Err(DerError("unexpected tag"))
        }
    }

    /// The next element if it has this tag.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>, DerError> {
        if self.rest.first() == Some(&tag) {
            self.element().map(Some)
        } else {
            Ok(None)
        }
    }

    /// Refuses anything left over.
    pub(crate) fn end(self) -> Result<(), DerError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DerError("trailing bytes"))
        }
    }
}

/// The single element that makes up all of `bytes`, which must have this tag.
pub(crate) fn single(bytes: &[u8], tag: u8) -> Result<Element<'_>, DerError> {
    let mut reader = Reader::new(bytes);
    let element = reader.expect(tag)?;
    reader.end()?;
    Ok(element)
}

/// The value of a BOOLEAN.
pub(crate) fn boolean(element: Element<'_>) -> Result<bool, DerError> {
    match element.content {
        [0x00] => Ok(false),
        [0xff] => Ok(true),
        _ => Err(DerError("malformed BOOLEAN")),
    }
}

/// Writes one element from the parts of its content.
pub(crate) fn encode(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(length + 6);
    out.push(tag);
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let octets = length.to_be_bytes();
            let significant = octets.iter().skip_while(|octet| **octet == 0);
            // At most size_of::<usize>() octets, far below the 127 that the form can say.
            out.push(0x80 | u8::try_from(significant.clone().count()).unwrap_or(0x7f));
            out.extend(significant);
        }
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// Whether `bytes` are a DER `Ecdsa-Sig-Value`: a SEQUENCE of two positive INTEGERs.
pub(crate) fn is_ecdsa_signature(bytes: &[u8]) -> bool {
    fn check(bytes: &[u8]) -> Result<bool, DerError> {
        let mut reader = single(bytes, SEQUENCE)?.open(SEQUENCE)?;
        let r = reader.expect(INTEGER)?;
        let s = reader.expect(INTEGER)?;
        reader.end()?;
        Ok([r, s].iter().all(|number| match number.content {
            [] | [0] => false,
            [0, next, ..] => *next >= 0x80,
            [first, ..] => *first < 0x80,
        }))
    }
    check(bytes).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use der::{Decode, Encode};
    use proptest::prelude::*;

    #[test]
    fn lengths_are_read_in_their_shortest_form_only() {
        for malformed in [
            &b"\x04\x81\x01a"[..],
            b"\x04\x80a\0\0",
            b"\x04\x82\0\x81",
            b"\x1f\x01a",
            b"\x04",
            b"\x04\x02a",
            b"",
        ] {
            assert!(
                Reader::new(malformed).element().is_err(),
                "{malformed:02x?}"
            );
        }
    }

    #[test]
    fn ecdsa_signatures_are_told_from_raw_ones() {
        assert!(is_ecdsa_signature(&[0x30, 6, 2, 1, 1, 2, 1, 0x7f]));
        assert!(is_ecdsa_signature(&[0x30, 7, 2, 1, 1, 2, 2, 0, 0x80]));
        assert!(
            !is_ecdsa_signature(&[0x30, 6, 2, 1, 1, 2, 1, 0x80]),
            "negative"
        );
        assert!(
            !is_ecdsa_signature(&[0x30, 7, 2, 1, 1, 2, 2, 0, 1]),
            "padded"
        );
        assert!(!is_ecdsa_signature(&[0x30, 6, 2, 1, 0, 2, 1, 1]), "zero");
        assert!(!is_ecdsa_signature(&[7; 64]));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(tag in prop::sample::select(vec![4u8, 0x0c, 0x30, 0xa3, 0x86]), content in prop::collection::vec(any::<u8>(), 0..70_000)) {
            let encoded = encode(tag, &[&content]);
            let element = single(&encoded, tag).unwrap();
            prop_assert_eq!(element.content, &content[..]);
            prop_assert_eq!(element.raw, &encoded[..]);
            let oracle = der::asn1::AnyRef::from_der(&encoded).unwrap();
            prop_assert_eq!(oracle.value(), &content[..]);
            prop_assert_eq!(oracle.to_der().unwrap(), encoded);
        }

        #[test]
        fn whatever_is_read_is_what_another_parser_reads(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(element) = Reader::new(&bytes).element()
                && let Ok(oracle) = der::asn1::AnyRef::from_der(element.raw)
            {
                prop_assert_eq!(oracle.value(), element.content);
            }
        }
    }
}
