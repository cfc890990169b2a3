//! The thread pool that all kernels share.

use crate::KernelError;

/// Sets how many threads the kernels use; `None` or 0 means one per core, which is also what an unset pool does.
///
/// Has to be called before the first kernel runs: the pool is global and starts once. Fails if it already runs with
/// another number of threads.
pub fn set_threads(threads: Option<usize>) -> Result<(), KernelError> {
    let wanted = threads.unwrap_or(0);
    let built = rayon::ThreadPoolBuilder::new()
        .num_threads(wanted)
        .thread_name(|i| format!("kernels-{i}"))
        .build_global();
    match built {
        Ok(()) => Ok(()),
        Err(_) if wanted == rayon::current_num_threads() => Ok(()),
        Err(e) => Err(KernelError::Threads {
            threads: wanted,
            reason: e.to_string(),
        }),
    }
}

/// How many threads the kernels use.
pub fn threads() -> usize {
    rayon::current_num_threads()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_pool_keeps_its_size() {
        let n = threads();
        assert!(set_threads(Some(n)).is_ok(), "the size that it has");
        let message = set_threads(Some(n + 1)).unwrap_err().to_string();
        assert!(message.contains(&(n + 1).to_string()), "{message}");
        assert_eq!(threads(), n);
    }
}
