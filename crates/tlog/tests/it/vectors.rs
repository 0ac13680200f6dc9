//! Known answers. Leaf `i` of every tree is the decimal of `i` in ASCII.

use tlog::checkpoint::Checkpoint;
use tlog::{Edge, Hash, TileId, leaf_hash};

use crate::store::{Log, leaf};

/// First 16 hexadecimal digits of SHA-256 over all hashes.
fn h16(hashes: &[Hash]) -> String {
    let bytes: Vec<u8> = hashes.iter().flat_map(|hash| hash.0).collect();
    let mut hex = hex::encode(crypto::sha256(&bytes));
    hex.truncate(16);
    hex
}

/// All tiles that exist: path, hashes.
fn tiles(log: &Log) -> Vec<(TileId, Vec<Hash>)> {
    let full = log.tiles.iter().map(|(id, hashes)| (*id, hashes.clone()));
    let partial = log.edge.tiles().map(|(id, hashes)| (id, hashes.to_vec()));
    let mut all: Vec<_> = full.chain(partial).collect();
    all.sort();
    all
}

fn id(level: u8, index: u64) -> TileId {
    TileId { level, index }
}

fn widths(log: &Log) -> Vec<(TileId, usize)> {
    tiles(log)
        .into_iter()
        .map(|(id, hashes)| (id, hashes.len()))
        .collect()
}

#[test]
fn roots_of_trees_around_tile_boundaries() {
    let mut log = Log::default();
    for (size, prefix) in [
        (1, "db3426e878068d28"),
        (2, "cb00989d94a569c0"),
        (3, "725d5230db68f557"),
        (255, "32f85bcaa87d7bcd"),
        (256, "828515d033c19d8c"),
        (257, "1eda049a4351d86f"),
        (65_535, "74f13a0e1a756893"),
        (65_536, "f025d06ed804859f"),
        (65_537, "dc8795a25fd4bd52"),
        (70_000, "1a4cdfcb66374a0c"),
    ] {
        log.grow(size);
        let root = log.edge.root().to_string();
        assert!(root.starts_with(prefix), "size {size}: {root}");
        assert_eq!(log.root(size), log.edge.root());
    }
}

#[test]
fn size_0_has_the_empty_root_and_no_tile() {
    let log = Log::default();
    let root = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(log.edge.root().to_string(), root);
    assert_eq!(log.root(0).to_string(), root);
    assert_eq!(
        Checkpoint::new("o", 0, log.edge.root())
            .text()
            .lines()
            .nth(1),
        Some("0")
    );
    assert!(tiles(&log).is_empty());
    assert_eq!(id(0, 0).width(0), 0);
    assert!(Edge::tiles_of(0).is_empty());
}

#[test]
fn size_1_is_its_leaf() {
    let log = Log::of_size(1);
    assert_eq!(log.edge.root(), leaf(0));
    assert_eq!(tiles(&log), [(id(0, 0), vec![leaf(0)])]);
    assert!(log.inclusion(0, 1).is_empty());
}

#[test]
fn size_255_has_no_level_1() {
    assert_eq!(widths(&Log::of_size(255)), [(id(0, 0), 255)]);
}

#[test]
fn size_256_fills_a_tile_and_starts_level_1() {
    let log = Log::of_size(256);
    assert_eq!(widths(&log), [(id(0, 0), 256), (id(1, 0), 1)]);
    assert_eq!(h16(&log.tiles[&id(0, 0)]), "b9704a8bfbee2c61");
    assert_eq!(log.edge.tile(id(1, 0)), Some(&[log.edge.root()][..]));
}

#[test]
fn size_257_starts_a_second_tile() {
    let log = Log::of_size(257);
    assert_eq!(
        widths(&log),
        [(id(0, 0), 256), (id(0, 1), 1), (id(1, 0), 1)]
    );
    assert_eq!(log.edge.tile(id(0, 1)), Some(&[leaf(256)][..]));
}

#[test]
fn size_65536_fills_level_1() {
    let log = Log::of_size(65_536);
    let mut expected: Vec<_> = (0..256).map(|index| (id(0, index), 256)).collect();
    expected.extend([(id(1, 0), 256), (id(2, 0), 1)]);
    assert_eq!(widths(&log), expected);
    assert_eq!(h16(&log.tiles[&id(1, 0)]), "ea7b038bc73489c8");
    assert_eq!(log.edge.tile(id(2, 0)), Some(&[log.edge.root()][..]));
}

