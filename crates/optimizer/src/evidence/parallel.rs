//! Independent work on several processors.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// More threads would only get into each other's way: what they do is to start processes.
const MOST_THREADS: usize = 4;

/// Works on the items in their order, several at a time. After a result that is `last` no further item is begun; the answer
/// has the results of all that were, in their order.
pub(crate) fn in_order<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
    last: impl Fn(&R) -> bool + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let over = AtomicBool::new(false);
    let results = Mutex::new(Vec::with_capacity(items.len()));
    let worker = || {
        while !over.load(Ordering::Acquire) {
            let index = next.fetch_add(1, Ordering::AcqRel);
            let Some(item) = items.get(index) else { break };
            let result = work(item);
            if last(&result) {
                over.store(true, Ordering::Release);
            }
            if let Ok(mut results) = results.lock() {
                results.push((index, result));
            }
        }
    };
    let threads = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(MOST_THREADS);
    thread::scope(|scope| {
        for _ in 1..threads.min(items.len()) {
            scope.spawn(worker);
        }
        worker();
    });
    let mut results = results
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    results.sort_by_key(|&(index, _)| index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<u32> = (0..100).collect();
        assert_eq!(
            in_order(&items, |item| item * 2, |_| false),
            (0..200).step_by(2).collect::<Vec<_>>()
        );
        assert!(in_order(&[], |item: &u32| *item, |_| false).is_empty());
    }

    #[test]
    fn nothing_is_begun_after_the_last() {
        let items: Vec<u32> = (0..1000).collect();
        let results = in_order(&items, |item| *item, |result| *result == 10);
        assert!(results.len() < 1000);
        assert_eq!(results[..=10], (0..=10).collect::<Vec<_>>());
    }
}
