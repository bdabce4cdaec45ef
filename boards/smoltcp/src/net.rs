//! The poll loop: frames in, sockets looked at, frames out, and an exact wait.
//!
//! ```text
//!   poll: egress, if dirty or due --> ingress, a budget of frames --> slots, if changed or due
//!           ^                                |                              |
//!           |                                v no room: SYN hold            v free socket: feed it
//!           +---- dirty again ---- events? return ---- nothing? park until the first deadline
//! ```
//!
//! Invariants:
//! - Work is bounded: [`FRAMES_PER_POLL_MAX`] frames in, [`PASSES_PER_EGRESS_MAX`] passes out. What
//!   is left over is done in the reactor's next turn, without a wait in between.
//! - It parks only when nothing is dirty, nothing is due, no frame waits and no wake is up: the
//!   last two are asked with interrupts masked.
//! - Egress, the dear part, runs once for all writes since the last time, not after each.
//! - Slots are looked at only after something could have changed them.
//!
//! Layer: the top of this crate; `pool`, `transport` and `datagrams` are parts of it.

#[cfg(feature = "udp")]
mod datagrams;
mod pool;
mod transport;

use core::cell::Cell;
use core::net::Ipv4Addr;

use dustdevil_core::memory::Block;
use dustdevil_core::poller::{Error, Event, Io, Poller, Token};
use dustdevil_core::time::{Clock, Duration, Instant};
use dustdevil_core::wake::WakeTree;
use smoltcp::iface::{Config, Interface, PollResult, SocketHandle, SocketSet, SocketStorage};
use smoltcp::socket::tcp;
use smoltcp::wire::{EthernetAddress, HardwareAddress};

use crate::address::Address;
use crate::capacity::{Addressing, Capacity, EXTRA_SOCKETS};
use crate::device::Device;
use crate::hold::{HELD_MAX, Held, Hold};
#[cfg(feature = "udp")]
use crate::mailbox::Mailbox;
use crate::nic::{Nic, Park};
use crate::segment::{self, Kind};
use crate::slot::{Slot, State};
use pool::Listener;

pub use crate::capacity::DATAGRAM_BYTES_MAX;
pub use crate::hold::{HELD_BYTES_MAX, HELD_FOR, HELD_MAX as REQUESTS_HELD_MAX};
#[cfg(feature = "udp")]
pub use crate::mailbox::UNREACHABLE;
pub use crate::slot::{CLOSE, CLOSE_PRESSED, CONNECT, HALF_OPEN, HALF_OPEN_PRESSED, LINGER};
pub use pool::LISTENERS_MAX;

/// Frames taken in before the reactor has its turn.
pub const FRAMES_PER_POLL_MAX: usize = 16;
/// Times that every socket may send before the reactor has its turn.
pub const PASSES_PER_EGRESS_MAX: usize = 8;
/// When a stack that says it is due and sends nothing is asked again: its interface may be busy
/// with a frame, which takes 120 us at 100 Mbit/s.
const STUCK: Duration = Duration::from_micros(200);

/// A poller over an Ethernet interface: smoltcp, and what a server needs beside it.
///
/// See the [crate's documentation](crate); the contract is [`dustdevil_core::poller`]'s.
pub struct Net<'m, N, P> {
    device: Device<'m, N>,
    park: P,
    /// The present as it was asked for last: the reactor asks at the beginning of each turn, so a
    /// poll need not.
    seen: Cell<Instant>,
    stack: &'m mut Stack<'m>,
}

/// What lies in the block: smoltcp's parts and the tables beside them.
struct Stack<'m> {
    interface: Interface,
    sockets: SocketSet<'m>,
    /// One for each socket: those that listen come first.
    slots: &'m mut [Slot],
    #[cfg(feature = "udp")]
    mailboxes: &'m mut [Mailbox],
    hold: Hold<'m>,
    listeners: [Listener; LISTENERS_MAX],
    address: Address,
    /// The interface's own address.
    hardware: [u8; 6],
    /// How many of `slots` belong to listeners.
    listening: usize,
    /// The present, as of the last look at the clock.
    now: Instant,
    /// When smoltcp has something to send, retransmit or give up.
    stack_due: Instant,
    /// When a slot's time is over, or a held request's.
    slots_due: Instant,
    /// Something was written, read, closed or received since the last egress.
    dirty: bool,
    /// Something happened that may have changed a slot.
    changed: bool,
    /// A listener may have something to report.
    news_at_listener: bool,
    /// What ports of outgoing connections are drawn from.
    random: u32,
}

/// The bytes of the block beside the tables of [`Capacity`].
pub(crate) const STACK_BYTES: usize = dustdevil_core::memory::room::<Stack<'static>>(1);

