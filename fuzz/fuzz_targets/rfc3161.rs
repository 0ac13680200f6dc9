#![cfg_attr(fuzzing, no_main)]
//! See `fuzz/src/rfc3161.rs`.
fuzz::target!(rfc3161);
