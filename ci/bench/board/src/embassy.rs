//! What embassy asks of a board: a driver for the network, one for time, and an executor.
//!
//! The executor is embassy's with a wait by WFI: its own for this processor waits by WFE, which in
//! QEMU does not wait at all.

use core::cell::RefCell;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Waker};

use critical_section::{CriticalSection, Mutex};
use embassy_executor::{Spawner, raw};
use embassy_net::{Config, Ipv4Cidr, Runner, Stack, StackResources, StaticConfigV4};
use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::waitqueue::AtomicWaker;
use embassy_time_driver::time_driver_impl;
use embassy_time_queue_utils::Queue;
use static_cell::{ConstStaticCell, StaticCell};

use crate::ethernet::{self, Ethernet, FRAME_BYTES};
use crate::{ADDRESS, CONNECTIONS, GATEWAY, PREFIX_BITS, SEED, clock};

/// The executor has something to poll.
static IS_PENDING: AtomicBool = AtomicBool::new(false);

/// Who waits for a frame.
static ON_FRAME: AtomicWaker = AtomicWaker::new();

/// Starts the board and embassy's executor and network, which `spawn` gets to spawn its tasks on.
pub fn run(spawn: impl FnOnce(Spawner, Stack<'static>)) -> ! {
    static EXECUTOR: StaticCell<raw::Executor> = StaticCell::new();

    crate::start();
    let executor: &'static raw::Executor = EXECUTOR.init(raw::Executor::new(core::ptr::null_mut()));
    let spawner = executor.spawner();
    let (stack, runner) = network();
    spawner.spawn(run_network(runner).expect("it is spawned once"));
    spawn(spawner, stack);
    crate::listening();
    loop {
        IS_PENDING.store(false, Ordering::Relaxed);
        // SAFETY: it is polled here alone, and nothing that it polls gets to here.
        unsafe { executor.poll() };
        clock::wait(|| !IS_PENDING.load(Ordering::Relaxed));
    }
}

// Apart, so that what it needs is not part of the stack for ever.
#[inline(never)]
fn network() -> (Stack<'static>, Runner<'static, Wire>) {
    static RESOURCES: StaticCell<StackResources<CONNECTIONS>> = StaticCell::new();
    static RECEIVED: ConstStaticCell<[u8; FRAME_BYTES]> = ConstStaticCell::new([0; FRAME_BYTES]);
    static SENT: ConstStaticCell<[u8; FRAME_BYTES]> = ConstStaticCell::new([0; FRAME_BYTES]);

    let config = Config::ipv4_static(StaticConfigV4 {
        address: Ipv4Cidr::new(ADDRESS, PREFIX_BITS),
        gateway: Some(GATEWAY),
        dns_servers: Default::default(),
    });
    let controller = Ethernet::start();
    let wire = Wire { controller, received: RECEIVED.take(), sent: SENT.take() };
    embassy_net::new(wire, config, RESOURCES.init(StackResources::new()), SEED)
}

#[embassy_executor::task]
async fn run_network(mut runner: Runner<'static, Wire>) -> ! {
    runner.run().await
}

/// What embassy's executor calls when it has something to poll.
// SAFETY: embassy-executor asks for a function of this name and type; nobody else defines it.
#[unsafe(export_name = "__pender")]
fn pender(_: *mut ()) {
    IS_PENDING.store(true, Ordering::Relaxed);
}

/// A frame has arrived.
pub(crate) fn on_frame() {
    ON_FRAME.wake();
}

/// The alarm has come.
pub(crate) fn on_alarm() {
    critical_section::with(|section| TIME.wake_due(section));
}

/// Embassy's time: microseconds since the start.
struct Time {
    queue: Mutex<RefCell<Queue>>,
}

time_driver_impl!(static TIME: Time = Time { queue: Mutex::new(RefCell::new(Queue::new())) });

impl embassy_time_driver::Driver for Time {
    fn now(&self) -> u64 {
        clock::now()
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|section| {
            if self.queue.borrow_ref_mut(section).schedule_wake(at, waker) {
                self.wake_due(section);
            }
        });
    }
}

impl Time {
    /// Wakes those whose time has come and sets the alarm for the next.
    fn wake_due(&self, section: CriticalSection<'_>) {
        let now = clock::now();
        let next = self.queue.borrow_ref_mut(section).next_expiration(now);
        if next < u64::MAX {
            clock::set_alarm(next - now);
        }
    }
}

/// The controller and a frame each way.
struct Wire {
    controller: Ethernet,
    received: &'static mut [u8; FRAME_BYTES],
    sent: &'static mut [u8; FRAME_BYTES],
}

/// A frame that was received.
struct Received<'a>(&'a mut [u8]);

/// Room for a frame to send.
struct Room<'a> {
    controller: &'a mut Ethernet,
    sent: &'a mut [u8],
}

impl Driver for Wire {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Room<'a>;

    fn receive(&mut self, context: &mut Context<'_>) -> Option<(Received<'_>, Room<'_>)> {
        if !self.controller.has_frame() {
            ON_FRAME.register(context.waker());
            if self.controller.arm() {
                return None;
            }
        }
        let length = self.controller.receive(self.received);
        let frame = Received(self.received.get_mut(..length)?);
        Some((frame, Room { controller: &mut self.controller, sent: self.sent }))
    }

    fn transmit(&mut self, _: &mut Context<'_>) -> Option<Room<'_>> {
        let Self { controller, sent, .. } = self;
        controller.can_transmit().then_some(Room { controller, sent: &mut sent[..] })
    }

    fn link_state(&mut self, _: &mut Context<'_>) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = FRAME_BYTES;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(ethernet::ADDRESS)
    }
}

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

impl TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let frame = &mut self.sent[..length];
        let result = f(frame);
        self.controller.transmit(frame);
        result
    }
}
