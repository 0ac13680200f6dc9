//! Checkpoints as text.

use proptest::prelude::*;
use tlog::Hash;
use tlog::checkpoint::{Checkpoint, rekor_v1_origin};

const ROOT: &str = "g8R+Lr+GQEeuFuW2CaP6alhf/qZcBhLk5cJ4WCnlhoI=";

#[test]
fn a_checkpoint_is_origin_size_and_root() {
    let text = format!("log.example\n42\n{ROOT}\n");
    let checkpoint = Checkpoint::parse(&text).unwrap();
    assert_eq!(checkpoint.origin, "log.example");
    assert_eq!(checkpoint.size, 42);
    assert_eq!(
        checkpoint.root.to_string(),
        "83c47e2ebf864047ae16e5b609a3fa6a585ffea65c0612e4e5c2785829e58682"
    );
    assert!(checkpoint.extensions.is_empty());
    assert_eq!(checkpoint.text(), text);
    assert_eq!(
        Checkpoint::new("log.example", 42, checkpoint.root),
        checkpoint
    );
}

#[test]
fn extension_lines_are_kept() {
    let text = format!("log.example - 7\n0\n{ROOT}\nTimestamp: 1\nanother\n");
    let checkpoint = Checkpoint::parse(&text).unwrap();
    assert_eq!(checkpoint.origin, rekor_v1_origin("log.example", 7));
    assert_eq!(checkpoint.extensions, ["Timestamp: 1", "another"]);
    assert_eq!(checkpoint.text(), text);
}

#[test]
fn the_largest_size_parses() {
    let text = format!("o\n18446744073709551615\n{ROOT}\n");
    assert_eq!(Checkpoint::parse(&text).unwrap().size, u64::MAX);
}

#[test]
fn malformed_checkpoints_are_refused() {
    for size in [
        "007",
        "00",
        "+7",
        "-1",
        "",
        " 7",
        "7 ",
        "0x7",
        "7.0",
        "1e3",
        "18446744073709551616",
        "٧",
    ] {
        assert!(
            Checkpoint::parse(&format!("o\n{size}\n{ROOT}\n")).is_err(),
            "size {size:?}"
        );
    }
    for root in [
        "",
        "g8R+Lr+GQEeuFuW2CaP6alhf/qZcBhLk5cJ4WCnlhg==", // 31 bytes
        "g8R+Lr+GQEeuFuW2CaP6alhf/qZcBhLk5cJ4WCnlhoIA", // 33 bytes
        "g8R+Lr+GQEeuFuW2CaP6alhf/qZcBhLk5cJ4WCnlhoI",  // unpadded
        "g8R-Lr-GQEeuFuW2CaP6alhf_qZcBhLk5cJ4WCnlhoI=", // URL-safe
        "g8R+Lr+GQEeuFuW2CaP6alhf/qZcBhLk5cJ4WCnlhoJ=", // non-zero padding bits
        " g8R+Lr+GQEeuFuW2CaP6alhf/qZcBhLk5cJ4WCnlhoI=",
    ] {
        assert!(
            Checkpoint::parse(&format!("o\n7\n{root}\n")).is_err(),
            "root {root:?}"
        );
    }
    for text in [
        String::new(),
        "\n".to_owned(),
        format!("\n7\n{ROOT}\n"),
        "o\n7\n".to_owned(),
        format!("o\n7\n{ROOT}"),
        format!("o\n7\n{ROOT}\n\n"),
        format!("o\n7\n{ROOT}\n\nextension\n"),
        format!("o\r\n7\r\n{ROOT}\r\n"),
    ] {
        assert!(Checkpoint::parse(&text).is_err(), "{text:?}");
    }
}

proptest! {
    #[test]
    fn what_is_printed_parses_to_the_same(
        origin in "[^\n]{1,40}",
        size: u64,
        root: [u8; 32],
        extensions in prop::collection::vec("[^\n]{1,40}", 0..4),
    ) {
        let checkpoint = Checkpoint { origin, size, root: Hash(root), extensions };
        prop_assert_eq!(Checkpoint::parse(&checkpoint.text()), Ok(checkpoint));
    }

    #[test]
    fn what_parses_is_printed_the_same(text in "[a\n]{0,3}\n[0-9]{1,3}\n[A-Za-z0-9+/]{42}[AEI]=\n([ab\n]{0,4}\n)?") {
        if let Ok(checkpoint) = Checkpoint::parse(&text) {
            prop_assert_eq!(checkpoint.text(), text);
        }
    }
}
