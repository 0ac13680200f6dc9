//! What clients need to trust this deployment: the services' public material, and the files under
//! `trust/`.

use std::path::Path;
use std::time::Duration;

use wire::trust::{
    AuthorityMaterial, ClientTrustConfig, IdentityProviderMaterial, LogMaterial, RekorApi,
    RekorMaterial, ServiceMaterial, TimeRange, Timestamp, TrustError,
};

use super::announce::{Endpoints, shell_word};
use super::files::{self, FileError};
use super::layout::Layout;
use super::material::{Authority, BACKDATE, LogKey, Material};
use super::state::State;

/// Names this deployment apart from others in a client's signing config.
const OPERATOR: &str = "localhost";

/// Why trust material could not be written.
#[derive(Debug, thiserror::Error)]
pub enum TrustFilesError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A document that clients would refuse.
    #[error("trust material: {0}")]
    Refused(#[from] TrustError),
    /// The directory's age is no time that can be written down.
    #[error("state.json: created_ms: {0}")]
    Created(String),
}

/// The public half of every service.
///
/// It depends on what the directory remembers only, so every start publishes the same bytes.
pub fn services(
    state: &State,
    material: &Material,
    endpoints: &Endpoints,
) -> Result<ServiceMaterial, TrustFilesError> {
    let backdate = u64::try_from(Duration::as_millis(&BACKDATE)).unwrap_or(u64::MAX);
    let start = Timestamp::from_ms(state.created_ms.saturating_sub(backdate))
        .map_err(|error| TrustFilesError::Created(error.to_string()))?;
    let since = TimeRange::since(start);
    let authority = |url: String, authority: &Authority| AuthorityMaterial {
        url,
        chain: authority.chain.certificates().map(<[u8]>::to_vec).collect(),
        valid_for: None,
    };
    let log = |url: &str, log: &LogKey| LogMaterial {
        url: url.to_owned(),
        key: log.public.clone(),
        valid_for: since,
    };
    Ok(ServiceMaterial {
        operator: OPERATOR.to_owned(),
        fulcio: vec![authority(endpoints.fulcio.clone(), &material.fulcio)],
        ct_logs: vec![log(&endpoints.ct, &material.ct)],
        rekor: vec![RekorMaterial {
            log: log(&endpoints.rekor, &material.rekor),
            api: RekorApi::V1,
        }],
        timestamp: vec![authority(endpoints.timestamp(), &material.tsa)],
        identity_providers: vec![IdentityProviderMaterial {
            url: endpoints.oidc.clone(),
            valid_for: since,
        }],
    })
}

/// Writes the files under `trust/`. `root`: the first root of the TUF repository.
pub fn write_files(
    layout: &Layout,
    services: &ServiceMaterial,
    material: &Material,
    endpoints: &Endpoints,
    root: &[u8],
) -> Result<(), TrustFilesError> {
    let trusted_root = services.trusted_root()?;
    let signing_config = services.signing_config()?;
    let write = |name: &str, content: &[u8]| files::replace(&layout.trust().join(name), content);
    write("root.json", root)?;
    write("trusted_root.json", trusted_root.to_json().as_bytes())?;
    write(
        "signing_config.v0.2.json",
        signing_config.to_json().as_bytes(),
    )?;
    write(
        "client_trust_config.json",
        ClientTrustConfig::new(trusted_root, signing_config)
            .to_json()
            .as_bytes(),
    )?;
    write(
        "fulcio.pem",
        material.fulcio.chain.to_pem().concat().as_bytes(),
    )?;
    write("tsa.pem", material.tsa.chain.to_pem().concat().as_bytes())?;
    write("ctfe.pub", material.ct.public.to_pem().as_bytes())?;
    write("rekor.pub", material.rekor.public.to_pem().as_bytes())?;
    let trust = layout.trust();
    write(
        "client.env",
        cosign_environment(layout, endpoints).as_bytes(),
    )?;
    write(
        "gitsign.env",
        gitsign_environment(&trust, endpoints).as_bytes(),
    )?;
    Ok(())
}

/// For cosign 2, which takes the services' URLs by flag or variable, and trust from TUF.
fn cosign_environment(layout: &Layout, endpoints: &Endpoints) -> String {
    let trust = &layout.trust();
    // Whoever reads this is somewhere else, and perhaps without the program on their path.
    let program = std::env::current_exe().unwrap_or_else(|_| "sigkeep".into());
    let Endpoints {
        fulcio,
        rekor,
        oidc,
        tuf,
        ..
    } = endpoints;
    format!(
        "\
# For cosign 2.x:   set -a; . {this}; set +a
#
#   cosign sign-blob --yes --identity-token \"$({program} token --data-dir {data} --email …)\" --bundle b.json FILE
#   cosign verify-blob --bundle b.json --certificate-identity … --certificate-oidc-issuer {oidc} FILE
#
# cosign before 2.6 also needs, once:   cosign initialize --mirror {tuf} --root {root}
# Not for cosign 3: it takes the services from TUF and refuses them from here.
COSIGN_FULCIO_URL={fulcio}
COSIGN_REKOR_URL={rekor}
COSIGN_OIDC_ISSUER={oidc}
TUF_MIRROR={tuf}
TUF_ROOT_JSON={root}
",
        program = shell_word(&program.to_string_lossy()),
        data = shell_word(&layout.root().to_string_lossy()),
        this = quote(trust, "client.env"),
        root = quote(trust, "root.json"),
    )
}

/// For gitsign, which signs with what these files hold and verifies with what TUF holds.
fn gitsign_environment(trust: &Path, endpoints: &Endpoints) -> String {
    let Endpoints {
        fulcio,
        rekor,
        oidc,
        tuf,
        ..
    } = endpoints;
    format!(
        "\
# For gitsign:   set -a; . {this}; set +a
#                gitsign initialize --mirror {tuf} --root {root}
#
# Not for cosign: with these variables it does not read the trusted root from TUF.
GITSIGN_FULCIO_URL={fulcio}
GITSIGN_REKOR_URL={rekor}
GITSIGN_OIDC_ISSUER={oidc}
SIGSTORE_ROOT_FILE={ca}
SIGSTORE_CT_LOG_PUBLIC_KEY_FILE={ct}
SIGSTORE_REKOR_PUBLIC_KEY={log}
",
        this = quote(trust, "gitsign.env"),
        root = quote(trust, "root.json"),
        ca = quote(trust, "fulcio.pem"),
        ct = quote(trust, "ctfe.pub"),
        log = quote(trust, "rekor.pub"),
    )
}

fn quote(trust: &Path, name: &str) -> String {
    shell_word(&trust.join(name).to_string_lossy())
}
