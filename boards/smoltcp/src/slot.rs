//! What becomes of a socket: from listening to a connection, to its end, and to listening again.
//!
//! ```text
//!           (1) listen         (2) established       (3) accept
//!   Idle -----------> Listening --------------> Pending --------> Open
//!    ^  ^               ^   |  (8) half open       |               |   (4) connect: Idle -> Open
//!    |  |               |   |      too long        | (7) died      |
//!    |  |               +---+----------------------+    (5) close  |   (6) abort
//!    |  |               |                             Closing <----+----> Aborting
//!    |  +---------------+-------------------------------+             RST sent |
//!    +-- an outgoing socket              (9) closed, or its time is over <-----+
//! ```
//!
//! 1 [`Slot::listen`]; 2, 7, 8, 9 [`Slot::step`]; 3, 4, 5, 6 the calls of the transport.
//!
//! Invariants:
//! - A slot that was given up is Closing or Aborting until its socket can be used again, and every
//!   such state has an end by time, so no peer keeps a socket for ever.
//! - A bit that was reported is not reported again until an operation disproved it.
//!
//! Layer: stands on smoltcp's TCP socket; [`net`](crate::net) owns the table.

use dustdevil_core::poller::{Readiness, Token};
use dustdevil_core::time::{Duration, Instant, TICK_SHIFT};
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp;
use smoltcp::wire::IpListenEndpoint;

/// How long a peer may take to complete its handshake.
pub const HALF_OPEN: Duration = Duration::from_secs(10);
/// How long a connection that is being closed waits for its peer to acknowledge what was written.
pub const CLOSE: Duration = Duration::from_secs(10);
/// How long it waits, once all was acknowledged, for its peer to close too; what the peer still
/// sends is thrown away. (smoltcp's FIN-WAIT-2 has no end of its own.)
pub const LINGER: Duration = Duration::from_secs(2);
/// How long a connection that this side opens may take to be established.
pub const CONNECT: Duration = Duration::from_secs(30);
/// What is left of [`HALF_OPEN`] while somebody waits for a socket.
pub const HALF_OPEN_PRESSED: Duration = Duration::from_secs(1);
/// What is left of [`CLOSE`] then: time for one retransmission, which is due after a second
/// (RFC 6298, 2.4). Who only lingers makes room at once.
pub const CLOSE_PRESSED: Duration = Duration::from_millis(1_500);
/// How long an aborted connection waits for its RST to leave: its peer's address may be unknown.
const RESET: Duration = Duration::from_secs(1);
/// How long a finished connection (TIME-WAIT) keeps its socket at least, for its last ACK to leave.
const LAST_ACK: Duration = Duration::from_millis(20);

/// Where a slot is on its way; see the diagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Idle,
    Listening,
    Pending,
    Open,
    Closing,
    Aborting,
}

/// What [`Slot::step`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing to do before that many ticks.
    Wait(u32),
    /// The same, once what there is to send has been sent.
    Send(u32),
    /// Nothing to do before its socket changes.
    Rest,
    /// A connection has come.
    Arrived,
    /// These bits are new.
    Ready(Readiness),
    /// The socket can be used again.
    Free,
}

/// How scarce sockets are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    /// None is listening.
    pub(crate) listener: bool,
    /// A request is held that finds none.
    pub(crate) pressed: bool,
}

impl Need {
    /// Somebody waits who could have any socket that is over.
    pub(crate) const UTMOST: Self = Self { listener: true, pressed: true };
}

/// One connection's place, beside its socket.
pub(crate) struct Slot {
    pub(crate) handle: SocketHandle,
    token: Token,
    /// When the time of this state began, in ticks.
    since: u32,
    /// The room in the send buffer from which on it counts as ready to write.
    room_wanted: u32,
    /// The port that it listens at.
    pub(crate) port: u16,
    pub(crate) state: State,
    reported: Readiness,
    /// `since` is of the state as [`Slot::step`] saw it last.
    timed: bool,
    opening: Opening,
    /// Both sides have said that they are done.
    finished: bool,
}

/// How far a connection is that this side opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opening {
    /// It is established; or it came to a listener.
    Done,
    /// It is not established.
    Waits,
    /// Its time ran out before it was.
    TimedOut,
}

/// No source has this token: their indexes begin at 1.
const UNREGISTERED: Token = Token::from_u64(0);

