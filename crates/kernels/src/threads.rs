//! The threads that all kernels share.
//!
//! A decode step is some fifty short kernels, each over before a sleeping thread would have woken up. So a thread that
//! has nothing to do looks out for work for a moment before it sleeps, and whoever has work does not wait for those that
//! sleep: he starts, and they join in when they can.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use crate::KernelError;
use crate::shared::SharedMut;

/// How long an idle thread looks out for work before it sleeps.
const LOOKOUT: Duration = Duration::from_micros(200);
/// Most threads that are started for each core.
const THREADS_PER_CORE: usize = 4;
/// Looks between two glances at the clock.
const LOOKS: usize = 64;

/// How many threads [`set_threads`] asked for.
static WANTED: OnceLock<usize> = OnceLock::new();

thread_local! {
    /// Whether kernels called on this thread stay on it.
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// Sets how many threads the kernels use; `None` or 0 means one per core, which is also what an unset number means.
///
/// Has to be called before the first kernel runs, as the threads start once. Fails if the number is already another.
pub fn set_threads(threads: Option<usize>) -> Result<(), KernelError> {
    let wanted = threads.filter(|n| *n > 0).unwrap_or_else(cores);
    let set = *WANTED.get_or_init(|| wanted);
    // Loading a model uses rayon's pool; that it runs already, with another size, does no harm.
    let _ = rayon::ThreadPoolBuilder::new()
        .num_threads(bounded(wanted))
        .build_global();
    if set == wanted {
        Ok(())
    } else {
        Err(KernelError::Threads {
            threads: wanted,
            reason: format!("the kernels already run on {set}"),
        })
    }
}

/// How many threads the kernels use.
pub fn threads() -> usize {
    *WANTED.get_or_init(cores)
}

/// As many of the wanted threads as are started: thousands on a few cores would only stand in each other's way.
fn bounded(threads: usize) -> usize {
    threads.min(THREADS_PER_CORE * cores())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Runs `work` with kernels that use this thread only: for programs that have better use for the other cores.
pub fn serially<R>(work: impl FnOnce() -> R) -> R {
    /// Puts back what was, also after a panic.
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            ALONE.set(self.0);
        }
    }
    let _restore = Restore(ALONE.replace(true));
    work()
}

/// Calls `work(0)`, ..., `work(tasks - 1)`, each once, on all threads. The results must not depend on who does what.
///
/// Stays on this thread if there is but one task, if this is a part of other such work, or if another caller has the
/// threads at the moment.
pub(crate) fn for_each(tasks: usize, work: impl Fn(usize) + Sync) {
    if tasks > 1
        && threads() > 1
        && !ALONE.get()
        && let Some(_turn) = team().turn()
    {
        return serially(|| team().run(tasks, &work));
    }
    (0..tasks).for_each(work);
}

/// Calls `work(i, chunk i)` for all chunks of `len` elements, the last of which may be shorter.
pub(crate) fn for_each_chunk<T: Send>(
    slice: &mut [T],
    len: usize,
    work: impl Fn(usize, &mut [T]) + Sync,
) {
    let total = slice.len();
    let shared = SharedMut::new(slice);
    for_each(total.div_ceil(len), |i| {
        let count = len.min(total - i * len);
        // SAFETY: every chunk is one task's, and lies within the slice, as `pointer` checks.
        let chunk =
            unsafe { std::slice::from_raw_parts_mut(shared.pointer(i * len, count), count) };
        work(i, chunk);
    });
}

/// The results of `work(0)`, ..., `work(tasks - 1)`.
pub(crate) fn map<R: Send>(tasks: usize, work: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let mut found: Vec<Option<R>> = std::iter::repeat_with(|| None).take(tasks).collect();
    for_each_chunk(&mut found, 1, |i, found| found[0] = Some(work(i)));
    found.into_iter().flatten().collect()
}

