use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;

/// A server that takes its time and then fails; the most requests that it had at once.
async fn slow_failure() -> (String, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let most = Arc::new(AtomicUsize::new(0));
    let (seen, now) = (Arc::clone(&most), Arc::new(AtomicUsize::new(0)));
    let router = axum::Router::new().fallback(async move || {
        seen.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(50)).await;
        now.fetch_sub(1, Ordering::SeqCst);
        axum::http::StatusCode::BAD_GATEWAY
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, most)
}

#[tokio::test]
async fn made_up_issuers_are_asked_few_at_a_time_and_forgotten() {
    let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (url, most) = slow_failure().await;
    let registry = Registry::parse(&format!(
        "meta-issuers: {{'{url}/*': {{client-id: sigstore, type: email}}}}"
    ))
    .unwrap();
    let identities = Identities::new(registry, Refresh::default(), &PinnedJwks::new()).unwrap();
    let asked = (0..3 * MAX_FIRST_FETCHES).map(|number| {
        let (identities, issuer) = (&identities, format!("{url}/tenant-{number}"));
        async move {
            let configured = identities.registry.find(&issuer).unwrap();
            identities.provider(configured, &issuer).await.map(drop)
        }
    });
    let answers = futures::future::join_all(asked).await;
    assert!(answers.iter().all(Result::is_err));
    assert_eq!(most.load(Ordering::SeqCst), MAX_FIRST_FETCHES);
    identities.wildcard_providers.run_pending_tasks().await;
    assert_eq!(identities.wildcard_providers.entry_count(), 0);
}
