//! The trust root and the files that clients need.
