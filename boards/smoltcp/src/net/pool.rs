//! The pool of listening sockets: replenished as connections end, fed with held requests.
//!
//! Invariants:
//! - A socket of the pool whose connection has ended listens again at once, at the port that needs
//!   it most.
//! - A held request is fed as soon as a socket can take it, and while it waits the listener's owner
//!   knows: `READ` is raised, and `accept` answers `OutOfMemory` unless sockets that are being
//!   closed will do.
//!
//! Place: part of [`net`](super).

use dustdevil_core::poller::{Event, Readiness, Token};
use dustdevil_core::time::Instant;
use smoltcp::socket::tcp;

use super::Stack;
use crate::device::Device;
use crate::nic::Nic;
use crate::segment::Flow;
use crate::slot::{Need, Slot, State, Step};

/// As smoltcp sets it: an acknowledgement waits that long for data to go with.
const ACK_DELAY: smoltcp::time::Duration = smoltcp::time::Duration::from_millis(10);

/// Listeners at once; one more is refused.
pub const LISTENERS_MAX: usize = 4;

/// A port that connections are accepted at.
#[derive(Clone, Copy)]
pub(super) struct Listener {
    /// 0: nobody listens.
    pub(super) port: u16,
    pub(super) token: Option<Token>,
    /// `READ` was reported and not disproved.
    pub(super) reported: bool,
}

impl Listener {
    pub(super) const NONE: Self = Self { port: 0, token: None, reported: false };
}

impl<'m> Stack<'m> {
    /// A slot and its socket.
    // Apart, as the next one: the checks in it are dear, and many want them.
    #[inline(never)]
    pub(super) fn connection(&mut self, index: usize) -> Option<(&mut Slot, &mut tcp::Socket<'m>)> {
        let slot = self.slots.get_mut(index)?;
        let socket = self.sockets.get_mut(slot.handle);
        Some((slot, socket))
    }

