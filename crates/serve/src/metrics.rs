//! Prometheus metrics on a listener of their own.
