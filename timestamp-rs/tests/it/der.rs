//! Writing requests, right and wrong, and reading replies, independently of the code under test.

/// One DER element.
pub(crate) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut out = vec![tag];
    match content.len() {
        length @ 0..=0x7f => out.push(length as u8),
        length @ 0x80..=0xff => out.extend([0x81, length as u8]),
        length @ 0x100..=0xffff => out.extend([0x82, (length >> 8) as u8, length as u8]),
        length => out.extend([
            0x83,
            (length >> 16) as u8,
            (length >> 8) as u8,
            length as u8,
        ]),
    }
    out.extend(content);
    out
}

/// Hashes, as the last octets of their object identifiers: SHA-256, -384, -512, -224; SHA3-256.
pub(crate) const SHA256: u8 = 1;
pub(crate) const SHA384: u8 = 2;
pub(crate) const SHA512: u8 = 3;
pub(crate) const SHA224: u8 = 4;
pub(crate) const SHA3_256: u8 = 8;

pub(crate) fn nist_hash(number: u8) -> Vec<u8> {
    tlv(0x30, &[&[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, number]])
}

pub(crate) fn imprint(algorithm: &[u8], digest: &[u8]) -> Vec<u8> {
    tlv(0x30, &[algorithm, &tlv(4, &[digest])])
}

/// A request over 32 octets labelled SHA-256, with these fields after the imprint.
pub(crate) fn request(fields: &[&[u8]]) -> Vec<u8> {
    over(&imprint(&nist_hash(SHA256), &[7; 32]), fields)
}

pub(crate) fn over(imprint: &[u8], fields: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &[&[2, 1, 1], imprint, &fields.concat()])
}

pub(crate) const CERT_REQ: &[u8] = &[1, 1, 0xff];

/// An element and what is after it.
fn split(der: &[u8]) -> (u8, &[u8], &[u8]) {
    let (length, header) = match der[1] {
        short @ 0..=0x7f => (usize::from(short), 2),
        long => {
            let octets = usize::from(long & 0x7f);
            (
                der[2..2 + octets]
                    .iter()
                    .fold(0, |sum, octet| sum << 8 | usize::from(*octet)),
                2 + octets,
            )
        }
    };
    (
        der[0],
        &der[header..header + length],
        &der[header + length..],
    )
}

/// The elements in `content`, as (tag, content, all octets).
pub(crate) fn children(mut content: &[u8]) -> Vec<(u8, &[u8], &[u8])> {
    let mut out = Vec::new();
    while !content.is_empty() {
        let (tag, inner, rest) = split(content);
        out.push((tag, inner, &content[..content.len() - rest.len()]));
        content = rest;
    }
    out
}

/// A `TimeStampResp`, taken apart.
pub(crate) struct Reply<'a> {
    pub(crate) status: &'a [u8],
    /// Content of `SignedData.certificates`.
    pub(crate) certificates: Option<&'a [u8]>,
    /// Content of `TSTInfo`, as elements.
    pub(crate) tst_info: Vec<(u8, &'a [u8], &'a [u8])>,
    /// Content of `SignerInfo`, as elements.
    pub(crate) signer_info: Vec<(u8, &'a [u8], &'a [u8])>,
}

impl<'a> Reply<'a> {
    pub(crate) fn parse(der: &'a [u8]) -> Self {
        let (tag, response, rest) = split(der);
        assert_eq!((tag, rest), (0x30, &[][..]));
        let response = children(response);
        let [(0x30, status, _), (0x30, content_info, _)] = response[..] else {
            panic!("not a TimeStampResp")
        };
        let content_info = children(content_info);
        let signed_data = children(children(content_info[1].1)[0].1);
        assert_eq!(signed_data[0].1, [3], "SignedData version");
        let content = children(signed_data[2].1);
        let tst_info = children(children(content[1].1)[0].1)[0].1;
        let certificates = signed_data
            .iter()
            .find(|(tag, ..)| *tag == 0xa0)
            .map(|(_, content, _)| *content);
        let signer_infos = children(signed_data.last().unwrap().1);
        assert_eq!(signer_infos.len(), 1);
        Self {
            status,
            certificates,
            tst_info: children(tst_info),
            signer_info: children(signer_infos[0].1),
        }
    }

    pub(crate) fn gen_time(&self) -> &'a str {
        std::str::from_utf8(
            self.tst_info
                .iter()
                .find(|(tag, ..)| *tag == 0x18)
                .unwrap()
                .1,
        )
        .unwrap()
    }

    pub(crate) fn serial(&self) -> &'a [u8] {
        self.tst_info[3].1
    }

    /// Content of the nonce: an INTEGER after the serial number.
    pub(crate) fn nonce(&self) -> Option<&'a [u8]> {
        self.tst_info
            .iter()
            .skip(4)
            .find(|(tag, ..)| *tag == 2)
            .map(|(_, content, _)| *content)
    }
}
