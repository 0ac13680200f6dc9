use serde_json::{Value, json};

use super::{entry, found_by_hash, refused, taken};
use crate::on_every_store;
use crate::stack::b64;

const RESPONSE: &[u8] = include_bytes!("../../fixtures/timestamp.tsr");

fn tsr(response: &[u8]) -> Value {
    entry("rfc3161", &json!({"tsr": {"content": b64(response)}}))
}

on_every_store! {
    async fn a_timestamp_of_openssl_is_kept_as_it_is(stack) {
        let (id, spec) = taken(stack, &tsr(RESPONSE)).await;
        assert_eq!(spec, json!({"tsr": {"content": b64(RESPONSE)}}));
        found_by_hash(stack, RESPONSE, &id).await;
    }

    async fn no_bit_of_a_token_can_be_changed_unnoticed(stack) {
        // Signature, signed attributes, time and serial number are towards the end or in TSTInfo.
        for place in [
            RESPONSE.len() - 1,
            RESPONSE.len() - 100,
            RESPONSE.len() - 200,
            110,
        ] {
            let mut changed = RESPONSE.to_vec();
            changed[place] ^= 1;
            let answer = stack.submit(&tsr(&changed)).await;
            assert_eq!(answer.status(), 400, "byte {place}");
        }
    }

    async fn responses_that_cannot_be_verified_are_refused(stack) {
        refused(
            stack,
            &tsr(include_bytes!("../../fixtures/no-certificate.tsr")),
            "certificate is missing",
        )
        .await;
        refused(
            stack,
            &tsr(&vec![0x30; 10 * 1024 + 1]),
            "tsr exceeds maximum allowed size (10kB)",
        )
        .await;
        refused(
            stack,
            &tsr(b"\x30\x05\x30\x03\x02\x01\x02"),
            "tsr status not granted: 2",
        )
        .await;
        refused(stack, &tsr(&[RESPONSE, b"x"].concat()), "trailing bytes").await;
        refused(stack, &tsr(b""), "tsr.content in body is required").await;
        refused(
            stack,
            &entry("rfc3161", &json!({})),
            "tsr in body is required",
        )
        .await;
    }
}
