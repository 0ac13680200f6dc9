//! Reading entries by index and by name.

use crate::hashedrekord::vector;
use crate::on_every_store;
use crate::stack::{Stack, refusal, unique_hashedrekord};
use serde_json::{Value, json};

async fn fill(stack: &Stack, entries: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..entries {
        ids.push(stack.create(&unique_hashedrekord()).await.0);
    }
    ids
}

async fn read(stack: &Stack, path: &str) -> (String, Value) {
    let response = stack.get(&format!("/api/v1/log/entries{path}")).await;
    assert_eq!(response.status(), 200, "{path}");
    stack.check(&response.text().await.unwrap()).await
}

async fn absent(stack: &Stack, path: &str) {
    let response = stack.get(&format!("/api/v1/log/entries{path}")).await;
    assert_eq!(
        (
            response.status().as_u16(),
            response.text().await.unwrap().as_str()
        ),
        (404, ""),
        "{path}"
    );
}

on_every_store! {
    async fn entries_are_read_by_index(stack) {
        let ids = fill(stack, 7).await;
        for (index, id) in ids.iter().enumerate() {
            let (found, entry) = read(stack, &format!("?logIndex={index}")).await;
            assert_eq!(&found, id);
            assert_eq!(entry["logIndex"], index);
            assert_eq!(entry["verification"]["inclusionProof"]["treeSize"], 7);
        }
        let (_, last) = read(stack, "?logIndex=6").await;
        assert_eq!(last["verification"]["inclusionProof"]["hashes"].as_array().unwrap().len(), 2);
        absent(stack, "?logIndex=7").await;
        absent(stack, "?logIndex=1000000000000").await;
    }

    async fn indices_that_cannot_be_are_refused(stack) {
        for (query, code, expected) in [
            ("?logIndex=-1", 609, "logIndex in query should be greater than or equal to 0"),
            ("?logIndex=x", 601, "logIndex in query must be of type int64: \"x\""),
            ("?logIndex=9223372036854775808", 601, "logIndex in query must be of type int64: \"9223372036854775808\""),
            ("?logIndex=", 602, "logIndex in query is required"),
            ("?LogIndex=0", 602, "logIndex in query is required"),
            ("", 602, "logIndex in query is required"),
        ] {
            let found = refusal(stack.get(&format!("/api/v1/log/entries{query}")).await, 422).await;
            assert_eq!(found, (code, expected.to_owned()), "{query}");
        }
    }

    async fn entries_are_read_by_either_name_in_either_case(stack) {
        let (id, _) = stack.create(&vector()).await;
        for name in [id.clone(), id[16..].to_owned(), id.to_uppercase(), id[16..].to_uppercase()] {
            assert_eq!(read(stack, &format!("/{name}")).await.0, id);
        }
    }

    async fn names_of_nothing_are_not_found_and_others_refused(stack) {
        let (id, _) = stack.create(&vector()).await;
        absent(stack, &format!("/{}", "ab".repeat(32))).await;
        absent(stack, &format!("/{}{}", &id[..16], "ab".repeat(32))).await;
        absent(stack, &format!("/0000000000000005{}", &id[16..])).await;
        absent(stack, &format!("/0000000000000000{}", &id[16..])).await;
        let (code, message) = refusal(stack.get(&format!("/api/v1/log/entries/{}", &id[..63])).await, 422).await;
        assert_eq!(code, 605);
        assert!(message.starts_with("entryUUID in path should match"), "{message}");
        let path = format!("/api/v1/log/entries/ffffffffffffffff{}", &id[16..]);
        let (_, message) = refusal(stack.get(&path).await, 400).await;
        assert_eq!(message, "validation error: ffffffffffffffff is not a valid TreeID");
    }

    async fn an_entry_stays_the_same_while_its_proof_moves_on(stack) {
        let (_, created) = stack.create(&vector()).await;
        fill(stack, 1).await;
        let (_, read) = read(stack, "?logIndex=0").await;
        for member in ["body", "integratedTime", "logID", "logIndex"] {
            assert_eq!(created[member], read[member]);
        }
        let promise = "/verification/signedEntryTimestamp";
        assert_eq!(created.pointer(promise).unwrap(), read.pointer(promise).unwrap());
        assert_eq!(read["verification"]["inclusionProof"]["treeSize"], 2);
    }

    async fn a_query_returns_what_is_there_in_order(stack) {
        let ids = fill(stack, 3).await;
        let proposed = vector();
        let (vector_id, _) = stack.create(&proposed).await;
        let unknown = "ab".repeat(32);
        let found = stack.retrieve(json!({
            "logIndexes": [2, 99, 2],
            "entries": [proposed],
            "entryUUIDs": [&ids[0][16..], unknown, &ids[1]],
        })).await;
        let found: Vec<_> = found.into_iter().map(|(id, _)| id).collect();
        assert_eq!(found, [ids[1].as_str(), &ids[0], &vector_id, &ids[2], &ids[2]]);
        for empty in [json!({}), json!({"entries": []}), json!({"entryUUIDs": [unknown]}), Value::Null] {
            assert!(stack.retrieve(empty).await.is_empty());
        }
    }

    async fn queries_out_of_bounds_are_refused(stack) {
        let (id, _) = stack.create(&vector()).await;
        let mut wrong = vector();
        wrong["spec"]["data"]["hash"]["value"] = "ab".repeat(32).into();
        let six = vec![id.clone(); 6];
        for (query, status, code, expected) in [
            (json!({"entryUUIDs": []}), 422, 612, "entryUUIDs in body should have at least 1 items"),
            (json!({"logIndexes": []}), 422, 612, "logIndexes in body should have at least 1 items"),
            (json!({"logIndexes": vec![0; 11]}), 422, 611, "logIndexes in body should have at most 10 items"),
            (json!({"entryUUIDs": six, "logIndexes": [0, 0, 0, 0, 0]}), 422, 422,
                "more than max allowed 10 entries in request"),
            (json!({"entryUUIDs": [&id[..63]]}), 422, 605, "entryUUIDs.0 in body should match"),
            (json!({"logIndexes": [0, null]}), 422, 602, "logIndexes.1 in body is required"),
            (json!({"logIndexes": [-1]}), 422, 609, "logIndexes.0 in body should be greater"),
            (json!({"entryUUIDs": [format!("{}{}", "0".repeat(16), &id[16..])]}), 400, 400, "invalid entryID 0000"),
            (json!({"entryUUIDs": [format!("{}{}", "f".repeat(16), &id[16..])]}), 400, 400, "invalid entryID ffff"),
            (json!({"entries": [vector(), wrong]}), 400, 400, "verifying signature:"),
            (json!({"entries": [{"kind": "nope", "apiVersion": "0.0.1", "spec": {}}]}), 400, 400, "invalid kind value"),
            (json!({"entries": [{}]}), 400, 400, "kind in body is required"),
            (json!({"logIndexes": ["x"]}), 400, 400, "parsing entry body"),
        ] {
            let response = stack.post("/api/v1/log/entries/retrieve", &query).await;
            let (found, message) = refusal(response, status).await;
            assert!(found == code && message.starts_with(expected) || message.contains(expected), "{query}: {message}");
            assert_eq!(found, code);
        }
    }
}
