#![cfg_attr(fuzzing, no_main)]
//! See `fuzz/src/claims.rs`.
fuzz::target!(claims);
