//! A small Sigstore in memory signs; one thing at a time is then wrong.

use std::time::{Duration, SystemTime};

use crypto::{Digest, HashAlgorithm};
use keys::{Algorithm, FileSigner, Signer as _};
use pki::Serial;
use pki::authority::{Issuer, Purpose, Role, Template, prepare};
use pki::chain::Chain;
use pki::leaf::{Leaf, San};
use pki::name::Subject;
use pki::precert::tbs_without_poison;
use pki::rfc3161::{Embed, Policy, Profile, Request};
use pki::sct::{CtEntry, SignedCertificateTimestamp, signing_input};
use tlog::Edge;
use tlog::checkpoint::Checkpoint;
use tlog::note::{Note, Signature};
use wire::rekor::{Digest as BodyDigest, encode_base64, hashedrekord, signed_entry_payload};
use wire::trust::{
    AuthorityMaterial, LogMaterial, RekorApi, RekorMaterial, ServiceMaterial, TimeRange, Timestamp,
    TrustedRoot,
};

use crate::{Anchors, Content, Entry, Evidence, Proof, Refusal, Signer, verify};

/// 2026-01-01, when everything starts.
const EPOCH: u64 = 1_767_225_600;
const DAY: u64 = 86_400;
/// When the artifact is signed.
const SIGNED: u64 = EPOCH + 100 * DAY;
const ARTIFACT: &[u8] = b"what is signed\n";

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(secs).unwrap()
}

struct Authority {
    key: FileSigner,
    chain: Vec<Vec<u8>>,
}

struct Sigstore {
    fulcio: Authority,
    tsa: Authority,
    ct: FileSigner,
    rekor: FileSigner,
}

fn key() -> FileSigner {
    FileSigner::generate(Algorithm::EcdsaP256Sha256).unwrap()
}

async fn certificate(
    role: Role,
    name: &str,
    key: &FileSigner,
    issuer: Option<(&[u8], &FileSigner)>,
) -> Vec<u8> {
    let template = Template {
        role,
        subject: Subject {
            organization: "corp.example".into(),
            common_name: name.into(),
        },
        not_before: at(EPOCH).into(),
        not_after: at(EPOCH + 1000 * DAY).into(),
    };
    let (der, signer) = issuer.map_or((Issuer::SelfSigned, key), |(der, signer)| {
        (Issuer::Certificate(der), signer)
    });
    let unsigned = prepare(&template, key.public_key(), der).unwrap();
    let signature = signer.sign(unsigned.tbs()).await.unwrap();
    unsigned.finish(&signature).unwrap()
}

impl Authority {
    async fn new(purpose: Purpose) -> Self {
        let (root_key, own) = (key(), key());
        let root = certificate(Role::Root, "root", &root_key, None).await;
        let role = match purpose {
            Purpose::CodeSigning => Role::Intermediate { purpose },
            Purpose::TimeStamping => Role::TimestampLeaf,
        };
        let first = certificate(role, "signing", &own, Some((&root, &root_key))).await;
        Self {
            key: own,
            chain: vec![first, root],
        }
    }
}

impl Sigstore {
    async fn new() -> Self {
        Self {
            fulcio: Authority::new(Purpose::CodeSigning).await,
            tsa: Authority::new(Purpose::TimeStamping).await,
            ct: key(),
            rekor: key(),
        }
    }

    fn trusted_root(&self) -> TrustedRoot {
        let range = TimeRange::since(at(EPOCH));
        let log = |url: &str, key: &FileSigner| LogMaterial {
            url: url.into(),
            key: key.public_key().clone(),
            valid_for: range,
        };
        let authority = |url: &str, authority: &Authority| AuthorityMaterial {
            url: url.into(),
            chain: authority.chain.clone(),
            valid_for: Some(range),
        };
        let tsa = "http://tsa.corp.example/api/v1/timestamp";
        let material = ServiceMaterial {
            operator: "corp.example".into(),
            fulcio: vec![authority("http://fulcio.corp.example", &self.fulcio)],
            ct_logs: vec![log("http://ct.corp.example", &self.ct)],
            rekor: vec![RekorMaterial {
                log: log("http://rekor.corp.example", &self.rekor),
                api: RekorApi::V1,
            }],
            timestamp: vec![authority(tsa, &self.tsa)],
            identity_providers: Vec::new(),
        };
        material.trusted_root().unwrap()
    }

