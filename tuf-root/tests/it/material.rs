//! Services as a deployment would describe them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crypto::PublicKey;
use keys::{Algorithm, FileSigner, Signer as _};
use pki::authority::{Issuer, Purpose, Role, Template, prepare};
use pki::name::Subject;
use wire::trust::{
    AuthorityMaterial, IdentityProviderMaterial, LogMaterial, RekorApi, RekorMaterial,
    ServiceMaterial, TimeRange, Timestamp,
};

/// Start of everything: 2026-01-01.
pub(crate) const EPOCH_SECS: u64 = 1_767_225_600;

const YEAR: Duration = Duration::from_secs(365 * 86_400);

pub(crate) fn since(offset_secs: u64) -> TimeRange {
    TimeRange::since(Timestamp::from_secs(EPOCH_SECS + offset_secs).unwrap())
}

/// A key that is made for nothing but its public half.
pub(crate) fn log_key(algorithm: Algorithm) -> PublicKey {
    FileSigner::generate(algorithm)
        .unwrap()
        .public_key()
        .clone()
}

/// A root, an intermediate, and for timestamps a leaf; signing end first.
pub(crate) async fn chain(purpose: Purpose) -> Vec<Vec<u8>> {
    let root_key = FileSigner::generate(Algorithm::EcdsaP256Sha256).unwrap();
    let intermediate_key = FileSigner::generate(Algorithm::EcdsaP256Sha256).unwrap();
    let leaf_key = FileSigner::generate(Algorithm::EcdsaP256Sha256).unwrap();
    let root = certificate(Role::Root, "root", &root_key, None).await;
    let role = Role::Intermediate { purpose };
    let intermediate = certificate(
        role,
        "intermediate",
        &intermediate_key,
        Some((&root, &root_key)),
    )
    .await;
    let issuer = Some((intermediate.as_slice(), &intermediate_key));
    match purpose {
        Purpose::CodeSigning => vec![intermediate, root],
        Purpose::TimeStamping => {
            let leaf = certificate(Role::TimestampLeaf, "timestamps", &leaf_key, issuer).await;
            vec![leaf, intermediate, root]
        }
    }
}

async fn certificate(
    role: Role,
    name: &str,
    key: &FileSigner,
    issuer: Option<(&[u8], &FileSigner)>,
) -> Vec<u8> {
    let not_before = UNIX_EPOCH + Duration::from_secs(EPOCH_SECS);
    let template = Template {
        role,
        subject: Subject {
            organization: "corp.example".into(),
            common_name: name.into(),
        },
        not_before,
        not_after: not_before
            + match role {
                Role::Root => 10 * YEAR,
                Role::Intermediate { .. } => 5 * YEAR,
                Role::TimestampLeaf => 4 * YEAR,
            },
    };
    let (der, signer) = match issuer {
        Some((der, signer)) => (Issuer::Certificate(der), signer),
        None => (Issuer::SelfSigned, key),
    };
    let unsigned = prepare(&template, key.public_key(), der).unwrap();
    let signature = signer.sign(unsigned.tbs()).await.unwrap();
    unsigned.finish(&signature).unwrap()
}

/// One of each service, on loopback.
pub(crate) async fn services() -> ServiceMaterial {
    let log = |url: &str| LogMaterial {
        url: url.into(),
        key: log_key(Algorithm::EcdsaP256Sha256),
        valid_for: since(0),
    };
    ServiceMaterial {
        operator: "corp.example".into(),
        fulcio: vec![AuthorityMaterial {
            url: "http://localhost:5555".into(),
            chain: chain(Purpose::CodeSigning).await,
            valid_for: None,
        }],
        ct_logs: vec![log("http://localhost:3000/ct")],
        rekor: vec![RekorMaterial {
            log: log("http://localhost:3000"),
            api: RekorApi::V1,
        }],
        timestamp: vec![AuthorityMaterial {
            url: "http://localhost:3004/api/v1/timestamp".into(),
            chain: chain(Purpose::TimeStamping).await,
            valid_for: None,
        }],
        identity_providers: vec![IdentityProviderMaterial {
            url: "http://localhost:8080".into(),
            valid_for: since(0),
        }],
    }
}

/// The start of [`EPOCH_SECS`], as a timestamp.
pub(crate) fn epoch() -> Timestamp {
    Timestamp::try_from(SystemTime::UNIX_EPOCH + Duration::from_secs(EPOCH_SECS)).unwrap()
}
