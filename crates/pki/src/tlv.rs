//! DER tag-length-value reading and writing, byte for byte.
