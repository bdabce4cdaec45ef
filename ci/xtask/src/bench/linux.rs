//! What the example `bench` costs as a Linux process.

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::budgets::Figure;
use super::load::Shape;
use super::server::{Counter, Program};
use super::{memory, server};

/// How the server is loaded, and how many rounds of it are counted.
pub(super) const SHAPES: &[(&str, Shape, u64)] = &[
    ("c1", Shape::Lockstep { connections: 1, pipelined: 1 }, 4_000),
    ("c64", Shape::Lockstep { connections: 64, pipelined: 1 }, 80),
    ("c64_pipelined16", Shape::Lockstep { connections: 64, pipelined: 16 }, 12),
    ("connect", Shape::Connect, 1_000),
];

/// System calls are counted so often and the least count is taken: a timer interrupt in the middle
/// of a round can split a batch, and nothing can make one larger.
const TRIES: usize = 3;

/// Builds the server and measures it.
pub(super) fn figures() -> Result<Vec<Figure>> {
    server::build()?;
    let ours = Program::ours()?;
    let mut figures = Vec::new();
    on_one_core(|| {
        for (name, shape, rounds) in SHAPES {
            let count = Counter::Instructions.per_request(&ours, *shape, *rounds);
            let count = count.with_context(|| format!("instructions, {name}"))?;
            println!("instructions, {name}: {count:.1} a request");
            figures.push(Figure::new(format!("instructions.{name}"), count));
            let mut least = f64::INFINITY;
            for _ in 0..TRIES {
                let count = Counter::SystemCalls.per_request(&ours, *shape, *rounds);
                least = least.min(count.with_context(|| format!("system calls, {name}"))?);
            }
            println!("system calls, {name}: {least:.3} a request");
            figures.push(Figure::new(format!("system_calls.{name}"), least));
        }
        Ok(())
    })?;
    let idle = memory::per_idle_connection(&ours).context("memory")?;
    println!("memory: {idle:.2} bytes an idle connection");
    figures.push(Figure::new("memory.idle_connection_bytes", idle));
    Ok(figures)
}

/// Runs something, and what it starts, on one core: the generator writes a whole round before the
/// server sees any of it.
fn on_one_core(run: impl FnOnce() -> Result<()>) -> Result<()> {
    let all = sched_getaffinity(None).context("ask for the cores")?;
    let first = (0..CpuSet::MAX_CPU).find(|core| all.is_set(*core)).context("no core")?;
    let mut one = CpuSet::new();
    one.set(first);
    sched_setaffinity(None, &one).context("stay on one core")?;
    let outcome = run();
    sched_setaffinity(None, &all).context("leave the one core")?;
    outcome
}
