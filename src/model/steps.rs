//! Counts the steps of work that grows with its input, so that tests hold its growth to a
//! bound without a clock. Costs nothing outside of them.

/// One step: one revision, name or line that was visited.
#[inline]
pub(crate) fn step() {
    #[cfg(test)]
    counter::TAKEN.with(|taken| taken.set(taken.get() + 1));
}

/// How many steps `work` takes on this thread.
#[cfg(test)]
pub(crate) fn steps_of(work: impl FnOnce()) -> u64 {
    let before = counter::TAKEN.with(std::cell::Cell::get);
    work();
    counter::TAKEN.with(std::cell::Cell::get) - before
}

/// That the steps of `work` grow hardly faster than its input: four times the input, at most five
/// times the steps.
#[cfg(test)]
#[track_caller]
pub(crate) fn grows_with_its_input(what: &str, work: impl Fn(u64)) {
    let (one, four) = (steps_of(|| work(500)), steps_of(|| work(2_000)));
    assert!(one > 0, "{what}: nothing was counted");
    assert!(four <= one * 5, "{what}: {one} steps for 500, {four} for 2,000");
}

#[cfg(test)]
mod counter {
    use std::cell::Cell;

    thread_local! {
        pub(super) static TAKEN: Cell<u64> = const { Cell::new(0) };
    }
}
