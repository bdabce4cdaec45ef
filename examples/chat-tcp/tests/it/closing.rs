//! The end of a room, with a crowd in it that reads too slowly.

use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;

use chat_tcp::{App, Capacity, Limits, serve};
use dustdevil_core::handle::Handle;
use dustdevil_core::reactor::Reactor;
use dustdevil_core::sim::{self, Faults, Peer, PeerEnd, PeerEvent, Sim, World};
use dustdevil_core::tcp::TcpListener;
use dustdevil_core::time::Duration;
use dustdevil_std::zeroed;
use embassy_futures::join::join;

use crate::util::simulated::{SOON, at, guest, millis};

/// Who reads slowly. With the longest names, their list has eight lines and more; it stays that
/// long for as long as they stay.
const SLOW: usize = 64;
const ROOM: Capacity = Capacity { clients: SLOW + 1, messages: 256, door: 1 };

/// When they ask for the list, and when the room is asked to close.
const ASKS_AT: Duration = Duration::from_secs(5);
const STOPS_AT: Duration = Duration::from_secs(12);

/// Reads what it is told until it asks; from then on a few bytes a second.
struct Dribbler {
    name: String,
    question: String,
    bytes_per_second: usize,
    has_asked: bool,
    /// What it has read since.
    list: Rc<RefCell<Vec<u8>>>,
}

impl Peer for Dribbler {
    fn on_event(&mut self, event: PeerEvent, end: &mut PeerEnd<'_>) {
        let mut buf = [0; 64];
        match event {
            PeerEvent::Connected => {
                end.write(self.name.as_bytes());
                end.timer_in(ASKS_AT, 0);
            }
            PeerEvent::Readable if !self.has_asked => while end.read(&mut buf) > 0 {},
            PeerEvent::Timer(_) => {
                if !self.has_asked {
                    self.has_asked = true;
                    end.write(self.question.as_bytes());
                }
                let count = end.read(&mut buf[..self.bytes_per_second]);
                self.list.borrow_mut().extend_from_slice(&buf[..count]);
                end.timer_in(millis(1_000), 0);
            }
            _ => {}
        }
    }
}

/// How long after it was asked to the room has closed, and what each slow one has read of its
/// answer.
fn close(bytes_per_second: usize, has_name: bool) -> (Duration, Vec<String>) {
    let world = World::new(1, Faults { window_bytes: (64, 64), ..Faults::NONE });
    let lists: Vec<Rc<RefCell<Vec<u8>>>> = (0..SLOW).map(|_| Rc::default()).collect();
    for (number, list) in lists.iter().enumerate() {
        let (name, question) = match has_name {
            true => (format!("slow-one-{number:07}\n"), "/who\n".to_owned()),
            false => (String::new(), "0\n".repeat(30)),
        };
        let list = Rc::clone(list);
        let slow = Dribbler { name, question, bytes_per_second, has_asked: false, list };
        // One after the other: the backlog is short.
        world.connect(at(), millis(10 * number as u64), slow);
    }
    let ann = guest("ann").expect_contains(b"- the room closes\n", SOON).expect_close(SOON);
    let record = ann.record();
    world.connect(at(), millis(1_000), ann);

    let tables = ROOM.reactor().plus_timers(1);
    let (mut reactor_memory, mut memory) = (zeroed(tables.bytes()), zeroed(ROOM.bytes()));
    let mut server_memory = zeroed(ROOM.server_bytes());
    let wakes = sim::wakes(tables.tasks);
    let sim: Sim = Sim::new(&world);
    let reactor = Reactor::new(sim, reactor_memory.block(), tables, wakes);
    let app = App::new(memory.block(), ROOM, Limits::DEFAULT);
    let rt = Handle::from(&reactor);
    let listener = TcpListener::bind(rt, at(), 64).expect("a free port");
    let served = pin!(serve(rt, &app, listener, server_memory.block()));
    let server = async {
        served.await;
        rt.now()
    };
    let stop = async {
        rt.sleep(STOPS_AT).await;
        let present = if has_name { ROOM.clients } else { 1 };
        assert_eq!(app.present(), present, "everybody is there until then");
        rt.stop();
        rt.now()
    };
    let (ended, stopped) = reactor.run(join(server, stop));
    assert_eq!(app.present(), 0, "every seat is free again");
    assert!(record.outcome().text().ends_with("- the room closes\n"));
    let lists = lists.iter().map(|list| String::from_utf8(list.take()).expect("text"));
    (ended.since(stopped), lists.collect())
}

/// From those that read nothing to those that read almost three lines of the list in the time that
/// a write may take: none is in the room for longer than that.
#[test]
fn the_middle_of_a_list_is_no_reason_to_stay() {
    for bytes_per_second in [0, 1, 5, 15, 40] {
        let (took, lists) = close(bytes_per_second, true);
        // What they were told last is not taken at once: somebody had to be waited for.
        let is_in_time = took > Duration::ZERO && took <= Limits::DEFAULT.write;
        assert!(is_in_time, "{bytes_per_second} bytes a second: {took:?}");
        for list in lists {
            assert_eq!(list.is_empty(), bytes_per_second == 0);
            let count = list.matches("slow-one-").count();
            assert!(count < SLOW / 2, "{bytes_per_second} bytes a second: {list}");
        }
    }
}

/// Nor is the next of many lines, when it waits already and none of them is a name.
#[test]
fn a_name_is_not_asked_for_any_more() {
    for bytes_per_second in [0, 1, 5, 15, 40] {
        let (took, answers) = close(bytes_per_second, false);
        let is_in_time = took > Duration::ZERO && took <= Limits::DEFAULT.write;
        assert!(is_in_time, "{bytes_per_second} bytes a second: {took:?}");
        assert!(answers.iter().all(|answers| answers.lines().count() < 30));
    }
}
