//! The Rekor v1 API over real HTTP, on every store.

mod keys;
mod stack;

mod dsse;
mod hashedrekord;
mod http_conventions;
mod intoto;
mod log;
mod reads;
mod search;
mod shards;
