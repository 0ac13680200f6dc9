//! Packets (RFC 9580 section 4): where each begins and ends.

use std::io::Read;

use pgp::packet::{PacketHeader, PacketParser};
use pgp::ser::Serialize;
use pgp::types::Tag;

use crate::Error;

/// Most packets in one input. A certificate of a well-connected person has a few thousand.
const MAX_PACKETS: usize = 8192;

/// A packet whose body has not been looked into.
#[derive(Clone, Debug)]
pub(crate) struct RawPacket {
    pub(crate) tag: Tag,
    pub(crate) body: Vec<u8>,
}

/// Splits `bytes` into packets.
pub(crate) fn split(bytes: &[u8]) -> Result<Vec<RawPacket>, Error> {
    let mut parser = PacketParser::new(bytes);
    let mut packets = Vec::new();
    while let Some(reader) = parser.next_ref() {
        if packets.len() == MAX_PACKETS {
            return Err(Error::TooMuch("packets", MAX_PACKETS));
        }
        let mut reader = reader.map_err(Error::packet)?;
        let header = reader.packet_header();
        let mut body = Vec::new();
        reader.read_to_end(&mut body).map_err(Error::packet)?;
        let stated = header.packet_length().maybe_len();
        if stated.is_some_and(|stated| usize::try_from(stated) != Ok(body.len())) {
            return Err(Error::packet("truncated packet"));
        }
        let tag = header.tag();
        packets.push(RawPacket { tag, body });
    }
    Ok(packets)
}

impl RawPacket {
    /// A header in the current format, for `tag` or for what the body will be read as.
    pub(crate) fn header(&self, tag: Tag) -> Result<PacketHeader, Error> {
        let length = u32::try_from(self.body.len()).map_err(Error::packet)?;
        Ok(PacketHeader::new_fixed(tag, length))
    }

    /// Prints the packet with a header in the current format, its length as short as can be.
    pub(crate) fn print(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.header(self.tag)?
            .to_writer(out)
            .map_err(Error::packet)?;
        out.extend_from_slice(&self.body);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_both_formats_are_read_and_the_current_one_is_printed() {
        for length in [0, 1, 191, 192, 255, 256, 8383, 8384, 70_000] {
            let packet = RawPacket {
                tag: Tag::UserId,
                body: vec![7; length],
            };
            let mut current = Vec::new();
            packet.print(&mut current).unwrap();
            let size = u32::try_from(length).unwrap().to_be_bytes();
            let old = [&[0x80 | 13 << 2 | 2][..], &size, &packet.body].concat();
            for bytes in [&current, &old] {
                let read = split(bytes).unwrap();
                assert_eq!(read.len(), 1);
                assert_eq!((read[0].tag, &read[0].body), (packet.tag, &packet.body));
            }
        }
    }

    #[test]
    fn packets_cut_short_and_too_many_packets_are_refused() {
        assert!(split(&[0xcd, 5, 1, 2]).is_err());
        assert!(split(&[0x0d, 0]).is_err());
        let many = [0xcd, 0].repeat(MAX_PACKETS);
        assert_eq!(split(&many).unwrap().len(), MAX_PACKETS);
        assert_eq!(
            split(&[many.as_slice(), &[0xcd, 0]].concat()).unwrap_err(),
            Error::TooMuch("packets", MAX_PACKETS)
        );
    }
}
