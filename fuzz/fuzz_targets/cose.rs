#![cfg_attr(fuzzing, no_main)]
//! See `fuzz/src/cose.rs`.
fuzz::target!(cose);
