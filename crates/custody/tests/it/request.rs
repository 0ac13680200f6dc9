//! A root elsewhere: requests and the chains that come back. OpenSSL is the other side.

use std::process::Command;

use custody::{Error, Made, Purpose};

use super::*;

/// A root that OpenSSL holds.
struct Elsewhere {
    folder: tempfile::TempDir,
}

impl Elsewhere {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = Self { folder };
        elsewhere.openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-384 -nodes -keyout root.key -out root.pem \
             -days 3650 -subj /O=Corp/CN=root -addext basicConstraints=critical,CA:TRUE \
             -addext keyUsage=critical,keyCertSign,cRLSign",
        );
        elsewhere
    }

    fn openssl(&self, arguments: &str) -> String {
        let output = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(output.status.success(), "openssl {arguments}: {text}");
        text
    }

    /// Signs the request with these extensions; the chain.
    fn sign(&self, request: &Path, extensions: &str) -> PathBuf {
        std::fs::write(self.folder.path().join("extensions"), extensions).unwrap();
        self.openssl(&format!(
            "x509 -req -in {} -CA root.pem -CAkey root.key -out signed.pem -days 365 -extfile extensions",
            request.display()
        ));
        let read = |name: &str| std::fs::read_to_string(self.folder.path().join(name)).unwrap();
        let chain = self.folder.path().join("chain.pem");
        std::fs::write(&chain, read("signed.pem") + &read("root.pem")).unwrap();
        chain
    }
}

const INTERMEDIATE: &str = "basicConstraints=critical,CA:TRUE,pathlen:0\n\
    keyUsage=critical,keyCertSign,cRLSign\nextendedKeyUsage=codeSigning\n\
    subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";

const LEAF: &str = "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n\
    extendedKeyUsage=critical,timeStamping\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";

/// An authority whose request waits. OpenSSL has the real clock; this one is ahead of it, so that what is
/// signed later is valid already.
async fn requested(purpose: Purpose) -> (Home, Made) {
    let home = Home::new(purpose);
    home.clock.set_ms(
        u64::try_from(
            SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap()
                .as_millis(),
        )
        .unwrap()
            + 600_000,
    );
    let made = home.begin(Root::Elsewhere).await.unwrap();
    assert!(!made.active && made.chain.is_none());
    (home, made)
}

#[tokio::test]
async fn a_request_asks_for_the_profile_and_its_chain_comes_back() {
    for (purpose, extensions) in [
        (Purpose::CodeSigning, INTERMEDIATE),
        (Purpose::TimeStamping, LEAF),
    ] {
        let (home, made) = requested(purpose).await;
        let elsewhere = Elsewhere::new();
        let request = made.request.unwrap();
        let text = elsewhere.openssl(&format!(
            "req -in {} -noout -text -verify",
            request.display()
        ));
        assert!(
            text.contains("O = Corp") || text.contains("O=Corp"),
            "{text}"
        );
        match purpose {
            Purpose::CodeSigning => assert!(
                text.contains("CA:TRUE, pathlen:0") && text.contains("Code Signing"),
                "{text}"
            ),
            Purpose::TimeStamping => assert!(text.contains("Time Stamping"), "{text}"),
        }
        assert!(home.status().due[0].contains("request.pem"));
        let chain = elsewhere.sign(&request, extensions);
        let made = home.open().import(&chain, &home.clock(), "test").unwrap();
        assert!(made.active);
        home.source().open(Some(&passphrase())).await.unwrap();
        // Nothing waits any more.
        let again = home.open().import(&chain, &home.clock(), "test");
        assert!(matches!(again, Err(Error::Usage(_))), "{again:?}");
    }
}

#[tokio::test]
async fn a_chain_that_is_not_what_was_asked_for_is_refused_and_can_be_replaced() {
    let (home, made) = requested(Purpose::CodeSigning).await;
    let elsewhere = Elsewhere::new();
    let request = made.request.unwrap();
    let import = |chain: &Path| home.open().import(chain, &home.clock(), "test");
    for (change, says) in [
        (("pathlen:0", "pathlen:1"), "path length"),
        (("codeSigning", "codeSigning,serverAuth"), "purpose alone"),
        (("codeSigning", "timeStamping"), "purpose"),
        (
            ("keyCertSign", "keyCertSign,digitalSignature"),
            "nothing else",
        ),
        (("CA:TRUE,pathlen:0", "CA:FALSE"), "certificate authority"),
        (
            (
                "authorityKeyIdentifier=keyid",
                "authorityKeyIdentifier=none",
            ),
            "authority key identifier",
        ),
    ] {
        let chain = elsewhere.sign(&request, &INTERMEDIATE.replace(change.0, change.1));
        let error = import(&chain).unwrap_err().to_string();
        assert!(error.contains(says), "{says}: {error}");
    }
    // Without its root, with the root of somebody else, of another key.
    let whole = elsewhere.sign(&request, INTERMEDIATE);
    let pem = std::fs::read_to_string(&whole).unwrap();
    let first = &pem[..pem.rfind("-----BEGIN").unwrap()];
    let cut = home.directory.path().join("cut.pem");
    std::fs::write(&cut, first).unwrap();
    let error = import(&cut).unwrap_err().to_string();
    assert!(error.contains("self-signed root"), "{error}");
    let stranger = Elsewhere::new();
    let root = std::fs::read_to_string(stranger.folder.path().join("root.pem")).unwrap();
    std::fs::write(&cut, first.to_owned() + &root).unwrap();
    let error = import(&cut).unwrap_err().to_string();
    assert!(error.contains("not signed by its issuer"), "{error}");
    let (_other, other_made) = requested(Purpose::CodeSigning).await;
    let other_chain = elsewhere.sign(&other_made.request.unwrap(), INTERMEDIATE);
    let error = import(&other_chain).unwrap_err().to_string();
    assert!(error.contains("another key"), "{error}");
    assert_eq!(home.open().active().unwrap(), None);
    import(&elsewhere.sign(&request, INTERMEDIATE)).unwrap();
}
