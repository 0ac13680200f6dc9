#![cfg_attr(fuzzing, no_main)]
//! See `fuzz/src/request.rs`.
fuzz::target!(request);
