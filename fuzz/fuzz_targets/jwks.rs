#![cfg_attr(fuzzing, no_main)]
//! See `fuzz/src/jwks.rs`.
fuzz::target!(jwks);
