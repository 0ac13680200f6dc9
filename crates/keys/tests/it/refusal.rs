//! What builds without a backend say.

use keys::KeyUri;

#[test]
fn a_configuration_with_a_backend_that_this_build_lacks_names_the_build_that_has_it() {
    for (uri, feature, built) in [
        (
            "\"awskms:///alias/ca\"",
            "kms-aws",
            cfg!(feature = "kms-aws"),
        ),
        ("\"hashivault://ca\"", "vault", cfg!(feature = "vault")),
        ("\"openbao://ca\"", "vault", cfg!(feature = "vault")),
        (
            "\"pkcs11:token=t;object=k?module-path=/m\"",
            "pkcs11",
            cfg!(feature = "pkcs11"),
        ),
    ] {
        match serde_json::from_str::<KeyUri>(uri) {
            Ok(_) => assert!(built, "{uri}"),
            Err(error) => {
                assert!(!built, "{error}");
                assert!(
                    error.to_string().contains(&format!("--features {feature}")),
                    "{error}"
                );
            }
        }
    }
}
