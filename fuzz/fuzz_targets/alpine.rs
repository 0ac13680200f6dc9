#![cfg_attr(fuzzing, no_main)]
//! See `fuzz/src/alpine.rs`.
fuzz::target!(alpine);
