//! Manifests for what verifies images in a cluster: policy-controller, Kyverno, Flux.
//!
//! Field names: `policy.sigstore.dev` v1alpha1 and v1beta1, `kyverno.io/v1`,
//! `policies.kyverno.io/v1`, `source.toolkit.fluxcd.io/v1`.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use der::pem::{LineEnding, encode_string};
use serde_json::{Value, json};
use wire::trust::{CertificateAuthority, ChainCertificate, Timestamp, TransparencyLog};
use x509_cert::der;

use super::{Export, ExportError, yaml};
use crate::airgap::pack_gzip;
use crate::trust::turn;

/// What cosign 3 attests when it signs an image.
const SIGNATURE: &str = "https://sigstore.dev/cosign/sign/v1";

/// Whose signatures on which images a cluster admits, and under which names.
#[derive(Clone, Debug)]
pub struct Admission {
    /// Name of the objects.
    pub name: String,
    /// Namespace of those that have one.
    pub namespace: String,
    /// Images, as a pattern such as `registry.corp.example/**`.
    pub images: String,
    /// Issuer in the certificate.
    pub issuer: String,
    /// Subject in the certificate.
    pub subject: String,
    /// Form of the signatures.
    pub format: SignatureFormat,
}

/// How signatures lie beside an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum SignatureFormat {
    /// Sigstore bundles, as cosign 3 writes.
    Bundle,
    /// The older form, as cosign 2 writes.
    Legacy,
}

impl Export {
    /// policy-controller `TrustRoot` that follows the mirror.
    #[must_use]
    pub fn trust_root_remote(&self, name: &str, mirror: &str) -> String {
        let spec = json!({ "remote": {
            "mirror": mirror.trim_end_matches('/'),
            "root": STANDARD.encode(&self.root_json),
            "targets": "targets",
            "trustedRootTarget": "trusted_root.json",
        }});
        trust_root(name, &spec)
    }

    /// policy-controller `TrustRoot` that carries the whole repository. It expires as the
    /// repository does.
    pub fn trust_root_repository(&self, name: &str) -> Result<String, ExportError> {
        let inside =
            |(path, content): (&String, &Vec<u8>)| (format!("repository/{path}"), content.clone());
        let files = self.tree.files.iter().map(inside).collect();
        let spec = json!({ "repository": {
            "mirrorFS": STANDARD.encode(pack_gzip(&files)?),
            "root": STANDARD.encode(&self.root_json),
            "targets": "targets",
            "trustedRootTarget": "trusted_root.json",
        }});
        Ok(trust_root(name, &spec))
    }

    /// policy-controller `TrustRoot` that carries keys and certificates. It never expires and
    /// never learns of new ones. The controller takes ECDSA log keys only, and refuses the whole
    /// object for any other.
    pub fn trust_root_keys(&self, name: &str) -> Result<String, ExportError> {
        let root = &self.trusted_root;
        for log in &root.tlogs {
            let kind = log.key()?.kind();
            if !matches!(
                kind,
                crypto::KeyKind::EcdsaP256 | crypto::KeyKind::EcdsaP384
            ) {
                return Err(ExportError::LogKey(log.base_url.clone()));
            }
        }
        let spec = json!({ "sigstoreKeys": {
            "certificateAuthorities": authorities(&root.certificate_authorities)?,
            "ctLogs": logs(&root.ctlogs)?,
            "tLogs": logs(&root.tlogs)?,
            "timestampAuthorities": authorities(&root.timestamp_authorities)?,
        }});
        Ok(trust_root(name, &spec))
    }

    /// policy-controller `ClusterImagePolicy` that uses the `TrustRoot` of the same name. For bundles
    /// that has to be one of the forms with a repository: policy-controller 0.13 loses the log ids of
    /// the form with keys, and then finds no log for a certificate's SCT.
    pub fn cluster_image_policy(
        &self,
        admission: &Admission,
        now: Timestamp,
    ) -> Result<String, ExportError> {
        let name = &admission.name;
        let ca = in_use(&self.trusted_root.certificate_authorities, now)?;
        let mut authority = json!({
            "name": name,
            "keyless": {
                "url": ca.uri,
                "identities": [{ "issuer": admission.issuer, "subject": admission.subject }],
                "trustRootRef": name,
            },
            "ctlog": { "trustRootRef": name },
        });
        if let (Some(members), Some(log)) = (
            authority.get_mut("ctlog").and_then(Value::as_object_mut),
            self.signing_config.rekor_tlog_urls.first(),
        ) {
            members.insert("url".to_owned(), json!(log.url));
        }
        if let Some(members) = authority.as_object_mut() {
            if !self.trusted_root.timestamp_authorities.is_empty() {
                members.insert(
                    "rfc3161timestamp".to_owned(),
                    json!({ "trustRootRef": name }),
                );
            }
            if admission.format == SignatureFormat::Bundle {
                members.insert("signatureFormat".to_owned(), json!("bundle"));
                // A bundle beside an image is an attestation that it was signed, and that is how
                // policy-controller 0.13 reads it; as a signature it refuses every bundle.
                let signature = json!({ "name": "signature", "predicateType": SIGNATURE });
                members.insert("attestations".to_owned(), json!([signature]));
            }
        }
        Ok(yaml::print(&json!({
            "apiVersion": "policy.sigstore.dev/v1beta1",
            "kind": "ClusterImagePolicy",
            "metadata": { "name": name },
            "spec": { "images": [{ "glob": admission.images }], "authorities": [authority] },
        })))
    }