    /// The socket of a slot.
    #[inline(never)]
    pub(super) fn socket_of(&self, slot: &Slot) -> &tcp::Socket<'m> {
        self.sockets.get(slot.handle)
    }

    /// Whether a request for a connection to here would be refused, since no socket listens.
    pub(super) fn finds_no_socket(&self, flow: Flow) -> bool {
        if !self.has_listener(flow.port) {
            return false;
        }
        let takes_it = |slot: &Slot| {
            let socket = self.socket_of(slot);
            // A closed socket that has a RST to send still knows its peer, and takes nothing.
            let listens = socket.is_listening() && slot.port == flow.port;
            listens || (socket.is_open() && flow.is_of(socket))
        };
        !self.slots.iter().any(takes_it)
    }

    fn has_listener(&self, port: u16) -> bool {
        port != 0 && self.listeners.iter().any(|listener| listener.port == port)
    }

    /// A request from the peer of a connection that is over (TIME-WAIT) begins a new one (RFC 9293,
    /// 3.6.1): smoltcp would have the old one take it, and do nothing.
    pub(super) fn reopen(&mut self, flow: Flow) {
        let over = |slot: &Slot| {
            let socket = self.socket_of(slot);
            slot.state == State::Closing
                && socket.state() == tcp::State::TimeWait
                && flow.is_of(socket)
        };
        if let Some(index) = self.pool().iter().position(over) {
            self.replenish(index);
        }
    }

    /// Keeps a request that found no socket, and lets the listener's owner know.
    pub(super) fn hold(&mut self, frame: &[u8], flow: Flow) {
        if self.hold.push(frame, flow, self.now) {
            self.report_again(flow.port);
        }
        self.changed = true;
    }

    /// Lets a socket whose connection is over, or only lingers, listen for `flow`; whether there
    /// was one.
    pub(super) fn vacate(&mut self, flow: Flow) -> bool {
        let now = self.now;
        for index in 0..self.listening {
            let Some((slot, socket)) = self.connection(index) else { break };
            if !slot.is_ending() {
                continue;
            }
            let step = slot.step(socket, now, Need::UTMOST);
            self.dirty |= matches!(step, Step::Send(_));
            if step == Step::Free {
                self.replenish(index);
                self.open(flow.port);
                return true;
            }
        }
        false
    }

    /// Something is new at the listener of `port`.
    fn report_again(&mut self, port: u16) {
        self.news_at_listener = true;
        for listener in self.listeners.iter_mut().filter(|listener| listener.port == port) {
            listener.reported = false;
        }
    }

    /// Sockets that listen.
    pub(super) fn free(&self) -> usize {
        let is_free =
            |slot: &&Slot| slot.state == State::Listening && self.socket_of(slot).is_listening();
        self.pool().iter().filter(is_free).count()
    }

    fn pool(&self) -> &[Slot] {
        // The table has a slot for each listening socket, and they come first.
        self.slots.get(..self.listening).unwrap_or_default()
    }

    /// Requests for `port` that sockets being closed will not do for.
    pub(super) fn pressure(&self, port: u16) -> usize {
        let ending = self.pool().iter().filter(|slot| slot.is_ending()).count();
        self.hold.waiting(port).saturating_sub(ending)
    }

    /// Looks at every slot: reports what is new, ends what is over, listens again.
    pub(super) fn look(&mut self, on_event: &mut dyn FnMut(Event)) {
        self.changed = false;
        self.hold.expire(self.now);
        self.slots_due = self.hold.expires_at(self.now).unwrap_or(Instant::MAX);
        self.refresh_address();
        // How scarce sockets are matters only to who waits for one, or keeps one after its end.
        let matters = self.hold.len() > 0 || self.slots.iter().any(Slot::is_ending);
        let mut free = if matters { self.free() } else { 1 };
        for index in 0..self.slots.len() {
            let in_pool = index < self.listening;
            // Who connects from here waits for none of the pool, but for one that is over.
            let need = Need {
                listener: free == 0 || !in_pool,
                pressed: in_pool && self.hold.len() > free,
            };
            let now = self.now;
            // As `connection` does, which is a call: this is done for every slot after every frame.
            let Some(slot) = self.slots.get_mut(index) else { break };
            let step = slot.step(self.sockets.get_mut(slot.handle), now, need);
            match step {
                Step::Rest => {}
                Step::Wait(ticks) | Step::Send(ticks) => {
                    self.dirty |= matches!(step, Step::Send(_));
                    let at = Instant::from_ticks(now.ticks() + u64::from(ticks));
                    self.slots_due = self.slots_due.min(at);
                }
                Step::Ready(ready) => {
                    if let Some(token) = slot.token() {
                        on_event(Event { token, ready });
                    }
                }
                Step::Arrived => {
                    slot.state = State::Pending;
                    let port = slot.port;
                    self.report_again(port);
                }
                Step::Free => free += usize::from(self.replenish(index)),
            }
        }
        if self.hold.len() > 0 || self.news_at_listener {
            self.report_listeners(on_event);
        }
        #[cfg(feature = "udp")]
        self.look_at_mailboxes(on_event);
    }

    /// The socket of slot `index` is used again; whether it listens.
    pub(super) fn replenish(&mut self, index: usize) -> bool {
        let port = if index < self.listening { self.port_in_need() } else { None };
        self.dirty = true;
        let Some((slot, socket)) = self.connection(index) else { return false };
        socket.set_ack_delay(Some(ACK_DELAY));
        socket.set_nagle_enabled(false);
        match port {
            Some(port) => slot.listen(socket, port),
            None => {
                socket.abort();
                slot.begin(State::Idle);
            }
        }
        port.is_some()
    }

    /// The port with the fewest sockets for those who wait; `None` without a listener.
    fn port_in_need(&self) -> Option<u16> {
        let listening = |port: u16| {
            let at_port = |slot: &&Slot| slot.state == State::Listening && slot.port == port;
            self.pool().iter().filter(at_port).count()
        };
        let ports = self.listeners.iter().map(|listener| listener.port).filter(|port| *port != 0);
        ports.min_by_key(|port| {
            let waiting = self.hold.waiting(*port) as isize;
            listening(*port) as isize - waiting
        })
    }

    fn report_listeners(&mut self, on_event: &mut dyn FnMut(Event)) {
        self.news_at_listener = false;
        let mut listeners = self.listeners;
        for listener in &mut listeners {
            let Listener { port, token: Some(token), reported: false } = *listener else {
                continue;
            };
            if port != 0 && (self.arrived(port).is_some() || self.pressure(port) > 0) {
                listener.reported = true;
                on_event(Event { token, ready: Readiness::READ });
            }
        }
        self.listeners = listeners;
    }

    /// A slot whose connection nobody has accepted yet.
    pub(super) fn arrived(&self, port: u16) -> Option<usize> {
        let waits = |slot: &Slot| slot.state == State::Pending && slot.port == port;
        self.pool().iter().position(waits)
    }

    /// Gives held requests to sockets that listen.
    pub(super) fn feed<N: Nic>(&mut self, device: &mut Device<'_, N>) {
        while self.hold.len() > 0 && self.free() > 0 && !device.is_occupied() {
            let port = self.hold.oldest_port();
            self.open(port);
            let Some(len) = self.hold.pop(port, device.buffer()) else { return };
            device.admit(len);
            self.take_in(device);
        }
    }

    /// Lets a listening socket listen at `port`, if none does.
    fn open(&mut self, port: u16) {
        let mut spare = None;
        for (index, slot) in self.pool().iter().enumerate() {
            if slot.state == State::Listening && self.socket_of(slot).is_listening() {
                if slot.port == port {
                    return;
                }
                spare = Some(index);
            }
        }
        if let Some((slot, socket)) = spare.and_then(|index| self.connection(index)) {
            slot.listen(socket, port);
        }
    }
}
