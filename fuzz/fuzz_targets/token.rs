#![cfg_attr(fuzzing, no_main)]
//! See `fuzz/src/token.rs`.
fuzz::target!(token);
