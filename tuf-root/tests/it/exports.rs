//! What is exported for clusters and older clients, field by field.

use std::io::Read as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keys::{Algorithm, Passphrase};
use serde_json::{Value, json};
use tempfile::TempDir;
use tuf_root::export::{Admission, Export, ExportError, SignatureFormat};
use tuf_root::{bootstrap, target_files};
use wire::trust::{ServiceMaterial, Timestamp, TrustedRoot};

use crate::material::{epoch, log_key, services};

async fn exported(services: &ServiceMaterial) -> (TempDir, Export) {
    let dir = tempfile::tempdir().unwrap();
    let files = target_files(services, epoch()).unwrap();
    let passphrase = Passphrase::new("a passphrase for tests");
    let clock = std::sync::Arc::new(clock::ManualClock::at_ms(epoch().as_ms()));
    let repository = bootstrap(dir.path(), &passphrase, files, clock)
        .await
        .unwrap();
    let export = Export::read(&repository.published_dir()).await.unwrap();
    (dir, export)
}

fn admission(format: SignatureFormat) -> Admission {
    Admission {
        name: "corp".into(),
        namespace: "apps".into(),
        images: "registry.corp.example/app/**".into(),
        issuer: "http://localhost:8080".into(),
        subject: "dev@corp.example".into(),
        format,
    }
}

fn now() -> Timestamp {
    epoch()
}

fn parse(yaml: &str) -> Value {
    serde_saphyr::from_str(yaml).unwrap()
}

fn decoded(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

fn text(value: &Value) -> String {
    String::from_utf8(decoded(value)).unwrap()
}

#[tokio::test]
async fn policy_controller_gets_each_form_of_a_trust_root() {
    let (_dir, export) = exported(&services().await).await;
    let remote = parse(&export.trust_root_remote("corp", "http://localhost:8085/"));
    assert_eq!(remote["apiVersion"], "policy.sigstore.dev/v1alpha1");
    assert_eq!(remote["kind"], "TrustRoot");
    assert_eq!(remote["metadata"], json!({ "name": "corp" }));
    let inside = &remote["spec"]["remote"];
    assert_eq!(inside["mirror"], "http://localhost:8085");
    assert_eq!(inside["targets"], "targets");
    assert_eq!(inside["trustedRootTarget"], "trusted_root.json");
    assert_eq!(decoded(&inside["root"]), export.root_json);

    let whole = parse(&export.trust_root_repository("corp").unwrap());
    let inside = &whole["spec"]["repository"];
    assert_eq!(decoded(&inside["root"]), export.root_json);
    let archive = decoded(&inside["mirrorFS"]);
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&archive[..]));
    let mut found = 0;
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        let name = path.strip_prefix("repository/").unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        assert_eq!(export.tree.files.get(name), Some(&content), "{path}");
        found += 1;
    }
    assert_eq!(found, export.tree.files.len());
    for name in [
        "1.root.json",
        "timestamp.json",
        "1.snapshot.json",
        "1.targets.json",
    ] {
        assert!(export.tree.files.contains_key(name), "{name}");
    }

    let keys = parse(&export.trust_root_keys("corp").unwrap());
    let keys = &keys["spec"]["sigstoreKeys"];
    let log = &keys["tLogs"][0];
    assert_eq!(log["baseURL"], "http://localhost:3000");
    assert_eq!(log["hashAlgorithm"], "sha-256");
    assert!(text(&log["publicKey"]).starts_with("-----BEGIN PUBLIC KEY-----\n"));
    assert_eq!(keys["ctLogs"][0]["baseURL"], "http://localhost:3000/ct");
    let ca = &keys["certificateAuthorities"][0];
    assert_eq!(ca["uri"], "http://localhost:5555");
    assert_eq!(
        ca["subject"],
        json!({ "organization": "corp.example", "commonName": "root" })
    );
    assert_eq!(
        text(&ca["certChain"]).matches("BEGIN CERTIFICATE").count(),
        2
    );
    let tsa = &keys["timestampAuthorities"][0];
    assert_eq!(
        text(&tsa["certChain"]).matches("BEGIN CERTIFICATE").count(),
        3
    );
}

