#![cfg_attr(fuzzing, no_main)]
//! See `fuzz/src/tuf.rs`.
fuzz::target!(tuf);
