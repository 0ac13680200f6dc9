//! Reading structures whose parts have their lengths before them (RFC 8446 section 3).

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl<'a> Input<'a> {
    /// The next bytes.
    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], &'static str> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or("cut short")?;
        self.0 = rest;
        Ok(taken)
    }

    /// As many bytes as fit.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        self.take(N)?.try_into().map_err(|_| "cut short")
    }

    /// Bytes after their length in two octets.
    pub(crate) fn vector16(&mut self) -> Result<&'a [u8], &'static str> {
        let length = u16::from_be_bytes(self.array()?);
        self.take(usize::from(length))
    }

    /// Bytes after their length in three octets.
    pub(crate) fn vector24(&mut self) -> Result<&'a [u8], &'static str> {
        let [a, b, c] = self.array()?;
        let length = u32::from_be_bytes([0, a, b, c]);
        self.take(usize::try_from(length).map_err(|_| "cut short")?)
    }

    /// That nothing is left.
    pub(crate) fn end(&self) -> Result<(), &'static str> {
        match self.0 {
            [] => Ok(()),
            _ => Err("bytes after its end"),
        }
    }
}