    /// Kyverno `ClusterPolicy`. For bundles Kyverno takes the trust root from TUF: start its
    /// controllers with `--enableTuf --tufMirror --tufRoot`.
    pub fn kyverno_cluster_policy(
        &self,
        admission: &Admission,
        now: Timestamp,
    ) -> Result<String, ExportError> {
        let mut keyless = json!({ "issuer": admission.issuer, "subject": admission.subject });
        let kind = match admission.format {
            SignatureFormat::Bundle => "SigstoreBundle",
            SignatureFormat::Legacy => {
                let (rekor, url) = self.rekor(now)?;
                let mut ctlog = json!({ "pubkey": key(self.ct_log(now)?)? });
                if let (Some(members), Ok(tsa)) = (
                    ctlog.as_object_mut(),
                    in_use(&self.trusted_root.timestamp_authorities, now),
                ) {
                    members.insert("tsaCertChain".to_owned(), json!(chain(tsa)?));
                }
                let roots = chains(&self.trusted_root.certificate_authorities)?;
                if let Some(members) = keyless.as_object_mut() {
                    members.insert("roots".to_owned(), json!(roots));
                    members.insert("rekor".to_owned(), json!({ "url": url, "pubkey": rekor }));
                    members.insert("ctlog".to_owned(), ctlog);
                }
                "Cosign"
            }
        };
        Ok(yaml::print(&json!({
            "apiVersion": "kyverno.io/v1",
            "kind": "ClusterPolicy",
            "metadata": { "name": admission.name },
            "spec": {
                "background": false,
                "webhookTimeoutSeconds": 30,
                "rules": [{
                    "name": "signed",
                    "match": { "any": [{ "resources": { "kinds": ["Pod"] } }] },
                    "verifyImages": [{
                        "imageReferences": [admission.images],
                        "failureAction": "Enforce",
                        "type": kind,
                        "attestors": [{ "entries": [{ "keyless": keyless }] }],
                    }],
                }],
            },
        })))
    }

    /// Kyverno `ImageValidatingPolicy` with the trusted root inline.
    #[must_use]
    pub fn kyverno_image_validating_policy(&self, admission: &Admission) -> String {
        yaml::print(&json!({
            "apiVersion": "policies.kyverno.io/v1",
            "kind": "ImageValidatingPolicy",
            "metadata": { "name": admission.name },
            "spec": {
                "failurePolicy": "Fail",
                "validationActions": ["Deny"],
                "matchConstraints": { "resourceRules": [{
                    "apiGroups": [""],
                    "apiVersions": ["v1"],
                    "operations": ["CREATE", "UPDATE"],
                    "resources": ["pods"],
                }]},
                "matchImageReferences": [{ "glob": admission.images }],
                "attestors": [{
                    "name": "sigstore",
                    "cosign": {
                        "keyless": { "identities": [{
                            "issuer": admission.issuer,
                            "subject": admission.subject,
                        }]},
                        "trustedRoot": { "value": self.trusted_root.to_json() },
                    },
                }],
                "validations": [{
                    "expression": "images.containers.map(image, verifyImageSignatures(image, [attestors.sigstore])).all(count, count > 0)",
                    "message": "the image is not signed by the required identity",
                }],
            },
        }))
    }

