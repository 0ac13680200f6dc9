#![cfg_attr(fuzzing, no_main)]
//! See `fuzz/src/rpm.rs`.
fuzz::target!(rpm);
