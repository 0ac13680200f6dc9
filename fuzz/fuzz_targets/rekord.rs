#![cfg_attr(fuzzing, no_main)]
//! See `fuzz/src/rekord.rs`.
fuzz::target!(rekord);
