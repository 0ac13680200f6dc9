//! The trust root from outside: over HTTP, through the command line, with its target files.

mod command_line;
mod material;
mod mirror;
mod targets;
