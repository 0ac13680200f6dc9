//! The client of KMS, with bounded time and retries.

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_kms::Client;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};

use super::{AwsKmsError, AwsKmsUri};

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest wait for one answer; KMS answers in 10 to 30 ms.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest wait for a call with its repetitions.
const CALL_TIMEOUT: Duration = Duration::from_secs(8);
/// How often a call is made that KMS throttles or does not answer. The SDK also stops repeating
/// when most calls fail, so that an overloaded KMS is not loaded further.
const ATTEMPTS: u32 = 3;
/// Longest first wait before a repetition.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Longest file of certificates that is read, in bytes.
const MAX_CERTIFICATES: u64 = 1024 * 1024;

/// A client for the account and region of `uri`.
pub(super) async fn connect(uri: &AwsKmsUri) -> Result<Client, AwsKmsError> {
    let trusted = match std::env::var_os("AWS_CA_BUNDLE").filter(|path| !path.is_empty()) {
        Some(path) => {
            let mut pem = Vec::new();
            File::open(&path)
                .and_then(|file| file.take(MAX_CERTIFICATES).read_to_end(&mut pem))
                .map_err(|error| {
                    AwsKmsError::Configuration(format!("AWS_CA_BUNDLE {}: {error}", path.display()))
                })?;
            TrustStore::empty().with_pem_certificate(pem)
        }
        None => TrustStore::default(),
    };
    let tls = TlsContext::builder()
        .with_trust_store(trusted)
        .build()
        .map_err(|error| AwsKmsError::Configuration(error.to_string()))?;
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .tls_context(tls)
        .build_https();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(ATTEMPTS)
                .with_initial_backoff(FIRST_PAUSE),
        )
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                .operation_timeout(CALL_TIMEOUT)
                .build(),
        );
    if let Some(region) = uri.region() {
        loader = loader.region(Region::new(region.to_owned()));
    }
    if let Some(endpoint) = &uri.endpoint {
        loader = loader.endpoint_url(format!("https://{endpoint}"));
    }
    let config = loader.load().await;
    if config.region().is_none() {
        return Err(AwsKmsError::Configuration(
            "nothing says in which region the key is; name it by its ARN, or set AWS_REGION"
                .to_owned(),
        ));
    }
    Ok(Client::new(&config))
}
