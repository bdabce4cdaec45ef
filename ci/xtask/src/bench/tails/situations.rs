//! What is done to the server, and the budget that bounds a turn of it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::PATH;
use super::crowd::{self, Peer, request};
use super::turns::{Recorder, Setup};

/// More connections than any situation has, so that none is shed.
const ROOM: usize = 12_000;
/// Slots for requests, unless a situation is about those.
const REQUESTS: usize = 256;
/// Slots that are held beside those of two others.
const HOLDING: usize = REQUESTS - 2;
/// Beyond every deadline but that of a handler, and beyond that as well.
const HOUR: &str = "/ahead/3600010";
const HOURS: &str = "/ahead/7200010";

/// A few of the server's budgets; ARCHITECTURE, "Turns".
const ACCEPTS: u64 = 64;
const EVENTS_OF_A_POLL: u64 = 256;
const DEADLINES: u64 = 256;
/// Slots that use up their share, of those that events and of those that flags name.
const BUSY: u64 = 16 + 16;
/// Requests that one slot answers in a row.
const IN_A_ROW: u64 = 64;

/// Something that is done to a server, as often as one says.
pub(super) struct Situation {
    /// What the table calls it.
    pub(super) name: &'static str,
    /// Of what one turn may serve only so many.
    pub(super) item: &'static str,
    /// How many.
    pub(super) budget: u64,
    /// With how many it is learnt what one costs: in all its turns; or, where an item is a turn, in
    /// the longest.
    pub(super) few: (usize, usize),
    pub(super) is_a_turn: bool,
    /// Why the longest turn grows with the number all the same, where it does: then it is shown,
    /// and does not fail.
    pub(super) grows: &'static str,
    /// How many there are in the storm, and in a short one.
    pub(super) storm: usize,
    pub(super) storm_in_short: usize,
    /// How the server is started for so many.
    setup: fn(usize) -> Setup,
    /// What comes before turns are counted.
    prepare: fn(&mut Scene, usize) -> Result<()>,
    /// What is done once, with so many: from this the cost of one is learnt.
    act: fn(&mut Scene, usize) -> Result<()>,
    /// What is done in the storm, if that is something else.
    rage: Option<fn(&mut Scene, usize) -> Result<()>>,
    /// Whether the server ends by it.
    ends: bool,
}

/// A server and its clients.
pub(super) struct Scene {
    recorder: Recorder,
    /// Who tells the server what to do.
    head: Peer,
    /// Who has a slot for the request that lets all handlers end, and has yet to send its body.
    opener: Option<Peer>,
    peers: Vec<Peer>,
}

const USUAL: Situation = Situation {
    name: "",
    item: "",
    budget: 0,
    few: (8, 24),
    is_a_turn: false,
    grows: "",
    storm: 10_000,
    storm_in_short: 1_000,
    setup: |_| Setup { connections: ROOM, requests: REQUESTS, tasks: 0, calls: 0 },
    prepare: |_, _| Ok(()),
    act: |_, _| Ok(()),
    rage: None,
    ends: false,
};

const DOWNLOAD: Situation = Situation {
    few: (1, 3),
    is_a_turn: true,
    storm: 1,
    storm_in_short: 1,
    act: |scene, count| scene.download("/stream", count, 64 << 10, Duration::ZERO),
    ..USUAL
};

