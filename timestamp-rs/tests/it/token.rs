//! What tokens say.

use std::collections::HashSet;

use super::der::*;
use super::*;

#[tokio::test]
async fn the_status_is_granted_and_the_imprint_is_repeated_with_its_parameters() {
    let tsa = Tsa::start().await;
    let with_null = tlv(
        0x30,
        &[&[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, SHA256, 5, 0]],
    );
    for algorithm in [nist_hash(SHA256), with_null] {
        let imprint = imprint(&algorithm, &[7; 32]);
        let reply = tsa.reply(&over(&imprint, &[])).await;
        let reply = Reply::parse(&reply);
        assert_eq!(reply.status, [2, 1, 0]);
        assert_eq!(reply.tst_info[0].1, [1], "version");
        assert_eq!(reply.tst_info[2].2, imprint);
    }
}

#[tokio::test]
async fn certificates_are_left_out_unless_asked_for_and_then_only_the_leaf() {
    let tsa = Tsa::start().await;
    let without = tsa.reply(&request(&[])).await;
    assert!(Reply::parse(&without).certificates.is_none());
    let with = tsa.reply(&request(&[CERT_REQ])).await;
    let chain = pki::chain::Chain::from_pem(
        &std::fs::read_to_string(tsa.file("authority/1/chain.pem")).unwrap(),
    )
    .unwrap();
    assert_eq!(Reply::parse(&with).certificates, Some(chain.first()));
}

#[tokio::test]
async fn the_whole_chain_is_embedded_in_der_set_order_if_so_configured() {
    let tsa = Tsa::start_with(Algorithm::EcdsaP256Sha256, |config| {
        config.include_chain = true
    })
    .await;
    let reply = tsa.reply(&request(&[CERT_REQ])).await;
    let embedded: Vec<_> = children(Reply::parse(&reply).certificates.unwrap())
        .iter()
        .map(|(_, _, raw)| raw.to_vec())
        .collect();
    let chain = pki::chain::Chain::from_pem(
        &std::fs::read_to_string(tsa.file("authority/1/chain.pem")).unwrap(),
    )
    .unwrap();
    let mut expected: Vec<_> = chain.certificates().map(<[u8]>::to_vec).collect();
    expected.sort();
    assert_eq!(embedded, expected);
}

#[tokio::test]
async fn nonces_are_repeated_and_negative_ones_refused() {
    let tsa = Tsa::start().await;
    let without = tsa.reply(&request(&[])).await;
    assert_eq!(Reply::parse(&without).nonce(), None);
    for nonce in [&[0x7f; 8][..], &[0x7e; 20], &[0, 0xff], &[0]] {
        let reply = tsa.reply(&request(&[&tlv(2, &[nonce])])).await;
        assert_eq!(Reply::parse(&reply).nonce(), Some(nonce));
    }
    let negative = tsa.query(request(&[&tlv(2, &[&[0x80]])])).await;
    assert_refused(negative, 400, "Error generating timestamp response").await;
}

#[tokio::test]
async fn gen_time_is_whole_seconds_of_the_clock() {
    let tsa = Tsa::start().await;
    let day = Duration::from_secs(24 * 60 * 60).as_millis() as u64;
    let midnight = (now_ms() / day + 1) * day;
    tsa.clock.set_ms(midnight + 3_723_999);
    let reply = tsa.reply(&request(&[])).await;
    let gen_time = Reply::parse(&reply).gen_time().to_owned();
    assert_eq!(gen_time.len(), 15);
    assert!(gen_time.ends_with("010203Z"), "{gen_time}");
}

#[tokio::test]
async fn signed_attributes_are_in_der_set_order() {
    let tsa = Tsa::start().await;
    let reply = tsa.reply(&request(&[])).await;
    let reply = Reply::parse(&reply);
    // version, sid, digestAlgorithm, signedAttrs, signatureAlgorithm, signature
    let tags: Vec<_> = reply.signer_info.iter().map(|(tag, ..)| *tag).collect();
    assert_eq!(tags, [2, 0x30, 0x30, 0xa0, 0x30, 4]);
    let attributes: Vec<_> = children(reply.signer_info[3].1)
        .iter()
        .map(|(_, _, raw)| raw.to_vec())
        .collect();
    assert_eq!(attributes.len(), 4);
    assert!(attributes.is_sorted());
}

#[tokio::test]
async fn the_policy_is_the_default_or_an_accepted_one() {
    let other = "1.2.3.4".parse().unwrap();
    let tsa = Tsa::start_with(Algorithm::EcdsaP256Sha256, |config| {
        config.accepted_policies = vec![other]
    })
    .await;
    let sigstore = [0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 2];
    let reply = tsa.reply(&request(&[])).await;
    assert_eq!(Reply::parse(&reply).tst_info[1].1, sigstore);
    for accepted in [&sigstore[..], &[0x2a, 3, 4]] {
        let reply = tsa.reply(&request(&[&tlv(6, &[accepted])])).await;
        assert_eq!(Reply::parse(&reply).tst_info[1].1, accepted);
    }
    let refused = tsa.query(request(&[&tlv(6, &[&[0x2a, 3, 5]])])).await;
    assert_refused(
        refused,
        400,
        "unaccepted policy: requested TSA policy is not supported by the TSA",
    )
    .await;
}

#[tokio::test]
async fn serial_numbers_are_unique_and_positive_in_at_most_20_octets() {
    let tsa = Tsa::start().await;
    let mut serials = HashSet::new();
    for _ in 0..100 {
        let reply = tsa.reply(&request(&[])).await;
        let serial = Reply::parse(&reply).serial().to_vec();
        assert!(serial.len() <= 20 && (1..=0x7f).contains(&serial[0]));
        assert!(serials.insert(serial));
    }
    // They are drawn by this, which is quicker to ask a million times.
    let drawn: HashSet<_> = (0..1_000_000)
        .map(|_| pki::Serial::random().unwrap())
        .collect();
    assert_eq!(drawn.len(), 1_000_000);
}
