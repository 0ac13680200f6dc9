//! What a document changes for clients, in words.

use std::collections::{BTreeMap, BTreeSet};

use wire::trust::{
    Base64, CertificateAuthority, Service, SigningConfig, TimeRange, TransparencyLog, TrustedRoot,
};

use super::{Content, Proposal};
use crate::metadata::{KeyId, RoleName, Root, Sha256, TargetName, Targets};
use crate::trust::{SIGNING_CONFIG, SIGNING_CONFIG_REKOR_V2, TRUSTED_ROOT};

/// The summary of a proposal, one fact a line.
pub(super) fn summary(proposal: &Proposal) -> Vec<String> {
    match &proposal.content {
        Content::Root(document) => {
            let previous = proposal.previous_root.as_ref().map(|d| d.signed());
            root_changes(previous, document.signed())
        }
        Content::Targets(document) => {
            let previous = proposal.previous_targets.as_ref().map(|d| d.signed());
            targets_changes(previous, document.signed(), &proposal.contents)
        }
    }
}

/// What a new root changes for clients that have `previous`.
#[must_use]
pub fn root_changes(previous: Option<&Root>, next: &Root) -> Vec<String> {
    let mut lines = vec![format!(
        "root version {}, valid until {}",
        next.version, next.expires
    )];
    match previous {
        Some(old) => lines.push(format!(
            "replaces version {}, valid until {}",
            old.version, old.expires
        )),
        None => lines.push("the first root: clients are told its hash out of band".to_owned()),
    }
    let before = lines.len();
    for role in RoleName::ALL {
        let new = next.roles.get(role);
        let ids: BTreeSet<KeyId> = new.keyids.iter().copied().collect();
        let Some(old) = previous.map(|old| old.roles.get(role)) else {
            lines.push(format!("{role}: {} of {} keys", new.threshold, ids.len()));
            lines.extend(ids.iter().map(|id| format!("{role}: key {id}")));
            continue;
        };
        let known: BTreeSet<KeyId> = old.keyids.iter().copied().collect();
        if (old.threshold, known.len()) != (new.threshold, ids.len()) {
            lines.push(format!(
                "{role}: {} of {} keys must sign instead of {} of {}",
                new.threshold,
                ids.len(),
                old.threshold,
                known.len()
            ));
        }
        lines.extend(
            ids.difference(&known)
                .map(|id| format!("{role}: clients will accept key {id}")),
        );
        lines.extend(
            known
                .difference(&ids)
                .map(|id| format!("{role}: clients will no longer accept key {id}")),
        );
        if known.is_disjoint(&ids) && matches!(role, RoleName::Snapshot | RoleName::Timestamp) {
            lines.push(format!(
                "{role}: clients forget the versions that they have seen"
            ));
        }
    }
    if lines.len() == before {
        lines.push("the same keys and thresholds: only a longer validity".to_owned());
    }
    lines
}

/// What new targets change for clients that have `previous`. `contents` are the trust documents,
/// by hash; what is missing is said to be missing.
#[must_use]
pub fn targets_changes(
    previous: Option<&Targets>,
    next: &Targets,
    contents: &BTreeMap<Sha256, Vec<u8>>,
) -> Vec<String> {
    let mut lines = vec![format!(
        "targets version {}, valid until {}",
        next.version, next.expires
    )];
    let none = BTreeMap::new();
    let old = previous.map_or(&none, |old| &old.targets);
    if next.targets.is_empty() {
        lines.push("NO FILES: clients find nothing to verify with".to_owned());
    }
    let before = lines.len();
    for name in old.keys().filter(|name| !next.targets.contains_key(*name)) {
        lines.push(format!("{name}: removed"));
    }
    for (name, info) in &next.targets {
        let known = old.get(name);
        if known == Some(info) {
            continue;
        }
        let (hash, length) = (info.hashes.sha256, info.length);
        let done = if known.is_some() { "changed" } else { "added" };
        lines.push(format!("{name}: {done}, {length} bytes, SHA-256 {hash}"));
        if let Some(custom) = &info.custom {
            let (usage, status) = (custom.sigstore.usage, custom.sigstore.status);
            lines.push(format!(
                "{name}: older clients use it as {usage:?}, {status:?}"
            ));
        }
        let new = contents.get(&hash);
        let old = known.and_then(|known| contents.get(&known.hashes.sha256));
        if is_trust_document(name) {
            match new.and_then(|bytes| facts(name, bytes)) {
                Some(new) => {
                    let old = old.and_then(|bytes| facts(name, bytes)).unwrap_or_default();
                    lines.extend(
                        new.difference(&old)
                            .map(|fact| format!("{name}: now {fact}")),
                    );
                    lines.extend(
                        old.difference(&new)
                            .map(|fact| format!("{name}: no longer {fact}")),
                    );
                }
                None => lines.push(format!(
                    "{name}: its content cannot be shown here; check its hash"
                )),
            }
        }
    }
    if lines.len() == before {
        lines.push("the same files: only a longer validity".to_owned());
    }
    lines
}

