#![cfg_attr(fuzzing, no_main)]
//! See `fuzz/src/configuration.rs`.
fuzz::target!(configuration);
