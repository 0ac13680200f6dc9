//! What the trust root has to list before an authority signs.

use pki::authority::Purpose;
use pki::chain::Chain;
use wire::trust::{
    AuthorityMaterial, CertificateAuthority, ServiceMaterial, Timestamp, TrustError, TrustedRoot,
};

use crate::Error;

/// Checks a service's URL as clients and trust documents need it.
pub(crate) fn check_url(purpose: Purpose, url: &str) -> Result<(), TrustError> {
    match purpose {
        Purpose::CodeSigning => wire::trust::check_authority_url(url),
        Purpose::TimeStamping => wire::trust::check_timestamp_url(url),
    }
}

/// The entry of `certificateAuthorities` or `timestampAuthorities` for `chain`: valid from the start
/// of its newest certificate, without an end.
pub(crate) fn entry(
    purpose: Purpose,
    url: &str,
    chain: &Chain,
) -> Result<CertificateAuthority, Error> {
    let authority = vec![AuthorityMaterial {
        url: url.to_owned(),
        chain: chain.certificates().map(<[u8]>::to_vec).collect(),
        valid_for: None,
    }];
    let (fulcio, timestamp) = match purpose {
        Purpose::CodeSigning => (authority, Vec::new()),
        Purpose::TimeStamping => (Vec::new(), authority),
    };
    let root = ServiceMaterial {
        operator: String::new(),
        fulcio,
        ct_logs: Vec::new(),
        rekor: Vec::new(),
        timestamp,
        identity_providers: Vec::new(),
    }
    .trusted_root()?;
    authorities(purpose, &root)
        .first()
        .cloned()
        .ok_or_else(|| Error::Usage("the chain makes no entry of a trust root".to_owned()))
}

/// Whether `root` lets clients verify what is signed under `chain` at `now`; if not, why.
pub(crate) fn check_listed(
    purpose: Purpose,
    root: &TrustedRoot,
    chain: &Chain,
    now: Timestamp,
) -> Result<(), String> {
    let is_chain = |authority: &&CertificateAuthority| {
        let listed = authority.cert_chain.certificates.iter();
        listed
            .map(|certificate| certificate.raw_bytes.0.as_slice())
            .eq(chain.certificates())
    };
    let mut listed = authorities(purpose, root)
        .iter()
        .filter(is_chain)
        .peekable();
    if listed.peek().is_none() {
        return Err("the trust root does not list its chain".to_owned());
    }
    if listed.any(|authority| authority.valid_for.contains(now)) {
        return Ok(());
    }
    Err("the trust root lists its chain, but not as valid now (validFor)".to_owned())
}

fn authorities(purpose: Purpose, root: &TrustedRoot) -> &[CertificateAuthority] {
    match purpose {
        Purpose::CodeSigning => &root.certificate_authorities,
        Purpose::TimeStamping => &root.timestamp_authorities,
    }
}
