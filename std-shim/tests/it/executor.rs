//! Jobs on threads of their own, seen from the loop.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration as StdDuration;

use dustdevil_core::time::Duration;
use dustdevil_std::executor::{Executor, Full, Job, JobError, StillRunning, Submitted};

use crate::reactor::{is_pending, run, until};

/// A job that tells when it begins and then blocks until it is let go.
struct Blocks {
    name: &'static str,
    began: Sender<&'static str>,
    go: Receiver<()>,
    result: Counted,
}

/// Counts how many were dropped.
#[derive(Clone, Debug)]
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Job for Blocks {
    type Output = Counted;
    fn run(self) -> Counted {
        self.began.send(self.name).unwrap();
        // The sender was dropped, or said so: both let it go.
        let _ = self.go.recv();
        self.result
    }
}

struct Bench {
    executor: Executor<Blocks>,
    began: (Sender<&'static str>, Receiver<&'static str>),
    dropped: Arc<AtomicUsize>,
}

impl Bench {
    fn new(threads: usize, queue: usize) -> Self {
        let executor = Executor::new(threads, queue).unwrap();
        Self { executor, began: channel(), dropped: Arc::default() }
    }

    fn submit(&self, name: &'static str) -> Result<(Submitted<Blocks>, Sender<()>), Full<Blocks>> {
        let (go, wait) = channel();
        let result = Counted(self.dropped.clone());
        let job = Blocks { name, began: self.began.0.clone(), go: wait, result };
        Ok((self.executor.submit(job)?, go))
    }

    fn next_began(&self) -> &'static str {
        self.began.1.recv_timeout(StdDuration::from_secs(20)).unwrap()
    }

    fn dropped(&self) -> usize {
        self.dropped.load(Ordering::SeqCst)
    }
}

#[test]
fn the_loop_goes_on_while_a_job_blocks() {
    run(async |host| {
        let handle = host.handle();
        let bench = Bench::new(1, 1);
        let (job, go) = bench.submit("sleeps").unwrap();
        assert_eq!(bench.next_began(), "sleeps");
        // The job blocks until other things happened on the loop: it never ends if it stalls it.
        let mut job = job;
        for _ in 0..50 {
            handle.sleep(Duration::from_millis(1)).await;
            assert!(is_pending(&mut job).await);
        }
        go.send(()).unwrap();
        job.await.unwrap();
    });
}

#[test]
fn jobs_begin_in_the_order_they_came_and_wake_who_waits() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    run(async |_| {
        let executor = Executor::new(1, 20).unwrap();
        let job = |number: usize| {
            let seen = seen.clone();
            move || {
                seen.lock().unwrap().push(number);
                (number * number, thread::current().id())
            }
        };
        let submitted: Vec<_> =
            (0..20).map(|number| executor.submit(job(number)).unwrap()).collect();
        for (number, job) in submitted.into_iter().enumerate() {
            let (square, thread) = job.await.unwrap();
            assert_eq!(square, number * number);
            assert_ne!(thread, thread::current().id());
        }
    });
    assert_eq!(*seen.lock().unwrap(), (0..20).collect::<Vec<_>>());
}

#[test]
fn a_full_executor_gives_the_job_back() {
    run(async |_| {
        let bench = Bench::new(1, 2);
        let (running, go) = bench.submit("a").unwrap();
        assert_eq!(bench.next_began(), "a");
        let others = ["b", "c"].map(|name| bench.submit(name).unwrap());
        assert_eq!(bench.executor.room(), 0);
        let Err(Full(refused)) = bench.submit("d") else { panic!("there is no room") };
        assert_eq!(refused.name, "d");
        // What is done keeps its place until it was seen.
        go.send(()).unwrap();
        assert_eq!(bench.next_began(), "b");
        assert!(bench.submit("d").is_err());
        running.await.unwrap();
        let (last, _) = bench.submit("d").unwrap();
        for (job, go) in others {
            drop(go);
            job.await.unwrap();
        }
        last.await.unwrap();
        assert_eq!(bench.executor.room(), 3);
    });
}

