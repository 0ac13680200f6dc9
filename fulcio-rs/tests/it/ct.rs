//! A transparency log that fails, or lies.

use std::time::{Duration, Instant};

use crate::log::Mood;
use crate::stack::Stack;

const CTL: &str = "Error entering certificate in CTL";

async fn stack() -> (Stack, String) {
    let stack = Stack::with(|config| config.ct_log_timeout_seconds = 1).await;
    let token = stack.provider.token(&stack.provider.claims());
    (stack, token)
}

#[tokio::test]
async fn refusals_of_the_log_are_ours_and_final() {
    let (stack, token) = stack().await;
    for status in [400, 403, 404, 500, 502, 307] {
        stack.log.feel(Mood::Status(status));
        let start = Instant::now();
        let answer = stack.ask_email(&token).await;
        answer.is_error(500, 13, CTL);
        assert!(
            start.elapsed() < Duration::from_millis(900),
            "{status} was tried again"
        );
        assert!(!answer.text.contains("CERTIFICATE"));
    }
}

#[tokio::test]
async fn a_busy_log_is_asked_again() {
    let (stack, token) = stack().await;
    stack.log.feel(Mood::Busy(2));
    stack.ask_email(&token).await.chain();
}

#[tokio::test]
async fn a_log_that_stays_busy_hangs_or_is_gone_ends_in_time() {
    let (stack, token) = stack().await;
    for mood in [Mood::Status(503), Mood::Status(429), Mood::Hangs] {
        stack.log.feel(mood);
        let start = Instant::now();
        stack.ask_email(&token).await.is_error(503, 14, CTL);
        assert!(start.elapsed() < Duration::from_secs(3));
    }
    let gone = Stack::with(|config| {
        config.ct_log_timeout_seconds = 1;
        config.ct_log_url = Some("http://127.0.0.1:9/ctlog".parse().unwrap());
    })
    .await;
    let token = gone.provider.token(&gone.provider.claims());
    gone.ask_email(&token).await.is_error(503, 14, CTL);
}

#[tokio::test]
async fn promises_that_do_not_hold_are_refused() {
    let (stack, token) = stack().await;
    for mood in [
        Mood::WrongKey,
        Mood::WrongId,
        Mood::WrongTime,
        Mood::WrongEntry,
        Mood::NotJson,
    ] {
        stack.log.feel(mood);
        let answer = stack.ask_email(&token).await;
        answer.is_error(500, 13, CTL);
        assert!(!answer.text.contains("CERTIFICATE"));
    }
    stack.log.feel(Mood::Good);
    stack.ask_email(&token).await.chain();
}