/// All of them.
pub(super) const ALL: &[Situation] = &[
    Situation {
        name: "one is active beside N that idle",
        item: "connection that idles",
        prepare: idle,
        act: |scene, _| (0..50).try_for_each(|_| scene.head.ask(PATH).map(drop)),
        ..USUAL
    },
    Situation {
        name: "N that idle ask at once",
        item: "event of a poll",
        budget: EVENTS_OF_A_POLL,
        prepare: idle,
        act: |scene, _| {
            scene.all_send(&request(PATH, 0))?;
            crowd::receive(&mut scene.peers, 1)
        },
        ..USUAL
    },
    Situation {
        name: "N that idle leave at once",
        item: "event of a poll",
        budget: EVENTS_OF_A_POLL,
        prepare: idle,
        act: |scene, _| {
            let peers = std::mem::take(&mut scene.peers);
            scene.recorder.at_once(|| {
                drop(peers);
                Ok(())
            })
        },
        ..USUAL
    },
    Situation {
        name: "N connect at once",
        item: "accept",
        budget: ACCEPTS,
        storm: 4_000,
        act: connect,
        ..USUAL
    },
    Situation {
        name: "N connect at once, and each takes an idle one's place",
        item: "accept",
        budget: ACCEPTS,
        storm: 4_000,
        setup: |count| Setup { connections: count + 1, requests: REQUESTS, tasks: 0, calls: 0 },
        prepare: idle,
        act: connect,
        ..USUAL
    },
    Situation {
        name: "64 send N requests of 49 bytes at once",
        item: "request of a slot's share",
        budget: BUSY * IN_A_ROW,
        storm: 64 * 700,
        storm_in_short: 64 * 200,
        prepare: |scene, count| idle(scene, count.min(64)),
        act: |scene, count| scene.pipeline(count, 0),
        ..USUAL
    },
    Situation {
        name: "64 send N requests of 200 bytes at once",
        item: "request of a slot's share",
        budget: BUSY * IN_A_ROW,
        storm: 64 * 180,
        storm_in_short: 64 * 100,
        prepare: |scene, count| idle(scene, count.min(64)),
        act: |scene, count| scene.pipeline(count, 138),
        ..USUAL
    },
    Situation {
        name: "a download of 100 MB, written 16 KiB at a time, read as fast as it comes",
        item: "share of a slot",
        budget: 1,
        rage: Some(|scene, count| scene.download("/stream", count, 100 << 20, Duration::ZERO)),
        ..DOWNLOAD
    },
    Situation {
        name: "the same, read slowly",
        item: "share of a slot",
        budget: 1,
        rage: Some(|scene, count| {
            scene.download("/stream", count, 8 << 20, Duration::from_millis(1))
        }),
        ..DOWNLOAD
    },
    Situation {
        name: "N such downloads begin at once",
        item: "share of a slot",
        budget: BUSY,
        storm: 200,
        storm_in_short: 100,
        ..DOWNLOAD
    },
    Situation {
        name: "a download of 100 MB from where it lies, read as fast as it comes",
        item: "write",
        budget: 16,
        act: |scene, count| scene.download("/static", count, 64 << 10, Duration::ZERO),
        rage: Some(|scene, count| scene.download("/static", count, 100 << 20, Duration::ZERO)),
        ..DOWNLOAD
    },
    Situation {
        name: "N that idle time out at once",
        item: "deadline of a phase",
        budget: DEADLINES,
        prepare: idle,
        act: |scene, _| scene.head.ask(HOUR).map(drop),
        ..USUAL
    },
    Situation {
        name: "N heads time out at once",
        item: "deadline of a phase",
        budget: DEADLINES,
        storm: 500,
        storm_in_short: 500,
        prepare: |scene, count| {
            scene.peers = crowd::connect(scene.recorder.address, count)?;
            crowd::send(&mut scene.peers, b"GET /plaintext HTTP/1.1\r\n")
        },
        act: |scene, _| scene.head.ask(HOUR).map(drop),
        ..USUAL
    },
    Situation {
        name: "N handlers are late at once",
        item: "deadline of a slot",
        budget: DEADLINES,
        storm: 2_000,
        setup: |_| Setup { connections: ROOM, requests: 2_048, tasks: 0, calls: 0 },
        prepare: |scene, count| scene.hold("/gate", count),
        act: |scene, _| scene.head.ask(HOURS).map(drop),
        ..USUAL
    },
    Situation {
        name: "N tasks sleep until the same instant",
        item: "timer",
        budget: DEADLINES,
        grows: "timers of one slot of the wheel move down together",
        setup: |count| Setup { connections: ROOM, requests: REQUESTS, tasks: count, calls: 0 },
        act: |scene, count| scene.fire(count),
        ..USUAL
    },
    Situation {
        name: "N calls are due at the same instant",
        item: "call, out of a heap of a thousand",
        budget: DEADLINES,
        few: (1_000, 2_000),
        storm_in_short: 4_000,
        setup: |count| Setup { connections: ROOM, requests: REQUESTS, tasks: 0, calls: count },
        act: |scene, count| scene.fire(count),
        ..USUAL
    },
    Situation {
        name: "N ask at once while all slots are held by handlers",
        item: "event of a poll",
        budget: EVENTS_OF_A_POLL,
        prepare: crowded,
        act: |scene, _| scene.ask_in_vain(),
        ..USUAL
    },
    Situation {
        name: "N wait for a slot when all handlers end at once",
        item: "request of a turn's work",
        budget: 16 * IN_A_ROW,
        prepare: crowded,
        act: |scene, _| {
            scene.ask_in_vain()?;
            scene.recorder.turns()?;
            scene.opener.as_mut().context("nobody opens")?.send(b"x")?;
            crowd::receive(&mut scene.peers, 1)
        },
        ..USUAL
    },
    Situation {
        name: "N handlers begin to wait for the stop at once",
        item: "event of a poll",
        budget: EVENTS_OF_A_POLL,
        storm: 2_000,
        setup: |_| Setup { connections: ROOM, requests: 2_048, tasks: 0, calls: 0 },
        prepare: idle,
        act: |scene, _| scene.all_send(&request("/end", 0)),
        ..USUAL
    },
    Situation {
        name: "the server stops while N idle",
        item: "deadline of a phase",
        budget: DEADLINES,
        prepare: idle,
        ends: true,
        ..USUAL
    },
];