#[tokio::test]
async fn a_log_key_that_policy_controller_refuses_is_not_exported_for_it() {
    let mut services = services().await;
    services.rekor[0].log.key = log_key(Algorithm::Ed25519);
    let (_dir, export) = exported(&services).await;
    assert!(matches!(
        export.trust_root_keys("corp"),
        Err(ExportError::LogKey(_))
    ));
    let out = tempfile::tempdir().unwrap();
    let names = export.write(out.path(), None, None, now()).unwrap();
    assert!(!names.contains(&"trust-root-keys.yaml"));
    assert!(names.contains(&"trust-root-repository.yaml"));
}

#[tokio::test]
async fn cluster_image_policies_name_the_trust_root_everywhere() {
    let (_dir, export) = exported(&services().await).await;
    for (format, expected) in [
        (SignatureFormat::Bundle, json!("bundle")),
        (SignatureFormat::Legacy, Value::Null),
    ] {
        let policy = parse(
            &export
                .cluster_image_policy(&admission(format), now())
                .unwrap(),
        );
        assert_eq!(policy["apiVersion"], "policy.sigstore.dev/v1beta1");
        assert_eq!(policy["kind"], "ClusterImagePolicy");
        assert_eq!(
            policy["spec"]["images"],
            json!([{ "glob": "registry.corp.example/app/**" }])
        );
        let authority = &policy["spec"]["authorities"][0];
        assert_eq!(
            authority["keyless"],
            json!({
                "url": "http://localhost:5555",
                "identities": [{ "issuer": "http://localhost:8080", "subject": "dev@corp.example" }],
                "trustRootRef": "corp",
            })
        );
        assert_eq!(
            authority["ctlog"],
            json!({ "url": "http://localhost:3000", "trustRootRef": "corp" })
        );
        assert_eq!(
            authority["rfc3161timestamp"],
            json!({ "trustRootRef": "corp" })
        );
        assert_eq!(authority["signatureFormat"], expected);
        // policy-controller reads a bundle beside an image as an attestation only.
        let attested = match format {
            SignatureFormat::Bundle => json!("https://sigstore.dev/cosign/sign/v1"),
            SignatureFormat::Legacy => Value::Null,
        };
        assert_eq!(authority["attestations"][0]["predicateType"], attested);
    }
}

#[tokio::test]
async fn kyverno_policies_carry_what_their_kind_of_signature_needs() {
    let (_dir, export) = exported(&services().await).await;
    let rule = |format| {
        let yaml = export.kyverno_cluster_policy(&admission(format), now());
        let policy = parse(&yaml.unwrap());
        assert_eq!(policy["apiVersion"], "kyverno.io/v1");
        assert_eq!(policy["kind"], "ClusterPolicy");
        policy["spec"]["rules"][0]["verifyImages"][0].clone()
    };
    let bundle = rule(SignatureFormat::Bundle);
    assert_eq!(bundle["type"], "SigstoreBundle");
    assert_eq!(bundle["failureAction"], "Enforce");
    let keyless = &bundle["attestors"][0]["entries"][0]["keyless"];
    assert_eq!(
        *keyless,
        json!({ "issuer": "http://localhost:8080", "subject": "dev@corp.example" })
    );
    let legacy = rule(SignatureFormat::Legacy);
    assert_eq!(legacy["type"], "Cosign");
    let keyless = &legacy["attestors"][0]["entries"][0]["keyless"];
    assert_eq!(keyless["rekor"]["url"], "http://localhost:3000");
    let pem = export.trusted_root.tlogs[0].key().unwrap().to_pem();
    assert_eq!(keyless["rekor"]["pubkey"], pem);
    let pem = export.trusted_root.ctlogs[0].key().unwrap().to_pem();
    assert_eq!(keyless["ctlog"]["pubkey"], pem);
    let count = |v: &Value| v.as_str().unwrap().matches("BEGIN CERTIFICATE").count();
    assert_eq!(
        (
            count(&keyless["roots"]),
            count(&keyless["ctlog"]["tsaCertChain"])
        ),
        (2, 3)
    );

    let policy = export.kyverno_image_validating_policy(&admission(SignatureFormat::Bundle));
    let policy = parse(&policy);
    assert_eq!(policy["kind"], "ImageValidatingPolicy");
    let cosign = &policy["spec"]["attestors"][0]["cosign"];
    assert_eq!(
        cosign["keyless"]["identities"][0]["subject"],
        "dev@corp.example"
    );
    let root = cosign["trustedRoot"]["value"].as_str().unwrap();
    assert_eq!(
        TrustedRoot::from_json(root.as_bytes()).unwrap(),
        export.trusted_root
    );
    let name = policy["spec"]["attestors"][0]["name"].as_str().unwrap();
    let expression = policy["spec"]["validations"][0]["expression"]
        .as_str()
        .unwrap();
    assert!(expression.contains(&format!("attestors.{name}")));
}

