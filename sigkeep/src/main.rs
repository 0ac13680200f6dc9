//! The `sigkeep` program; see the library.

fn main() -> std::process::ExitCode {
    sigkeep::cli::run()
}