impl<'m, N: Nic, P: Park> Net<'m, N, P> {
    /// A stack over `nic`, whose tables are cut from `memory`.
    ///
    /// `seed` should be as unpredictable as the board can make it: initial sequence numbers and
    /// ports are drawn from it (RFC 6528).
    ///
    /// # Panics
    /// At start-up, with the numbers: when `memory` is smaller than [`Capacity::bytes`], or the
    /// address is none that a host can have.
    pub fn new(
        nic: N,
        park: P,
        mut memory: Block<'m>,
        capacity: Capacity,
        addressing: Addressing,
        seed: u64,
    ) -> Self {
        let now = park.now();
        let mut device = Device::new(nic, memory.bytes(capacity.buffer_bytes()));
        let stack = Stack::new(&mut device, &mut memory, capacity, addressing, seed, now);
        Self { device, park, seen: Cell::new(now), stack: memory.place(stack) }
    }

    /// The own address, once there is one.
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.stack.interface.ipv4_addr()
    }

    /// Sockets of the listeners' pool that a request for a connection would find.
    pub fn free(&self) -> usize {
        self.stack.free()
    }

    /// Requests for connections that are held until a socket is free.
    pub fn held(&self) -> usize {
        self.stack.hold.len()
    }

    /// Requests that were held since the start, and those that were dropped for want of room.
    pub fn held_total(&self) -> (u32, u32) {
        (self.stack.hold.held, self.stack.hold.dropped)
    }

    /// Sockets whose connection was given up here and has not ended yet.
    pub fn lingering(&self) -> usize {
        self.stack.slots.iter().filter(|slot| slot.is_ending()).count()
    }

    /// The interface, for what only this one has.
    pub fn nic(&mut self) -> &mut N {
        &mut self.device.nic
    }

    /// Takes in frames, as many as `budget` is left; whether there may be more.
    fn ingress(&mut self, budget: &mut usize) -> bool {
        while let Some(left) = budget.checked_sub(1) {
            *budget = left;
            if self.device.is_occupied() && !self.stack.take_in(&mut self.device) {
                return true;
            }
            let Some(frame) = self.device.fetch() else {
                // That was no frame.
                *budget += 1;
                return false;
            };
            let (len, kind) = (frame.len(), segment::kind(frame));
            match kind {
                Kind::Damaged => continue,
                // One that is sent to everybody is for nobody (RFC 1122, 4.2.3.10).
                Kind::Request(_, to) if self.stack.interface.ipv4_addr() != Some(to) => continue,
                Kind::Request(flow, _) => {
                    self.stack.reopen(flow);
                    if self.stack.finds_no_socket(flow) {
                        if !segment::is_sound(frame, self.stack.hardware) {
                            continue;
                        }
                        // One that waits longer comes first.
                        if self.stack.hold.len() > 0 || !self.stack.vacate(flow) {
                            self.stack.hold(frame, flow);
                            continue;
                        }
                    }
                }
                Kind::Withdrawal(flow) => self.stack.hold.forget(flow),
                Kind::Segment => {}
                // Who asked for it reads it; anybody else's is refused as any other datagram.
                Kind::Lease if self.stack.address.is_lent() => {}
                #[cfg(feature = "udp")]
                Kind::Lease if self.stack.receives(datagrams::DHCP_PORT) => {}
                #[cfg(feature = "udp")]
                Kind::Datagram(port) if self.stack.receives(port) => {}
                _ if !self.device.is_answerable(len) => continue,
                _ => {}
            }
            self.device.admit(len);
            self.stack.take_in(&mut self.device);
        }
        true
    }

    /// Waits until the first of `until`, a frame or a wake; whether a wake is up.
    fn park(&mut self, until: Instant, wakes: &WakeTree) -> bool {
        let (mut woken, mut parked) = (false, false);
        let nic = &mut self.device.nic;
        let until = Some(until).filter(|until| *until != Instant::MAX);
        self.park.park(until, &mut || {
            if !nic.arm() {
                return false;
            }
            parked = wakes.park();
            woken = !parked;
            parked
        });
        if parked {
            wakes.unparked();
        }
        woken
    }
}

impl<N: Nic, P: Park> Clock for Net<'_, N, P> {
    fn now(&self) -> Instant {
        let now = self.park.now();
        self.seen.set(now);
        now
    }

    fn unix_seconds(&self) -> Option<u64> {
        self.park.unix_seconds()
    }
}

impl<N: Nic, P: Park> Poller for Net<'_, N, P> {
    fn register(&mut self, io: Io, token: Token) -> Result<(), Error> {
        self.stack.register(io, token)
    }

    fn poll(
        &mut self,
        deadline: Option<Instant>,
        wakes: &WakeTree,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<(), Error> {
        let deadline = deadline.unwrap_or(Instant::MAX);
        let (mut news, mut budget) = (false, FRAMES_PER_POLL_MAX);
        self.stack.now = self.seen.get();
        loop {
            let now = self.stack.now;
            let mut more = false;
            if self.stack.dirty || self.stack.stack_due <= now {
                more = self.stack.egress(&mut self.device);
            }
            more |= self.ingress(&mut budget);
            if self.stack.changed || self.stack.slots_due <= now {
                self.stack.look(&mut |event| {
                    news = true;
                    on_event(event);
                });
                self.stack.feed(&mut self.device);
            }
            if news || more || deadline <= now {
                return Ok(());
            }
            if self.stack.dirty || self.stack.changed {
                continue;
            }
            let until = deadline.min(self.stack.stack_due).min(self.stack.slots_due);
            if until > now && self.park(until, wakes) {
                return Ok(());
            }
            self.stack.now = self.now();
        }
    }
}

