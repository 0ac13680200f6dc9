//! Fuzz targets: parsers of hostile input, each a function of bytes that must not panic, hang, or
//! break what its file promises.
//!
//! A target is a file here, a line in [`TARGETS`], two lines in `fuzz_targets/`, a `[[bin]]` in
//! `Cargo.toml`, and a directory of seeds in `seeds/`. `make fuzz` runs them under libFuzzer; the
//! test below replays the seeds, and what fuzzing found, in every test run.

pub mod alpine;
pub mod claims;
pub mod configuration;
pub mod cose;
pub mod csr;
pub mod dsse;
mod entries;
pub mod hashedrekord;
pub mod helm;
pub mod intoto;
pub mod jar;
pub mod jwks;
mod offline;
pub mod public_key;
pub mod rekord;
pub mod request;
pub mod rfc3161;
pub mod rpm;
pub mod template;
pub mod token;
pub mod tuf;

/// A target: its name and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("alpine", alpine::run),
    ("claims", claims::run),
    ("configuration", configuration::run),
    ("cose", cose::run),
    ("csr", csr::run),
    ("dsse", dsse::run),
    ("hashedrekord", hashedrekord::run),
    ("helm", helm::run),
    ("intoto", intoto::run),
    ("jar", jar::run),
    ("jwks", jwks::run),
    ("public_key", public_key::run),
    ("rekord", rekord::run),
    ("request", request::run),
    ("rfc3161", rfc3161::run),
    ("rpm", rpm::run),
    ("template", template::run),
    ("token", token::run),
    ("tuf", tuf::run),
];

/// Makes a target a program: for libFuzzer in a fuzzing build, else one that says how to get that.
#[macro_export]
macro_rules! target {
    ($name:ident) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::$name::run(data));

        #[cfg(not(fuzzing))]
        #[expect(clippy::print_stderr, reason = "the program's own output")]
        fn main() -> std::process::ExitCode {
            eprintln!(concat!(
                "this program fuzzes in a fuzzing build only: make fuzz TARGETS=",
                stringify!($name)
            ));
            std::process::ExitCode::from(2)
        }
    };
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use std::sync::atomic::Ordering;

    use super::TARGETS;
    use crate::entries::TAKEN;

    fn names(directory: &str) -> Vec<String> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
        let mut names: Vec<_> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| PathBuf::from(entry.unwrap().file_name()))
            .map(|name| name.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn every_target_has_a_program_and_seeds() {
        let targets: Vec<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(names("fuzz_targets"), targets);
        assert_eq!(names("seeds"), targets);
    }

    #[test]
    fn some_seed_of_every_kind_of_entry_is_taken() {
        let kinds = [
            "alpine",
            "cose",
            "dsse",
            "hashedrekord",
            "helm",
            "intoto",
            "jar",
            "rekord",
            "rfc3161",
            "rpm",
            "tuf",
        ];
        let mut refused = Vec::new();
        for (name, run) in TARGETS.iter().filter(|(name, _)| kinds.contains(name)) {
            let before = TAKEN.load(Ordering::Relaxed);
            let seeds = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("seeds")
                .join(name);
            for entry in std::fs::read_dir(seeds).unwrap() {
                run(&std::fs::read(entry.unwrap().path()).unwrap());
            }
            if TAKEN.load(Ordering::Relaxed) == before {
                refused.push(name);
            }
        }
        assert!(refused.is_empty(), "{refused:?}");
    }

    #[test]
    fn seeds_and_their_fragments_break_nothing() {
        for (name, run) in TARGETS {
            let seeds = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("seeds")
                .join(name);
            for entry in std::fs::read_dir(seeds).unwrap() {
                let seed = std::fs::read(entry.unwrap().path()).unwrap();
                run(&seed);
                // Cut short at some places, and with a bit flipped at others.
                for part in 1..16 {
                    let at = seed.len() * part / 16;
                    run(&seed[..at]);
                    let mut altered = seed.clone();
                    if let Some(byte) = altered.get_mut(at) {
                        *byte ^= 1 << (part % 8);
                    }
                    run(&altered);
                }
            }
        }
    }
}
