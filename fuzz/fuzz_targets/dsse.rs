#![cfg_attr(fuzzing, no_main)]
//! See `fuzz/src/dsse.rs`.
fuzz::target!(dsse);
