//! `kill -9` at random moments under load.
//!
//! The test runs itself again as a child that appends and prints what was acknowledged; the parent
//! kills it, opens the log, and checks every promise that was made so far.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keys::FileSigner;
use logstore::SharedStore;
use logstore_postgres::PostgresStore;
use tlog::{Hash, leaf_hash};

use crate::support::{LOG, Place, Setup, check_whole, open_sqlite};

/// Kills a store; two kinds of store make 50.
const ROUNDS: u32 = 25;

/// Set in the child: the directory of its files, and the database if it is not SQLite's.
const CHILD_DIRECTORY: &str = "SEQUENCER_CRASH_DIRECTORY";
const CHILD_DATABASE: &str = "SEQUENCER_CRASH_DATABASE";

/// What the child was told, and printed.
#[derive(Debug)]
struct Acknowledged {
    index: u64,
    body: Vec<u8>,
    size: u64,
    root: Hash,
}

#[test]
fn killed_on_sqlite() {
    run("crash::killed_on_sqlite", || async { Place::sqlite() });
}

#[test]
fn killed_on_postgres() {
    run("crash::killed_on_postgres", Place::postgres);
}

fn run<P: Future<Output = Place>>(name: &str, place: impl FnOnce() -> P) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        match std::env::var(CHILD_DIRECTORY) {
            Ok(directory) => append_for_ever(Path::new(&directory)).await,
            Err(_) => kill_rounds(name, &place().await).await,
        }
    });
}

fn setup(directory: &Path) -> Setup {
    Setup::with_signer(Arc::new(
        FileSigner::load_unencrypted(&directory.join("key.pem")).unwrap(),
    ))
}

/// The child: appends until it is killed.
async fn append_for_ever(directory: &Path) {
    let store: SharedStore = match std::env::var(CHILD_DATABASE) {
        Ok(url) => Arc::new(PostgresStore::connect(&url, 4).await.unwrap()),
        Err(_) => open_sqlite(&directory.join("log.db")).await,
    };
    let log = setup(directory)
        .open(&store, &directory.join("guard"))
        .await
        .unwrap();
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..16_u32 {
        let log = Arc::clone(&log);
        clients.spawn(async move {
            for number in 0_u32.. {
                let body = format!("{}-{client}-{number}", std::process::id());
                let answer = log.append(body.clone().into_bytes()).await.unwrap();
                let head = &answer.head.head;
                let line = format!(
                    "ack {} {body} {} {:?}\n",
                    answer.index, head.size, head.root
                );
                // One write a line: a kill between two leaves both whole.
                std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
            }
        });
    }
    clients.join_all().await;
}

async fn kill_rounds(name: &str, place: &Place) {
    write_key(&place.path("key.pem"));
    let setup = setup(place.directory.path());
    {
        let store = place.store().await;
        setup.create(&store).await;
    }
    let mut acknowledged: Vec<Acknowledged> = Vec::new();
    let mut random = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .subsec_nanos();
    for round in 0..ROUNDS {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let moment = Duration::from_micros(u64::from(random >> 8) % 250_000);
        let new = one_life(name, place, moment);
        assert!(
            !new.is_empty(),
            "round {round}: killed before anything was acknowledged"
        );
        acknowledged.extend(new);
        check_promises(&setup, place, &acknowledged).await;
    }
}

/// Starts a child, kills it a while after its first acknowledgement, and returns what it said.
fn one_life(name: &str, place: &Place, moment: Duration) -> Vec<Acknowledged> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD_DIRECTORY, place.directory.path())
        .stdout(Stdio::piped());
    if let Some(database) = &place.database {
        command.env(CHILD_DATABASE, database.url());
    }
    let mut child = command.spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let (lines, received) = mpsc::channel();
    std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            if line.starts_with("ack ") && lines.send(line).is_err() {
                return;
            }
        }
    });
    let mut acknowledged = Vec::new();
    let first = received
        .recv_timeout(Duration::from_secs(30))
        .expect("the child appends");
    acknowledged.push(parse(&first));
    let killed_at = Instant::now() + moment;
    while let Some(left) = killed_at.checked_duration_since(Instant::now())
        && let Ok(line) = received.recv_timeout(left)
    {
        acknowledged.push(parse(&line));
    }
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    // What was said before the kill is a promise, too.
    acknowledged.extend(received.iter().map(|line| parse(&line)));
    acknowledged
}

fn parse(line: &str) -> Acknowledged {
    let words: Vec<_> = line.split(' ').collect();
    let [_, index, body, size, root] = words.as_slice() else {
        panic!("{line}")
    };
    let mut hash = [0; 32];
    for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&root[at..at + 2], 16).unwrap();
    }
    Acknowledged {
        index: index.parse().unwrap(),
        body: body.as_bytes().to_vec(),
        size: size.parse().unwrap(),
        root: Hash(hash),
    }
}

async fn check_promises(setup: &Setup, place: &Place, acknowledged: &[Acknowledged]) {
    let store = place.store().await;
    // Opening compares the database with the guard.
    let log = setup.open(&store, &place.guard()).await.unwrap();
    let head = log.head().await.unwrap().head;
    assert_eq!(store.head(LOG).await.unwrap().size, head.size);
    let bodies = check_whole(&store).await;
    assert_eq!(bodies.len() as u64, head.size);
    let mut edge = tlog::Edge::new();
    let mut roots = vec![edge.root()];
    for body in &bodies {
        edge.push(leaf_hash(body), |_, _| {});
        roots.push(edge.root());
    }
    for ack in acknowledged {
        let at = usize::try_from(ack.index).unwrap();
        assert_eq!(
            bodies.get(at),
            Some(&ack.body),
            "entry {} was lost or moved",
            ack.index
        );
        // The tree under the acknowledged head is a prefix of this one.
        let size = usize::try_from(ack.size).unwrap();
        assert_eq!(
            roots.get(size),
            Some(&ack.root),
            "the head of size {size} was forked"
        );
    }
    // And the log can prove it: all of it for the newest promises, samples of the old.
    for ack in acknowledged
        .iter()
        .rev()
        .take(20)
        .chain(acknowledged.iter().step_by(97))
    {
        let proof = log
            .inclusion_proof(ack.index, head.size)
            .await
            .unwrap()
            .unwrap();
        let leaf = leaf_hash(&ack.body);
        tlog::verify_inclusion(ack.index, head.size, &leaf, &proof, &head.root).unwrap();
        let proof = log
            .consistency_proof(ack.size, head.size)
            .await
            .unwrap()
            .unwrap();
        tlog::verify_consistency(ack.size, head.size, &proof, &ack.root, &head.root).unwrap();
    }
}

/// A key that both processes load: plain PKCS#8, because deriving a key from a passphrase takes
/// longer than a child lives.
fn write_key(path: &Path) {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let der = key.to_pkcs8v1().unwrap();
    let (begin, end) = ("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----");
    let lines: Vec<String> = STANDARD
        .encode(der.as_ref())
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    std::fs::write(path, format!("{begin}\n{}\n{end}\n", lines.join("\n"))).unwrap();
}
