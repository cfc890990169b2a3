//! Times of programs and what may be said of them.
