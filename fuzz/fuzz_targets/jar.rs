#![cfg_attr(fuzzing, no_main)]
//! See `fuzz/src/jar.rs`.
fuzz::target!(jar);
