//! Shares work among all cores: a list of it, and such where the work itself shows what else there is
//! to do, as a folder shows its folders. Whoever is free takes the next piece, since another program
//! may have one of the cores.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The most threads. More don't read faster, and each needs a buffer.
const MAX_THREADS: usize = 16;

/// What is to be done.
struct Work<J> {
    jobs: Vec<J>,
    /// The number of jobs that are not done, also those that are in hand.
    open: usize,
    /// A job said that no other one is needed any more.
    is_over: bool,
}

/// Returns how many threads to use for so many items.
pub(super) fn threads(items: usize) -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS).min(items).max(1)
}

/// Does `first` and every job that comes of it. `work` does one, adds what it finds to the results
/// of its thread, and the jobs that follow to the list; it returns `false` if no other job is needed
/// any more. Returns the results of each thread; `None` if a job ended the work.
pub(super) fn do_all<J: Send, R: Default + Send>(
    first: J,
    work: impl Fn(J, &mut R, &mut Vec<J>) -> bool + Sync,
) -> Option<Vec<R>> {
    let state = Mutex::new(Work { jobs: vec![first], open: 1, is_over: false });
    let changed = Condvar::new();
    let go = || {
        let (mut results, mut more) = (R::default(), Vec::new());
        let mut now = locked(&state);
        while now.open > 0 && !now.is_over {
            let Some(job) = now.jobs.pop() else {
                now = changed.wait(now).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(now);
            let goes_on = work(job, &mut results, &mut more);
            now = locked(&state);
            now.is_over |= !goes_on;
            now.open += more.len();
            now.open -= 1;
            let is_news = !more.is_empty() || now.open == 0 || now.is_over;
            now.jobs.append(&mut more);
            if is_news {
                changed.notify_all();
            }
        }
        results
    };
    let results = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads(usize::MAX)).map(|_| scope.spawn(go)).collect();
        let own = go();
        let others =
            others.into_iter().map(|other| other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        others.chain([own]).collect()
    });
    let Work { is_over, .. } = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    (!is_over).then_some(results)
}

/// How many items a thread takes at once: those that follow each other are often of one folder.
const PIECE: usize = 256;

/// Returns the results of all items, in their order. `work` gives those of some that follow each
/// other.
pub(super) fn do_each<T: Sync, R: Send>(items: &[T], work: impl Fn(&[T]) -> Vec<R> + Sync) -> Vec<R> {
    let pieces: Vec<&[T]> = items.chunks(PIECE).collect();
    let next = AtomicUsize::new(0);
    let go = || {
        let mut done = Vec::new();
        while let at = next.fetch_add(1, Ordering::Relaxed)
            && let Some(piece) = pieces.get(at)
        {
            done.push((at, work(piece)));
        }
        done
    };
    let mut done: Vec<(usize, Vec<R>)> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads(pieces.len())).map(|_| scope.spawn(go)).collect();
        let own = go();
        let others =
            others.into_iter().flat_map(|other| other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        others.chain(own).collect()
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().flat_map(|(_, results)| results).collect()
}

/// Does both at once, and returns their results.
pub(super) fn both<A, B: Send>(one: impl FnOnce() -> A, other: impl FnOnce() -> B + Send) -> (A, B) {
    std::thread::scope(|scope| {
        let other = scope.spawn(other);
        let one = one();
        (one, other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

fn locked<J>(work: &Mutex<Work<J>>) -> MutexGuard<'_, Work<J>> {
    work.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_is_done_once() {
        // Each number below a hundred gives two others.
        let done = do_all(1_u32, |number, done: &mut Vec<u32>, more| {
            done.push(number);
            more.extend([2 * number, 2 * number + 1].into_iter().filter(|next| *next < 100));
            true
        });
        let mut done: Vec<u32> = done.unwrap().into_iter().flatten().collect();
        done.sort_unstable();
        assert_eq!(done, (1..100).collect::<Vec<_>>());
    }

    #[test]
    fn each_item_has_its_result_in_order() {
        for count in [0, 1, PIECE, 7 * PIECE + 3] {
            let items: Vec<usize> = (0..count).collect();
            let doubled = do_each(&items, |piece| piece.iter().map(|item| 2 * item).collect());
            assert_eq!(doubled, items.iter().map(|item| 2 * item).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_job_can_end_the_work() {
        let done = do_all(0_u32, |number, _: &mut (), more| {
            more.push(number + 1);
            number < 1_000
        });
        assert_eq!(done, None);
    }
}
