//! `/api/sigkeep/v1/entries`: this log's own listing; `docs/listing.md` is its description.

use axum::response::Response;
use http::{StatusCode, Uri};
use logstore::{LogId, Order};
use wire::rekor::Operator;
use wire::trust::Timestamp;

use super::parameters::Parameters;
use super::{Rekor, json};
use crate::error::RequestError;
use crate::search::{self, Cursor, Filter, MAX_LIMIT, Term};

/// The resource's path.
pub(super) const PATH: &str = "/api/sigkeep/v1/entries";

/// Entries of a page, if the client does not say.
const DEFAULT_LIMIT: u64 = 100;

/// Most identities, hashes and keys of a question.
const MAX_TERMS: usize = 16;

/// Longest value of a parameter, in bytes.
const MAX_VALUE: usize = 2048;

const PARAMETERS: &[&str] = &[
    "body", "cursor", "hash", "identity", "issuer", "key", "kind", "limit", "operator", "order",
    "since", "treeID", "until",
];

/// `GET /api/sigkeep/v1/entries`
pub(super) async fn list(rekor: &Rekor, uri: &Uri) -> Result<Response, RequestError> {
    let asked = Asked::parse(uri)?;
    // A page may be much work; those beyond a few wait.
    let _turn = rekor
        .pages
        .acquire()
        .await
        .map_err(|_| RequestError::Overloaded)?;
    let trees = rekor.trees().await?;
    if let Some(only) = asked.filter.tree
        && !trees.iter().any(|tree| tree.log == only)
    {
        return Err(RequestError::BadRequest(format!(
            "no log range found for tree ID {only}"
        )));
    }
    let page = search::list(
        rekor.store.as_ref(),
        &trees,
        &asked.filter,
        asked.order,
        asked.cursor,
        asked.limit,
        asked.body,
    )
    .await?;
    let mut body = Vec::with_capacity(page.entries.len() + 128);
    body.extend_from_slice(b"{\"entries\":[");
    body.extend_from_slice(&page.entries);
    body.extend_from_slice(format!("],\"more\":{}", page.more).as_bytes());
    if let Some(next) = page.next {
        body.extend_from_slice(format!(",\"next\":\"{next}\"").as_bytes());
    }
    body.push(b'}');
    Ok(json(StatusCode::OK, body))
}

/// A question within its bounds.
struct Asked {
    filter: Filter,
    order: Order,
    cursor: Option<Cursor>,
    limit: usize,
    body: bool,
}

impl Asked {
    fn parse(uri: &Uri) -> Result<Self, RequestError> {
        let parameters = Parameters::of(uri);
        // A filter that is ignored would be answered with everything.
        if let Some(unknown) = parameters.other_than(PARAMETERS) {
            return Err(RequestError::BadRequest(format!(
                "{:?} in query is unknown; there are {}",
                unknown.chars().take(64).collect::<String>(),
                PARAMETERS.join(", ")
            )));
        }
        let filter = Filter {
            terms: terms(&parameters)?,
            operator: match parameters.get("operator") {
                None => Operator::And,
                Some(name) => {
                    Operator::from_name(name).ok_or_else(|| listed("operator", "and or"))?
                }
            },
            issuer: parameters
                .get("issuer")
                .map(short)
                .transpose()?
                .map(str::to_owned),
            kind: match parameters.get("kind") {
                Some(kind) if !crate::entry::is_kind(kind) => {
                    return Err(RequestError::Schema {
                        code: 606,
                        message: "kind in query is not one of the kinds of entry".to_owned(),
                    });
                }
                kind => kind.map(str::to_owned),
            },
            tree: tree(&parameters)?,
            since_ms: time(&parameters, "since")?,
            until_ms: time(&parameters, "until")?,
        };
        let order = match parameters.get("order") {
            None | Some("asc") => Order::Ascending,
            Some("desc") => Order::Descending,
            Some(_) => return Err(listed("order", "asc desc")),
        };
        let cursor: Option<Cursor> = match parameters.get("cursor") {
            None => None,
            Some(text) => Some(text.parse().map_err(search::SearchError::from)?),
        };
        if let Some(cursor) = cursor
            && (cursor.order != order || cursor.filter != filter.digest())
        {
            return Err(RequestError::BadRequest(
                "cursor in query is of another question; send the parameters that it was given for, or begin again without it".to_owned(),
            ));
        }
        let limit = parameters.number("limit", 1)?.unwrap_or(DEFAULT_LIMIT);
        if limit > MAX_LIMIT {
            return Err(RequestError::Schema {
                code: 608,
                message: format!("limit in query should be less than or equal to {MAX_LIMIT}"),
            });
        }
        Ok(Self {
            filter,
            order,
            cursor,
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            body: match parameters.get("body") {
                None | Some("false") => false,
                Some("true") => true,
                Some(_) => return Err(listed("body", "true false")),
            },
        })
    }
}

fn terms(parameters: &Parameters) -> Result<Vec<Term>, RequestError> {
    let mut terms = Vec::new();
    for name in parameters.all("identity") {
        terms.push(Term::identity(short(name)?));
    }
    for hash in parameters.all("hash") {
        terms.push(Term::hash(hash).ok_or_else(|| RequestError::Schema {
            code: 605,
            message: "hash in query should be hexadecimal digits of SHA-1, SHA-256 or SHA-512, which `sha1:`, `sha256:` or `sha512:` may come before".to_owned(),
        })?);
    }
    for key in parameters.all("key") {
        let mut digest = [0; 32];
        hex::decode_to_slice(key, &mut digest).map_err(|_| RequestError::Schema {
            code: 605,
            message: "key in query should be the 64 hexadecimal digits of SHA-256 of a key or certificate in PEM".to_owned(),
        })?;
        terms.push(Term::signer(&digest));
    }
    if terms.len() > MAX_TERMS {
        return Err(RequestError::BadRequest(format!(
            "more than {MAX_TERMS} identities, hashes and keys in query"
        )));
    }
    Ok(terms)
}

fn tree(parameters: &Parameters) -> Result<Option<LogId>, RequestError> {
    let Some(text) = parameters.tree_id()? else {
        return Ok(None);
    };
    let tree = text
        .parse()
        .map_err(|_| RequestError::BadRequest(format!("invalid tree ID specified: {text:.64}")))?;
    Ok(Some(LogId(tree)))
}

/// A time in ms since the Unix epoch, from whole seconds since then or RFC 3339.
fn time(parameters: &Parameters, name: &str) -> Result<Option<u64>, RequestError> {
    let Some(text) = parameters.get(name) else {
        return Ok(None);
    };
    let time = match text.parse::<u64>() {
        Ok(seconds) => Timestamp::from_secs(seconds),
        Err(_) => text.parse::<Timestamp>(),
    };
    time.map(|time| Some(time.as_ms()))
        .map_err(|error| RequestError::Schema {
            code: 601,
            message: format!("{name} in query is neither seconds since 1970 nor a time: {error}"),
        })
}

fn short(text: &str) -> Result<&str, RequestError> {
    match text.len() {
        0..=MAX_VALUE => Ok(text),
        _ => Err(RequestError::Schema {
            code: 603,
            message: format!("identity and issuer in query should be at most {MAX_VALUE} bytes"),
        }),
    }
}

fn listed(name: &str, values: &str) -> RequestError {
    RequestError::Schema {
        code: 606,
        message: format!("{name} in query should be one of [{values}]"),
    }
}