const _: () = assert!(size_of::<SocketHandle>() > 4 || size_of::<Slot>() == 28);

impl Slot {
    pub(crate) fn new(handle: SocketHandle) -> Self {
        Self {
            handle,
            token: UNREGISTERED,
            since: 0,
            room_wanted: 1,
            port: 0,
            state: State::Idle,
            reported: Readiness::NONE,
            timed: false,
            opening: Opening::Done,
            finished: false,
        }
    }

    /// Puts the slot into `state`, with nothing left of what was.
    pub(crate) fn begin(&mut self, state: State) {
        *self = Self { state, port: self.port, ..Self::new(self.handle) };
    }

    /// Listens at `port`, whatever the socket did before; its last peer is not told.
    pub(crate) fn listen(&mut self, socket: &mut tcp::Socket<'_>, port: u16) {
        socket.abort();
        let at = IpListenEndpoint { addr: None, port };
        // INVARIANT: the socket was just closed and a listener's port is not 0.
        let listening = socket.listen(at);
        debug_assert!(listening.is_ok(), "{listening:?}");
        self.port = port;
        self.begin(State::Listening);
    }

    /// Opened from here.
    pub(crate) fn connect(&mut self, now: Instant) {
        self.begin(State::Open);
        (self.opening, self.timed, self.since) = (Opening::Waits, true, ticks(now));
    }

    /// Takes a bearer of events.
    pub(crate) fn register(&mut self, token: Token) {
        (self.token, self.reported) = (token, Readiness::NONE);
    }

    /// The bearer of events, if there is one.
    pub(crate) fn token(&self) -> Option<Token> {
        Some(self.token).filter(|token| *token != UNREGISTERED)
    }

    /// Gives the connection up: delivers, sends FIN, lingers.
    pub(crate) fn close(&mut self, socket: &mut tcp::Socket<'_>, now: Instant) {
        socket.close();
        socket.set_ack_delay(None);
        self.end(State::Closing, now);
    }

    /// Gives the connection up with RST.
    pub(crate) fn abort(&mut self, socket: &mut tcp::Socket<'_>, now: Instant) {
        socket.abort();
        self.end(State::Aborting, now);
    }

    fn end(&mut self, state: State, now: Instant) {
        self.begin(state);
        self.since = ticks(now);
    }

    /// Sends FIN after what was written.
    pub(crate) fn shutdown(&mut self, socket: &mut tcp::Socket<'_>) {
        self.finished |= socket.state() == tcp::State::CloseWait;
        socket.close();
    }

    /// Whether it carries a connection that nobody holds any more.
    pub(crate) fn is_ending(&self) -> bool {
        matches!(self.state, State::Closing | State::Aborting)
    }

    /// Whether both sides have said that they are done: its end is no failure.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Why the connection is dead.
    pub(crate) fn failure(&self) -> embedded_io::ErrorKind {
        match self.opening {
            Opening::TimedOut => embedded_io::ErrorKind::TimedOut,
            Opening::Waits => embedded_io::ErrorKind::ConnectionRefused,
            Opening::Done => embedded_io::ErrorKind::ConnectionReset,
        }
    }

    /// A read found nothing more: the next arrival is news.
    pub(crate) fn drained(&mut self) {
        self.reported = self.reported.without(Readiness::READ);
    }

    /// A write found less than `wanted` bytes of room: news once there is as much.
    pub(crate) fn blocked(&mut self, wanted: usize) {
        self.reported = self.reported.without(Readiness::WRITE);
        self.room_wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
    }

    /// Looks at the socket, and moves the slot on.
    pub(crate) fn step(&mut self, socket: &mut tcp::Socket<'_>, now: Instant, need: Need) -> Step {
        let now = ticks(now);
        match self.state {
            State::Idle => Step::Rest,
            State::Listening => self.step_listening(socket, now, need),
            State::Pending if is_dead(socket) => Step::Free,
            State::Pending => Step::Rest,
            State::Open => self.step_open(socket, now),
            State::Closing => self.step_closing(socket, now, need),
            State::Aborting => match socket.remote_endpoint() {
                Some(_) => self.limit(now, RESET),
                None => Step::Free,
            },
        }
    }