#[test]
fn size_65537_does_not_start_a_second_tile_of_level_1() {
    let log = Log::of_size(65_537);
    let edge: Vec<_> = log
        .edge
        .tiles()
        .map(|(id, hashes)| (id, hashes.len()))
        .collect();
    assert_eq!(edge, [(id(0, 256), 1), (id(2, 0), 1)]);
    assert_eq!(log.tile(id(1, 1)), None);
    assert_eq!(id(1, 1).width(65_537), 0);
}

#[test]
fn size_70000_has_these_tiles() {
    let log = Log::of_size(70_000);
    assert_eq!(log.tiles.keys().filter(|id| id.level == 0).count(), 273);
    let edge: Vec<_> = log
        .edge
        .tiles()
        .map(|(id, hashes)| (id, hashes.len()))
        .collect();
    assert_eq!(edge, [(id(0, 273), 112), (id(1, 1), 17), (id(2, 0), 1)]);
    assert_eq!(h16(log.edge.tile(id(0, 273)).unwrap()), "4d21244557c97699");
    assert_eq!(h16(log.edge.tile(id(1, 1)).unwrap()), "adfaca2731630fe7");
    let all = tiles(&log);
    assert_eq!(all.len(), 273 + 1 + 3);
    for (id, hashes) in all {
        assert_eq!(hashes.len(), id.width(70_000));
    }
}

#[test]
fn all_consistency_proofs_up_to_130() {
    let log = Log::of_size(130);
    let proofs: Vec<Hash> = (1..=130)
        .flat_map(|new| (1..=new).map(move |old| (old, new)))
        .flat_map(|(old, new)| log.consistency(old, new))
        .collect();
    assert_eq!(proofs.len(), 54_772);
    assert_eq!(h16(&proofs), "3cafff97c75185d4");
}

#[test]
fn all_inclusion_proofs_up_to_130() {
    let log = Log::of_size(130);
    let proofs: Vec<Hash> = (1..=130)
        .flat_map(|size| (0..size).map(move |index| (index, size)))
        .flat_map(|(index, size)| log.inclusion(index, size))
        .collect();
    assert_eq!(proofs.len(), 55_557);
    assert_eq!(h16(&proofs), "5b259a2f998681a8");
}

#[test]
fn lengths_of_consistency_proofs_around_tile_boundaries() {
    let log = Log::of_size(70_000);
    for (old, new, length) in [
        (255, 256, 9),
        (256, 257, 1),
        (255, 257, 10),
        (256, 512, 1),
        (65_535, 65_536, 17),
        (65_536, 65_537, 1),
        (1, 65_536, 16),
        (256, 70_000, 9),
        (65_536, 70_000, 1),
        (69_999, 70_000, 10),
    ] {
        let proof = log.consistency(old, new);
        assert_eq!(proof.len(), length, "{old} to {new}");
        let roots = (log.root(old), log.root(new));
        assert_eq!(
            tlog::verify_consistency(old, new, &proof, &roots.0, &roots.1),
            Ok(())
        );
    }
}

#[test]
fn lengths_of_inclusion_proofs_around_tile_boundaries() {
    let log = Log::of_size(70_000);
    for (index, size, length) in [
        (0, 256, 8),
        (256, 257, 1),
        (0, 257, 9),
        (65_536, 65_537, 1),
        (69_999, 70_000, 9),
        (0, 70_000, 17),
    ] {
        let proof = log.inclusion(index, size);
        assert_eq!(proof.len(), length, "{index} in {size}");
        let root = log.root(size);
        assert_eq!(
            tlog::verify_inclusion(index, size, &leaf(index), &proof, &root),
            Ok(())
        );
    }
}

#[test]
fn the_leaf_of_a_rekor_v2_entry() {
    let body = r#"{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{"data":{"algorithm":"SHA2_256","digest":"amW8BkfcEMixROpOwUD2LwnXTytQGsbks5L/zL0B6OA="},"signature":{"content":"MEQCIFOZUVLfAOyel6vEFQnSo5RKkBaijihbtx3X+z/zObGGAiBfyldOT22RaTnv4DbJ4GcY42oTOiFNcwTujbU0t+Dzew==","verifier":{"keyDetails":"PKIX_ECDSA_P256_SHA_256","publicKey":{"rawBytes":"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYaQJfHHAOBanGLQcZwT9EBDKUfXQcfrFFawUQcVq8vcO2xP+75ZBCRnuNETDOlP8y+euc06KzUNjuZPTRh3D+w=="}}}}}}"#;
    assert_eq!(body.len(), 489);
    let leaf = leaf_hash(body.as_bytes());
    assert_eq!(
        leaf.to_string(),
        "83c47e2ebf864047ae16e5b609a3fa6a585ffea65c0612e4e5c2785829e58682"
    );
    let mut edge = Edge::new();
    edge.push(leaf, |_, _| ());
    assert_eq!(edge.root(), leaf);
}
