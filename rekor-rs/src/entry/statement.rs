//! What in-toto statements are found by: digests of their subjects and SLSA materials.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Terms;

/// Payload type of in-toto statements.
pub(super) const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// Most digests of one statement that become search terms. A release of a thousand files is found
/// by each of them; a statement built to fill the index is not.
const MAX_DIGESTS: usize = 4096;

#[derive(Deserialize)]
struct Statement<'a> {
    subject: Option<Vec<Artifact>>,
    #[serde(borrow)]
    predicate: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Predicate {
    materials: Option<Vec<Artifact>>,
}

#[derive(Deserialize)]
struct Artifact {
    digest: Option<BTreeMap<String, String>>,
}

/// Adds the digests that a statement names. What is not a statement names none.
pub(super) fn add_digests(payload: &[u8], terms: &mut Terms) {
    let Ok(statement) = serde_json::from_slice::<Statement<'_>>(payload) else {
        return;
    };
    let materials = statement
        .predicate
        .and_then(|predicate| serde_json::from_str::<Predicate>(predicate.get()).ok())
        .and_then(|predicate| predicate.materials);
    let artifacts = statement.subject.into_iter().chain(materials).flatten();
    for (algorithm, value) in artifacts
        .flat_map(|artifact| artifact.digest)
        .flatten()
        .take(MAX_DIGESTS)
    {
        terms.add_digest(&algorithm, &value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(payload: &str) -> usize {
        let mut terms = Terms::default();
        add_digests(payload.as_bytes(), &mut terms);
        terms.into_keys().len()
    }

    #[test]
    fn subjects_and_materials_are_found() {
        let statement = r#"{"subject":[{"name":"a","digest":{"sha256":"01","sha512":"02"}},{}],
            "predicate":{"materials":[{"uri":"u","digest":{"sha1":"03"}}],"other":1}}"#;
        assert_eq!(terms(statement), 3);
    }

    #[test]
    fn a_predicate_of_another_shape_does_not_hide_the_subjects() {
        assert_eq!(
            terms(r#"{"subject":[{"digest":{"sha256":"01"}}],"predicate":{"materials":7}}"#),
            1
        );
        assert_eq!(terms("not json"), 0);
    }
}
