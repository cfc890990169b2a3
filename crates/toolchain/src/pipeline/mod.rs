//! The textual pass pipeline as a tree: parse, print, edit.
