//! Who runs on which core: a server has one to itself, the generator another.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The cores that this process may use.
pub(super) struct Cores {
    all: CpuSet,
    numbers: Vec<usize>,
}

impl Cores {
    /// Asks for them; there is at least one.
    pub(super) fn ask() -> Result<Self> {
        let all = sched_getaffinity(None).context("ask for the cores")?;
        let numbers: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core)).collect();
        anyhow::ensure!(!numbers.is_empty(), "no core");
        Ok(Self { all, numbers })
    }

    /// The words before a server's own that keep it on the first core.
    pub(super) fn server(&self) -> [String; 3] {
        let first = self.numbers.first().copied().unwrap_or_default();
        ["taskset".to_owned(), "-c".to_owned(), first.to_string()]
    }

    /// Whether a server and the generator have a core each.
    pub(super) fn are_two(&self) -> bool {
        self.numbers.len() > 1
    }

    /// Runs the generator on the second core; on the only one where there is one.
    pub(super) fn generate<T>(&self, run: impl FnOnce() -> Result<T>) -> Result<T> {
        let core = self.numbers.get(1).or(self.numbers.first()).context("no core")?;
        self.on(*core, run)
    }

    /// Runs something, and what it starts, on one core: where generator and server share it, a
    /// whole round is written before the server sees any of it.
    pub(super) fn on_one<T>(&self, run: impl FnOnce() -> Result<T>) -> Result<T> {
        self.on(self.numbers.first().copied().context("no core")?, run)
    }

    /// Has `work` done for each of `items`, one after the other on each core.
    pub(super) fn spread<I: Send>(
        &self,
        items: Vec<I>,
        work: impl Fn(I) -> Result<()> + Sync,
    ) -> Result<()> {
        let queue = Mutex::new(VecDeque::from(items));
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let (next, work) = (&next, &work);
        std::thread::scope(|scope| {
            let each = self.numbers.iter().map(|core| {
                scope.spawn(move || {
                    self.on(*core, || {
                        while let Some(item) = next() {
                            work(item)?;
                        }
                        Ok(())
                    })
                })
            });
            // All are started before the first is waited for.
            let each: Vec<_> = each.collect();
            each.into_iter().try_for_each(|one| {
                one.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a measurement panicked")))
            })
        })
    }

    /// Affinity is a thread's own, and is passed on to what the thread starts.
    fn on<T>(&self, core: usize, run: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut one = CpuSet::new();
        one.set(core);
        sched_setaffinity(None, &one).context("stay on one core")?;
        let outcome = run();
        sched_setaffinity(None, &self.all).context("leave the one core")?;
        outcome
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn each_item_is_worked_on_once_and_a_failure_is_told() -> Result<()> {
        let cores = Cores::ask()?;
        let sum = AtomicUsize::new(0);
        cores.spread((1..=10).collect(), |item| {
            assert_eq!(sched_getaffinity(None)?.count(), 1);
            sum.fetch_add(item, Ordering::SeqCst);
            Ok(())
        })?;
        assert_eq!(sum.into_inner(), 55);
        let fails = |item| {
            anyhow::ensure!(item < 2);
            Ok(())
        };
        assert!(cores.spread(vec![1, 2], fails).is_err());
        Ok(())
    }

    #[test]
    fn a_core_is_left_again() -> Result<()> {
        let cores = Cores::ask()?;
        for run in [Cores::on_one, Cores::generate] {
            assert_eq!(run(&cores, || Ok(sched_getaffinity(None)?.count()))?, 1);
            assert_eq!(sched_getaffinity(None)?.count() as usize, cores.numbers.len());
        }
        Ok(())
    }
}
