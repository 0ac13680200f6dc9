use serde_json::json;

use super::*;

const ISSUER: &str = "https://ci.example";

fn registry() -> Registry {
    Registry::parse(&format!(
        "oidc-issuers: {{{ISSUER}: {{client-id: sigstore, type: email}}}}"
    ))
    .unwrap()
}

fn policies(rules: &str) -> Result<Policies, String> {
    let policies: Policies =
        serde_saphyr::from_str(&format!("{ISSUER}: {rules}")).map_err(|error| error.to_string())?;
    policies.check(&registry()).map(|()| policies)
}

fn claims(value: Value) -> Claims {
    Claims::new(value.as_object().unwrap().clone())
}

#[test]
fn the_first_rule_that_holds_decides() {
    let policies = policies(
        "[{name: release, claims: {repository: [corp/*, other/app], ref: refs/heads/main}, lifetime-seconds: 300},
          {name: any, claims: {repository: corp/*}}]",
    )
    .unwrap();
    let decide = |repository: &str, reference: &str| {
        policies.decide(
            ISSUER,
            &claims(json!({"repository": repository, "ref": reference})),
        )
    };
    let release = decide("corp/app", "refs/heads/main").unwrap();
    assert_eq!(release.rule.as_deref(), Some("release"));
    assert_eq!(release.lifetime, Duration::from_secs(300));
    let any = decide("corp/app", "refs/heads/dev").unwrap();
    assert_eq!((any.rule.as_deref(), any.lifetime), (Some("any"), LIFETIME));
    let refusal = decide("other/app", "refs/heads/dev").unwrap_err();
    assert_eq!(refusal.rules(), "release, any");
    assert_eq!(
        refusal.to_string(),
        r#"the policy for https://ci.example does not allow this token: rule "release" requires claim "ref" to match "refs/heads/main", and it is "refs/heads/dev"; rule "any" requires claim "repository" to match "corp/*", and it is "other/app"."#
    );
}

#[test]
fn issuers_without_a_policy_are_open() {
    let allowed = Policies::default()
        .decide(ISSUER, &claims(json!({})))
        .unwrap();
    assert_eq!((allowed.rule, allowed.lifetime), (None, LIFETIME));
}

#[test]
fn lists_paths_numbers_and_missing_claims() {
    let policies = policies(
        "[{name: r, claims: {groups: [admins, sre-*], '$.realm.id': 7, protected: true}}]",
    )
    .unwrap();
    let good = json!({"groups": ["dev", "sre-eu"], "realm": {"id": 7}, "protected": true});
    policies.decide(ISSUER, &claims(good.clone())).unwrap();
    for (name, bad) in [
        ("groups", json!(["dev", ["admins"]])),
        ("groups", json!({"admins": 1})),
        ("groups", json!(null)),
        ("realm", json!({"id": 8})),
        ("realm", json!("7")),
        ("protected", json!(false)),
    ] {
        let mut changed = good.clone();
        changed[name] = bad;
        assert!(policies.decide(ISSUER, &claims(changed)).is_err(), "{name}");
    }
}

#[test]
fn addresses_must_be_in_a_domain_exactly() {
    let policies = policies("[{name: staff, email-domains: [corp.example]}]").unwrap();
    for (email, good) in [
        ("a@corp.example", true),
        ("a@CORP.example", true),
        ("a@x.corp.example", false),
        ("a@evilcorp.example", false),
        ("corp.example", false),
        ("a@corp.example@evil.example", false),
    ] {
        let decided = policies.decide(ISSUER, &claims(json!({"email": email})));
        assert_eq!(decided.is_ok(), good, "{email}");
    }
    assert!(policies.decide(ISSUER, &claims(json!({}))).is_err());
}

#[test]
fn rules_that_make_no_sense_are_refused() {
    for (rules, reason) in [
        ("[]", "no rule"),
        ("[{claims: {a: b}}]", "name"),
        ("[{name: ''}]", "name must have"),
        ("[{name: a}, {name: a}]", "two rules"),
        ("[{name: a, claim: {a: b}}]", "claim"),
        ("[{name: a, claims: {a: []}}]", "no pattern"),
        ("[{name: a, claims: {'$': x}}]", "only paths"),
        ("[{name: a, claims: {a: {b: c}}}]", "pattern"),
        ("[{name: a, email-domains: []}]", "is empty"),
        ("[{name: a, email-domains: ['*@x.example']}]", "bare domain"),
        ("[{name: a, lifetime-seconds: 601}]", "120 to 600"),
        ("[{name: a, lifetime-seconds: 60}]", "120 to 600"),
    ] {
        let error = policies(rules).unwrap_err();
        assert!(error.contains(reason), "{rules}: {error}");
    }
    let other: Policies = serde_saphyr::from_str("https://x.example: [{name: a}]").unwrap();
    assert!(
        other
            .check(&registry())
            .unwrap_err()
            .contains("no such issuer")
    );
}

#[test]
fn refusals_stay_short() {
    let rules: Vec<String> = (0..50)
        .map(|index| format!("{{name: rule-{index}, claims: {{a: b}}}}"))
        .collect();
    let policies = policies(&format!("[{}]", rules.join(", "))).unwrap();
    let long = "ü".repeat(100_000);
    let refusal = policies.decide(ISSUER, &claims(json!({"a": long})));
    let text = refusal.unwrap_err().to_string();
    assert!(text.contains("and 46 more rules"), "{text}");
    assert!(text.chars().count() < 1500, "{}", text.len());
}