    async fn leaf(&self, key: &FileSigner, with_sct: bool) -> Vec<u8> {
        let issuer = &self.fulcio.chain[0];
        let start = SystemTime::from(at(SIGNED)) - Duration::from_secs(5);
        let leaf = Leaf {
            public_key: key.public_key().clone(),
            san: San::Email("dev@corp.example".into()),
            extensions: Vec::new(),
            not_before: start,
            not_after: start + Duration::from_secs(600),
            serial: Serial::random().unwrap(),
        };
        let unsigned = leaf.precertificate(issuer).unwrap();
        let signature = self.fulcio.key.sign(unsigned.tbs()).await.unwrap();
        let precertificate = unsigned.finish(&signature).unwrap();
        let tbs = tbs_without_poison(&precertificate).unwrap();
        let entry = CtEntry::Precert {
            issuer_key_hash: crypto::sha256(self.fulcio.key.public_key().spki_der()),
            tbs: &tbs,
        };
        let timestamp_ms = SIGNED * 1000;
        let input = signing_input(entry, timestamp_ms, &[]).unwrap();
        let sct = SignedCertificateTimestamp {
            log_id: self.ct.public_key().key_id(),
            timestamp_ms,
            extensions: Vec::new(),
            signature: self.ct.sign(&input).await.unwrap(),
        };
        let scts: &[_] = if with_sct { &[sct] } else { &[] };
        let unsigned = leaf.certificate(issuer, scts).unwrap();
        let signature = self.fulcio.key.sign(unsigned.tbs()).await.unwrap();
        unsigned.finish(&signature).unwrap()
    }

    /// Logs a signature as the fourth of seven entries.
    async fn log(&self, certificate: &[u8], signature: &[u8]) -> Entry {
        let value = hex::encode(crypto::sha256(ARTIFACT));
        let digest = BodyDigest {
            algorithm: "sha256",
            value: &value,
        };
        let pem = pki::chain::certificate_to_pem(certificate);
        let body = hashedrekord::body(digest, signature, &pem);
        let mut edge = Edge::new();
        let leaves: Vec<_> = (0..7_u8)
            .map(|n| match n {
                3 => tlog::leaf_hash(&body),
                n => tlog::leaf_hash(&[n]),
            })
            .collect();
        for leaf in &leaves {
            edge.push(*leaf, |_, _| ());
        }
        let plan = tlog::inclusion(3, 7).unwrap();
        let hashes = plan.evaluate(|id| edge.tile(id)).unwrap();
        let checkpoint = Checkpoint::new("rekor.corp.example - 1", 7, edge.root());
        let text = checkpoint.text();
        let [a, b, c, d, ..] = self.rekor.public_key().key_id();
        let line = Signature {
            name: "rekor.corp.example".into(),
            key_hint: [a, b, c, d],
            signature: self.rekor.sign(text.as_bytes()).await.unwrap(),
        };
        let note = Note {
            text,
            signatures: vec![line],
        };
        let id = self.rekor.public_key().key_id();
        let payload =
            signed_entry_payload(&encode_base64(&body), SIGNED + 1, &hex::encode(id), 103);
        Entry {
            log_id: id.to_vec(),
            index: 103,
            integrated_time: SIGNED + 1,
            promise: Some(self.rekor.sign(&payload).await.unwrap()),
            proof: Some(Proof {
                index: 3,
                size: 7,
                root: edge.root(),
                hashes,
                checkpoint: Some(note.print()),
            }),
            body,
        }
    }

