//! The size of the pool, as part of the database's URL: `postgres://…/log?pool_max_conns=32`.

use logstore::StoreError;
use url::Url;

/// The parameter; Go's clients of PostgreSQL know it by the same name.
const PARAMETER: &str = "pool_max_conns";

/// PostgreSQL itself takes no more.
const LIMIT: u32 = 262_143;

/// Takes the parameter out of a URL, which the driver would not know what to do with.
pub(crate) fn take_size(url: &str) -> Result<(String, Option<u32>), StoreError> {
    // What is no URL is reported by the driver's own parser.
    let Ok(mut parsed) = Url::parse(url) else {
        return Ok((url.to_owned(), None));
    };
    let (ours, others): (Vec<_>, Vec<_>) = parsed
        .query_pairs()
        .into_owned()
        .partition(|(name, _)| name == PARAMETER);
    let Some((_, value)) = ours.last() else {
        return Ok((url.to_owned(), None));
    };
    let size = value
        .parse()
        .ok()
        .filter(|size| (2..=LIMIT).contains(size))
        .ok_or_else(|| {
            StoreError::Address(format!(
                "{PARAMETER} is a number of connections, at least 2: one writes, the others read"
            ))
        })?;
    parsed.set_query(None);
    if !others.is_empty() {
        parsed.query_pairs_mut().extend_pairs(others);
    }
    Ok((parsed.into(), Some(size)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_taken_out_and_everything_else_stays() {
        for (url, expected) in [
            (
                "postgres://u:p%40@h:5/db?pool_max_conns=8",
                "postgres://u:p%40@h:5/db",
            ),
            (
                "postgres://u@h/db?sslmode=require&pool_max_conns=8&host=%2Frun",
                "postgres://u@h/db?sslmode=require&host=%2Frun",
            ),
            (
                "postgres:///db?pool_max_conns=9&pool_max_conns=8",
                "postgres:///db",
            ),
        ] {
            assert_eq!(take_size(url).unwrap(), (expected.to_owned(), Some(8)));
        }
        for url in [
            "postgres://u@h/db",
            "postgres://u@[::1]/db?sslmode=require",
            "no url",
        ] {
            assert_eq!(take_size(url).unwrap(), (url.to_owned(), None));
        }
    }

    #[test]
    fn a_size_that_cannot_be_is_refused_without_the_url() {
        for size in ["0", "1", "-3", "x", "", "99999999999"] {
            let url = format!("postgres://u:secret@h/db?pool_max_conns={size}");
            let error = take_size(&url).unwrap_err().to_string();
            assert!(
                error.contains("at least 2") && !error.contains("secret"),
                "{error}"
            );
        }
    }
}
