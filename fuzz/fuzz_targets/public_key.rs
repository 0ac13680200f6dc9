#![cfg_attr(fuzzing, no_main)]
//! See `fuzz/src/public_key.rs`.
fuzz::target!(public_key);
