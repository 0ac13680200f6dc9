//! `sigkeep token`: an identity token of the development issuer.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clock::{Clock, SystemClock};
use serde_json::{Map, Value};

use crate::oidc::{Claims, Email, Shape, TOKEN_LIFETIME, parse_claim};
use crate::up::layout::{LayoutError, oidc_key};
use crate::up::ports::Endpoint;
use crate::up::state::State;
use crate::up::{MaterialError, material};

/// Print an identity token of the development issuer
///
/// The token is signed with the issuer's key in the data directory, for audience `sigstore`, and
/// is valid for ten minutes. `sigkeep up` accepts it while it runs.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cosign sign-blob --identity-token \"$(sigkeep token --email dev@corp.example)\" …
  sigkeep token --issuer github --claim repository=corp/app --claim ref=refs/tags/v1
  sigkeep token --email dev@corp.example --claim email_verified=false")]
pub struct Arguments {
    /// Data directory of `sigkeep up`
    #[arg(
        long,
        value_name = "DIR",
        env = "SIGKEEP_DATA_DIR",
        default_value = "./sigkeep-data"
    )]
    data_dir: PathBuf,

    /// Who signs; for the issuer `email`
    #[arg(long, value_name = "NAME@HOST")]
    email: Option<Email>,

    /// Which kind of identity; all but `email` come with example claims
    #[arg(long, value_enum, default_value = "email")]
    issuer: Shape,

    /// Add or replace a claim; VALUE is JSON if it parses (7, true, {"a":1}), else a string; null removes
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = parse_claim)]
    claims: Vec<(String, Value)>,

    /// Print {"token", "issuer", "expires_in"} as JSON
    #[arg(long)]
    json: bool,
}

/// Why no token was printed.
#[derive(Debug, thiserror::Error)]
enum TokenError {
    #[error("--email goes with --issuer email; for another claim set, use --claim email=…")]
    EmailOfWorkload,
    #[error(
        "whose token? For example: sigkeep token --email dev@corp.example, or sigkeep token --issuer github"
    )]
    NoEmail,
    #[error(transparent)]
    Layout(#[from] LayoutError),
    #[error(transparent)]
    Key(#[from] MaterialError),
    #[error(transparent)]
    Sign(#[from] crate::oidc::IssuerKeyError),
}

/// Prints the token.
pub fn run(arguments: Arguments) -> ExitCode {
    let Arguments {
        data_dir,
        email,
        issuer,
        claims,
        json,
    } = arguments;
    let minted = request(email, issuer, claims).and_then(|claims| mint(&data_dir, &claims));
    match minted {
        Ok((token, base)) => {
            let answer = match json {
                true => serde_json::json!({
                    "token": token,
                    "issuer": issuer.issuer_url(&base),
                    "expires_in": TOKEN_LIFETIME.as_secs(),
                })
                .to_string(),
                false => token,
            };
            // Fails if the reader went away.
            match writeln!(std::io::stdout(), "{answer}") {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::from(1),
            }
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn request(
    email: Option<Email>,
    shape: Shape,
    extra: Vec<(String, Value)>,
) -> Result<Claims, TokenError> {
    let claims = match (Claims::of_workload(shape), email) {
        (None, Some(email)) => Claims::of_email(email),
        (None, None) => return Err(TokenError::NoEmail),
        (Some(claims), None) => claims,
        (Some(_), Some(_)) => return Err(TokenError::EmailOfWorkload),
    };
    Ok(claims.with(extra.into_iter().collect::<Map<_, _>>()))
}

/// The token, and the base URL of the issuers.
fn mint(data_dir: &Path, claims: &Claims) -> Result<(String, String), TokenError> {
    let base = State::of(data_dir)?.ports.base(Endpoint::Oidc);
    let key = material::read_oidc_key(&oidc_key(data_dir))?;
    let token = key.sign(&claims.to_json(&base, SystemClock::default().now_secs()))?;
    Ok((token, base))
}
