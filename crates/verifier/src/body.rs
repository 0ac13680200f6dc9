//! What the body of a log entry says of the signature it is about.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto::Digest;
use serde::Deserialize;
use wire::trust::Base64;

use crate::evidence::{Content, Entry, Evidence, Signer, algorithm, pae};
use crate::refusal::Refusal;

/// Longest body that is parsed, in bytes.
const MAX_BODY: usize = 1 << 20;

/// What a body says. What its kind has no member for is `None`.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// DER, if the signer had a certificate rather than a key.
    pub(crate) certificate: Option<Vec<u8>>,
    pub(crate) signature: Option<Vec<u8>>,
    /// Of the artifact; of what was signed in a Rekor v2 log.
    pub(crate) digest: Option<Digest>,
    /// Of an envelope's payload.
    pub(crate) payload: Option<Digest>,
}

/// Checks that an entry is about this signature and no other.
pub(crate) fn check(entry: &Entry, evidence: &Evidence) -> Result<(), Refusal> {
    let refuse = |reason: String| Refusal::Entry {
        index: entry.index,
        reason,
    };
    let said = read(&entry.body).map_err(&refuse)?;
    let differs = |what: &str| Err(refuse(format!("is about another {what}")));
    if (said.signature.as_ref()).is_some_and(|signature| *signature != evidence.signature) {
        return differs("signature");
    }
    match (&evidence.signer, &said.certificate) {
        (Signer::Certificate(ours), Some(theirs)) if ours != theirs => {
            return differs("certificate");
        }
        (Signer::Certificate(_), None) => return differs("signer"),
        _ => {}
    }
    let same = |said: &Digest, data: &[u8]| said.algorithm().digest(data) == *said;
    match &evidence.content {
        Content::Digest(digest) if said.digest.as_ref().is_some_and(|said| said != digest) => {
            differs("artifact")
        }
        Content::Envelope {
            payload,
            payload_type,
        } => {
            let other = (said.payload.as_ref()).is_some_and(|said| !same(said, payload))
                || (said.digest.as_ref())
                    .is_some_and(|said| !same(said, &pae(payload_type, payload)));
            if other { differs("payload") } else { Ok(()) }
        }
        _ => Ok(()),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    api_version: String,
    kind: String,
    spec: serde_json::Value,
}

/// Reads the kinds that bundles are made with.
pub(crate) fn read(body: &[u8]) -> Result<Said, String> {
    if body.len() > MAX_BODY {
        return Err(format!("has a body of more than {MAX_BODY} bytes"));
    }
    let bad = |e: serde_json::Error| format!("has a body that cannot be read: {e}");
    let body: Body = serde_json::from_slice(body).map_err(bad)?;
    let spec = body.spec;
    match (body.kind.as_str(), body.api_version.as_str()) {
        ("hashedrekord", "0.0.1") => serde_json::from_value(spec).map_err(bad).and_then(hashed),
        ("dsse", "0.0.1") => serde_json::from_value(spec).map_err(bad).and_then(dsse),
        ("intoto", "0.0.1") => serde_json::from_value(spec).map_err(bad).and_then(intoto_1),
        ("intoto", "0.0.2") => serde_json::from_value(spec).map_err(bad).and_then(intoto_2),
        ("hashedrekord", "0.0.2") => serde_json::from_value(spec)
            .map_err(bad)
            .and_then(hashed_v2),
        ("dsse", "0.0.2") => serde_json::from_value(spec).map_err(bad).and_then(dsse_v2),
        (kind, version) => Err(format!(
            "is of the kind {kind} {version}, which bundles have not"
        )),
    }
}

#[derive(Deserialize)]
struct HexDigest {
    algorithm: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hashed {
    signature: HashedSignature,
    data: HashedData,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HashedSignature {
    content: Base64,
    public_key: PemKey,
}

#[derive(Deserialize)]
struct PemKey {
    content: Base64,
}

#[derive(Deserialize)]
struct HashedData {
    hash: HexDigest,
}

fn hashed(spec: Hashed) -> Result<Said, String> {
    Ok(Said {
        certificate: certificate(&spec.signature.public_key.content)?,
        signature: Some(spec.signature.content.0),
        digest: Some(hex_digest(&spec.data.hash)?),
        payload: None,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dsse {
    payload_hash: HexDigest,
    signatures: Vec<DsseSignature>,
}

#[derive(Deserialize)]
struct DsseSignature {
    signature: Base64,
    verifier: Base64,
}

fn dsse(spec: Dsse) -> Result<Said, String> {
    let signature = only(spec.signatures)?;
    Ok(Said {
        certificate: certificate(&signature.verifier)?,
        signature: Some(signature.signature.0),
        digest: None,
        payload: Some(hex_digest(&spec.payload_hash)?),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Intoto1 {
    content: Intoto1Content,
    public_key: Base64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Intoto1Content {
    payload_hash: Option<HexDigest>,
}

fn intoto_1(spec: Intoto1) -> Result<Said, String> {
    Ok(Said {
        certificate: certificate(&spec.public_key)?,
        payload: (spec.content.payload_hash.as_ref().map(hex_digest)).transpose()?,
        ..Said::default()
    })
}

#[derive(Deserialize)]
struct Intoto2 {
    content: Intoto2Content,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Intoto2Content {
    envelope: Intoto2Envelope,
    payload_hash: HexDigest,
}

#[derive(Deserialize)]
struct Intoto2Envelope {
    signatures: Vec<Intoto2Signature>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Intoto2Signature {
    /// Base64 of the signature's base64.
    sig: Base64,
    public_key: Base64,
}

fn intoto_2(spec: Intoto2) -> Result<Said, String> {
    let signature = only(spec.content.envelope.signatures)?;
    let inner = STANDARD.decode(&signature.sig.0);
    Ok(Said {
        certificate: certificate(&signature.public_key)?,
        signature: Some(inner.map_err(|_| "has a signature that is not base64".to_owned())?),
        digest: None,
        payload: Some(hex_digest(&spec.content.payload_hash)?),
    })
}

#[derive(Deserialize)]
struct HashedV2 {
    #[serde(rename = "hashedRekordV002")]
    entry: HashedV2Entry,
}

#[derive(Deserialize)]
struct HashedV2Entry {
    data: BytesDigest,
    signature: SignatureV2,
}

#[derive(Deserialize)]
struct BytesDigest {
    algorithm: String,
    digest: Base64,
}

#[derive(Deserialize)]
struct SignatureV2 {
    content: Base64,
    verifier: VerifierV2,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VerifierV2 {
    x509_certificate: Option<RawBytes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBytes {
    raw_bytes: Base64,
}

fn hashed_v2(spec: HashedV2) -> Result<Said, String> {
    let signature = spec.entry.signature;
    Ok(Said {
        certificate: signature.verifier.x509_certificate.map(|c| c.raw_bytes.0),
        signature: Some(signature.content.0),
        digest: Some(bytes_digest(spec.entry.data)?),
        payload: None,
    })
}

#[derive(Deserialize)]
struct DsseV2 {
    #[serde(rename = "dsseV002")]
    entry: DsseV2Entry,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DsseV2Entry {
    payload_hash: BytesDigest,
    signatures: Vec<SignatureV2>,
}

fn dsse_v2(spec: DsseV2) -> Result<Said, String> {
    let signature = only(spec.entry.signatures)?;
    Ok(Said {
        certificate: signature.verifier.x509_certificate.map(|c| c.raw_bytes.0),
        signature: Some(signature.content.0),
        digest: None,
        payload: Some(bytes_digest(spec.entry.payload_hash)?),
    })
}

fn only<T>(signatures: Vec<T>) -> Result<T, String> {
    let mut signatures = signatures.into_iter();
    match (signatures.next(), signatures.next()) {
        (Some(one), None) => Ok(one),
        _ => Err("has not exactly one signature".to_owned()),
    }
}

/// The DER certificate in PEM text; `None` if it is a key.
fn certificate(pem: &Base64) -> Result<Option<Vec<u8>>, String> {
    let text = std::str::from_utf8(&pem.0).unwrap_or_default();
    if !text.contains("-----BEGIN CERTIFICATE-----") {
        return Ok(None);
    }
    let certificates = pki::chain::certificates_from_pem(text, pki::chain::MAX_CHAIN)
        .map_err(|e| format!("has a certificate that cannot be read: {e}"))?;
    Ok(certificates.into_iter().next())
}

fn hex_digest(digest: &HexDigest) -> Result<Digest, String> {
    let bytes = hex::decode(&digest.value).unwrap_or_default();
    known_digest(&digest.algorithm, bytes)
}

fn bytes_digest(digest: BytesDigest) -> Result<Digest, String> {
    known_digest(&digest.algorithm, digest.digest.0)
}

fn known_digest(name: &str, bytes: Vec<u8>) -> Result<Digest, String> {
    algorithm(name)
        .and_then(|algorithm| Digest::new(algorithm, bytes))
        .ok_or_else(|| "has a digest that is not of the SHA-2 family".to_owned())
}
