//! Certificates, parsed and kept with their exact bytes.
