#![cfg_attr(fuzzing, no_main)]
//! See `fuzz/src/hashedrekord.rs`.
fuzz::target!(hashedrekord);
