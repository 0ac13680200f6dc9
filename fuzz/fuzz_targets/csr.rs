#![cfg_attr(fuzzing, no_main)]
//! See `fuzz/src/csr.rs`.
fuzz::target!(csr);
