//! `/api/v1/log/entries/retrieve`.

use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use serde_json::value::RawValue;
use tlog::Hash;
use wire::rekor::{EntryRef, MAX_QUERY_ITEMS, SearchLogQuery, Text};

use super::super::{Rekor, json};
use super::entries::{at_index, first_named};
use super::{entry_limits, read_body};
use crate::entry::{self, EntryError, Purpose};
use crate::error::RequestError;
use crate::shard::Proven;

/// `POST /api/v1/log/entries/retrieve`. What is not in the log is left out; nothing is said twice
/// less often than asked.
pub(in super::super) async fn retrieve(
    rekor: &Rekor,
    request: Request,
) -> Result<Response, RequestError> {
    let held = read_body(rekor, request, "entry").await?;
    let query: Option<SearchLogQuery<'_>> =
        entry::from_object(&held.bytes).map_err(|error| unparsable(&error))?;
    let query = Checked::new(query.unwrap_or_default())?;

    // Everything that can be refused is refused before anything is read.
    let mut leaves = Vec::new();
    let mut found = Answer::default();
    for entry in &query.entries {
        leaves.push(leaf_hash(rekor, &held.bytes, entry).await?);
    }
    for name in &query.names {
        if let EntryRef::Id(_) = name {
            found.add(first_named(rekor, *name).await?)?;
        }
    }
    let uuids = query.names.iter().filter_map(|name| match name {
        EntryRef::Uuid(uuid) => Some(Hash(*uuid)),
        EntryRef::Id(_) => None,
    });
    leaves.splice(0..0, uuids);
    if !leaves.is_empty() {
        let shards = rekor.newest().await?;
        for leaf in leaves {
            for shard in shards.iter() {
                found.add(shard.entry_by_leaf(&leaf).await?)?;
            }
        }
    }
    for index in query.indexes {
        found.add(at_index(rekor, index).await?)?;
    }
    Ok(json(StatusCode::OK, found.finish()))
}

/// Longest answer, in bytes. Ten usual entries have some 50 KiB; one alone fits, whatever it is.
const MAX_ANSWER: usize = 4 << 20;

/// The answer as it grows. What is in the log must not be left out of it, so one that grows too long
/// is refused: the same short query could otherwise be answered with ten of the longest entries.
#[derive(Default)]
struct Answer {
    json: Vec<u8>,
    entries: usize,
}

impl Answer {
    fn add(&mut self, entry: Option<Proven>) -> Result<(), RequestError> {
        let Some(entry) = entry else {
            return Ok(());
        };
        self.json.push(if self.entries == 0 { b'[' } else { b',' });
        entry.print(&mut self.json);
        self.entries += 1;
        if self.entries > 1 && self.json.len() > MAX_ANSWER {
            return Err(RequestError::LongAnswer(MAX_ANSWER));
        }
        Ok(())
    }

    fn finish(mut self) -> Vec<u8> {
        if self.entries == 0 {
            self.json.push(b'[');
        }
        self.json.push(b']');
        self.json
    }
}

/// A query within its bounds.
struct Checked<'a> {
    names: Vec<EntryRef>,
    indexes: Vec<u64>,
    entries: Vec<&'a RawValue>,
}

impl<'a> Checked<'a> {
    fn new(query: SearchLogQuery<'a>) -> Result<Self, RequestError> {
        check_length("entryUUIDs", query.entry_uuids.as_ref().map(Vec::len))?;
        let mut names = Vec::new();
        for (place, text) in query.entry_uuids.iter().flatten().enumerate() {
            names.push((place, text));
        }
        let names = names
            .into_iter()
            .map(|(place, text)| name(place, text))
            .collect::<Result<Vec<_>, _>>()?;
        check_length("logIndexes", query.log_indexes.as_ref().map(Vec::len))?;
        let indexes = query
            .log_indexes
            .iter()
            .flatten()
            .enumerate()
            .map(|(place, index)| number(place, *index))
            .collect::<Result<Vec<_>, _>>()?;
        let entries = query.entries.unwrap_or_default();
        if names.len() + indexes.len() + entries.len() > MAX_QUERY_ITEMS {
            return Err(RequestError::TooManyItems(MAX_QUERY_ITEMS));
        }
        let entries = entries
            .into_iter()
            .map(|entry| entry.ok_or_else(|| unparsable(&EntryError::Required("kind"))))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            names,
            indexes,
            entries,
        })
    }
}

fn check_length(list: &str, length: Option<usize>) -> Result<(), RequestError> {
    let (code, message) = match length {
        Some(0) => (612, format!("{list} in body should have at least 1 items")),
        Some(length) if length > MAX_QUERY_ITEMS => (
            611,
            format!("{list} in body should have at most {MAX_QUERY_ITEMS} items"),
        ),
        _ => return Ok(()),
    };
    Err(RequestError::Schema { code, message })
}

fn name(place: usize, text: &Text<'_>) -> Result<EntryRef, RequestError> {
    use wire::rekor::EntryIdError;
    text.parse().map_err(|error| match error {
        EntryIdError::Malformed => RequestError::Schema {
            code: 605,
            message: format!(
                "entryUUIDs.{place} in body should match '^([0-9a-fA-F]{{64}}|[0-9a-fA-F]{{80}})$'"
            ),
        },
        EntryIdError::ZeroTree | EntryIdError::TreeOverflow(_) => {
            RequestError::BadRequest(format!("invalid entryID {}", &**text))
        }
    })
}

fn number(place: usize, index: Option<i64>) -> Result<u64, RequestError> {
    let item = format!("logIndexes.{place}");
    let index = index.ok_or_else(|| RequestError::required(&item, "body"))?;
    u64::try_from(index).map_err(|_| RequestError::Schema {
        code: 609,
        message: format!("{item} in body should be greater than or equal to 0"),
    })
}

/// The leaf hash of an entry in the query, which is fully verified.
async fn leaf_hash(rekor: &Rekor, body: &Bytes, entry: &RawValue) -> Result<Hash, RequestError> {
    let json = body.slice_ref(entry.get().as_bytes());
    match rekor
        .work
        .verify(&json, Purpose::Find, entry_limits(rekor))
        .await
    {
        Ok(verified) => Ok(verified.leaf_hash),
        Err(RequestError::Entry(
            error @ (EntryError::Json(_)
            | EntryError::Required("kind")
            | EntryError::UnknownKind(_)),
        )) => Err(unparsable(&error)),
        Err(RequestError::Entry(error @ (EntryError::Required(_) | EntryError::VersionSyntax))) => {
            Err(error.into())
        }
        Err(RequestError::Entry(error)) => Err(RequestError::BadRequest(error.to_string())),
        Err(error) => Err(error),
    }
}

fn unparsable(error: &EntryError) -> RequestError {
    RequestError::BadRequest(format!(
        "parsing entry body from \"\" failed, because {error}"
    ))
}