#[test]
fn a_dropped_future_cancels_what_has_not_begun_and_forgets_what_runs() {
    run(async |host| {
        let bench = Bench::new(1, 3);
        let (running, go) = bench.submit("runs").unwrap();
        assert_eq!(bench.next_began(), "runs");
        let (cancelled, _never) = bench.submit("cancelled").unwrap();
        let (detached, _) = bench.submit("detached").unwrap();
        let (last, _) = bench.submit("last").unwrap();
        detached.detach();
        drop(cancelled);
        assert_eq!((bench.dropped(), bench.executor.room()), (1, 1), "the job itself");
        drop(running);
        assert_eq!((bench.dropped(), bench.executor.room()), (1, 1), "it runs on");
        go.send(()).unwrap();
        assert_eq!(bench.next_began(), "detached");
        assert_eq!(bench.next_began(), "last");
        drop(last.await.unwrap());
        until(host.handle(), || bench.executor.room() == 4).await;
        assert_eq!(bench.dropped(), 4);
    });
}

#[test]
fn a_future_dropped_when_its_job_is_done_frees_the_place() {
    run(async |host| {
        let bench = Bench::new(1, 0);
        for round in 1..=3 {
            let (job, go) = bench.submit("done").unwrap();
            drop(go);
            until(host.handle(), || bench.executor.room() == 0 && bench.began.1.try_recv().is_ok())
                .await;
            if round == 2 {
                job.detach();
            } else {
                drop(job);
            }
            until(host.handle(), || bench.executor.room() == 1).await;
            assert_eq!(bench.dropped(), round);
        }
    });
}

#[test]
fn a_panic_is_the_jobs_error_and_nothing_else() {
    run(async |_| {
        let executor = Executor::new(1, 4).unwrap();
        let job = |number: u32| {
            move || {
                assert!(number.is_multiple_of(2), "{number} is odd");
                number
            }
        };
        for number in 0..100 {
            let result = executor.submit(job(number)).unwrap().await;
            if number.is_multiple_of(2) {
                assert_eq!(result, Ok(number));
                continue;
            }
            let Err(JobError::Panicked(panic)) = result else { panic!("{result:?}") };
            assert_eq!(panic.message(), format!("{number} is odd"));
            assert!(panic.place().contains("tests/it/executor.rs:"), "{panic}");
        }
    });
}

/// A result whose drop panics.
struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        panic!("nobody wants this");
    }
}

#[test]
fn a_panic_that_nobody_waits_for_costs_no_thread() {
    run(async |_| {
        let executor = Executor::<fn() -> Option<Grenade>>::new(1, 4).unwrap();
        executor.submit(|| Some(Grenade)).unwrap().detach();
        executor.submit(|| std::panic::panic_any(Grenade)).unwrap().detach();
        executor.submit(|| panic!("nor this")).unwrap().detach();
        assert!(executor.submit(|| None).unwrap().await.unwrap().is_none());
        assert_eq!(executor.room(), 5);
    });
}

#[test]
fn closing_ends_what_waits_and_awaits_what_runs() {
    run(async |_| {
        let bench = Bench::new(1, 2);
        let (running, go) = bench.submit("runs").unwrap();
        assert_eq!(bench.next_began(), "runs");
        let (waiting, _) = bench.submit("waits").unwrap();
        let (detached, _) = bench.submit("detached").unwrap();
        detached.detach();
        let closed = Arc::new(AtomicBool::new(false));
        let (told, executor) = (closed.clone(), bench.executor);
        let closing = thread::spawn(move || {
            drop(executor);
            told.store(true, Ordering::SeqCst);
        });
        assert_eq!(waiting.await.unwrap_err(), JobError::Closed);
        assert!(!closed.load(Ordering::SeqCst), "a job runs");
        go.send(()).unwrap();
        closing.join().unwrap();
        running.await.unwrap();
        assert!(bench.began.1.try_recv().is_err(), "no other job has begun");
        assert_eq!(bench.dropped.load(Ordering::SeqCst), 3);
    });
}

