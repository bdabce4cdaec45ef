//! Scripts with what Tornado 6.6.1 did with them, so that a machine without Python notices too.
//!
//! When what a seed makes of a script changes on purpose, the file is written anew:
//! `cargo run -p tornado -- --python <one that has Tornado> --first 4 --scripts 2 --record`.

use tornado::executor::Order;
use tornado::ours;
use tornado::script::{Kind, Script};
use tornado::trace::{Line, difference};

/// What `--record` printed.
const RECORDED: &str = include_str!("recorded.txt");

/// Each script that was recorded, its text, and what Tornado did with it.
fn recorded() -> Vec<(Script, String, Vec<Line>)> {
    let parts = RECORDED.split_terminator("end\n");
    let played = parts.map(|part| {
        let mut head = part.split([' ', '\n']).skip(1);
        let number = head.next().unwrap().parse().unwrap();
        let name = head.next().unwrap();
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name).unwrap();
        let begin = part.find("\nrun ").unwrap() + 1;
        let begin = begin + part[begin..].find('\n').unwrap() + 1;
        let (text, trace) = part.split_at(begin);
        let trace = trace.lines().map(|line| Line::parse(line).unwrap()).collect();
        (Script::new(number, kind), text.to_owned(), trace)
    });
    played.collect()
}

#[test]
fn what_tornado_did_is_done_here() {
    let recorded = recorded();
    assert_eq!(recorded.len(), 2 * Kind::ALL.len());
    for (script, text, theirs) in recorded {
        assert_eq!(script.to_string(), text, "the script that was recorded");
        let ours = ours::play(&script, Order::Woken);
        if let Some(difference) = difference(&theirs, &ours, &script.unordered()) {
            panic!("{text}{difference}");
        }
    }
}

#[test]
fn scripts_tell_one_order_of_grants_from_another() {
    // Who was woken last goes on first: everything else is as it was.
    let differs = |script: &Script| {
        let orders = [Order::Woken, Order::Reversed];
        let [woken, reversed] = orders.map(|order| ours::play(script, order));
        difference(&woken, &reversed, &script.unordered()).is_some()
    };
    for (kind, at_least) in [
        (Kind::Condition, 10),
        (Kind::Semaphore, 5),
        (Kind::Bounded, 5),
        (Kind::Lock, 5),
        (Kind::Queue, 2),
        (Kind::Priority, 2),
        (Kind::Lifo, 2),
    ] {
        let count = (0..100).filter(|number| differs(&Script::new(*number, kind))).count();
        assert!(count >= at_least, "{kind:?}: {count} of 100");
    }
}

#[test]
fn a_script_is_what_its_seed_makes_of_it() {
    for kind in Kind::ALL {
        assert_eq!(Script::new(7, kind), Script::new(7, kind));
        assert_ne!(Script::new(7, kind).to_string(), Script::new(8, kind).to_string());
    }
}
