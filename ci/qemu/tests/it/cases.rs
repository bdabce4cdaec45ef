//! The conformance suite against a board: every case but the few that name why a board is left out.

use std::time::Duration;

use cases::{Options, run};

use crate::util::Board;
use crate::util::board::AT;
use crate::util::namespace;

#[test]
fn every_case() {
    let report = namespace::inside(|| {
        let _board = Board::start("conformance");
        run(&Options::board(AT))
    });
    println!("{report}");
    assert!(report.failures.is_empty(), "{report}");
    assert!(report.total().0 >= 430, "{report}");
    assert_eq!(report.groups.get("h1spec"), Some(&(33, 33)));
    assert!(report.took < Duration::from_secs(900), "{:?}", report.took);
}
