//! The tree against two other implementations: rs_merkle and the literal recursion.

use std::collections::HashMap;

use proptest::prelude::*;
use rs_merkle::{Hasher, MerkleTree};
use tlog::{Edge, Hash, Memo, MissingTile, TileId, TileTree, node_hash};

use crate::literal;
use crate::store::{Log, leaf, leaves};

/// RFC 6962 hashing for rs_merkle; leaves are given as hashes.
#[derive(Clone)]
struct Rfc6962;

impl Hasher for Rfc6962 {
    type Hash = [u8; 32];

    fn hash(data: &[u8]) -> [u8; 32] {
        tlog::leaf_hash(data).0
    }

    fn concat_and_hash(left: &[u8; 32], right: Option<&[u8; 32]>) -> [u8; 32] {
        match right {
            Some(right) => {
                let input = [&[1][..], left, right].concat();
                let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &input);
                digest.as_ref().try_into().unwrap()
            }
            None => *left,
        }
    }
}

fn oracle(leaves: &[Hash]) -> MerkleTree<Rfc6962> {
    let leaves: Vec<[u8; 32]> = leaves.iter().map(|leaf| leaf.0).collect();
    MerkleTree::from_leaves(&leaves)
}

fn oracle_path(tree: &MerkleTree<Rfc6962>, index: u64) -> Vec<Hash> {
    let proof = tree.proof(&[usize::try_from(index).unwrap()]);
    proof.proof_hashes().iter().copied().map(Hash).collect()
}

/// Positions around powers of two and of 256, where mistakes live.
fn interesting_size(max: u64) -> impl Strategy<Value = u64> {
    let near = (0_u32..17, -2_i64..=2).prop_map(move |(power, offset)| {
        (1_u64 << power).saturating_add_signed(offset).clamp(1, max)
    });
    prop_oneof![1..=max, near]
}

fn any_hash() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash)
}

#[test]
fn roots_and_paths_equal_those_of_rs_merkle_at_every_size_to_300() {
    let log = Log::of_size(300);
    let all = leaves(300);
    for size in 1..=300 {
        let tree = oracle(&all[..size as usize]);
        assert_eq!(log.root(size).0, tree.root().unwrap(), "size {size}");
        for index in 0..size {
            assert_eq!(
                log.inclusion(index, size),
                oracle_path(&tree, index),
                "{index} in {size}"
            );
        }
    }
}

#[test]
fn the_root_while_growing_equals_the_literal_root_at_every_size_to_600() {
    let all = leaves(600);
    let mut log = Log::default();
    assert_eq!(log.edge.root(), literal::root(&[]));
    for size in 1..=600 {
        log.grow(size);
        assert_eq!(
            log.edge.root(),
            literal::root(&all[..size as usize]),
            "size {size}"
        );
    }
}

#[test]
fn paths_equal_the_literal_recursion_and_verify_at_every_size_to_130() {
    let log = Log::of_size(130);
    let all = leaves(130);
    for size in 1..=130_u64 {
        let root = literal::root(&all[..size as usize]);
        for index in 0..size {
            let proof = log.inclusion(index, size);
            assert_eq!(proof, literal::path(index as usize, &all[..size as usize]));
            assert_eq!(
                tlog::verify_inclusion(index, size, &leaf(index), &proof, &root),
                Ok(())
            );
        }
        assert_eq!(tlog::inclusion(size, size), None);
    }
}

#[test]
fn consistency_proofs_equal_the_literal_recursion_and_verify_at_every_pair_to_130() {
    let log = Log::of_size(130);
    let all = leaves(130);
    let roots: Vec<Hash> = (0..=130).map(|size| literal::root(&all[..size])).collect();
    for new in 0..=130_u64 {
        for old in 0..=new {
            let proof = log.consistency(old, new);
            if old > 0 {
                assert_eq!(proof, literal::proof(old as usize, &all[..new as usize]));
            } else {
                assert!(proof.is_empty());
            }
            let (old_root, new_root) = (&roots[old as usize], &roots[new as usize]);
            let result = tlog::verify_consistency(old, new, &proof, old_root, new_root);
            assert_eq!(result, Ok(()), "{old} to {new}");
        }
        assert_eq!(tlog::consistency(new + 1, new), None);
    }
}

#[test]
fn an_edge_loaded_from_the_emitted_tiles_equals_the_pushed_one_at_every_size_to_600() {
    let mut log = Log::default();
    for size in 1..=600 {
        log.grow(size);
        assert_loads(&log);
    }
}

