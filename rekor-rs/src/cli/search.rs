//! `search`: the listing for people and scripts, page by page.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;
use wire::rekor::PublicKeyFormat;
use wire::rekor::listing::{ListedEntry, Page};
use wire::trust::Timestamp;

use crate::entry;

/// Longest answer that is read, in bytes.
const MAX_ANSWER: usize = 16 << 20;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Most entries of a page.
const PAGE: u64 = 500;

/// What to search for, and how to print it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rekor-rs search --identity dev@corp.example --since 2026-01-31T00:00:00Z
  rekor-rs search --artifact release.tar.gz --issuer https://idp.corp.example --json
Exit codes: 0 done (also if nothing was found), 1 the log did not answer, 2 wrong usage.")]
pub struct Arguments {
    /// The log
    #[arg(
        long,
        value_name = "URL",
        env = "REKOR_SERVER",
        default_value = "http://localhost:3000"
    )]
    url: Url,
    /// A name in the signer's certificate: e-mail address, URI, DNS name (may be repeated)
    #[arg(long, value_name = "NAME")]
    identity: Vec<String>,
    /// The OIDC issuer that the signer's certificate names
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// A digest: [sha256:]HEX of an artifact, payload or envelope (may be repeated)
    #[arg(long, value_name = "DIGEST")]
    hash: Vec<String>,
    /// A file, by its SHA-256 (may be repeated)
    #[arg(long, value_name = "FILE")]
    artifact: Vec<PathBuf>,
    /// The signer's key or certificate: PEM, SSH, minisign or OpenPGP (may be repeated)
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// Kind of entry: hashedrekord, dsse, intoto, …
    #[arg(long)]
    kind: Option<String>,
    /// One shard of the log
    #[arg(long, value_name = "ID")]
    tree: Option<i64>,
    /// Entries of this time or later: 2026-01-31T12:00:00Z, or seconds since 1970
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Entries of before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Any of the identities, digests and keys will do; all are needed if left out
    #[arg(long)]
    any: bool,
    /// Begin with the newest entry
    #[arg(long)]
    newest_first: bool,
    /// Most entries to print
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Print all entries, however many
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Print JSON, one entry a line
    #[arg(long)]
    json: bool,
    /// With --json: print the entries' bodies, too
    #[arg(long, requires = "json")]
    body: bool,
    /// PEM roots to trust besides the system's
    #[arg(long, value_name = "FILE")]
    ca_cert: Option<PathBuf>,
    /// File with an identity token, for logs that ask readers who they are
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Why a search failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum SearchError {
    #[error("{0}")]
    Usage(String),
    #[error("{path}: {source}")]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{url}: {reason}")]
    Server { url: Url, reason: String },
    #[error("{url} answered {status}: {message}")]
    Refused {
        url: Url,
        status: http::StatusCode,
        message: String,
    },
    #[error("output: {0}")]
    Output(#[from] std::io::Error),
}

impl SearchError {
    /// Whether the user has to change something.
    pub(super) fn is_usage(&self) -> bool {
        match self {
            Self::Usage(_) | Self::File { .. } => true,
            Self::Refused { status, .. } => matches!(status.as_u16(), 400 | 401 | 403 | 404 | 422),
            Self::Server { .. } | Self::Output(_) => false,
        }
    }
}

/// Searches and prints.
pub(super) async fn run(arguments: Arguments) -> Result<(), SearchError> {
    let log = Log::open(&arguments)?;
    let question = question(&arguments)?;
    let most = if arguments.all {
        u64::MAX
    } else {
        arguments.limit
    };
    let mut out = std::io::stdout().lock();
    let (mut printed, mut cursor) = (0, None);
    loop {
        let page = log
            .page(&question, cursor.as_deref(), PAGE.min(most - printed))
            .await?;
        for entry in &page.entries {
            if arguments.json {
                serde_json::to_writer(&mut out, entry).map_err(std::io::Error::from)?;
                writeln!(out)?;
            } else {
                if printed == 0 {
                    writeln!(
                        out,
                        "{}",
                        row("INDEX", "TIME", "KIND", "IDENTITY", "ISSUER", "HASH")
                    )?;
                }
                writeln!(out, "{}", line(entry))?;
            }
            printed += 1;
        }
        match page.next.filter(|_| page.more) {
            Some(_) if printed >= most => {
                eprintln!("there are more entries: use --limit or --all");
                return Ok(());
            }
            Some(next) => cursor = Some(next),
            None if printed == 0 => {
                eprintln!("no entry matches");
                return Ok(());
            }
            None => return Ok(()),
        }
    }
}

/// The parameters that every page is asked with.
fn question(arguments: &Arguments) -> Result<Vec<(&'static str, String)>, SearchError> {
    let mut question = Vec::new();
    let mut ask = |name, value: String| question.push((name, value));
    arguments
        .identity
        .iter()
        .for_each(|name| ask("identity", name.clone()));
    arguments
        .hash
        .iter()
        .for_each(|hash| ask("hash", hash.clone()));
    for path in &arguments.artifact {
        ask(
            "hash",
            format!("sha256:{}", hex::encode(crypto::sha256(&read(path)?))),
        );
    }
    for path in &arguments.key {
        ask("key", hex::encode(crypto::sha256(&canonical_key(path)?)));
    }
    let single = [
        ("issuer", arguments.issuer.clone()),
        ("kind", arguments.kind.clone()),
        ("treeID", arguments.tree.map(|tree| tree.to_string())),
        ("since", arguments.since.clone()),
        ("until", arguments.until.clone()),
        ("operator", arguments.any.then(|| "or".to_owned())),
        ("order", arguments.newest_first.then(|| "desc".to_owned())),
        ("body", arguments.body.then(|| "true".to_owned())),
    ];
    for (name, value) in single {
        if let Some(value) = value {
            ask(name, value);
        }
    }
    Ok(question)
}

/// The canonical form of a key in any of the formats that have one.
fn canonical_key(path: &Path) -> Result<Vec<u8>, SearchError> {
    let text = read(path)?;
    let formats = [
        PublicKeyFormat::X509,
        PublicKeyFormat::Ssh,
        PublicKeyFormat::Minisign,
        PublicKeyFormat::Pgp,
    ];
    formats
        .into_iter()
        .find_map(|format| entry::canonical_key(format, &text)?.ok())
        .ok_or_else(|| {
            SearchError::Usage(format!(
                "--key {}: not a public key or certificate in PEM, SSH, minisign or OpenPGP form",
                path.display()
            ))
        })
}

fn read(path: &Path) -> Result<Vec<u8>, SearchError> {
    std::fs::read(path).map_err(|source| SearchError::File {
        path: path.to_owned(),
        source,
    })
}

/// The log that is asked.
struct Log {
    url: Url,
    client: reqwest::Client,
    token: Option<String>,
}

impl Log {
    fn open(arguments: &Arguments) -> Result<Self, SearchError> {
        let text = |path: &PathBuf| -> Result<String, SearchError> {
            Ok(String::from_utf8_lossy(&read(path)?).into_owned())
        };
        let roots: Option<String> = arguments.ca_cert.as_ref().map(text).transpose()?;
        let token: Option<String> = arguments.token_file.as_ref().map(text).transpose()?;
        let client = oidc::http_client(&arguments.url, roots.as_deref())
            .map_err(|reason| SearchError::Usage(format!("--ca-cert: {reason}")))?;
        let mut url = arguments.url.clone();
        if url.cannot_be_a_base() || !matches!(url.scheme(), "http" | "https") {
            return Err(SearchError::Usage(format!(
                "--url {url}: write http(s)://HOST"
            )));
        }
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/api/sigkeep/v1/entries"));
        url.set_query(None);
        Ok(Self { url, client, token })
    }

    async fn page(
        &self,
        question: &[(&'static str, String)],
        cursor: Option<&str>,
        limit: u64,
    ) -> Result<Page, SearchError> {
        let mut url = self.url.clone();
        {
            let mut query = url.query_pairs_mut();
            query
                .extend_pairs(question)
                .append_pair("limit", &limit.to_string());
            if let Some(cursor) = cursor {
                query.append_pair("cursor", cursor);
            }
        }
        let failed = |reason: String| SearchError::Server {
            url: self.url.clone(),
            reason,
        };
        let mut request = self.client.get(url).timeout(PATIENCE);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.trim());
        }
        let mut response = request
            .send()
            .await
            .map_err(|error| failed(oidc::describe(error)))?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| failed(oidc::describe(error)))?
        {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(failed(format!(
                    "the answer is longer than {MAX_ANSWER} bytes"
                )));
            }
            body.extend_from_slice(&chunk);
        }
        if status != http::StatusCode::OK {
            return Err(SearchError::Refused {
                url: self.url.clone(),
                status,
                message: message(&body),
            });
        }
        serde_json::from_slice(&body)
            .map_err(|error| failed(format!("not the answer of such a log: {error}")))
    }
}

