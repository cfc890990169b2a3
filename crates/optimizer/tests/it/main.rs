//! Integration tests of the optimizer crate.
