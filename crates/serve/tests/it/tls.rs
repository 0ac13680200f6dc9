use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::*;

/// A private CA with a server certificate for 127.0.0.1 and a client certificate, as files.
fn issue(directory: &Path) -> (Tls, reqwest::Certificate, String) {
    let mut ca = CertificateParams::new(Vec::<String>::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    let (server_key, client_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let server = CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .unwrap()
        .signed_by(&server_key, &ca)
        .unwrap();
    let client = CertificateParams::new(vec!["client".to_owned()])
        .unwrap()
        .signed_by(&client_key, &ca)
        .unwrap();
    let tls = Tls {
        certificate: directory.join("server.pem"),
        key: directory.join("server.key"),
        client_roots: Some(directory.join("roots.pem")),
        client_auth: ClientAuth::Required,
    };
    std::fs::write(&tls.certificate, server.pem()).unwrap();
    std::fs::write(&tls.key, server_key.serialize_pem()).unwrap();
    std::fs::write(directory.join("roots.pem"), ca.as_ref().pem()).unwrap();
    let root = reqwest::Certificate::from_pem(ca.as_ref().pem().as_bytes()).unwrap();
    (tls, root, client.pem() + &client_key.serialize_pem())
}

#[tokio::test]
async fn tls_negotiates_http_2() {
    let directory = tempfile::tempdir().unwrap();
    let (tls, root, _) = issue(directory.path());
    let server = Server::start_with(
        router(),
        Limits::default(),
        Some(Tls {
            client_roots: None,
            ..tls
        }),
    )
    .await;
    let client = builder().tls_certs_only([root]).build().unwrap();
    let answer = client
        .get(format!("https://{}/item/a", server.address))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.version(), http::Version::HTTP_2);
    assert_eq!(answer.text().await.unwrap(), "item");
}

#[tokio::test]
async fn mutual_tls_refuses_clients_without_a_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let (tls, root, identity) = issue(directory.path());
    let server = Server::start_with(router(), Limits::default(), Some(tls)).await;
    let url = format!("https://{}/item/a", server.address);
    let stranger = builder().tls_certs_only([root.clone()]).build().unwrap();
    assert!(stranger.get(&url).send().await.is_err());
    let identity = reqwest::Identity::from_pem(identity.as_bytes()).unwrap();
    let known = builder()
        .tls_certs_only([root])
        .identity(identity)
        .build()
        .unwrap();
    assert_eq!(known.get(&url).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_missing_certificate_is_named_in_the_error() {
    let tls = Tls {
        certificate: "no/such.pem".into(),
        key: "no/such.key".into(),
        client_roots: None,
        client_auth: ClientAuth::Required,
    };
    let server = Server::start_with(router(), Limits::default(), Some(tls)).await;
    let error = server.task.await.unwrap().unwrap_err().to_string();
    assert!(error.contains("no/such.pem"), "{error}");
}
