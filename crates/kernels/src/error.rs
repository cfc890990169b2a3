//! What can go wrong in a kernel on account of the data it was given.

use std::path::PathBuf;

/// An error that user data (a checkpoint, a prompt, a flag) can cause.
///
/// Shapes that only a mistake in the calling code can get wrong are asserted instead; each method names them under
/// "Panics".
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// A buffer does not hold the number of elements that its shape asks for.
    #[error("{what}: expected {expected} elements for shape {shape:?}, found {found}")]
    Length {
        /// The buffer's name.
        what: &'static str,
        /// The shape asked for.
        shape: Vec<usize>,
        /// The product of `shape`.
        expected: usize,
        /// The number of elements that the buffer holds.
        found: usize,
    },
    /// Raw bytes that cannot be read as elements of a type: wrong size or wrong alignment.
    #[error("{bytes} bytes cannot be read as {dtype:?}: {reason}")]
    Bytes {
        /// Number of bytes.
        bytes: usize,
        /// The element type asked for.
        dtype: crate::DType,
        /// Why not.
        reason: String,
    },
    /// An attention score is not a number: NaN or infinity in the queries or keys.
    #[error("attention scores of KV head {kv_head} are not finite at key position {position}")]
    NotFinite {
        /// KV head.
        kv_head: usize,
        /// First key position whose score is not finite.
        position: usize,
    },
    /// An argument outside its range.
    #[error("{what} is {value}, but must be {range}")]
    Argument {
        /// The argument's name.
        what: &'static str,
        /// The value given.
        value: String,
        /// The values allowed.
        range: &'static str,
    },
    /// A file cannot be mapped into memory.
    #[error("cannot map {path} into memory: {source}", path = path.display())]
    MapFile {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The system does not give the memory asked for.
    #[error("cannot get {bytes} bytes of memory: {source}")]
    MapMemory {
        /// Bytes asked for.
        bytes: usize,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The thread pool cannot be set up (again).
    #[error("cannot set the number of threads to {threads}: {reason}")]
    Threads {
        /// Threads asked for; 0 means all cores.
        threads: usize,
        /// Why not.
        reason: String,
    },
}
