//! Integration tests of the KV-cache compression.
