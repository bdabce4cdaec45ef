//! Nothing allocates after start-up: poller, reactor and server are counted from their first turn,
//! without the harness around them.

use crate::clients::{Leave, Plan};
use crate::site::{Setup, serve};
use crate::wire::Faults;

fn plan(leave: Leave) -> Plan {
    Plan { start_us: 0, connections: 20, requests: 3, pause_us: 10_000, leave }
}

#[test]
fn serving_allocates_nothing() {
    let plans = vec![plan(Leave::Close), plan(Leave::Reset), plan(Leave::Close)];
    let faults = Faults { delay_us: (200, 200), ..Faults::NONE };
    let report = serve(1, &Setup { is_counted: true, ..Setup::new(faults, plans) });
    assert_eq!(report.tally.answered.get(), 180, "{report:?}");
    assert_eq!(report.allocations, 0);
}

#[test]
fn faults_and_pressure_allocate_nothing() {
    let plans = vec![plan(Leave::Close); 8];
    let report = serve(2, &Setup { is_counted: true, ..Setup::new(Faults::HARSH, plans) });
    assert!(report.tally.answered.get() > 100, "{report:?}");
    assert_eq!(report.allocations, 0);
}

#[test]
fn the_counter_counts() {
    let counted = allocation_counter::measure(|| drop(std::hint::black_box(vec![0_u8; 64])));
    assert_eq!(counted.count_total, 1);
}
