//! `check-config`, as every service has it: a configuration is read and checked as at start, and
//! nothing is started, no key opened and nobody asked.

use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

/// Arguments of `check-config`.
#[derive(Clone, Debug, clap::Args)]
pub struct CheckConfig {
    /// The file
    pub file: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl CheckConfig {
    /// Prints what was found, a line each, or why the configuration is refused. The exit code: 0,
    /// or 2.
    #[expect(
        clippy::print_stdout,
        clippy::print_stderr,
        reason = "a command's own output"
    )]
    pub fn conclude(&self, checked: Result<Vec<String>, impl Display>) -> ExitCode {
        let file = self.file.display().to_string();
        match checked {
            Ok(found) if self.json => {
                println!("{}", json!({"file": file, "ok": true, "found": found}));
                ExitCode::SUCCESS
            }
            Ok(found) => {
                for line in found {
                    println!("{line}");
                }
                println!("the configuration is in order");
                ExitCode::SUCCESS
            }
            Err(error) if self.json => {
                let error = error.to_string();
                println!("{}", json!({"file": file, "ok": false, "error": error}));
                ExitCode::from(2)
            }
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::from(2)
            }
        }
    }
}