/// The helping threads, and what they have to do.
struct Team {
    /// Held by who has work for them.
    turn: Mutex<()>,
    /// The work at hand; changes only while nobody has joined.
    job: Mutex<Option<Job>>,
    /// How many tasks there are.
    tasks: AtomicUsize,
    /// The next task that nobody has taken.
    next: AtomicUsize,
    /// Twice the number of threads that have joined, plus one while they may.
    joined: AtomicUsize,
    /// A task panicked: the payload is handed on to the caller.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    panicked: AtomicBool,
    /// Threads that sleep, and what wakes them.
    sleeping: Mutex<usize>,
    asleep: AtomicUsize,
    wake: Condvar,
}

/// Work as the threads see it.
#[derive(Clone, Copy)]
struct Job {
    work: *const (dyn Fn(usize) + Sync),
    tasks: usize,
}

// SAFETY: the work is `Sync`, and `Team::run` keeps it alive for as long as any thread may call it.
unsafe impl Send for Job {}

/// The team, which starts with its first work.
fn team() -> &'static Team {
    static TEAM: OnceLock<Team> = OnceLock::new();
    static STARTED: OnceLock<()> = OnceLock::new();
    let team = TEAM.get_or_init(|| Team {
        turn: Mutex::new(()),
        job: Mutex::new(None),
        tasks: AtomicUsize::new(0),
        next: AtomicUsize::new(0),
        joined: AtomicUsize::new(0),
        panic: Mutex::new(None),
        panicked: AtomicBool::new(false),
        sleeping: Mutex::new(0),
        asleep: AtomicUsize::new(0),
        wake: Condvar::new(),
    });
    STARTED.get_or_init(|| {
        for i in 1..bounded(threads()) {
            let name = format!("kernels-{i}");
            // With fewer threads than wanted the others do the work.
            let _ = std::thread::Builder::new()
                .name(name)
                .spawn(|| serially(|| team.help()));
        }
    });
    team
}

impl Team {
    /// The right to have work done, unless another caller has it. (A caller that panicked does not have it any more.)
    fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        match self.turn.try_lock() {
            Ok(turn) => Some(turn),
            Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Does the work together with all who join. The caller has the turn.
    fn run(&self, tasks: usize, work: &(dyn Fn(usize) + Sync)) {
        // SAFETY: only the lifetime is forgotten. Nobody can join once `close` has run, and it waits until all who
        // joined have left; it runs also if this thread panics.
        let work = unsafe {
            std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(work)
        };
        let job = Job { work, tasks };
        *lock(&self.job) = Some(job);
        self.tasks.store(tasks, Ordering::Relaxed);
        self.next.store(0, Ordering::Relaxed);
        self.joined.store(1, Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst) > 0 {
            drop(lock(&self.sleeping));
            self.wake.notify_all();
        }
        self.take_tasks(job);
        self.close();
        if self.panicked.swap(false, Ordering::Relaxed)
            && let Some(panic) = lock(&self.panic).take()
        {
            resume_unwind(panic);
        }
    }

    /// Does tasks until none is left, or one panicked.
    fn take_tasks(&self, job: Job) {
        let take = || {
            loop {
                let task = self.next.fetch_add(1, Ordering::Relaxed);
                if task >= job.tasks {
                    return;
                }
                // SAFETY: who calls this has joined, or is the caller of `run`, so that the work is still alive.
                unsafe { (*job.work)(task) };
            }
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(take)) {
            self.next.store(job.tasks, Ordering::Relaxed);
            lock(&self.panic).get_or_insert(panic);
            self.panicked.store(true, Ordering::Relaxed);
        }
    }

    /// Lets nobody join any more, and waits for those who have.
    fn close(&self) {
        let mut looks = 0_usize;
        let mut joined = self.joined.fetch_and(!1, Ordering::SeqCst) & !1;
        while joined > 0 {
            looks += 1;
            if looks < 1 << 12 {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now(); // a task takes long, or its thread has lost its core
            }
            joined = self.joined.load(Ordering::Acquire);
        }
    }

    /// A helping thread.
    fn help(&self) {
        loop {
            self.await_work();
            if self.join() {
                let job = *lock(&self.job);
                if let Some(job) = job {
                    self.take_tasks(job);
                }
                self.joined.fetch_sub(2, Ordering::Release);
            }
        }
    }

    /// Becomes one of those whom `close` waits for, unless it has run.
    fn join(&self) -> bool {
        let joined = |n: usize| (n & 1 == 1).then_some(n + 2);
        self.joined
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, joined)
            .is_ok()
    }