    async fn stamp(&self, signature: &[u8], time: u64) -> Vec<u8> {
        let chain = Chain::from_der(self.tsa.chain.clone()).unwrap();
        let profile = Profile::new(&chain, Embed::Leaf).unwrap();
        let digest = HashAlgorithm::Sha256.digest(signature);
        let request = Request::new(digest, None, None, false).unwrap();
        let serial = Serial::random().unwrap();
        let token = profile
            .prepare(&request, &Policy::SIGSTORE, &serial, at(time).into())
            .unwrap();
        let signed = self.tsa.key.sign(token.signed_attributes()).await.unwrap();
        token.finish(&signed).unwrap()
    }

    async fn sign(&self, with_sct: bool) -> Evidence {
        let key = key();
        let certificate = self.leaf(&key, with_sct).await;
        let signature = key.sign(ARTIFACT).await.unwrap();
        let entry = self.log(&certificate, &signature).await;
        let stamp = self.stamp(&signature, SIGNED + 2).await;
        Evidence {
            signer: Signer::Certificate(certificate),
            content: Content::Digest(HashAlgorithm::Sha256.digest(ARTIFACT)),
            signature,
            entries: vec![entry],
            timestamps: vec![stamp],
        }
    }
}

fn judge(evidence: &Evidence, root: &TrustedRoot) -> Result<Vec<Timestamp>, Refusal> {
    verify(evidence, &Anchors::new(root).unwrap())
}

#[tokio::test]
async fn an_honest_signature_verifies_with_any_proof_of_time() {
    let sigstore = Sigstore::new().await;
    let (root, honest) = (sigstore.trusted_root(), sigstore.sign(true).await);
    assert_eq!(
        judge(&honest, &root).unwrap(),
        [at(SIGNED + 1), at(SIGNED + 2)]
    );

    let mut without_stamp = honest.clone();
    without_stamp.timestamps.clear();
    assert_eq!(judge(&without_stamp, &root).unwrap(), [at(SIGNED + 1)]);

    let mut without_promise = honest.clone();
    without_promise.entries[0].promise = None;
    assert_eq!(judge(&without_promise, &root).unwrap(), [at(SIGNED + 2)]);
    without_promise.timestamps.clear();
    assert_eq!(judge(&without_promise, &root), Err(Refusal::NoTime));

    let from_log = Evidence::from_entry(honest.entries[0].clone()).unwrap();
    assert_eq!(judge(&from_log, &root).unwrap(), [at(SIGNED + 1)]);
}

#[tokio::test]
async fn each_part_must_be_trusted_for_its_time() {
    type Change = fn(&mut TrustedRoot);
    let sigstore = Sigstore::new().await;
    let honest = sigstore.sign(true).await;
    let changes: [(&str, Change, &str); 10] = [
        ("no log", |r| r.tlogs.clear(), "no entry|id"),
        (
            "log ended",
            |r| r.tlogs[0].public_key.valid_for.end = Some(at(SIGNED - DAY)),
            "but the entry is from",
        ),
        (
            "log starts later",
            |r| r.tlogs[0].public_key.valid_for.start = at(SIGNED + DAY),
            "but the entry is from",
        ),
        ("no CT log", |r| r.ctlogs.clear(), "is not there"),
        (
            "CT log ended",
            |r| r.ctlogs[0].public_key.valid_for.end = Some(at(SIGNED - DAY)),
            "was not trusted when it saw it",
        ),
        (
            "no authority",
            |r| r.certificate_authorities.clear(),
            "no certificate authority",
        ),
        (
            "authority ended",
            |r| r.certificate_authorities[0].valid_for.end = Some(at(SIGNED - DAY)),
            "but the signature is from",
        ),
        (
            "no timestamp authority",
            |r| r.timestamp_authorities.clear(),
            "no timestamp authority",
        ),
        (
            "timestamp authority ended",
            |r| r.timestamp_authorities[0].valid_for.end = Some(at(SIGNED + 2)),
            "but the timestamp is of",
        ),
        (
            "another URL",
            |r| r.tlogs[0].base_url = "http://other.example".into(),
            "without a valid signature",
        ),
    ];
    for (what, change, reason) in changes {
        let mut root = sigstore.trusted_root();
        change(&mut root);
        let refusal = judge(&honest, &root).unwrap_err().to_string();
        let found = reason.split('|').any(|part| refusal.contains(part));
        assert!(found, "{what}: {refusal}");
    }
    // Ended after the signature, as an old shard or authority is: still good.
    let mut root = sigstore.trusted_root();
    root.tlogs[0].public_key.valid_for.end = Some(at(SIGNED + DAY));
    root.certificate_authorities[0].valid_for.end = Some(at(SIGNED + DAY));
    judge(&honest, &root).unwrap();
}