/// The message of an error's body, or its beginning.
fn message(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Error {
        message: String,
    }
    let text = match serde_json::from_slice::<Error>(body) {
        Ok(error) => error.message,
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    printable(&text).chars().take(1000).collect()
}

fn line(entry: &ListedEntry) -> String {
    let time = Timestamp::from_secs(entry.integrated_time).map_or_else(
        |_| entry.integrated_time.to_string(),
        |time| time.to_string(),
    );
    let identities: Vec<&str> = entry
        .signers
        .iter()
        .flat_map(|signer| &signer.identities)
        .map(String::as_str)
        .collect();
    let identity = match (identities.as_slice(), entry.signers.first()) {
        ([], Some(signer)) => format!("key {:.16}…", signer.key),
        ([], None) => "-".to_owned(),
        (identities, _) => identities.join(","),
    };
    let issuer = entry
        .signers
        .iter()
        .find_map(|signer| signer.issuer.as_deref());
    let hash = entry.hashes.first().map_or("-", String::as_str);
    row(
        &entry.log_index.to_string(),
        &time,
        &entry.kind,
        &identity,
        issuer.unwrap_or("-"),
        hash,
    )
}

fn row(index: &str, time: &str, kind: &str, identity: &str, issuer: &str, hash: &str) -> String {
    let row = format!("{index:>9}  {time:<20}  {kind:<12}  {identity:<32}  {issuer:<32}  {hash}");
    printable(&row)
}

/// Without what would command a terminal: names in certificates are anybody's.
fn printable(text: &str) -> String {
    let replaced = text
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c });
    replaced.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::rekor::listing::ListedSigner;

    #[test]
    fn names_do_not_command_the_terminal() {
        let entry = ListedEntry {
            api_version: "0.0.1".to_owned(),
            body: None,
            entry: String::new(),
            hashes: vec!["sha256:ab".to_owned()],
            integrated_time: 1_769_860_800,
            kind: "hashedrekord".to_owned(),
            log_index: 7,
            signers: vec![ListedSigner {
                identities: vec!["a\u{1b}[2Jb\n".to_owned()],
                issuer: None,
                key: String::new(),
            }],
            tree_id: String::new(),
            uuid: String::new(),
        };
        let line = line(&entry);
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert!(line.contains("2026-01-31T12:00:00Z"), "{line:?}");
    }
}
