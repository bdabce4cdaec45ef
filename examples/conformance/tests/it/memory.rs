//! Bodies of 64 MiB in both directions, in the memory that was there before.

use crate::routes::at_rest;
use crate::table::{ask, ask_chunked, crc32, pattern};
use crate::util::{Client, Process};

const PIECE_BYTES: usize = 1024 * 1024;
const PIECES: usize = 64;

/// How much more memory the process may come to use: its allocator's and stacks' last pages.
const GROWTH_KB_MAX: u64 = 256;

/// What a process has in use, and the most it ever had, in kilobytes.
fn memory_kb(process: &Process) -> [u64; 2] {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    ["RssAnon:", "VmHWM:"].map(|name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    })
}

#[test]
fn bodies_of_any_length_take_no_more_memory() {
    let (process, at) = Process::conformance();
    let mut client = Client::connect(at);
    let piece = pattern(PIECE_BYTES);
    // What is used for the first time is not what this is about.
    ask(&mut client, "POST /upload", "", &piece);
    ask_chunked(&mut client, "POST /upload", &piece, 5_000);
    client.get("/large?n=1048576");
    let before = memory_kb(&process);

    // Its buffers were memory in use from the start on.
    assert!(ask(&mut client, "POST /echo", "", &piece).body == piece);
    let whole = piece.repeat(PIECES);
    let expected = format!("len={} crc32={:08x}\n", whole.len(), crc32(&whole));
    assert_eq!(ask(&mut client, "POST /upload", "", &whole).text(), expected);
    for chunk_bytes in [5_000, PIECE_BYTES] {
        let response = ask_chunked(&mut client, "POST /upload", &whole, chunk_bytes);
        assert_eq!(response.text(), expected, "{chunk_bytes}");
    }
    let length = whole.len();
    let response = client.get(&format!("/large?n={length}"));
    assert!(response.body.len() == length && response.body.iter().all(|byte| *byte == b'x'));
    let dump = ask(&mut client, "POST /dump", "", &whole);
    assert!(dump.text().ends_with(&format!("\nbody={length}\n")), "{}", dump.text());

    let after = memory_kb(&process);
    println!("{before:?} kB before, {after:?} kB after");
    drop(client);
    at_rest(at);
    for (before, after) in before.into_iter().zip(after) {
        assert!(after <= before + GROWTH_KB_MAX, "{before} kB, then {after} kB");
    }
}