fn assert_loads(log: &Log) {
    let size = log.edge.size();
    let partial: Vec<TileId> = log.edge.tiles().map(|(id, _)| id).collect();
    assert_eq!(Edge::tiles_of(size), partial);
    let loaded = Edge::load(size, |id| log.tile(id).unwrap().to_vec()).unwrap();
    assert_eq!(loaded, log.edge, "size {size}");
    assert_eq!(loaded.root(), log.root(size));
}

#[test]
fn an_edge_is_loaded_from_tiles_of_a_bigger_tree() {
    let log = Log::of_size(1000);
    for size in 0..=1000 {
        let loaded = Edge::load(size, |id| log.tile(id).unwrap().to_vec()).unwrap();
        assert_eq!(loaded.size(), size);
        assert_eq!(loaded.root(), log.root(size));
    }
}

#[test]
fn an_edge_is_not_loaded_from_tiles_that_are_too_short() {
    let log = Log::of_size(600);
    for short in Edge::tiles_of(600) {
        let error = Edge::load(600, |id| {
            let tile = log.tile(id).unwrap();
            if id == short {
                tile[1..].to_vec()
            } else {
                tile.to_vec()
            }
        });
        let error = error.unwrap_err();
        assert_eq!((error.tile, error.size), (short, 600));
        assert_eq!(error.expected, short.width(600));
        assert_eq!(error.found, short.width(600) - 1);
    }
}

#[test]
fn a_plan_names_the_tile_that_is_missing_or_short() {
    let log = Log::of_size(70_000);
    let plan = tlog::inclusion(69_000, 70_000).unwrap();
    assert!(plan.tiles().len() > 2);
    for &missing in plan.tiles() {
        let absent = plan.evaluate(|id| if id == missing { None } else { log.tile(id) });
        assert_eq!(absent, Err(tlog::MissingTile(missing)));
        let empty = plan.evaluate(|id| {
            if id == missing {
                Some(&[])
            } else {
                log.tile(id)
            }
        });
        assert_eq!(empty, Err(tlog::MissingTile(missing)));
    }
}

