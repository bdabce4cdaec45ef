//! Firmware that answers lines on UART1, for a test at the other end of it.
//!
//! | line | answer |
//! |---|---|
//! | `fill` | the transmit ring is filled while its interrupt is masked: as many dots, and `full` |
//! | `hold` | `holding`; it reads nothing until bytes were lost, then all there is: `held 256` |
//! | `losses` | `overrun 12, garbled 0` |
//! | `close` | `closed`, then nothing any more; `UART1 CLOSED` on UART0 |
//! | any other | the same line |
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::fmt::{self, Write};
use core::future::poll_fn;
use core::task::{Context, Poll};

use cortex_m_rt::entry;
use dustdevil_core::handle::Handle;
use dustdevil_core::memory::Memory;
use dustdevil_core::nb;
use dustdevil_core::poller::Interest;
use dustdevil_core::reactor::{Capacity, Reactor};
use dustdevil_core::stream::{IoStream, RawStream};
use dustdevil_core::time::Duration;
use dustdevil_core::wake::Wakes;
use lm3s6965evb::uart::{Losses, RECEIVE_BYTES, TRANSMIT_BYTES};
use lm3s6965evb::{self as board, Uart, net};

const NET: net::Capacity =
    net::Capacity { listening: 1, rx_bytes: 64, tx_bytes: 64, ..net::Capacity::NONE };
const CAPACITY: Capacity = Capacity { sources: 0, timers: 2, groups: 0, tasks: 1, waiters: 0 };
static NET_MEMORY: Memory<{ NET.bytes() }> = Memory::new();
static MEMORY: Memory<{ CAPACITY.bytes() }> = Memory::new();
static WAKES: Wakes<{ CAPACITY.tasks }> = Wakes::new();

const LINE_BYTES_MAX: usize = 128;
/// How often it is looked whether bytes were lost.
const LOOK_EVERY: Duration = Duration::from_millis(5);

#[entry]
fn main() -> ! {
    let poller = board::init(NET_MEMORY.take(), NET);
    let reactor = Reactor::new(poller, MEMORY.take(), CAPACITY, &WAKES);
    let uart = board::uart1!(115_200);
    board::print("UART1 READY");
    reactor.run(answer(Handle::from(&reactor), &uart));
    board::print("UART1 CLOSED");
    loop {
        cortex_m::asm::wfi();
    }
}

async fn answer(rt: Handle<'_>, uart: &Uart) {
    let mut buffer = [0; LINE_BYTES_MAX];
    let mut stream = IoStream::new(uart, &mut buffer);
    let mut line = Line { bytes: [0; LINE_BYTES_MAX], length: 0 };
    loop {
        let read = stream.read_until(b"\n", LINE_BYTES_MAX).await.expect("the line is open");
        line.length = read.len();
        line.bytes[..read.len()].copy_from_slice(read);
        match line.text() {
            b"fill\n" => {
                let count = fill(uart).await;
                let is_whole = count == TRANSMIT_BYTES;
                line.set(format_args!("{}\n", if is_whole { "full" } else { "not full" }));
            }
            b"hold\n" => {
                // As they are before the other end knows of it.
                let before = uart.losses();
                stream.write(b"holding\n").await.expect("the line is open");
                let held = hold(rt, uart, before).await;
                line.set(format_args!("held {held}\n"));
            }
            b"losses\n" => {
                let losses = uart.losses();
                line.set(format_args!("overrun {}, garbled {}\n", losses.overrun, losses.garbled));
            }
            b"close\n" => line.set(format_args!("closed\n")),
            _ => {}
        }
        stream.write(line.text()).await.expect("the line is open");
        if line.text() == b"closed\n" {
            uart.close();
            poll_fn(|cx| uart.poll_ready(Interest::Gone, cx)).await;
            assert!(matches!(uart.try_read(&mut [0]), Err(nb::Error::Other(_))));
            assert!(matches!(uart.try_write(b"."), Err(nb::Error::Other(_))));
            return;
        }
    }
}

/// Fills the transmit ring, which the interrupt would empty at once, and waits until it has room,
/// and until it is empty.
async fn fill(uart: &Uart) -> usize {
    let mut filled = None;
    poll_fn(|cx| match filled {
        None => cortex_m::interrupt::free(|_| {
            filled = Some(dots(uart, cx));
            Poll::Pending
        }),
        Some(_) => uart.poll_ready(Interest::Write, cx),
    })
    .await;
    poll_fn(|cx| uart.poll_flush(cx)).await.expect("the line is open");
    filled.unwrap_or(0)
}

fn dots(uart: &Uart, cx: &mut Context<'_>) -> usize {
    let mut count = 0;
    while let Ok(more) = uart.try_write(b"...") {
        count += more;
    }
    assert!(uart.poll_ready(Interest::Write, cx).is_pending());
    assert!(uart.poll_flush(cx).is_pending());
    count
}

/// Lets the receive ring run over, and takes what it holds.
async fn hold(rt: Handle<'_>, uart: &Uart, before: Losses) -> usize {
    while uart.losses() == before {
        rt.sleep(LOOK_EVERY).await;
    }
    let (mut held, mut bytes) = (0, [0; RECEIVE_BYTES]);
    while let Ok(count) = uart.try_read(&mut bytes) {
        held += count;
    }
    held
}

/// A line that is answered.
struct Line {
    bytes: [u8; LINE_BYTES_MAX],
    length: usize,
}

impl Line {
    fn text(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn set(&mut self, text: fmt::Arguments<'_>) {
        self.length = 0;
        self.write_fmt(text).expect("it is short");
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        let room = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}