    /// Flux: the Secret that an `OCIRepository` refers to.
    #[must_use]
    pub fn flux_secret(&self, name: &str, namespace: &str) -> String {
        yaml::print(&json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": name, "namespace": namespace },
            "type": "Opaque",
            "stringData": { "trusted_root.json": self.trusted_root.to_json() },
        }))
    }

    /// Flux: an `OCIRepository` that verifies with that Secret. Issuer and subject are regular
    /// expressions there, so they are escaped and anchored.
    #[must_use]
    pub fn flux_oci_repository(admission: &Admission) -> String {
        let exactly = |text: &str| format!("^{}$", escape(text));
        let url = admission.images.trim_end_matches(['*', '/']);
        yaml::print(&json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "OCIRepository",
            "metadata": { "name": admission.name, "namespace": admission.namespace },
            "spec": {
                "interval": "10m",
                "url": format!("oci://{url}"),
                "ref": { "tag": "latest" },
                "verify": {
                    "provider": "cosign",
                    "trustedRootSecretRef": { "name": admission.name },
                    "matchOIDCIdentity": [{
                        "issuer": exactly(&admission.issuer),
                        "subject": exactly(&admission.subject),
                    }],
                },
            },
        }))
    }

    /// PEM key and URL of the Rekor v1 log.
    pub(super) fn rekor(&self, now: Timestamp) -> Result<(String, String), ExportError> {
        if let Some(pem) = &self.rekor_pub {
            let log = self
                .trusted_root
                .tlogs
                .iter()
                .rev()
                .find(|log| key(log).is_ok_and(|k| k == *pem));
            let log = log.ok_or(ExportError::Nothing("Rekor log of rekor.pub"))?;
            return Ok((pem.clone(), log.base_url.clone()));
        }
        let log = log_in_use(&self.trusted_root.tlogs, now, "Rekor log")?;
        Ok((key(log)?, log.base_url.clone()))
    }

    pub(super) fn ct_log(&self, now: Timestamp) -> Result<&TransparencyLog, ExportError> {
        log_in_use(
            &self.trusted_root.ctlogs,
            now,
            "Certificate Transparency log",
        )
    }
}

fn trust_root(name: &str, spec: &Value) -> String {
    yaml::print(&json!({
        "apiVersion": "policy.sigstore.dev/v1alpha1",
        "kind": "TrustRoot",
        "metadata": { "name": name },
        "spec": spec,
    }))
}

/// Every authority, past ones too: what they signed still verifies.
fn authorities(list: &[CertificateAuthority]) -> Result<Vec<Value>, ExportError> {
    let entry = |authority: &CertificateAuthority| {
        Ok(json!({
            "subject": {
                "organization": authority.subject.organization,
                "commonName": authority.subject.common_name,
            },
            "uri": authority.uri,
            "certChain": STANDARD.encode(chain(authority)?),
        }))
    };
    list.iter().map(entry).collect()
}

fn logs(list: &[TransparencyLog]) -> Result<Vec<Value>, ExportError> {
    let entry = |log: &TransparencyLog| {
        Ok(json!({
            "baseURL": log.base_url,
            "hashAlgorithm": "sha-256",
            "publicKey": STANDARD.encode(key(log)?),
        }))
    };
    list.iter().map(entry).collect()
}

/// PEM of a log's key.
pub(super) fn key(log: &TransparencyLog) -> Result<String, ExportError> {
    Ok(log.key()?.to_pem())
}

/// PEM of a chain, signing end first.
pub(super) fn chain(authority: &CertificateAuthority) -> Result<String, ExportError> {
    authority.cert_chain.certificates.iter().map(pem).collect()
}

/// PEM of the certificates of all authorities, each once: what past ones signed still verifies.
pub(super) fn chains(authorities: &[CertificateAuthority]) -> Result<String, ExportError> {
    let mut seen = BTreeSet::new();
    let mut out = String::new();
    for authority in authorities.iter().rev() {
        for certificate in &authority.cert_chain.certificates {
            if seen.insert(&certificate.raw_bytes) {
                out.push_str(&pem(certificate)?);
            }
        }
    }
    Ok(out)
}

fn pem(certificate: &ChainCertificate) -> Result<String, ExportError> {
    let der = &certificate.raw_bytes.0;
    encode_string("CERTIFICATE", LineEnding::LF, der).map_err(|_| ExportError::Pem)
}

/// The authority that signs now.
pub(super) fn in_use(
    list: &[CertificateAuthority],
    now: Timestamp,
) -> Result<&CertificateAuthority, ExportError> {
    let valid = list.iter().filter(|a| a.valid_for.contains(now));
    let in_use = valid.min_by_key(|a| turn(a.valid_for));
    in_use.ok_or(ExportError::Nothing("authority"))
}

fn log_in_use<'a>(
    list: &'a [TransparencyLog],
    now: Timestamp,
    what: &'static str,
) -> Result<&'a TransparencyLog, ExportError> {
    let valid = list.iter().filter(|l| l.public_key.valid_for.contains(now));
    let in_use = valid.min_by_key(|l| turn(l.public_key.valid_for));
    in_use.ok_or(ExportError::Nothing(what))
}

/// Escapes what means something in a regular expression.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if !c.is_ascii_alphanumeric() && !matches!(c, ':' | '/' | '@' | '-' | '_' | '%') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