/// Logs and authorities of `old` that `new` does not know at all. What they signed would no longer
/// verify.
#[must_use]
pub fn lost_anchors(old: &TrustedRoot, new: &TrustedRoot) -> Vec<String> {
    let anchors = |root: &TrustedRoot| -> BTreeSet<String> {
        let logs = root.tlogs.iter().chain(&root.ctlogs);
        let authorities = root
            .certificate_authorities
            .iter()
            .chain(&root.timestamp_authorities);
        logs.map(|log| format!("log {}", short(&log.log_id.key_id)))
            .chain(authorities.map(|a| format!("authority {} ({})", name_of(a), chain_hash(a))))
            .collect()
    };
    anchors(old).difference(&anchors(new)).cloned().collect()
}

pub(crate) fn is_trust_document(name: &TargetName) -> bool {
    [TRUSTED_ROOT, SIGNING_CONFIG, SIGNING_CONFIG_REKOR_V2].contains(&name.as_str())
}

/// What a trust document says, one fact each; `None` if it cannot be read.
fn facts(name: &TargetName, bytes: &[u8]) -> Option<BTreeSet<String>> {
    if name.as_str() != TRUSTED_ROOT {
        let config = SigningConfig::from_json(bytes).ok()?;
        let services = [
            ("certificate authority", &config.ca_urls),
            ("identity provider", &config.oidc_urls),
            ("log", &config.rekor_tlog_urls),
            ("timestamp authority", &config.tsa_urls),
        ];
        let fact = |kind: &str, s: &Service| {
            format!(
                "sign with the {kind} at {} (API {}), {}",
                s.url,
                s.major_api_version,
                time(&s.valid_for)
            )
        };
        let all = services
            .iter()
            .flat_map(|(kind, list)| list.iter().map(move |s| fact(kind, s)));
        return Some(all.collect());
    }
    let root = TrustedRoot::from_json(bytes).ok()?;
    let log = |kind: &'static str| {
        move |log: &TransparencyLog| {
            let (id, at) = (short(&log.log_id.key_id), time(&log.public_key.valid_for));
            format!("accept the {kind} {} with log id {id}, {at}", log.base_url)
        }
    };
    let authority = |kind: &'static str| {
        move |a: &CertificateAuthority| {
            let (name, hash, at) = (name_of(a), chain_hash(a), time(&a.valid_for));
            format!("accept the {kind} {name} at {}, chain {hash}, {at}", a.uri)
        }
    };
    Some(
        (root.tlogs.iter().map(log("transparency log")))
            .chain(root.ctlogs.iter().map(log("certificate log")))
            .chain(
                root.certificate_authorities
                    .iter()
                    .map(authority("certificate authority")),
            )
            .chain(
                root.timestamp_authorities
                    .iter()
                    .map(authority("timestamp authority")),
            )
            .collect(),
    )
}

fn time(range: &TimeRange) -> String {
    match range.end {
        Some(end) => format!("from {} to {end}", range.start),
        None => format!("from {} on", range.start),
    }
}

fn short(id: &Base64) -> String {
    hex::encode(&id.0).chars().take(16).collect()
}

/// The subject, on one line whatever it holds.
fn name_of(authority: &CertificateAuthority) -> String {
    let (organization, name) = (
        &authority.subject.organization,
        &authority.subject.common_name,
    );
    format!("{organization:?} {name:?}")
}

/// The first digits of the hash over all certificates of the chain.
fn chain_hash(authority: &CertificateAuthority) -> String {
    let all: Vec<u8> = authority
        .cert_chain
        .certificates
        .iter()
        .flat_map(|c| c.raw_bytes.0.iter().copied())
        .collect();
    Sha256::of(&all).to_string().chars().take(16).collect()
}
