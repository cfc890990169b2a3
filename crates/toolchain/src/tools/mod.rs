//! Compilers and their companions as typed calls.
