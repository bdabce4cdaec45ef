//! What the tests share: worlds with clients in them, and short names.

use std::rc::Rc;

use dustdevil_core::sim::{Faults, Record, Script, World};
use dustdevil_core::time::Duration;
use dustdevil_http::{Capacity, Limits};

use crate::app::App;
use crate::client::{Client, Plan, Tally};
use crate::world::{Report, Setup, address, serve};

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// For a board's worth of connections, on a transport like epoll.
const SMALL: Setup = Setup {
    capacity: Capacity { connections: 20, requests: 4, heads: 8, ..Capacity::SMALL },
    limits: Limits { server_name: "", ..Limits::DEFAULT },
    backlog: 1024,
    drains: true,
    masked: false,
    settle_ms: 100_000,
    stops: true,
    stop_after_ms: None,
    planted: None,
};

/// A world under test: who will connect, and the server that they will meet.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) setup: Setup,
    pub(crate) app: App,
    pub(crate) tally: Rc<Tally>,
}

impl Scene {
    pub(crate) fn new(seed: u64, faults: Faults) -> Self {
        let world = World::new(seed, faults);
        // The last lines before a failure are shown with it.
        world.keep_trace();
        Self { world, setup: SMALL, app: App::default(), tally: Rc::default() }
    }

    /// A scene without any fault.
    pub(crate) fn calm() -> Self {
        Self::new(1, Faults::NONE)
    }

    /// Lets a client with this plan connect after `delay`.
    pub(crate) fn client(&self, delay: Duration, plan: Plan) {
        self.world.connect(address(), delay, Client::new(plan, &self.tally));
    }

    /// Lets a script connect after `delay`.
    pub(crate) fn script(&self, delay: Duration, script: Script) -> Record {
        let record = script.record();
        self.world.connect(address(), delay, script);
        record
    }

    pub(crate) fn run(&self) -> Report {
        serve(&self.world, &self.setup, &self.app)
    }

    pub(crate) fn finished(&self) -> u32 {
        self.tally.finished.get()
    }
}

/// The three kinds of worlds in which everything that is promised must hold.
pub(crate) fn weathers() -> [(&'static str, Faults); 3] {
    [("calm", Faults::NONE), ("lossless", Faults::lossless()), ("harsh", Faults::harsh())]
}

/// The same where the network ends no connection, and no accept fails (which costs an idle one its
/// place): everybody must be served.
pub(crate) fn reliable(faults: &Faults) -> Faults {
    Faults { reset_permille: 0, accept_fail_permille: 0, ..faults.clone() }
}

pub(crate) const GET: &[u8] = b"GET /plain HTTP/1.1\r\nHost: a\r\n\r\n";

/// A request to this path, as bytes.
pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes()
}

/// The head of a request with a body of this length.
pub(crate) fn post(path: &str, length: usize) -> Vec<u8> {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n").into_bytes()
}

/// What the server answers, without the fields that do not matter here.
pub(crate) fn statuses(text: &str) -> Vec<u16> {
    text.match_indices("HTTP/1.1 ")
        .map(|(at, first)| text[at + first.len()..][..3].parse().expect("a status"))
        .collect()
}
