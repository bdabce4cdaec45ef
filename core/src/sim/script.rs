//! A peer that does one thing after the other: sends, waits, and expects answers in time.
//!
//! Invariants: every expectation has a deadline in the world's time, and one that is missed ends
//! the test with the seed, the step and what was received until then; a step looks only at what
//! the steps before it have not used up.
//!
//! Layer: stands on [`Peer`].

use core::cell::{Ref, RefCell};
use core::fmt;
use std::collections::VecDeque;
use std::rc::Rc;
use std::string::{String, ToString};
use std::vec::Vec;

use super::peer::{Peer, PeerEnd, PeerEvent};
use crate::time::{Duration, Instant};

/// How much of what was received a failure shows.
const BYTES_SHOWN: usize = 300;

/// A peer that follows a list of steps, and then sends FIN if it did not do so before.
///
/// ```
/// use dustdevil_core::sim::Script;
/// use dustdevil_core::time::Duration;
/// let second = Duration::from_secs(1);
/// let script = Script::new("one request")
///     .send(b"GET / HTTP/1.1\r\n\r\n")
///     .expect_contains(b"200 OK", second)
///     .fin()
///     .expect_close(second);
/// let record = script.record(); // `world.connect(to, delay, script)` takes the script away.
/// assert!(!record.outcome().is_finished);
/// ```
#[derive(Debug)]
pub struct Script {
    name: String,
    steps: VecDeque<Step>,
    /// How many steps are done: also the number of the timer that belongs to the present one.
    done: u32,
    /// The present step has set its timer.
    is_started: bool,
    /// The present step's timer ran out.
    is_time_up: bool,
    is_connected: bool,
    is_tolerant: bool,
    /// What of `received` the steps have used up.
    used: usize,
    record: Record,
}

#[derive(Clone, Debug)]
enum Step {
    Send(VecDeque<u8>),
    SendSlowly(VecDeque<u8>, Duration),
    Wait(Duration),
    ExpectContains(Vec<u8>, Duration),
    ExpectBytes(usize, Duration),
    ExpectClose(Duration),
    ExpectEnd(Duration),
    Fin,
    Reset,
    StopReading(bool),
}

/// How a connection ended for its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The other side sent FIN.
    Fin,
    /// It was reset, by the other side or by the network.
    Reset,
    /// It never came about.
    Refused,
    /// The script reset it.
    Itself,
}

/// What a [`Script`] has seen and done.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// When the connection stood.
    pub connected_at: Option<Instant>,
    /// Everything that was received.
    pub received: Vec<u8>,
    /// When the last of it came.
    pub received_at: Option<Instant>,
    /// How it ended, if it did.
    pub ended: Option<Ended>,
    /// When it ended.
    pub ended_at: Option<Instant>,
    /// Steps that are done.
    pub steps_done: u32,
    /// Whether every step is done.
    pub is_finished: bool,
}

impl Outcome {
    /// What was received, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.received).into_owned()
    }
}

/// A handle on what a [`Script`] sees and does, to be read during and after the run.
#[derive(Clone, Debug, Default)]
pub struct Record(Rc<RefCell<Outcome>>);

impl Record {
    /// The outcome so far. Let go of it before the world runs on.
    pub fn outcome(&self) -> Ref<'_, Outcome> {
        self.0.borrow()
    }
}

