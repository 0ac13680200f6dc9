//! A generation before it is written down: whatever a key's backend may refuse happens here.

use std::time::Duration;

use keys::SharedSigner;
use pki::authority::{Issuer, Purpose, Role, Template};
use pki::chain::Chain;
use pki::name::Subject;

use crate::Error;
use crate::certify::{issue, request};
use crate::directory::role;
use crate::work::{BACKDATE, Work};

/// A signing certificate that would end sooner is not worth its publication.
const LEAST_LIFETIME: Duration = Duration::from_secs(7 * 86_400);

/// A key that certifies, with its own chain.
pub(crate) struct Certifier {
    signer: SharedSigner,
    chain: Chain,
}

impl Certifier {
    pub(crate) fn new(signer: SharedSigner, chain: Chain) -> Result<Self, Error> {
        if signer.public_key().spki_der() != chain.public_key().spki_der() {
            return Err(Error::Usage(
                "the root's key is not that of its certificate: name the key and the certificate of the same authority"
                    .to_owned(),
            ));
        }
        Ok(Self { signer, chain })
    }
}

/// What a generation is before it is written down.
pub(crate) enum Draft {
    Certified(Chain),
    /// A DER certificate signing request.
    Requested(Vec<u8>),
}

impl Draft {
    pub(crate) async fn of(
        work: &Work,
        purpose: Purpose,
        subject: &Subject,
        signer: &SharedSigner,
        certifier: Option<Certifier>,
        lifetime: Duration,
    ) -> Result<Self, Error> {
        let role = role(purpose);
        let Some(Certifier {
            signer: certifier,
            chain: above,
        }) = certifier
        else {
            return Ok(Self::Requested(request(role, subject, &**signer).await?));
        };
        let (from, until) = above.validity();
        let template = Template {
            role,
            subject: subject.clone(),
            not_before: (work.now() - BACKDATE).max(from),
            not_after: (work.now() + lifetime).min(until),
        };
        if template.not_after < work.now() + LEAST_LIFETIME {
            return Err(Error::Usage(
                "the signing certificate would end within a week, as the root does or --lifetime says: give it longer, or begin a new authority with a new root"
                    .to_owned(),
            ));
        }
        let issuer = Issuer::Certificate(above.first());
        let certificate = issue(&template, signer.public_key(), issuer, &*certifier).await?;
        let above = above.certificates().map(<[u8]>::to_vec);
        Chain::from_der(std::iter::once(certificate).chain(above).collect())
            .map(Self::Certified)
            .map_err(|source| Error::Chain {
                path: "the new chain".into(),
                source,
            })
    }
}

pub(crate) const fn title(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::CodeSigning => "code signing",
        Purpose::TimeStamping => "timestamping",
    }
}

/// Names tell the generations apart: some clients look for an issuer by its name.
pub(crate) fn subject(purpose: Purpose, organization: &str, number: u32) -> Subject {
    let name = match role(purpose) {
        Role::TimestampLeaf => title(purpose).to_owned(),
        _ => format!("{} intermediate", title(purpose)),
    };
    Subject {
        organization: organization.to_owned(),
        common_name: match number {
            1 => name,
            number => format!("{name} {number}"),
        },
    }
}
