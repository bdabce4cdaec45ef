//! Firmware that sends messages from an interrupt, at a high rate, to a task that is also sent some
//! by the loop itself: none is lost, none comes twice, each sender's come in order.
//!
//! It prints `REMOTE OK: ..` with what it counted, or panics. The interrupt comes at any moment: in
//! the middle of a send or a receive of the loop's, while its task is at work, and while it waits.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::future::{Future, poll_fn};
use core::hint::black_box;
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::task::{Context, Poll};

use cortex_m_rt::entry;
use dustdevil_core::handle::Handle;
use dustdevil_core::memory::Memory;
use dustdevil_core::reactor::{Capacity, Reactor};
use dustdevil_core::remote::{Receiver, Remote};
use dustdevil_core::time::Duration;
use dustdevil_core::wake::Wakes;
use lm3s6965evb::{self as board, net};

const NET: net::Capacity =
    net::Capacity { listening: 1, rx_bytes: 64, tx_bytes: 64, ..net::Capacity::NONE };
const CAPACITY: Capacity = Capacity { sources: 0, timers: 2, groups: 0, tasks: 1, waiters: 0 };
static NET_MEMORY: Memory<{ NET.bytes() }> = Memory::new();
static MEMORY: Memory<{ CAPACITY.bytes() }> = Memory::new();
static WAKES: Wakes<{ CAPACITY.tasks }> = Wakes::new();

/// How often the interrupt comes.
const PERIOD_MICROS: u32 = 50;
const FROM_INTERRUPT: u32 = 100_000;
/// Those that the loop sends itself: one for each few that it receives.
const FROM_LOOP: u32 = 20_000;
/// Looks at what the interrupt has counted; some seconds of them.
const STEPS_MAX: u32 = 100_000_000;
/// Set in what the loop sends.
const OF_LOOP: u32 = 1 << 31;
const DEADLINE: Duration = Duration::from_secs(100);

static INBOX: Remote<u32, 16> = Remote::new();
/// The interrupt's own counters.
static SENT: AtomicU32 = AtomicU32::new(0);
static REFUSED: AtomicU32 = AtomicU32::new(0);
static IN_MID_TURN: AtomicU32 = AtomicU32::new(0);
/// The task is being polled.
static IS_AT_WORK: AtomicBool = AtomicBool::new(false);

#[entry]
fn main() -> ! {
    let poller = board::init(NET_MEMORY.take(), NET);
    let reactor = Reactor::new(poller, MEMORY.take(), CAPACITY, &WAKES);
    let handle = Handle::from(&reactor);
    let mut inbox = INBOX.receiver().expect("nobody else receives");
    board::every!(PERIOD_MICROS, on_tick);
    let outcome = reactor.run(handle.timeout(DEADLINE, watched(receive(&mut inbox))));
    let (sent, refused) = (SENT.load(Ordering::Relaxed), REFUSED.load(Ordering::Relaxed));
    assert!(outcome.is_ok(), "a wake was lost: {sent} sent, {} wait", inbox.len());
    assert!(inbox.is_empty(), "{} more than were sent", inbox.len());
    let figures = [
        (FROM_INTERRUPT as usize, "from the interrupt"),
        (FROM_LOOP as usize, "from the loop"),
        (refused as usize, "times full"),
        (IN_MID_TURN.load(Ordering::Relaxed) as usize, "interrupts in mid-turn"),
        (handle.snapshot().turns as usize, "turns"),
    ];
    board::print_figures("REMOTE OK", &figures);
    loop {
        cortex_m::asm::wfi();
    }
}

/// Sends one to four messages, or until there is no room: then the same one comes next time.
fn on_tick() {
    let mut sent = SENT.load(Ordering::Relaxed);
    if sent < FROM_INTERRUPT && IS_AT_WORK.load(Ordering::Relaxed) {
        add_one(&IN_MID_TURN);
    }
    for _ in 0..=sent % 4 {
        if sent == FROM_INTERRUPT {
            break;
        }
        if INBOX.send(sent).is_err() {
            add_one(&REFUSED);
            break;
        }
        sent += 1;
    }
    SENT.store(sent, Ordering::Relaxed);
}

/// Receives all, and sends some; now and then it is at work for longer than there is room for.
async fn receive(inbox: &mut Receiver<'_, u32>) {
    let (mut of_interrupt, mut of_loop, mut to_send) = (0, 0, 0);
    while of_interrupt < FROM_INTERRUPT || of_loop < FROM_LOOP {
        let message = inbox.next().await;
        let next = if message & OF_LOOP == 0 { &mut of_interrupt } else { &mut of_loop };
        assert!(message & !OF_LOOP == *next, "{message:#x} instead of {next}");
        *next += 1;
        if message % 4 == 0 && to_send < FROM_LOOP && INBOX.send(to_send | OF_LOOP).is_ok() {
            to_send += 1;
        }
        if message % 1_000 == 999 {
            work_until_full();
        }
        (0..message % 64).for_each(|step| _ = black_box(step));
    }
}

/// Takes no message until the interrupt has come so often that it found no room.
fn work_until_full() {
    let before = REFUSED.load(Ordering::Relaxed);
    for _ in 0..STEPS_MAX {
        let is_over = SENT.load(Ordering::Relaxed) == FROM_INTERRUPT;
        if is_over || REFUSED.load(Ordering::Relaxed) != before {
            return;
        }
    }
    panic!("no interrupt comes");
}

/// Notes when the future is being polled.
async fn watched<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| poll_watched(future.as_mut(), cx)).await
}

fn poll_watched<F: Future>(future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
    IS_AT_WORK.store(true, Ordering::Relaxed);
    let polled = future.poll(cx);
    IS_AT_WORK.store(false, Ordering::Relaxed);
    polled
}

/// The interrupt's alone, which nothing interrupts.
fn add_one(counter: &AtomicU32) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}
