//! State, key and consistency of the log.

use crate::on_every_store;
use crate::stack::{check_checkpoint, hash, header, refusal, unique_hashedrekord};
use serde_json::Value;
use tlog::Hash;

on_every_store! {
    async fn an_empty_log_has_the_root_of_nothing(stack) {
        let response = stack.get("/api/v1/log").await;
        assert_eq!(header(&response, "content-type").unwrap(), "application/json");
        let text = response.text().await.unwrap();
        assert!(text.starts_with(r#"{"inactiveShards":null,"rootHash":"e3b0c442"#) && text.ends_with("}\n"));
        let info: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(info["treeSize"], 0);
        let tree = info["treeID"].as_str().unwrap().parse().unwrap();
        let key = stack.public_key("").await;
        let (size, root) = check_checkpoint(info["signedTreeHead"].as_str().unwrap(), &key, tree);
        assert_eq!((size, root), (0, tlog::empty_root()));
        refusal(stack.get("/api/v1/log/proof?lastSize=1").await, 400).await;
    }

    async fn the_key_is_pem_or_a_json_string(stack) {
        let response = stack.get("/api/v1/log/publicKey").await;
        assert_eq!(header(&response, "content-type").unwrap(), "application/x-pem-file");
        let pem = response.text().await.unwrap();
        assert!(pem.starts_with("-----BEGIN PUBLIC KEY-----\n") && pem.ends_with("-----END PUBLIC KEY-----\n"));
        let response = stack.client.get(format!("{}/api/v1/log/publicKey", stack.base))
            .header("accept", "application/json").send().await.unwrap();
        let text = response.text().await.unwrap();
        assert_eq!(text, format!("{}\n", serde_json::to_string(&pem).unwrap()));
    }

    async fn keys_of_unknown_trees_are_refused(stack) {
        for tree in ["5", "18446744073709551616"] {
            let response = stack.get(&format!("/api/v1/log/publicKey?treeID={tree}")).await;
            assert_eq!(header(&response, "content-type").unwrap(), "application/x-pem-file");
            assert_eq!(refusal(response, 400).await, (400, "Bad Request".to_owned()));
        }
        assert_eq!(refusal(stack.get("/api/v1/log/publicKey?treeID=abc").await, 422).await.0, 605);
    }

    async fn sizes_are_proven_consistent(stack) {
        let mut roots = vec![tlog::empty_root()];
        for _ in 0..9 {
            let (_, entry) = stack.create(&unique_hashedrekord()).await;
            roots.push(hash(&entry["verification"]["inclusionProof"]["rootHash"]));
        }
        for last in 1..=9_usize {
            for first in 1..=last {
                let path = format!("/api/v1/log/proof?firstSize={first}&lastSize={last}");
                let text = stack.get(&path).await.text().await.unwrap();
                let proof: Value = serde_json::from_str(&text).unwrap();
                let hashes: Vec<Hash> = proof["hashes"].as_array().unwrap().iter().map(hash).collect();
                let (old, new) = (first as u64, last as u64);
                tlog::verify_consistency(old, new, &hashes, &roots[first], &roots[last]).unwrap();
                assert_eq!(hash(&proof["rootHash"]), roots[9], "the root of now");
            }
        }
        for (sizes, expected) in
            [("firstSize=4&lastSize=8", 1), ("firstSize=3&lastSize=7", 4), ("firstSize=6&lastSize=8", 3), ("lastSize=2", 1)]
        {
            let proof: Value = stack.get(&format!("/api/v1/log/proof?{sizes}")).await.json().await.unwrap();
            assert_eq!(proof["hashes"].as_array().unwrap().len(), expected, "{sizes}");
        }
        let text = stack.get("/api/v1/log/proof?firstSize=9&lastSize=9").await.text().await.unwrap();
        assert!(text.starts_with(r#"{"hashes":[],"rootHash":""#), "{text}");
    }

    async fn six_hashes_lead_from_one_entry_to_fifty_six(stack) {
        let mut roots = Vec::new();
        for _ in 0..56 {
            let (_, entry) = stack.create(&unique_hashedrekord()).await;
            roots.push(hash(&entry["verification"]["inclusionProof"]["rootHash"]));
        }
        let proof: Value = stack.get("/api/v1/log/proof?lastSize=56").await.json().await.unwrap();
        let hashes: Vec<Hash> = proof["hashes"].as_array().unwrap().iter().map(hash).collect();
        assert_eq!(hashes.len(), 6);
        tlog::verify_consistency(1, 56, &hashes, &roots[0], &roots[55]).unwrap();
    }

    async fn sizes_that_cannot_be_are_refused(stack) {
        stack.create(&unique_hashedrekord()).await;
        let info: Value = stack.get("/api/v1/log").await.json().await.unwrap();
        let tree = info["treeID"].as_str().unwrap().to_owned();
        for (query, status, code, expected) in [
            ("firstSize=5&lastSize=3", 400, 400, "firstSize(5) must be less than lastSize(3)"),
            ("lastSize=2", 400, 400, "the tree size requested(2) was greater than what is currently observable(1)"),
            ("firstSize=0&lastSize=1", 422, 609, "firstSize in query should be greater than or equal to 1"),
            ("lastSize=0", 422, 609, "lastSize in query should be greater than or equal to 1"),
            ("", 422, 602, "lastSize in query is required"),
            ("lastSize=x", 422, 601, "lastSize in query must be of type int64: \"x\""),
            ("lastSize=1&treeID=5", 400, 400, "no log range found for tree ID 5"),
            ("lastSize=1&treeID=18446744073709551616", 400, 400, "invalid tree ID specified: 18446744073709551616"),
            ("lastSize=1&treeID=x", 422, 605, "treeID in query should match '^[0-9]+$'"),
        ] {
            let found = refusal(stack.get(&format!("/api/v1/log/proof?{query}")).await, status).await;
            assert_eq!(found, (code, expected.to_owned()), "{query}");
        }
        let response = stack.get(&format!("/api/v1/log/proof?lastSize=7&lastSize=1&treeID={tree}&more=1")).await;
        assert_eq!(response.status(), 200, "the last of repeated parameters counts");
    }
}
