#![cfg_attr(fuzzing, no_main)]
//! See `fuzz/src/intoto.rs`.
fuzz::target!(intoto);
