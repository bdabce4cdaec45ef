//! Firmware that checks on the machine itself what runs nowhere else: the memory functions and the
//! division, which are assembly, and the clock over its wraps. It prints `SELF CHECK OK` or panics.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::cmp::Ordering;
use core::hint::black_box;

use cortex_m_rt::entry;
use dustdevil_core::memory::Memory;
use dustdevil_core::poller::Poller;
use dustdevil_core::time::{Clock, Duration, Instant};
use dustdevil_core::wake::Wakes;
use lm3s6965evb::{self as board, net};

const NET: net::Capacity =
    net::Capacity { listening: 1, rx_bytes: 64, tx_bytes: 64, ..net::Capacity::NONE };
static NET_MEMORY: Memory<{ NET.bytes() }> = Memory::new();
static WAKES: Wakes<1> = Wakes::new();

/// What is copied: longer than a few rounds of each loop, and what comes after them.
const COUNT_MAX: usize = 70;
/// Bytes on both sides that must stay as they are.
const MARGIN: usize = 24;
const ROOM: usize = COUNT_MAX + 2 * MARGIN;
/// How long the clock is watched: 15 periods of its counter.
const WATCHED: Duration = Duration::from_millis(5_000);

/// How late a wait may end on a machine whose host has other work, too.
const LATE_MAX: Duration = Duration::from_millis(100);

#[entry]
fn main() -> ! {
    let mut poller = board::init(NET_MEMORY.take(), NET);
    copies_of_any_length_and_alignment();
    moves_onto_themselves();
    fills();
    comparisons();
    quotients();
    the_clock_never_runs_backwards(&poller);
    waits_end_when_they_should(&mut poller);
    board::print("SELF CHECK OK");
    loop {
        cortex_m::asm::wfi();
    }
}

/// Buffers in which no two neighbours are alike, and none of them zero.
static SOURCE: [u8; ROOM] = pattern(3);
static TARGET: [u8; ROOM] = pattern(100);

const fn pattern(seed: usize) -> [u8; ROOM] {
    let mut bytes = [0; ROOM];
    let mut at = 0;
    while at < ROOM {
        bytes[at] = (at * 7 + seed) as u8 | 1;
        at += 1;
    }
    bytes
}

fn copies_of_any_length_and_alignment() {
    for from in 0..4 {
        for to in 0..8 {
            for count in 0..=COUNT_MAX {
                let mut target = TARGET;
                let taken = &SOURCE[from..from + black_box(count)];
                target[MARGIN + to - 8..][..count].copy_from_slice(taken);
                for (at, byte) in target.iter().enumerate() {
                    let inside = (at + 8).checked_sub(MARGIN + to).filter(|at| *at < count);
                    let expected = inside.map_or(TARGET[at], |at| SOURCE[from + at]);
                    assert!(*byte == expected, "memcpy {from} {to} {count}");
                }
            }
        }
    }
}

fn moves_onto_themselves() {
    for from in MARGIN..MARGIN + 4 {
        for to in from - 20..=from + 20 {
            for count in 0..=COUNT_MAX - 20 {
                let mut moved = SOURCE;
                moved.copy_within(from..from + black_box(count), to);
                for (at, byte) in moved.iter().enumerate() {
                    let inside = at.checked_sub(to).filter(|at| *at < count);
                    let expected = SOURCE[inside.map_or(at, |at| from + at)];
                    assert!(*byte == expected, "memmove {from} {to} {count}");
                }
            }
        }
    }
}

fn fills() {
    for from in MARGIN..MARGIN + 4 {
        for count in 0..=COUNT_MAX {
            for value in [0, 0x5a] {
                let mut filled = SOURCE;
                // Of zeroes known when compiled, another function is called.
                if value == 0 {
                    filled[from..from + black_box(count)].fill(0);
                } else {
                    filled[from..from + black_box(count)].fill(black_box(value));
                }
                for (at, byte) in filled.iter().enumerate() {
                    let is_inside = (from..from + count).contains(&at);
                    let expected = if is_inside { value } else { SOURCE[at] };
                    assert!(*byte == expected, "memset {from} {count} {value}");
                }
            }
        }
    }
}

fn comparisons() {
    for from in 0..4 {
        for count in 0..=20 {
            let one = &SOURCE[from..from + black_box(count)];
            for differs in 0..=count {
                let mut other = [0; ROOM];
                other[1..=count].copy_from_slice(one);
                // Behind the first byte that differs, the others are what decides least.
                for (byte, step) in other[1..=count].iter_mut().skip(differs).zip([1, 255, 1]) {
                    *byte = byte.wrapping_add(step);
                }
                let expected = if differs < count { Ordering::Less } else { Ordering::Equal };
                let seen = one.cmp(&other[1..=count]);
                assert!(seen == expected, "memcmp {from} {count} {differs}");
                assert!(other[1..=count].cmp(one) == expected.reverse(), "memcmp reversed");
                assert!((*one == other[1..=count]) == (differs == count), "bcmp");
            }
        }
    }
}

/// Numbers of all sizes, each with the ones around it, by each other.
fn quotients() {
    let near = |power: u32| {
        let power = 1_u64.rotate_left(power);
        [power.wrapping_sub(1), power, power.wrapping_add(1), power.wrapping_mul(0x9e37_79b9)]
    };
    for dividend in (0..=64).flat_map(near) {
        for divisor in (0..=64).flat_map(near).filter(|divisor| *divisor > 0) {
            let (dividend, divisor) = (black_box(dividend), black_box(divisor));
            let (quotient, rest) = (dividend / divisor, dividend % divisor);
            let back = quotient.checked_mul(divisor).and_then(|it| it.checked_add(rest));
            let is_right = back == Some(dividend) && rest < divisor;
            assert!(is_right, "{dividend} / {divisor} is not {quotient}, {rest}");
        }
    }
}

/// Looked at with interrupts masked every other time: then nobody else counts the periods.
fn the_clock_never_runs_backwards(clock: &impl Clock) {
    let began = clock.now();
    let mut last = began;
    while last - began < WATCHED {
        last = later(clock, last);
        last = cortex_m::interrupt::free(|_| (0..50).fold(last, |last, _| later(clock, last)));
    }
}

fn later(clock: &impl Clock, last: Instant) -> Instant {
    let now = clock.now();
    assert!(now >= last, "{} us after {} us", now.as_micros(), last.as_micros());
    now
}

fn waits_end_when_they_should(poller: &mut impl Poller) {
    // Shorter than a period of the clock's counter, around one, and longer.
    for millis in [0, 1, 2, 50, 319, 320, 321, 1_000] {
        let until = poller.now() + Duration::from_millis(millis);
        let mut waits = 0;
        while poller.now() < until {
            poller.poll(Some(until), &WAKES, &mut |_| ()).expect("nothing in it fails");
            waits += 1;
        }
        let late = poller.now() - until;
        assert!(late < LATE_MAX, "{} us late after {millis} ms", late.as_micros());
        // The poller may end a wait early, for reasons of its own; it does not spin.
        assert!(waits < 10, "{waits} waits for {millis} ms");
    }
}
