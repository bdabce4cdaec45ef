//! Jobs that panic, in a process whose panics abort: `panicking_jobs COUNT [percore]`.
//!
//! Prints what each of COUNT panics was to the loop, then the result of a job that did not. The
//! tests build it that way and look at what it prints and how it ends.

use std::process::ExitCode;

use dustdevil_core::poller::Error;
use dustdevil_core::reactor::{Capacity, Reactor};
use dustdevil_std::executor::{DEAD_THREADS_MAX, Executor};
use dustdevil_std::{Epoll, Options, percore, zeroed};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let panics = match words.first().map(|word| word.parse()) {
        Some(Ok(count)) => count,
        _ => DEAD_THREADS_MAX,
    };
    if words.get(1).is_some() {
        let options = Options { port: 0, workers: 1, ..Options::default() };
        return percore::run(options, |_| serve(panics));
    }
    serve(panics).expect("a reactor");
    ExitCode::SUCCESS
}

fn serve(panics: usize) -> Result<(), Error> {
    const CAPACITY: Capacity = Capacity { sources: 0, timers: 0, groups: 0, tasks: 1, waiters: 0 };
    let wakes = Box::leak(Box::new(dustdevil_core::wake::Wakes::<1>::new()));
    let mut tables = zeroed(CAPACITY.bytes());
    let reactor = Reactor::new(Epoll::new()?, tables.block(), CAPACITY, wakes);
    let executor = Executor::new(1, 1).expect("a thread");
    let submit =
        |divide_by: usize| executor.submit(move || 100 / divide_by).expect("there is room");
    reactor.run(async {
        for number in 1..=panics {
            println!("{number}: {}", submit(0).await.expect_err("it divides by zero"));
        }
        println!("then: {:?}", submit(4).await);
    });
    Ok(())
}