#[test]
fn a_proof_needs_at_most_two_tiles_a_level() {
    for (index, size) in [
        (0, 1 << 40),
        ((1 << 40) - 1, 1 << 40),
        (123_456_789, 987_654_321_012),
    ] {
        let plan = tlog::inclusion(index, size).unwrap();
        for level in 0..8 {
            assert!(plan.tiles().iter().filter(|id| id.level == level).count() <= 2);
        }
        assert!(plan.tiles().windows(2).all(|pair| pair[0] < pair[1]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn random_trees_have_the_root_and_paths_of_rs_merkle(
        all in prop::collection::vec(any_hash(), 1..2000),
        positions in prop::collection::vec(any::<prop::sample::Index>(), 8),
    ) {
        let mut log = Log::default();
        all.iter().for_each(|leaf| log.push(*leaf));
        let tree = oracle(&all);
        let (size, root) = (log.edge.size(), log.edge.root());
        prop_assert_eq!(root.0, tree.root().unwrap());
        prop_assert_eq!(log.root(size), root);
        for position in positions {
            let index = position.index(all.len());
            let proof = log.inclusion(index as u64, size);
            prop_assert_eq!(&proof, &oracle_path(&tree, index as u64));
            prop_assert_eq!(tlog::verify_inclusion(index as u64, size, &all[index], &proof, &root), Ok(()));
        }
    }

    #[test]
    fn random_consistency_proofs_equal_the_literal_recursion(
        all in prop::collection::vec(any_hash(), 1..1500),
        position: prop::sample::Index,
    ) {
        let mut log = Log::default();
        let old = position.index(all.len()) + 1;
        all.iter().take(old).for_each(|leaf| log.push(*leaf));
        let old_root = log.edge.root();
        all.iter().skip(old).for_each(|leaf| log.push(*leaf));
        let proof = log.consistency(old as u64, all.len() as u64);
        prop_assert_eq!(&proof, &literal::proof(old, &all));
        let result = tlog::verify_consistency(old as u64, all.len() as u64, &proof, &old_root, &log.edge.root());
        prop_assert_eq!(result, Ok(()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn large_trees_load_and_prove(
        old in interesting_size(80_000),
        new in interesting_size(80_000),
        position: prop::sample::Index,
    ) {
        let (old, new) = (old.min(new), old.max(new));
        let mut log = Log::of_size(old);
        assert_loads(&log);
        let old_root = log.edge.root();
        log.grow(new);
        assert_loads(&log);
        let new_root = log.edge.root();
        let tree = oracle(&leaves(new));
        prop_assert_eq!(new_root.0, tree.root().unwrap());
        prop_assert_eq!(log.root(old), old_root);
        let proof = log.consistency(old, new);
        prop_assert_eq!(tlog::verify_consistency(old, new, &proof, &old_root, &new_root), Ok(()));
        let index = position.index(new as usize) as u64;
        let proof = log.inclusion(index, new);
        prop_assert_eq!(&proof, &oracle_path(&tree, index));
    }
}

#[test]
fn proofs_from_hashed_tiles_equal_those_from_entries() {
    let log = Log::of_size(1500);
    for size in [1, 2, 3, 128, 129, 255, 256, 257, 300, 700, 1024, 1499, 1500] {
        // As they were at this size: tiles cut to the entries that existed then.
        let mut trees = HashMap::new();
        for (level, index) in (0..6).map(|index| (0, index)).chain([(1, 0)]) {
            let id = TileId { level, index };
            let entries = log.tile(id).map(|tile| &tile[..id.width(size)]);
            trees.extend(entries.map(|entries| (id, TileTree::new(entries))));
        }
        for tree in trees.values() {
            assert_eq!(TileTree::new(tree.entries()), *tree);
        }
        for index in 0..size {
            let plan = tlog::inclusion(index, size).unwrap();
            let proof = plan.evaluate_trees(|id| trees.get(&id));
            assert_eq!(
                proof.unwrap(),
                log.inclusion(index, size),
                "{index} in {size}"
            );
            let plan = tlog::consistency(index, size).unwrap();
            let proof = plan.evaluate_trees(|id| trees.get(&id));
            assert_eq!(
                proof.unwrap(),
                log.consistency(index, size),
                "{index} to {size}"
            );
        }
    }
}

#[test]
fn a_proof_that_needs_more_than_a_hashed_tile_holds_says_which() {
    let log = Log::of_size(300);
    let id = TileId { level: 0, index: 0 };
    let entries = log.tile(id).unwrap();
    for held in [0, 1, 7, 127, 128, 192, 254] {
        let tree = TileTree::new(&entries[..held]);
        let plan = tlog::inclusion(255, 256).unwrap();
        let proof = plan.evaluate_trees(|_| Some(&tree));
        assert_eq!(proof, Err(MissingTile(id)), "{held} held");
    }
}

#[test]
fn proofs_with_a_shared_memo_equal_those_without() {
    let log = Log::of_size(1500);
    let mut memo = Memo::default();
    for size in [1, 2, 255, 256, 257, 700, 1024, 1499, 1500] {
        for index in (0..size).step_by(7) {
            let plan = tlog::inclusion(index, size).unwrap();
            let shared = plan.evaluate_with(&mut memo, |id| log.tile(id)).unwrap();
            assert_eq!(shared, log.inclusion(index, size));
        }
    }
}

#[test]
fn a_memo_that_knows_the_edges_reads_no_more_than_the_batch_and_one_hash_a_tile() {
    for (old, batch) in [
        (0, 1),
        (254, 1),
        (255, 1),
        (256, 1),
        (70_000, 1),
        (65_535, 300),
    ] {
        let mut log = Log::of_size(old);
        let mut memo = Memo::default();
        memo.learn(&log.edge);
        log.grow(old + batch);
        memo.learn(&log.edge);
        let size = log.edge.size();
        let reads = std::cell::Cell::new(0);
        for index in old..size {
            let plan = tlog::inclusion(index, size).unwrap();
            let proof = plan.evaluate_with(&mut memo, |id| {
                reads.set(reads.get() + 1);
                log.tile(id)
            });
            let result = tlog::verify_inclusion(
                index,
                size,
                &leaf(index),
                &proof.unwrap(),
                &log.edge.root(),
            );
            assert_eq!(result, Ok(()));
        }
        // Each leaf of the batch: its sibling, once below a shared subtree, and one hash a level.
        assert!(
            reads.get() <= batch * 5,
            "{} reads for {batch} at {old}",
            reads.get()
        );
    }
}

#[test]
fn a_node_hash_is_not_a_leaf_hash_of_the_same_bytes() {
    let (left, right) = (leaf(0), leaf(1));
    let bytes = [left.0, right.0].concat();
    assert_ne!(node_hash(&left, &right), tlog::leaf_hash(&bytes));
    assert_ne!(node_hash(&left, &right), node_hash(&right, &left));
}
