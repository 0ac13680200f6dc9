#![cfg_attr(fuzzing, no_main)]
//! See `fuzz/src/helm.rs`.
fuzz::target!(helm);
