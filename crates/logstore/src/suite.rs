//! The behaviour that every [`LogStore`](crate::LogStore) must show.