    /// Whether there are tasks that nobody has taken.
    fn is_open(&self) -> bool {
        self.joined.load(Ordering::SeqCst) & 1 == 1
            && self.next.load(Ordering::Relaxed) < self.tasks.load(Ordering::Relaxed)
    }

    /// Returns when there seems to be work.
    fn await_work(&self) {
        let start = Instant::now();
        loop {
            for _ in 0..LOOKS {
                if self.is_open() {
                    return;
                }
                std::hint::spin_loop();
            }
            if start.elapsed() > LOOKOUT {
                break;
            }
        }
        let mut sleeping = lock(&self.sleeping);
        *sleeping += 1;
        self.asleep.store(*sleeping, Ordering::SeqCst);
        // Work that is offered from here on sees `asleep`, and wakes us once we wait.
        while !self.is_open() {
            sleeping = self
                .wake
                .wait(sleeping)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *sleeping -= 1;
        self.asleep.store(*sleeping, Ordering::SeqCst);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_threads_stays() {
        let n = threads();
        assert!(set_threads(Some(n)).is_ok(), "the size that it has");
        let message = set_threads(Some(n + 1)).unwrap_err().to_string();
        assert!(message.contains(&(n + 1).to_string()), "{message}");
        assert_eq!(threads(), n);
    }

    #[test]
    fn every_task_is_done_once() {
        for tasks in [0, 1, 2, 3, 1000] {
            let mut counts = vec![0_u32; tasks];
            for_each_chunk(&mut counts, 1, |_, count| count[0] += 1);
            assert!(counts.iter().all(|count| *count == 1));
            let squares: Vec<usize> = (0..tasks).map(|i| i * i).collect();
            assert_eq!(map(tasks, |i| i * i), squares);
        }
        let mut chunks = vec![0; 10];
        for_each_chunk(&mut chunks, 4, |i, chunk| chunk.fill(10 * i + chunk.len()));
        assert_eq!(chunks, [4, 4, 4, 4, 14, 14, 14, 14, 22, 22]);
    }

    #[test]
    fn work_inside_of_work_is_done_too() {
        let sums = map(8, |i| map(8, |j| i * j).into_iter().sum::<usize>());
        assert_eq!(sums, [0, 28, 56, 84, 112, 140, 168, 196]);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_threads_live_on() {
        for _ in 0..50 {
            let failed = catch_unwind(|| for_each(64, |task| assert!(task != 33, "task {task}")));
            let message = failed.unwrap_err();
            assert_eq!(
                message.downcast_ref::<String>().map(String::as_str),
                Some("task 33")
            );
            assert_eq!(map(100, |i| i).len(), 100);
        }
        // Other tests may have the threads at the moment; sooner or later it is our turn.
        let shared = || {
            let ids = map(64, |_| {
                std::thread::sleep(Duration::from_micros(500));
                std::thread::current().id()
            });
            ids.iter().any(|id| *id != ids[0])
        };
        assert!(threads() == 1 || (0..200).any(|_| shared()));
    }

    #[test]
    fn serial_work_stays_on_its_thread() {
        let here = std::thread::current().id();
        let ids = serially(|| map(64, |_| std::thread::current().id()));
        assert!(ids.iter().all(|id| *id == here));
    }

    #[test]
    fn threads_that_sleep_wake_up() {
        for pause in [0, 100, 300, 1000] {
            std::thread::sleep(Duration::from_micros(pause));
            assert_eq!(map(64, |i| i + 1).iter().sum::<usize>(), 64 * 65 / 2);
        }
    }
}