#[tokio::test]
async fn whatever_is_altered_is_refused() {
    type Change = fn(&mut Evidence);
    let sigstore = Sigstore::new().await;
    let (root, honest) = (sigstore.trusted_root(), sigstore.sign(true).await);
    let changes: [(Change, &str); 12] = [
        (|e| e.entries.clear(), "no entry"),
        (
            |e| {
                e.entries[0].promise = None;
                e.entries[0].proof.as_mut().unwrap().checkpoint = None;
            },
            "neither an inclusion promise nor a proof",
        ),
        (
            |e| e.entries[0].body.push(b' '),
            "inclusion proof that does not verify",
        ),
        (
            |e| e.entries[0].integrated_time += 1,
            "signed entry timestamp",
        ),
        (|e| e.entries[0].index += 1, "signed entry timestamp"),
        (
            |e| e.entries[0].proof.as_mut().unwrap().hashes[0].0[0] ^= 1,
            "inclusion proof that does not verify",
        ),
        (
            |e| {
                let checkpoint = &mut e.entries[0].proof.as_mut().unwrap().checkpoint;
                let note = checkpoint.take().unwrap().replace("- 1\n", "- 2\n");
                *checkpoint = Some(note);
            },
            "without a valid signature of the log",
        ),
        (|e| e.signature.push(0), "other data"),
        (|e| e.timestamps[0].truncate(40), "cannot be read"),
        (
            |e| e.content = Content::Digest(HashAlgorithm::Sha256.digest(b"other")),
            "another artifact",
        ),
        (
            |e| e.signer = Signer::Certificate(vec![0x30, 0]),
            "another certificate",
        ),
        (
            |e| {
                e.content = Content::Envelope {
                    payload: ARTIFACT.to_vec(),
                    payload_type: "text/plain".into(),
                }
            },
            "another payload",
        ),
    ];
    for (change, reason) in changes {
        let mut evidence = honest.clone();
        change(&mut evidence);
        let refusal = judge(&evidence, &root).unwrap_err().to_string();
        assert!(refusal.contains(reason), "{reason}: {refusal}");
    }
}

#[tokio::test]
async fn a_certificate_counts_with_an_sct_and_while_it_is_valid() {
    let sigstore = Sigstore::new().await;
    let root = sigstore.trusted_root();
    let refusal = judge(&sigstore.sign(false).await, &root).unwrap_err();
    assert!(refusal.to_string().contains("carries no SCT"), "{refusal}");

    let mut late = sigstore.sign(true).await;
    late.timestamps = vec![sigstore.stamp(&late.signature, SIGNED + 3600).await];
    let refusal = judge(&late, &root).unwrap_err();
    assert!(
        refusal.to_string().contains("was not valid at"),
        "{refusal}"
    );
}

#[tokio::test]
async fn a_signature_by_another_key_is_refused_even_where_the_log_has_it() {
    let sigstore = Sigstore::new().await;
    let root = sigstore.trusted_root();
    let certificate = sigstore.leaf(&key(), true).await;
    let signature = key().sign(ARTIFACT).await.unwrap();
    let forged = Evidence {
        entries: vec![sigstore.log(&certificate, &signature).await],
        signer: Signer::Certificate(certificate),
        content: Content::Digest(
            Digest::new(HashAlgorithm::Sha256, crypto::sha256(ARTIFACT).to_vec()).unwrap(),
        ),
        timestamps: vec![sigstore.stamp(&signature, SIGNED).await],
        signature,
    };
    let refusal = judge(&forged, &root).unwrap_err();
    assert!(
        refusal.to_string().contains("certificate's key"),
        "{refusal}"
    );
}
