//! A server with room for a million connections.

use rustix::process::{Resource, Signal, getrlimit};

use crate::util::process::settle;
use crate::util::{Client, Process, alone, raise_descriptor_limit};

const MILLION: u64 = 1_000_000;

/// Descriptors of a process with one worker that are no connections.
const DESCRIPTORS_BESIDE: u64 = 68;

/// Places of a server that has as many slots and buffers as one with a million.
const FEW: u64 = 256;

/// What a server with a million places may have in memory more than one with a few, while nobody is
/// connected: the ends of tables. A million entries of each would be 37,000 kB; and where a process
/// may have no more than 20,000 descriptors, as many entries would still be 740.
const GROWTH_KB_MAX: u64 = 64;

#[test]
fn a_million_places_are_asked_for_and_the_empty_ones_cost_no_page() {
    let _alone = alone();
    let limit = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let needed = MILLION + DESCRIPTORS_BESIDE;
    let complaint = format!(
        "ERROR dustdevil_std::options: {} connections a worker, not {MILLION}: they need {needed} \
         descriptors, and there are {limit} (ulimit -Hn, at most 1048576)\n",
        limit.saturating_sub(DESCRIPTORS_BESIDE)
    );
    let resident_kb = [FEW, MILLION].map(|connections| {
        let connections_asked = connections.to_string();
        let (process, at) =
            Process::bench(&["--workers", "1", "--connections", &connections_asked]);
        settle(at);
        let resident_kb = process.resident_kb();
        process.signal(Signal::TERM);
        let ended = process.end();
        let is_lowered = connections == MILLION && limit < needed;
        let said = ended.errors.ends_with(&complaint) && ended.errors.lines().count() == 1;
        assert!(if is_lowered { said } else { ended.errors.is_empty() }, "{ended:?}");
        assert_eq!(ended.code, Some(0));
        resident_kb
    });
    let [few, many] = resident_kb;
    assert!(many <= few + GROWTH_KB_MAX, "{few} kB with {FEW} places, {many} kB with a million");
}

/// Everybody leaves and comes again: what the first generation touched serves the second.
#[test]
fn a_second_generation_touches_no_new_memory() {
    const CONNECTIONS: usize = 2_000;
    // One page: of the heap's, which has nothing to do with connections.
    const AGAIN_KB_MAX: u64 = 4;
    let _alone = alone();
    raise_descriptor_limit();
    let (process, at) = Process::bench(&["--workers", "1", "--connections", "2500"]);
    let at_rest = process.descriptors();
    let resident_kb = [(); 3].map(|()| {
        let come = |_| {
            let mut client = Client::connect(at);
            assert_eq!(client.get("/").status, 200);
            client
        };
        let clients: Vec<Client> = (0..CONNECTIONS).map(come).collect();
        let resident_kb = process.resident_kb();
        drop(clients);
        process.descriptors_settle(at_rest);
        resident_kb
    });
    let [first, second, third] = resident_kb;
    assert!(third.max(second) <= first + AGAIN_KB_MAX, "{first}, {second}, {third} kB");
    process.terminate();
}