#[test]
fn closing_has_a_limit_for_who_wants_one() {
    run(async |_| {
        let bench = Bench::new(2, 0);
        let (running, go) = bench.submit("runs").unwrap();
        assert_eq!(bench.next_began(), "runs");
        assert_eq!(bench.executor.close(StdDuration::ZERO), Err(StillRunning(1)));
        go.send(()).unwrap();
        running.await.unwrap();
        let idle = Bench::new(2, 0);
        assert_eq!(idle.executor.close(StdDuration::ZERO), Ok(()));
    });
}

/// Whole processes whose jobs panic.
mod panics {
    use std::path::{Path, PathBuf};
    use std::process::{Command, ExitCode, Output, Termination};

    use dustdevil_std::executor::{DEAD_THREADS_MAX, Executor};
    use dustdevil_std::{Options, percore};

    use crate::reactor;

    /// How a process ended in time, and what it wrote to each of its outputs.
    fn end(program: &Path, words: &[&str]) -> (Option<i32>, String, String) {
        let command = Command::new("timeout").arg("20").arg(program).args(words).output();
        let Output { status, stdout, stderr } = command.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code(), text(stdout), text(stderr))
    }

    /// The example, built with panics that abort: a test itself always unwinds.
    fn build() -> PathBuf {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("panics");
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--offline", "--package", env!("CARGO_PKG_NAME")])
            .args(["--example", "panicking_jobs", "--target-dir"])
            .arg(&target)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("CARGO_PROFILE_DEV_PANIC", "abort")
            .env("CARGO_PROFILE_DEV_OPT_LEVEL", "0")
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env_remove("RUSTFLAGS")
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        target.join("debug/examples/panicking_jobs")
    }

    #[test]
    fn where_they_abort_a_process_outlives_as_many_as_it_may() {
        let program = build();
        let run = |count: usize, mode: &str| {
            let words = [&count.to_string(), mode];
            end(&program, &words[..if mode.is_empty() { 1 } else { 2 }])
        };
        for mode in ["", "percore"] {
            let (code, said, errors) = run(DEAD_THREADS_MAX, mode);
            assert_eq!((code, errors.as_str()), (Some(0), ""), "{said}");
            let lines: Vec<_> = said.lines().collect();
            let (last, panics) = lines.split_last().unwrap();
            assert_eq!((*last, panics.len()), ("then: Ok(25)", DEAD_THREADS_MAX));
            for (number, line) in (1..).zip(panics) {
                let place = "panicked at std-shim/examples/panicking_jobs.rs:";
                assert!(line.starts_with(&format!("{number}: {place}")), "{line}");
                assert!(line.ends_with(": attempt to divide by zero"), "{line}");
            }
            // One more, and it ends as after any other panic.
            let (code, said, errors) = run(DEAD_THREADS_MAX + 1, mode);
            assert_eq!((code, said.lines().count()), (Some(101), DEAD_THREADS_MAX), "{errors}");
            assert!(errors.contains("thread 'executor'"), "{errors}");
            assert_eq!(errors.matches("attempt to divide by zero").count(), 1, "{errors}");
        }
    }

    #[test]
    fn where_they_unwind_a_worker_outlives_any_number() {
        let program = std::env::current_exe().unwrap();
        let child = "executor::panics::child";
        let (code, said, errors) = end(&program, &["--exact", child, "--ignored", "--nocapture"]);
        assert_eq!((code, errors.as_str()), (Some(0), ""), "{said}");
        assert!(said.contains("outlived them"), "{said}");
    }

    #[test]
    #[ignore = "a process of its own"]
    fn child() {
        let options = Options { port: 0, workers: 1, ..Options::default() };
        let ended = percore::run(options, |_| {
            let executor = Executor::<fn() -> u8>::new(1, 0).unwrap();
            reactor::run(async |_| {
                for _ in 0..3 * DEAD_THREADS_MAX {
                    assert!(executor.submit(|| panic!("a bad day")).unwrap().await.is_err());
                }
                assert_eq!(executor.submit(|| 7).unwrap().await, Ok(7));
            });
            println!("outlived them");
            Ok(())
        });
        assert_eq!(ended.report(), ExitCode::SUCCESS.report());
    }
}
