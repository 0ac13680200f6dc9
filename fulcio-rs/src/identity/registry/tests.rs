use super::*;

fn refusal(text: &str) -> String {
    Registry::parse(text).expect_err(text).to_string()
}

fn issuer(url: &str, rest: &str) -> String {
    format!(
        "oidc-issuers:\n  {url}:\n    client-id: sigstore\n    {}\n",
        rest.replace(';', "\n    ")
    )
}

#[test]
fn each_contradiction_is_refused_with_its_remedy() {
    let a = "https://a.example.com";
    for (text, remedy) in [
        (String::new(), "no issuer is configured"),
        ("oidc-issuers: {}\n".to_owned(), "no issuer is configured"),
        (issuer(a, "type: email;issuer-url: https://a.example.com/"), "must equal the key"),
        (issuer(a, "issuer-url: https://a.example.com"), "type is missing"),
        (issuer(a, "type: mail"), "is not known"),
        (issuer(a, "type: buildkite-job;ci-provider: x"), "remove it"),
        (issuer(a, "type: uri;issuer-claim: $.a"), "only email issuers can use issuer claim mapping"),
        (issuer(a, "type: email;issuer-claim: a.b"), "only paths like"),
        (issuer(a, "type: uri"), "subject-domain is missing"),
        (issuer(a, "type: uri;subject-domain: example.com"), "must be a scheme and a host"),
        (issuer(a, "type: uri;subject-domain: http://example.com"), "issuer's scheme"),
        (issuer(a, "type: uri;subject-domain: https://other.com"), "not under the domain"),
        (issuer("https://a.co.uk", "type: uri;subject-domain: https://b.co.uk"), "not under the domain"),
        (issuer(a, "type: username;subject-domain: https://example.com"), "bare domain"),
        (issuer(a, "type: spiffe"), "spiffe-trust-domain is missing"),
        (issuer(a, "type: spiffe;spiffe-trust-domain: A/b"), "is not a trust domain"),
        (issuer(a, "type: ci-provider"), "ci-provider is missing"),
        (issuer(a, "type: ci-provider;ci-provider: nope"), "add its templates"),
        (issuer(a, "type: kubernetes;subject-domain: x"), "remove it"),
        (issuer(a, "type: uri;subject-domain: https://example.com;skip-email-verification: true"), "remove it"),
        (issuer(a, "type: email;challenge-claim: name"), "only `email` and `sub`"),
        (issuer("http://a.example.com", "type: email"), "only https"),
        (issuer("https://*.example.com", "type: email"), "move it to `meta-issuers`"),
        ("oidc-issuers: {https://a.example.com: {type: email}}\n".to_owned(), "client-id is missing"),
        ("meta-issuers: {https://a.example.com: {type: email, client-id: s}}\n".to_owned(), "move it to `oidc-issuers`"),
        ("meta-issuers: {http://*.example.com: {type: email, client-id: s}}\n".to_owned(), "only https"),
        ("meta-issuers: {https://*.example.com: {type: spiffe, client-id: s}}\n".to_owned(), "cannot be meta issuers"),
        (
            "meta-issuers: {https://a.*.com: {type: email, client-id: s}, https://*.b.com: {type: email, client-id: s}}\n"
                .to_owned(),
            "make the patterns disjoint",
        ),
        ("ci-issuer-metadata: {x: {}}\n".to_owned(), "subject-alternative-name-template is missing"),
        (
            "ci-issuer-metadata: {x: {subject-alternative-name-template: '{{ .a'}}\n".to_owned(),
            "not closed",
        ),
    ] {
        let error = refusal(&text);
        assert!(error.contains(remedy), "{text}\n→ {error}\nlacks {remedy:?}");
    }
}

#[test]
fn exact_issuers_win_over_wildcards() {
    let registry = Registry::parse(
        "oidc-issuers: {https://a.example.com: {type: email, client-id: exact}}\nmeta-issuers: {https://*.example.com: {type: email, client-id: wild}}\n",
    )
    .unwrap();
    assert_eq!(
        registry.find("https://a.example.com").unwrap().client_id(),
        "exact"
    );
    assert_eq!(
        registry.find("https://b.example.com").unwrap().client_id(),
        "wild"
    );
    assert!(registry.find("https://a.example.com/").is_none());
    assert!(registry.find("https://b.c.example.com").is_none());
    assert!(
        registry
            .find("http://evil?x=https://b.example.com")
            .is_none()
    );
}

#[test]
fn related_hosts_may_be_subject_domains() {
    for (url, domain) in [
        ("https://accounts.example.com", "https://example.com"),
        ("https://accounts.example.com", "https://users.example.com"),
        ("https://a.corp.co.uk", "https://b.corp.co.uk"),
        ("https://localhost", "https://localhost"),
    ] {
        let text = issuer(url, &format!("type: uri;subject-domain: {domain}"));
        assert!(Registry::parse(&text).is_ok(), "{url} {domain}");
    }
}