impl Script {
    /// A script without steps. `name` tells it apart in messages.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_string(),
            steps: VecDeque::new(),
            done: 0,
            is_started: false,
            is_time_up: false,
            is_connected: false,
            is_tolerant: false,
            used: 0,
            record: Record::default(),
        }
    }

    /// Puts up with an early end (reset, refused, FIN in the middle): the record tells. Missed
    /// deadlines are failures still. For worlds whose network resets connections.
    pub const fn tolerant(mut self) -> Self {
        self.is_tolerant = true;
        self
    }

    /// What this script sees and does.
    pub fn record(&self) -> Record {
        self.record.clone()
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push_back(step);
        self
    }

    /// Sends all of `data`; done when the window has taken it.
    pub fn send(self, data: &[u8]) -> Self {
        self.step(Step::Send(data.iter().copied().collect()))
    }

    /// Sends `data` one byte at a time, `gap` apart.
    pub fn send_slowly(self, data: &[u8], gap: Duration) -> Self {
        self.step(Step::SendSlowly(data.iter().copied().collect(), gap))
    }

    /// Does nothing for `delay`; what comes is received.
    pub fn wait(self, delay: Duration) -> Self {
        self.step(Step::Wait(delay))
    }

    /// Expects `text` somewhere in what is not used up, and uses up everything until its end.
    pub fn expect_contains(self, text: &[u8], within: Duration) -> Self {
        self.step(Step::ExpectContains(text.to_vec(), within))
    }

    /// Expects `count` bytes more, and uses them up.
    pub fn expect_bytes(self, count: usize, within: Duration) -> Self {
        self.step(Step::ExpectBytes(count, within))
    }

    /// Expects the other side's FIN. A reset is a failure.
    pub fn expect_close(self, within: Duration) -> Self {
        self.step(Step::ExpectClose(within))
    }

    /// Expects the connection to end, by FIN or by a reset.
    pub fn expect_end(self, within: Duration) -> Self {
        self.step(Step::ExpectEnd(within))
    }

    /// Sends FIN; receiving goes on.
    pub fn fin(self) -> Self {
        self.step(Step::Fin)
    }

    /// Resets the connection, which ends the script.
    pub fn reset(self) -> Self {
        self.step(Step::Reset)
    }

    /// Stops reading: the window fills.
    pub fn stop_reading(self) -> Self {
        self.step(Step::StopReading(true))
    }

    /// Reads again.
    pub fn resume_reading(self) -> Self {
        self.step(Step::StopReading(false))
    }

    /// Goes on as far as it can.
    fn run(&mut self, end: &mut PeerEnd<'_>) {
        while self.is_connected && !self.has_died() {
            let Some(mut step) = self.steps.pop_front() else {
                if !self.record.0.borrow().is_finished {
                    self.record.0.borrow_mut().is_finished = true;
                    end.fin();
                }
                return;
            };
            if !self.is_done(&mut step, end) {
                self.start(&step, end);
                self.steps.push_front(step);
                return;
            }
            self.done += 1;
            (self.is_started, self.is_time_up) = (false, false);
            self.record.0.borrow_mut().steps_done = self.done;
        }
    }

    /// Sets the timer of a step that could not be done at once.
    fn start(&mut self, step: &Step, end: &mut PeerEnd<'_>) {
        if core::mem::replace(&mut self.is_started, true) {
            return;
        }
        match step {
            Step::Wait(time)
            | Step::SendSlowly(_, time)
            | Step::ExpectContains(_, time)
            | Step::ExpectBytes(_, time)
            | Step::ExpectClose(time)
            | Step::ExpectEnd(time) => end.timer_in(*time, self.done),
            Step::Send(_) | Step::Fin | Step::Reset | Step::StopReading(_) => {}
        }
    }

    fn is_done(&mut self, step: &mut Step, end: &mut PeerEnd<'_>) -> bool {
        let ended = self.record.0.borrow().ended;
        match step {
            Step::Send(data) => {
                let taken = end.write(data.make_contiguous());
                data.drain(..taken);
                data.is_empty()
            }
            Step::SendSlowly(data, _) => {
                if !self.is_started || core::mem::take(&mut self.is_time_up) {
                    let taken = data.front().map_or(0, |&byte| end.write(&[byte]));
                    data.drain(..taken);
                    self.is_started = false;
                }
                data.is_empty()
            }
            Step::Wait(_) => self.is_time_up,
            Step::ExpectContains(text, _) => self.has_found(text),
            Step::ExpectBytes(count, _) => {
                let is_enough = self.record.0.borrow().received.len() - self.used >= *count;
                self.used += if is_enough { *count } else { 0 };
                is_enough
            }
            Step::ExpectClose(_) => ended == Some(Ended::Fin),
            Step::ExpectEnd(_) => ended.is_some(),
            Step::Fin => {
                end.fin();
                true
            }
            Step::Reset => {
                end.reset();
                self.note_end(Ended::Itself, end);
                self.record.0.borrow_mut().is_finished = self.steps.is_empty();
                true
            }
            Step::StopReading(stop) => {
                end.stop_reading(*stop);
                true
            }
        }
    }

    fn has_found(&mut self, text: &[u8]) -> bool {
        let outcome = self.record.0.borrow();
        let rest = &outcome.received[self.used..];
        // An empty text is found at once; `windows` would not take it.
        let found = rest.windows(text.len().max(1)).position(|window| window.starts_with(text));
        self.used += found.map_or(0, |at| at + text.len());
        found.is_some() || text.is_empty()
    }

    fn receive(&mut self, end: &mut PeerEnd<'_>) {
        let mut buf = [0; 512];
        loop {
            let count = end.read(&mut buf);
            if count == 0 {
                return;
            }
            let mut outcome = self.record.0.borrow_mut();
            outcome.received.extend_from_slice(&buf[..count]);
            outcome.received_at = Some(end.now());
        }
    }

    fn note_end(&self, ended: Ended, end: &PeerEnd<'_>) {
        let mut outcome = self.record.0.borrow_mut();
        outcome.ended = Some(ended);
        outcome.ended_at = Some(end.now());
    }

    fn has_died(&self) -> bool {
        matches!(self.record.0.borrow().ended, Some(Ended::Reset | Ended::Refused | Ended::Itself))
    }

    /// The connection ended: whatever the present step still expects can never come.
    fn end(&mut self, ended: Ended, end: &mut PeerEnd<'_>) {
        self.note_end(ended, end);
        let is_expected = match self.steps.front() {
            None => ended != Ended::Refused,
            Some(Step::ExpectEnd(_)) if ended != Ended::Fin => {
                self.steps.pop_front();
                self.done += 1;
                self.record.0.borrow_mut().steps_done = self.done;
                self.steps.is_empty()
            }
            Some(Step::ExpectContains(..) | Step::ExpectBytes(..)) => false,
            Some(_) => ended == Ended::Fin,
        };
        if is_expected && self.steps.is_empty() {
            self.record.0.borrow_mut().is_finished = true;
        }
        if is_expected {
            return;
        }
        if !self.is_tolerant {
            self.fail(end, format_args!("the connection ended: {ended:?}"));
        }
        // Nothing is left to be done, except to end as well.
        self.steps.clear();
        self.is_connected = false;
        end.fin();
    }

    #[track_caller]
    fn fail(&self, end: &PeerEnd<'_>, what: fmt::Arguments<'_>) -> ! {
        let outcome = self.record.0.borrow();
        let rest = &outcome.received[self.used..];
        end.fail(format_args!(
            "script {:?}, step {} ({}): {what}\nreceived {} bytes, {} of them not used up: {:?}",
            self.name,
            self.done,
            self.steps.front().map_or("none left".to_string(), |step| std::format!("{step}")),
            outcome.received.len(),
            rest.len(),
            String::from_utf8_lossy(&rest[..rest.len().min(BYTES_SHOWN)]),
        ))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(data) | Self::SendSlowly(data, _) => write!(f, "send {} more", data.len()),
            Self::Wait(_) => f.write_str("wait"),
            Self::ExpectContains(text, within) => {
                let text = String::from_utf8_lossy(text);
                write!(f, "expect {text:?} within {} ms", within.as_millis())
            }
            Self::ExpectBytes(count, within) => {
                write!(f, "expect {count} bytes within {} ms", within.as_millis())
            }
            Self::ExpectClose(within) => write!(f, "expect FIN within {} ms", within.as_millis()),
            Self::ExpectEnd(within) => write!(f, "expect an end within {} ms", within.as_millis()),
            Self::Fin => f.write_str("send FIN"),
            Self::Reset => f.write_str("reset"),
            Self::StopReading(stop) => write!(f, "stop reading: {stop}"),
        }
    }
}

impl Peer for Script {
    fn on_event(&mut self, event: PeerEvent, end: &mut PeerEnd<'_>) {
        match event {
            PeerEvent::Connected => {
                self.is_connected = true;
                self.record.0.borrow_mut().connected_at = Some(end.now());
            }
            PeerEvent::Readable => self.receive(end),
            PeerEvent::Writable => {}
            PeerEvent::Timer(id) => {
                // A timer of an earlier step means nothing any more.
                if id != self.done || self.steps.is_empty() {
                    return;
                }
                self.is_time_up = true;
            }
            PeerEvent::Fin => {
                self.receive(end);
                self.run(end);
                self.end(Ended::Fin, end);
            }
            PeerEvent::Reset => {
                self.receive(end);
                self.run(end);
                self.end(Ended::Reset, end);
            }
            PeerEvent::Refused => self.end(Ended::Refused, end),
        }
        self.run(end);
        let is_expecting = matches!(
            self.steps.front(),
            Some(
                Step::ExpectContains(..)
                    | Step::ExpectBytes(..)
                    | Step::ExpectClose(_)
                    | Step::ExpectEnd(_)
            )
        );
        if is_expecting && self.is_time_up {
            self.fail(end, format_args!("not in time"));
        }
    }
}
