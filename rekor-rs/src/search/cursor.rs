//! Where a listing was left.
//!
//! ```text
//! base64url( 1 | order (0 oldest first, 1 newest first) | tree id, 8 | index, 8 | filter, 8 )
//! ```
//!
//! The index is the next to look at, oldest first; or the one after it, newest first. It names a
//! tree, so it stays right while that tree grows, is frozen, and is followed by another. The filter's
//! digest is there to refuse a cursor that is used with another question.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use logstore::{LogId, Order};

use super::Position;

const VERSION: u8 = 1;

/// A place in a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Which way the listing goes.
    pub order: Order,
    /// Where it goes on.
    pub position: Position,
    /// Start of the digest of what was asked for.
    pub filter: [u8; 8],
}

/// Not a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cursor in query is not one that this log gave out; begin again without it")]
pub struct CursorError;

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let order = match self.order {
            Order::Ascending => 0,
            Order::Descending => 1,
        };
        let mut bytes = vec![VERSION, order];
        bytes.extend(self.position.log.0.to_be_bytes());
        bytes.extend(self.position.index.to_be_bytes());
        bytes.extend(self.filter);
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl std::str::FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let mut bytes = [0; 26];
        let length = URL_SAFE_NO_PAD
            .decode_slice(text, &mut bytes)
            .map_err(|_| CursorError)?;
        let [VERSION, order, rest @ ..] = bytes else {
            return Err(CursorError);
        };
        let (tree, rest) = rest.split_first_chunk().ok_or(CursorError)?;
        let (index, filter) = rest.split_first_chunk().ok_or(CursorError)?;
        let order = match order {
            0 => Order::Ascending,
            1 => Order::Descending,
            _ => return Err(CursorError),
        };
        if length != bytes.len() {
            return Err(CursorError);
        }
        Ok(Self {
            order,
            position: Position {
                log: LogId(i64::from_be_bytes(*tree)),
                index: u64::from_be_bytes(*index),
            },
            filter: filter.try_into().map_err(|_| CursorError)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_being_written_and_nothing_else_is_one() {
        for order in [Order::Ascending, Order::Descending] {
            let cursor = Cursor {
                order,
                position: Position {
                    log: LogId(i64::MAX - 7),
                    index: u64::MAX,
                },
                filter: *b"whatever",
            };
            let text = cursor.to_string();
            assert_eq!(text.parse(), Ok(cursor));
            for broken in [
                &text[1..],
                &text[..text.len() - 1],
                &format!("{text}A"),
                &text.replacen('A', "B", 1),
                "",
                "=",
                &"A".repeat(35),
                &"A".repeat(100_000),
            ] {
                assert_ne!(broken.parse::<Cursor>(), Ok(cursor), "{broken:.40}");
            }
        }
    }
}
