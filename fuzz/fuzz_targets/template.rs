#![cfg_attr(fuzzing, no_main)]
//! See `fuzz/src/template.rs`.
fuzz::target!(template);
