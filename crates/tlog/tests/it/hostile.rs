//! Verification of what a liar sends.

use proptest::prelude::*;
use tlog::{Hash, ProofError, empty_root, verify_consistency, verify_inclusion};

use crate::store::{Log, leaf};

#[test]
fn a_changed_inclusion_claim_does_not_verify() {
    let log = Log::of_size(300);
    for size in [1, 2, 3, 7, 8, 9, 255, 256, 257, 300] {
        let root = log.root(size);
        for index in (0..size).step_by(if size > 20 { 11 } else { 1 }) {
            let proof = log.inclusion(index, size);
            let verify = |index, size, leaf: &Hash, proof: &[Hash], root: &Hash| {
                verify_inclusion(index, size, leaf, proof, root).is_ok()
            };
            let own = leaf(index);
            assert!(verify(index, size, &own, &proof, &root));
            assert!(!verify(index, size, &leaf(index + 1), &proof, &root));
            assert!(!verify(index, size, &own, &proof, &leaf(index + 1)));
            assert!(!verify(size, size, &own, &proof, &root));
            for other in (0..size).filter(|&other| other != index) {
                assert!(
                    !verify(other, size, &own, &proof, &root),
                    "{index} as {other} of {size}"
                );
            }
            let longer = [&proof[..], &[own]].concat();
            assert_eq!(
                verify_inclusion(index, size, &own, &longer, &root),
                Err(ProofError::Shape)
            );
            for position in 0..proof.len() {
                let mut changed = proof.clone();
                changed[position].0[31] ^= 1;
                assert!(!verify(index, size, &own, &changed, &root));
                changed.remove(position);
                let result = verify_inclusion(index, size, &own, &changed, &root);
                assert_eq!(result, Err(ProofError::Shape));
            }
            if proof.len() > 1 {
                let mut swapped = proof.clone();
                swapped.swap(0, 1);
                assert!(!verify(index, size, &own, &swapped, &root));
            }
        }
    }
}

#[test]
fn a_changed_consistency_claim_does_not_verify() {
    let log = Log::of_size(300);
    let sizes = [1, 2, 3, 4, 6, 7, 8, 9, 64, 65, 130, 255, 256, 257, 299, 300];
    for (position, &old) in sizes.iter().enumerate() {
        for &new in &sizes[position + 1..] {
            let proof = log.consistency(old, new);
            let (old_root, new_root) = (log.root(old), log.root(new));
            let verify = |proof: &[Hash]| verify_consistency(old, new, proof, &old_root, &new_root);
            assert_eq!(verify(&proof), Ok(()));
            assert_eq!(
                verify(&[&proof[..], &[new_root]].concat()),
                Err(ProofError::Shape)
            );
            for removed in 0..proof.len() {
                let mut changed = proof.clone();
                changed[removed].0[0] ^= 0x80;
                assert_eq!(verify(&changed), Err(ProofError::RootMismatch));
                changed.remove(removed);
                assert_eq!(verify(&changed), Err(ProofError::Shape), "{old} to {new}");
            }
            for other in [&new_root, &empty_root()] {
                assert!(verify_consistency(old, new, &proof, other, &new_root).is_err());
            }
            assert!(verify_consistency(old, new, &proof, &old_root, &old_root).is_err());
            let reversed = verify_consistency(new, old, &proof, &new_root, &old_root);
            assert_eq!(reversed, Err(ProofError::Shape));
        }
    }
}

#[test]
fn the_empty_tree_and_equal_sizes_need_an_empty_proof_and_the_right_roots() {
    let (root, other, empty) = (leaf(0), leaf(1), empty_root());
    assert_eq!(verify_consistency(0, 0, &[], &empty, &empty), Ok(()));
    assert_eq!(verify_consistency(0, 9, &[], &empty, &root), Ok(()));
    assert_eq!(verify_consistency(9, 9, &[], &root, &root), Ok(()));
    assert_eq!(
        verify_consistency(0, 9, &[], &root, &root),
        Err(ProofError::RootMismatch)
    );
    assert_eq!(
        verify_consistency(0, 0, &[], &root, &root),
        Err(ProofError::RootMismatch)
    );
    assert_eq!(
        verify_consistency(0, 0, &[], &empty, &root),
        Err(ProofError::RootMismatch)
    );
    assert_eq!(
        verify_consistency(9, 9, &[], &root, &other),
        Err(ProofError::RootMismatch)
    );
    assert_eq!(
        verify_consistency(0, 9, &[root], &empty, &root),
        Err(ProofError::Shape)
    );
    assert_eq!(
        verify_consistency(9, 9, &[root], &root, &root),
        Err(ProofError::Shape)
    );
    assert_eq!(
        verify_consistency(1, 0, &[], &root, &empty),
        Err(ProofError::Shape)
    );
    assert_eq!(
        verify_inclusion(0, 0, &root, &[], &root),
        Err(ProofError::Shape)
    );
}

/// Sizes at the ends of the range, around powers of two, and anywhere.
fn any_size() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        0..70_u64,
        (u64::MAX - 3)..=u64::MAX,
        (0_u32..64, -1_i64..=1).prop_map(|(power, by)| (1_u64 << power).saturating_add_signed(by)),
    ]
}

fn any_proof() -> impl Strategy<Value = Vec<Hash>> {
    prop::collection::vec(any::<[u8; 32]>().prop_map(Hash), 0..140)
}

proptest! {
    #[test]
    fn made_up_proofs_are_refused_at_any_size(
        first in any_size(),
        second in any_size(),
        proof in any_proof(),
        leaf: [u8; 32],
    ) {
        let (leaf, root) = (Hash(leaf), Hash([7; 32]));
        prop_assert!(verify_inclusion(first, second, &leaf, &proof, &root).is_err());
        if first != 0 {
            prop_assert!(verify_consistency(first, second, &proof, &leaf, &root).is_err());
        }
    }

    #[test]
    fn plans_exist_for_any_size_and_have_the_length_that_is_verified(
        first in any_size(),
        second in any_size(),
    ) {
        // A world in which every hash is the same.
        let (leaf, tile) = (Hash([7; 32]), [Hash([7; 32]); 256]);
        if let Some(plan) = tlog::inclusion(first, second) {
            prop_assert!(first < second);
            let proof = plan.evaluate(|_| Some(&tile)).unwrap();
            prop_assert!(tlog::inclusion_root(first, second, &leaf, &proof).is_ok());
        }
        if let Some(plan) = tlog::consistency(first, second) {
            prop_assert!(first <= second);
            let proof = plan.evaluate(|_| Some(&tile)).unwrap();
            let result = verify_consistency(first, second, &proof, &leaf, &leaf);
            prop_assert_ne!(result, Err(ProofError::Shape));
        }
        prop_assert_eq!(tlog::subtree_root(first).tiles().is_empty(), first == 0);
    }
}
