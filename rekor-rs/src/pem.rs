//! PEM as signing clients write it: text before, between and around blocks, encapsulated headers
//! and any line length are tolerated (RFC 7468 section 2, lax form, and RFC 1421 headers).

use std::borrow::Cow;

/// A decoded block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block<'a> {
    /// The words between `BEGIN` and the dashes.
    pub(crate) label: &'a str,
    /// What the block encloses.
    pub(crate) der: Vec<u8>,
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// Decodes the first block of `text`; returns it with the text after it.
///
/// Every byte is looked at a constant number of times, however many broken blocks there are.
pub(crate) fn first_block(text: &str) -> Option<(Block<'_>, &str)> {
    let mut rest = text;
    loop {
        let (before, from_end) = rest.split_at_checked(line_start(rest, END)?)?;
        let (end, after) = from_end.split_once('\n').unwrap_or((from_end, ""));
        rest = after;
        // A line that begins a block without ending it belongs to the text before.
        let Some(begin) = last_line_start(before, BEGIN) else {
            continue;
        };
        let Some((begin, content)) = before.get(begin..).and_then(|block| block.split_once('\n'))
        else {
            continue;
        };
        let (Some(label), Some(closed)) = (label(begin, BEGIN), label(end, END)) else {
            continue;
        };
        if label != closed {
            continue;
        }
        if let Some(der) = decode(content) {
            return Some((Block { label, der }, after));
        }
    }
}

/// The words of a line that begins or ends a block.
fn label<'a>(line: &'a str, marker: &str) -> Option<&'a str> {
    line.trim_end().strip_prefix(marker)?.strip_suffix(DASHES)
}

/// Where a line that starts with `marker` begins.
fn line_start(text: &str, marker: &str) -> Option<usize> {
    text.match_indices(marker)
        .map(|(at, _)| at)
        .find(|at| *at == 0 || text.as_bytes().get(at - 1) == Some(&b'\n'))
}

/// Where the last line that starts with `marker` begins.
fn last_line_start(text: &str, marker: &str) -> Option<usize> {
    text.rmatch_indices(marker)
        .map(|(at, _)| at)
        .find(|at| *at == 0 || text.as_bytes().get(at - 1) == Some(&b'\n'))
}

fn decode(content: &str) -> Option<Vec<u8>> {
    let mut lines = content.lines().peekable();
    // Headers are lines with a colon, which base64 never has; an empty line ends them.
    while lines.next_if(|line| line.contains(':')).is_some() {}
    let digits: String = lines
        .flat_map(|line| line.split_ascii_whitespace())
        .collect();
    wire::rekor::decode_base64(&digits)
}

/// Prints a block: 64 columns, final newline.
pub(crate) fn print(label: &str, der: &[u8]) -> String {
    let digits = wire::rekor::encode_base64(der);
    let mut out = String::with_capacity(digits.len() + digits.len() / 64 + 2 * label.len() + 40);
    out.push_str(BEGIN);
    out.push_str(label);
    out.push_str("-----\n");
    let mut rest = digits.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at_checked(64).unwrap_or((rest, ""));
        out.push_str(line);
        out.push('\n');
        rest = after;
    }
    out.push_str(END);
    out.push_str(label);
    out.push_str("-----\n");
    out
}

/// Text of a PEM file: bytes outside UTF-8 can only be comments.
pub(crate) fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing_and_parsing_agree_at_every_length() {
        for length in 0..200 {
            let der: Vec<u8> = (0..length).collect();
            let text = print("CERTIFICATE", &der);
            assert!(text.lines().all(|line| line.len() <= 64) && text.ends_with("-----\n"));
            let (block, rest) = first_block(&text).unwrap();
            assert_eq!(
                (block, rest),
                (
                    Block {
                        label: "CERTIFICATE",
                        der
                    },
                    ""
                )
            );
        }
    }

    #[test]
    fn noise_headers_and_line_ends_are_tolerated() {
        let text = "subject=/CN=x\r\n-----BEGIN A B-----\r\nProc-Type: 4\r\n\r\naGVs\r\nbG8=\r\n-----END A B-----\r\nrest";
        let (block, rest) = first_block(text).unwrap();
        assert_eq!(
            (block.label, block.der.as_slice(), rest),
            ("A B", &b"hello"[..], "rest")
        );
    }

    #[test]
    fn what_is_not_a_block_is_skipped_or_refused() {
        assert!(first_block("").is_none());
        assert!(first_block("-----BEGIN A-----\naGk=\n-----END B-----\n").is_none());
        assert!(first_block("-----BEGIN A-----\n!!\n-----END A-----\n").is_none());
        assert!(first_block("-----BEGIN A-----").is_none());
        let after_a_broken_one =
            "-----BEGIN A-----\n!!\n-----END A-----\n-----BEGIN B-----\naGk=\n-----END B-----";
        assert_eq!(first_block(after_a_broken_one).unwrap().0.label, "B");
        let unfinished = "-----BEGIN A-----\naGk=\n-----BEGIN B-----\naGk=\n-----END B-----";
        assert_eq!(first_block(unfinished).unwrap().0.label, "B");
    }

    #[test]
    fn many_broken_blocks_cost_no_more_than_their_length() {
        let text = format!("{}-----END B-----\n", "-----BEGIN A-----\n".repeat(1 << 20));
        let started = std::time::Instant::now();
        assert!(first_block(&text).is_none());
        // Quadratic work would be 10^13 steps.
        assert!(started.elapsed() < std::time::Duration::from_secs(10));
    }
}