impl<'m> Stack<'m> {
    fn new<N: Nic>(
        device: &mut Device<'m, N>,
        memory: &mut Block<'m>,
        capacity: Capacity,
        addressing: Addressing,
        seed: u64,
        now: Instant,
    ) -> Self {
        let sockets_max = capacity.sockets() + capacity.udp.sockets + EXTRA_SOCKETS;
        let storage = memory.fill(sockets_max, |_| SocketStorage::<'m>::EMPTY);
        let mut sockets = SocketSet::new(storage);
        let slots = memory.fill(capacity.sockets(), |_| Slot::new(SocketHandle::default()));
        for slot in slots.iter_mut() {
            slot.handle = add_socket(&mut sockets, memory, capacity);
        }
        #[cfg(feature = "udp")]
        let mailboxes = datagrams::add_all(&mut sockets, memory, capacity.udp);
        let held = memory.fill(HELD_MAX, |_| Held::EMPTY);
        let hardware = device.nic.address();
        let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(hardware)));
        config.random_seed = seed;
        let mut interface = Interface::new(config, device, stack_time(now));
        let address = Address::new(addressing, &mut interface, &mut sockets);
        Self {
            interface,
            sockets,
            slots,
            #[cfg(feature = "udp")]
            mailboxes,
            hold: Hold::new(held),
            listeners: [const { Listener::NONE }; LISTENERS_MAX],
            address,
            hardware,
            listening: capacity.listening,
            now,
            stack_due: now,
            slots_due: Instant::MAX,
            dirty: true,
            changed: false,
            news_at_listener: false,
            // Never 0, from which the generator does not move.
            random: (seed >> 32) as u32 ^ seed as u32 | 1,
        }
    }

    /// Gives smoltcp the frame that was admitted; whether it took it.
    fn take_in<N: Nic>(&mut self, device: &mut Device<'_, N>) -> bool {
        self.interface.poll_ingress_single(stack_time(self.now), device, &mut self.sockets);
        (self.dirty, self.changed) = (true, true);
        !device.is_occupied()
    }

    /// Lets every socket send, once for all that was written; whether there is more to send.
    fn egress<N: Nic>(&mut self, device: &mut Device<'_, N>) -> bool {
        let now = stack_time(self.now);
        self.dirty = false;
        // What ends by sending is a reset, and what ends by itself is TIME-WAIT.
        let is_due = self.stack_due <= self.now;
        let ends = |slot: &Slot| slot.state == State::Aborting || (is_due && slot.is_ending());
        self.changed |= self.slots.iter().any(ends);
        for _ in 0..PASSES_PER_EGRESS_MAX {
            let sent = self.interface.poll_egress(now, device, &mut self.sockets);
            let due = self.interface.poll_at(now, &self.sockets);
            self.stack_due = due.map_or(Instant::MAX, |at| {
                Instant::from_micros(u64::try_from(at.total_micros()).unwrap_or(0))
            });
            if self.stack_due > self.now {
                break;
            }
            if sent == PollResult::None {
                self.stack_due = self.now + STUCK;
                break;
            }
        }
        #[cfg(feature = "udp")]
        self.look_for_room();
        self.refresh_address();
        self.stack_due <= self.now
    }

    /// Takes over what a DHCP server said, or that its lease has ended.
    fn refresh_address(&mut self) {
        if self.address.refresh(&mut self.interface, &mut self.sockets) {
            (self.dirty, self.changed) = (true, true);
            self.announce_all();
        }
    }
}

/// Adds a socket with buffers of its own; apart, so that only this frame is large.
#[inline(never)]
fn add_socket<'m>(
    sockets: &mut SocketSet<'m>,
    memory: &mut Block<'m>,
    capacity: Capacity,
) -> SocketHandle {
    let rx = tcp::SocketBuffer::new(memory.bytes(capacity.rx_bytes));
    let tx = tcp::SocketBuffer::new(memory.bytes(capacity.tx_bytes));
    let mut socket = tcp::Socket::new(rx, tx);
    // Responses are written whole: waiting for more would cost a peer's delayed ACK, 40 ms.
    socket.set_nagle_enabled(false);
    sockets.add(socket)
}

/// Our time as smoltcp's.
fn stack_time(now: Instant) -> smoltcp::time::Instant {
    smoltcp::time::Instant::from_micros(i64::try_from(now.as_micros()).unwrap_or(i64::MAX))
}