#[tokio::test]
async fn flux_gets_the_trusted_root_and_exact_identities() {
    let (_dir, export) = exported(&services().await).await;
    let secret = parse(&export.flux_secret("corp", "apps"));
    assert_eq!(secret["kind"], "Secret");
    assert_eq!(
        secret["metadata"],
        json!({ "name": "corp", "namespace": "apps" })
    );
    let root = secret["stringData"]["trusted_root.json"].as_str().unwrap();
    assert_eq!(root, export.trusted_root.to_json());
    let repository = parse(&Export::flux_oci_repository(&admission(
        SignatureFormat::Bundle,
    )));
    assert_eq!(repository["spec"]["url"], "oci://registry.corp.example/app");
    let verify = &repository["spec"]["verify"];
    assert_eq!(verify["provider"], "cosign");
    assert_eq!(verify["trustedRootSecretRef"]["name"], "corp");
    // A dot in the subject is a dot, not any character.
    let identity =
        json!([{ "issuer": "^http://localhost:8080$", "subject": r"^dev@corp\.example$" }]);
    assert_eq!(verify["matchOIDCIdentity"], identity);
}

#[tokio::test]
async fn the_same_repository_is_exported_as_the_same_bytes() {
    let (_dir, export) = exported(&services().await).await;
    let write = |out: &Path| {
        let admission = admission(SignatureFormat::Bundle);
        let mirror = Some("http://localhost:8085");
        export.write(out, mirror, Some(&admission), now()).unwrap()
    };
    let out = tempfile::tempdir().unwrap();
    let names = write(out.path());
    let read = || -> Vec<Vec<u8>> {
        let content = |name: &&str| std::fs::read(out.path().join(name)).unwrap();
        names.iter().map(content).collect()
    };
    let first = read();
    write(out.path());
    assert!(read() == first);
    let text = |name: &str| std::fs::read_to_string(out.path().join(name)).unwrap();
    let gitconfig = text("gitsign.gitconfig");
    for line in [
        "fulcio = \"http://localhost:5555\"",
        "rekor = \"http://localhost:3000\"",
        "issuer = \"http://localhost:8080\"",
        "timestampServerURL = \"http://localhost:3004/api/v1/timestamp\"",
        "program = gitsign",
    ] {
        assert!(gitconfig.contains(line), "{line}: {gitconfig}");
    }
    let env = text("legacy.env");
    for (variable, file) in [
        ("SIGSTORE_ROOT_FILE", "fulcio_chain.pem"),
        ("SIGSTORE_REKOR_PUBLIC_KEY", "rekor.pub"),
        ("SIGSTORE_CT_LOG_PUBLIC_KEY_FILE", "ctfe.pub"),
        ("SIGSTORE_TSA_CERTIFICATE_FILE", "tsa_chain.pem"),
    ] {
        let path = out.path().join(file).display().to_string();
        assert!(
            env.contains(&format!("export {variable}='{path}'\n")),
            "{env}"
        );
        assert!(text(file).starts_with("-----BEGIN "), "{file}");
    }
}
