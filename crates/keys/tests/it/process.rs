//! Tests that need a process, and so an environment, of their own.

use std::io::Write;
use std::process::Command;
use std::sync::{Arc, Mutex};

/// Set in the process that runs the body of a test.
const CHILD: &str = "KEYS_TEST_CHILD";

/// Runs `body` as the test `name` (as the test runner lists it) in a new process of this program,
/// with the environment that `prepare` makes; fails if `body` does.
///
/// The environment of this process is left alone: other tests run in it at the same time.
pub(crate) fn alone<G>(name: &str, prepare: impl FnOnce(&mut Command) -> G, body: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some() {
        return body();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, "1");
    let guard = prepare(&mut command);
    let output = command.output().unwrap();
    drop(guard);
    let printed = format!(
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{}: {printed}", output.status);
    assert!(
        printed.contains("1 passed"),
        "no test is named {name}: {printed}"
    );
}

/// Runs a future to its end.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// Everything that is logged while `body` runs, at the finest level; once in a process.
pub(crate) fn logged(body: impl FnOnce()) -> String {
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);
    impl Write for Log {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(text);
            Ok(text.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .init();
    body();
    let text = log.0.lock().unwrap().clone();
    String::from_utf8(text).unwrap()
}