    fn step_listening(&mut self, socket: &tcp::Socket<'_>, now: u32, need: Need) -> Step {
        match socket.state() {
            tcp::State::Listen => {
                self.timed = false;
                Step::Rest
            }
            tcp::State::SynReceived => {
                self.time(now);
                self.limit(now, if need.pressed { HALF_OPEN_PRESSED } else { HALF_OPEN })
            }
            tcp::State::Closed => Step::Free,
            _ => Step::Arrived,
        }
    }

    fn step_open(&mut self, socket: &mut tcp::Socket<'_>, now: u32) -> Step {
        if self.opening != Opening::Done {
            match socket.state() {
                tcp::State::SynSent | tcp::State::SynReceived => {
                    let step = self.limit(now, CONNECT);
                    if step != Step::Free {
                        return step;
                    }
                    self.opening = Opening::TimedOut;
                    socket.abort();
                }
                tcp::State::Closed => {}
                _ => self.opening = Opening::Done,
            }
        }
        let new = self.readiness(socket).without(self.reported);
        if new == Readiness::NONE || self.token == UNREGISTERED {
            return Step::Rest;
        }
        self.reported |= new;
        Step::Ready(new)
    }

    fn readiness(&mut self, socket: &tcp::Socket<'_>) -> Readiness {
        let mut ready = Readiness::NONE;
        match socket.state() {
            tcp::State::Closed if self.finished => ready |= Readiness::READ | Readiness::CLOSED,
            tcp::State::Closed => return Readiness::ALL,
            tcp::State::CloseWait => ready |= Readiness::READ | Readiness::CLOSED,
            tcp::State::LastAck | tcp::State::Closing | tcp::State::TimeWait => {
                self.finished = true;
                ready |= Readiness::READ | Readiness::CLOSED;
            }
            _ if socket.can_recv() => ready |= Readiness::READ,
            _ => {}
        }
        let room = socket.send_capacity() - socket.send_queue();
        if socket.may_send() && room >= self.room_wanted as usize {
            ready |= Readiness::WRITE;
        }
        ready
    }

    /// Throws away what came in, and looks whether the peer, or its time, is done.
    fn step_closing(&mut self, socket: &mut tcp::Socket<'_>, now: u32, need: Need) -> Step {
        let mut discarded = false;
        // What is in the buffer may lie in two pieces.
        while let Ok(1..) = socket.recv(|data| (data.len(), data.len())) {
            discarded = true;
        }
        match socket.state() {
            tcp::State::Closed if socket.remote_endpoint().is_none() => Step::Free,
            tcp::State::Closed => self.step_reset(now),
            tcp::State::FinWait2 => {
                self.time(now);
                match self.limit(now, LINGER) {
                    _ if need.pressed => Step::Free,
                    // The peer may have to learn that there is room for what nobody will read.
                    Step::Wait(left) if discarded => Step::Send(left),
                    step => step,
                }
            }
            tcp::State::TimeWait => {
                // Its own end comes after 10 s, if nobody needs the socket before.
                self.timed &= self.finished;
                self.finished = true;
                self.time(now);
                if need.listener { self.limit(now, LAST_ACK) } else { Step::Rest }
            }
            _ => match self.limit(now, if need.pressed { CLOSE_PRESSED } else { CLOSE }) {
                Step::Free => {
                    socket.abort();
                    self.step_reset(now)
                }
                Step::Wait(left) if discarded => Step::Send(left),
                step => step,
            },
        }
    }

    /// All that is left to do is a RST.
    fn step_reset(&mut self, now: u32) -> Step {
        self.begin(State::Aborting);
        self.since = now;
        Step::Send(limit_ticks(RESET))
    }

    /// The time of what is seen now begins, unless it was seen before.
    fn time(&mut self, now: u32) {
        if !self.timed {
            (self.timed, self.since) = (true, now);
        }
    }

    fn limit(&self, now: u32, limit: Duration) -> Step {
        match limit_ticks(limit).checked_sub(now.wrapping_sub(self.since)) {
            None | Some(0) => Step::Free,
            Some(left) => Step::Wait(left),
        }
    }
}

/// Whether the connection was reset before anybody asked for it.
fn is_dead(socket: &tcp::Socket<'_>) -> bool {
    socket.state() == tcp::State::Closed
}

fn ticks(now: Instant) -> u32 {
    now.ticks() as u32
}

const fn limit_ticks(limit: Duration) -> u32 {
    (limit.as_micros() >> TICK_SHIFT) as u32 + 1
}
