//! PostgreSQL against the behaviour suite, and what is particular to it.
