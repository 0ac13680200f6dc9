//! Names of tiles and bundles in URLs.

use proptest::prelude::*;
use tlog::{BundlePath, TileId, TilePath, Width};

fn index(path: &str) -> Option<u64> {
    path.parse::<BundlePath>().ok().map(|path| path.index)
}

#[test]
fn indices_are_groups_of_three_digits() {
    for (number, path) in [
        (0, "000"),
        (5, "005"),
        (999, "999"),
        (1000, "x001/000"),
        (1_234_067, "x001/x234/067"),
        (1_000_000_000, "x001/x000/x000/000"),
        (u64::MAX, "x018/x446/x744/x073/x709/x551/615"),
    ] {
        assert_eq!(
            BundlePath {
                index: number,
                width: Width::Full
            }
            .to_string(),
            path
        );
        assert_eq!(index(path), Some(number));
    }
}

#[test]
fn other_spellings_of_an_index_are_refused() {
    for bad in [
        "",
        "x001",
        "1",
        "01",
        "0001",
        "001/000",
        "x000/005",
        "x000/x001/005",
        "x1/000",
        "x001/00",
        "x001/0000",
        "X001/000",
        "xx01/000",
        "x001/x000",
        "x001//000",
        "/000",
        "000/",
        "000 ",
        "+01",
        "-01",
        "0x1",
        "٠٠١",
        "..%2f",
        "../000",
        "x018/x446/x744/x073/x709/x551/616",
        "x999/x999/x999/x999/x999/x999/999",
        "x001/x000/x000/x000/x000/x000/x000/x000/000",
    ] {
        assert_eq!(index(bad), None, "{bad}");
    }
    assert_eq!(index(&"x001/".repeat(100_000)), None);
}

#[test]
fn widths_are_1_to_255() {
    for (path, width) in [
        ("000", 256),
        ("000.p/1", 1),
        ("000.p/255", 255),
        ("x001/000.p/17", 17),
    ] {
        assert_eq!(path.parse::<BundlePath>().unwrap().width.get(), width);
    }
    for bad in [
        "000.p/0",
        "000.p/256",
        "000.p/01",
        "000.p/",
        "000.p",
        "000.p/+1",
        "000.p/-1",
        "000.p/1/",
        "000.p/1.p/1",
        "000.P/1",
        "000.p/ 1",
        ".p/1",
        "000.p/18446744073709551617",
    ] {
        assert!(bad.parse::<BundlePath>().is_err(), "{bad}");
    }
}

#[test]
fn levels_are_0_to_63() {
    let path: TilePath = "1/x001/234.p/5".parse().unwrap();
    assert_eq!(
        path.tile,
        TileId {
            level: 1,
            index: 1234
        }
    );
    assert_eq!(path.width.get(), 5);
    assert_eq!(path.to_string(), "1/x001/234.p/5");
    let highest: TilePath = "63/000".parse().unwrap();
    assert_eq!(highest.tile.width(u64::MAX), 0);
    for bad in [
        "64/000", "00/000", "01/000", "-1/000", "+1/000", "/000", "256/000", "0", "0/", "a/000",
    ] {
        assert!(bad.parse::<TilePath>().is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn a_path_says_what_it_was_made_of(level in 0_u8..64, index: u64, width in 1_usize..=256) {
        let partial = u8::try_from(width).ok().and_then(std::num::NonZeroU8::new);
        let width = partial.map_or(Width::Full, Width::Partial);
        let path = TilePath { tile: TileId { level, index }, width };
        prop_assert_eq!(path.to_string().parse(), Ok(path));
    }

    #[test]
    fn what_parses_is_canonical(path in "[0-9]{0,2}/(x[0-9]{3}/){0,2}[0-9]{2,4}(\\.p/[0-9]{1,3})?") {
        if let Ok(parsed) = path.parse::<TilePath>() {
            prop_assert_eq!(parsed.to_string(), path);
        }
    }
}
