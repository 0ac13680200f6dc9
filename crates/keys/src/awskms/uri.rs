//! `awskms://` URIs.

use std::fmt;
use std::str::FromStr;

/// What is accepted.
const FORM: &str = "it has the form awskms:///KEY or awskms://ENDPOINT/KEY, where KEY is a key's ID or ARN, alias/NAME, or an alias's ARN";

/// Longest name of a key; ARNs have up to 2048 characters by contract, and far fewer in KMS.
const MAX_KEY: usize = 512;

/// A key in AWS KMS: `awskms:///alias/ca`, `awskms:///arn:aws:kms:eu-central-1:111122223333:key/…`,
/// `awskms://kms.internal.example/…` (an endpoint of one's own, always over HTTPS).
///
/// Credentials, the region of a key that is not named by its ARN, and `AWS_ENDPOINT_URL_KMS` come
/// from the environment, as for all of AWS's tools; `AWS_CA_BUNDLE` names certificates to trust
/// instead of the system's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AwsKmsUri {
    /// Host, and port if it is not 443, of the endpoint.
    pub endpoint: Option<String>,
    /// The key's ID, ARN, alias (`alias/NAME`) or alias ARN.
    pub key: String,
}

impl FromStr for AwsKmsUri {
    type Err = String;

    /// Parses what follows `awskms:`.
    fn from_str(rest: &str) -> Result<Self, String> {
        let form = || FORM.to_owned();
        let (endpoint, key) = rest
            .strip_prefix("//")
            .and_then(|rest| rest.split_once('/'))
            .ok_or_else(form)?;
        let is_host = |host: &str| {
            host.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
        };
        if !is_host(endpoint)
            || key.len() > MAX_KEY
            || !(is_id(key) || is_alias(key) || is_arn(key))
        {
            return Err(form());
        }
        Ok(Self {
            endpoint: Some(endpoint.to_owned()).filter(|endpoint| !endpoint.is_empty()),
            key: key.to_owned(),
        })
    }
}

impl AwsKmsUri {
    /// The region in the key's ARN.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.key
            .starts_with("arn:")
            .then(|| self.key.split(':').nth(3))
            .flatten()
    }

    /// The alias, if the key is named by one in the caller's own account and region.
    #[must_use]
    pub fn alias(&self) -> Option<&str> {
        is_alias(&self.key).then_some(self.key.as_str())
    }
}

impl fmt::Display for AwsKmsUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "awskms://{}/{}",
            self.endpoint.as_deref().unwrap_or_default(),
            self.key
        )
    }
}

/// A UUID, or `mrk-` and 32 digits for keys in several regions.
fn is_id(key: &str) -> bool {
    !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn is_alias(key: &str) -> bool {
    key.strip_prefix("alias/").is_some_and(|name| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"/_-".contains(&byte))
    })
}

/// `arn:PARTITION:kms:REGION:ACCOUNT:key/ID` or `…:alias/NAME`.
fn is_arn(key: &str) -> bool {
    let parts: Vec<&str> = key.splitn(6, ':').collect();
    let [arn, partition, service, region, account, resource] = parts.as_slice() else {
        return false;
    };
    *arn == "arn"
        && (*partition == "aws" || partition.starts_with("aws-"))
        && is_id(partition)
        && *service == "kms"
        && is_id(region)
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && (resource.strip_prefix("key/").is_some_and(is_id) || is_alias(resource))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

    #[test]
    fn every_form_is_read_and_printed() {
        for key in [
            ID.to_owned(),
            format!("arn:aws:kms:eu-central-1:111122223333:key/{ID}"),
            format!("arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/{ID}"),
            "arn:aws:kms:us-east-1:111122223333:alias/sigkeep/ca".to_owned(),
            "alias/sigkeep/ca_1-x".to_owned(),
            "mrk-1234abcd12ab34cd56ef1234567890ab".to_owned(),
        ] {
            for endpoint in ["", "localhost:4566", "kms.internal.example"] {
                let rest = format!("//{endpoint}/{key}");
                let uri: AwsKmsUri = rest.parse().unwrap();
                assert_eq!(uri.key, key);
                assert_eq!(uri.endpoint.as_deref().unwrap_or(""), endpoint);
                assert_eq!(uri.to_string(), format!("awskms:{rest}"));
            }
        }
    }

    #[test]
    fn the_region_is_that_of_the_arn() {
        let uri: AwsKmsUri = format!("///arn:aws:kms:eu-central-1:111122223333:key/{ID}")
            .parse()
            .unwrap();
        assert_eq!(uri.region(), Some("eu-central-1"));
        let uri: AwsKmsUri = "///alias/ca".parse().unwrap();
        assert_eq!((uri.region(), uri.alias()), (None, Some("alias/ca")));
    }

    #[test]
    fn other_forms_are_refused_with_the_form() {
        for rest in [
            "",
            "//k",
            "//x/y/z",
            "///",
            "/alias/ca",
            "///alias/",
            "///alias/ca?version=1",
            "///arn:aws:s3:eu-central-1:111122223333:key/x",
            "///arn:aws:kms:eu-central-1:1111:key/x",
            "///arn:evil:kms:eu-central-1:111122223333:key/x",
            "//user@host/alias/ca",
            "///key with space",
        ] {
            let error = rest.parse::<AwsKmsUri>().unwrap_err();
            assert!(error.contains("awskms:///KEY"), "{rest}: {error}");
        }
    }
}
