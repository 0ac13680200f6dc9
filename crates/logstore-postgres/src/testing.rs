//! A real PostgreSQL server for tests (feature `testing`).
//!
//! ```text
//! let database = testing::server().await.database().await;
//! let store = PostgresStore::connect(database.url(), 4).await?;
//! ```
//!
//! One server a process, started by the first test that asks, in a temporary directory and on a
//! free port of 127.0.0.1, with durability on. It stops when the test process ends, however it
//! ends: a shell between them waits for the process's end of a pipe to close. Started as root, the
//! server runs as the user `postgres` or `nobody`, because PostgreSQL refuses to run as root.

// Compiled for tests only, which are its only input: it panics so that they fail.
#![allow(clippy::panic, clippy::expect_used)]

use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use tokio::sync::OnceCell;

/// How long the server may take to start on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A running server.
#[derive(Debug)]
pub struct Server {
    port: u16,
    databases: AtomicU32,
    // The pipe whose end stops the server.
    _guardian: Mutex<std::process::Child>,
}

/// A database of a server.
#[derive(Debug, Clone)]
pub struct Database {
    name: String,
    url: String,
}

static SERVER: OnceCell<Server> = OnceCell::const_new();

/// The server of this process.
///
/// # Panics
///
/// If PostgreSQL is not installed or does not start, with a message that says what to do: a test
/// that needs it fails rather than pass without it.
pub async fn server() -> &'static Server {
    SERVER.get_or_init(Server::start).await
}

impl Server {
    async fn start() -> Self {
        let bin = binaries();
        let directory = std::env::temp_dir().join(format!(
            "logstore-postgres-{}-{}",
            std::process::id(),
            std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |since| since.as_nanos())
        ));
        std::fs::create_dir(&directory).expect("a temporary directory");
        let user = unprivileged_user(&directory);
        if let Some((uid, gid)) = user {
            chown(&directory, Some(uid), Some(gid)).expect("the temporary directory is ours");
        }
        let as_user = |command: &mut Command| {
            if let Some((uid, gid)) = user {
                command.uid(uid).gid(gid);
            }
            command.current_dir("/").env("LC_ALL", "C");
        };

        let data = directory.join("data");
        let mut initdb = Command::new(bin.join("initdb"));
        initdb
            .args([
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
            ])
            .args(["--no-sync", "--no-instructions", "--pgdata"])
            .arg(&data);
        as_user(&mut initdb);
        let output = initdb.output().expect("initdb starts");
        assert!(
            output.status.success(),
            "initdb failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );

        let port = free_port();
        // `cat` ends with this process; the server is then stopped (SIGINT: fast shutdown, without
        // waiting for clients) and its files are removed.
        let script = r#"
            "$1/postgres" -D "$2/data" -p "$3" -k "$2" -c listen_addresses=127.0.0.1 \
                -c max_connections=200 -c shared_buffers=128MB -c fsync=on \
                -c synchronous_commit=on >"$2/log" 2>&1 </dev/null &
            cat >/dev/null
            kill -INT $!
            wait $!
            rm -rf "$2"
        "#;
        let mut guardian = Command::new("/bin/sh");
        guardian
            .args(["-c", script, "sh"])
            .arg(&bin)
            .arg(&directory)
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A signal to the tests' group (Ctrl-C) must not end the shell before the server.
            .process_group(0);
        as_user(&mut guardian);
        let guardian = guardian.spawn().expect("a shell starts");
        let server = Self {
            port,
            databases: AtomicU32::new(0),
            _guardian: Mutex::new(guardian),
        };

        let started = Instant::now();
        while let Err(error) = PgConnection::connect(&server.url("postgres")).await {
            let log = std::fs::read_to_string(directory.join("log")).unwrap_or_default();
            assert!(
                started.elapsed() < START_TIMEOUT,
                "PostgreSQL did not start: {error}\n{log}"
            );
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        server
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Creates an empty database.
    pub async fn database(&self) -> Database {
        self.create("template1").await
    }

    /// Creates a copy of a database, as a backup would; nobody may be connected to the original.
    pub async fn copy(&self, original: &Database) -> Database {
        self.create(&original.name).await
    }

    async fn create(&self, template: &str) -> Database {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        self.execute(format!("CREATE DATABASE {name} TEMPLATE {template}"))
            .await;
        Database {
            url: self.url(&name),
            name,
        }
    }

    /// Cuts every connection to a database; returns how many there were.
    pub async fn cut_connections(&self, database: &Database) -> u64 {
        let mut connection = self.connect().await;
        let row = sqlx::query(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = $1",
        )
        .bind(&database.name)
        .fetch_one(&mut connection)
        .await
        .expect("a superuser may terminate backends");
        u64::try_from(row.get::<i64, _>(0)).unwrap_or(0)
    }

    /// Runs a statement as superuser, outside any test's database.
    pub async fn execute(&self, sql: String) {
        let mut connection = self.connect().await;
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .expect("the statement");
    }

    async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url("postgres"))
            .await
            .expect("the server answers")
    }
}

impl Database {
    /// Where to connect.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its name on the server.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The folder of PostgreSQL's programs: `$PG_BIN`, else on the `PATH`, else Debian's newest.
fn binaries() -> PathBuf {
    let given = std::env::var_os("PG_BIN").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut debian: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    debian.sort_by_key(|path| {
        let version = path
            .parent()
            .and_then(Path::file_name)
            .and_then(|name| name.to_str());
        std::cmp::Reverse(
            version
                .and_then(|name| name.parse::<u32>().ok())
                .unwrap_or(0),
        )
    });
    given
        .into_iter()
        .chain(std::env::split_paths(&path))
        .chain(debian)
        .find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
        .unwrap_or_else(|| {
            panic!(
                "these tests need PostgreSQL's server programs (initdb, postgres). Install them \
                 (Debian, Ubuntu: apt-get install postgresql; Fedora: dnf install \
                 postgresql-server; macOS: brew install postgresql), or set PG_BIN to their folder."
            )
        })
}

/// Whom to run the server as if this process is root; `None` if it is not.
fn unprivileged_user(own: &Path) -> Option<(u32, u32)> {
    if std::fs::metadata(own).ok()?.uid() != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let find = |name: &str| {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next()? == name).then_some(())?;
            let uid = fields.nth(1)?.parse().ok()?;
            Some((uid, fields.next()?.parse().ok()?))
        })
    };
    Some(
        find("postgres")
            .or_else(|| find("nobody"))
            .unwrap_or((65534, 65534)),
    )
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}