impl Situation {
    /// The turns that it took with `count`; in the storm, if it is one.
    pub(super) fn turns(&self, count: usize, is_storm: bool) -> Result<Vec<u64>> {
        let recorder = Recorder::start(&(self.setup)(count))?;
        let head = Peer::connect(recorder.address)?;
        let mut scene = Scene { recorder, head, opener: None, peers: Vec::new() };
        (self.prepare)(&mut scene, count)?;
        scene.recorder.quiet()?;
        scene.head.ask("/record")?;
        // What came before, and the turn that was asked.
        scene.recorder.turns()?;
        let act = self.rage.filter(|_| is_storm).unwrap_or(self.act);
        act(&mut scene, count)?;
        if self.ends { scene.recorder.end() } else { scene.recorder.turns() }
    }
}

fn idle(scene: &mut Scene, count: usize) -> Result<()> {
    scene.peers = crowd::idle(scene.recorder.address, count)?;
    Ok(())
}

/// All slots but one are held by handlers that wait, and so many connections have asked nothing.
fn crowded(scene: &mut Scene, count: usize) -> Result<()> {
    scene.hold("/gate", HOLDING)?;
    let mut opener = Peer::connect(scene.recorder.address)?;
    opener.send(b"POST /open HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\n\r\n")?;
    scene.opener = Some(opener);
    scene.peers.append(&mut crowd::connect(scene.recorder.address, count)?);
    scene.recorder.quiet()
}

fn connect(scene: &mut Scene, count: usize) -> Result<()> {
    let address = scene.recorder.address;
    let mut come = scene.recorder.at_once(|| crowd::connect(address, count))?;
    scene.peers.append(&mut come);
    Ok(())
}

impl Scene {
    /// All send the same, and the server sees it all at once.
    fn all_send(&mut self, bytes: &[u8]) -> Result<()> {
        let peers = &mut self.peers;
        self.recorder.at_once(|| crowd::send(peers, bytes))?;
        self.recorder.quiet()
    }

    /// The last slot is taken as well; then all ask that have not asked before.
    fn ask_in_vain(&mut self) -> Result<()> {
        self.head.send(&request("/gate", 0))?;
        self.recorder.quiet()?;
        let peers = self.peers.get_mut(HOLDING..).unwrap_or_default();
        self.recorder.at_once(|| crowd::send(peers, &request(PATH, 0)))?;
        self.recorder.quiet()
    }

    /// So many requests, spread over the connections.
    fn pipeline(&mut self, count: usize, padding: usize) -> Result<()> {
        let each = count.div_ceil(self.peers.len());
        let peers = &mut self.peers;
        let batch = request(PATH, padding).repeat(each);
        self.recorder.at_once(|| crowd::send(peers, &batch))?;
        crowd::receive(&mut self.peers, each)
    }

    /// Connections that ask for what is not answered yet.
    fn hold(&mut self, path: &str, count: usize) -> Result<()> {
        self.peers = crowd::connect(self.recorder.address, count)?;
        crowd::send(&mut self.peers, &request(path, 0))?;
        self.recorder.quiet()
    }

    /// So many downloads begin at once, and of each so many bytes are read.
    fn download(&mut self, path: &str, count: usize, bytes: usize, pause: Duration) -> Result<()> {
        let mut peers = crowd::connect(self.recorder.address, count)?;
        self.recorder.quiet()?;
        let asked = request(path, 0);
        self.recorder.at_once(|| crowd::send(&mut peers, &asked))?;
        let at_once = if pause.is_zero() { 256 << 10 } else { 16 << 10 };
        peers.iter_mut().try_for_each(|peer| peer.skip(bytes, at_once, pause))?;
        self.peers = peers;
        Ok(())
    }

    /// Puts the clock forward, and waits until all that waited for it had their turn.
    fn fire(&mut self, count: usize) -> Result<()> {
        self.head.ask(HOUR)?;
        self.recorder.quiet()?;
        // It was alone, and timed out.
        let mut head = Peer::connect(self.recorder.address)?;
        let fired: usize = head.ask("/fired")?.parse()?;
        ensure!(fired == count, "{fired} of {count} had their turn");
        self.head = head;
        Ok(())
    }
}
