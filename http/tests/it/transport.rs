//! The seam that TLS will use: a transport that changes every byte, under the same server.

use dustdevil_core::poller::{Error, Transport};
use dustdevil_core::sim::{Faults, Script, Sim, World};

use crate::client::{Plan, Request};
use crate::util::{Scene, ms, reliable, secs, weathers};
use crate::world::address;

#[test]
fn a_masking_transport_serves_the_same() {
    for (weather, faults) in weathers() {
        for drains in [true, false] {
            let mut answers = Vec::new();
            for is_masked in [false, true] {
                let mut scene = Scene::new(8, reliable(&faults));
                (scene.setup.masked, scene.setup.drains) = (is_masked, drains);
                let body = [b'm'; 3_000];
                let requests = vec![
                    Request::get("/user/masked", "masked"),
                    Request::post("/echo", &body, &body),
                    Request::chunked("/count", &body, 700, b"3000"),
                    Request::get("/plain", "simple"),
                ];
                let plan = Plan { is_masked, depth: 4, ..Plan::new("masked", requests) };
                scene.client(ms(0), plan);
                let report = scene.run();
                assert_eq!(scene.finished(), 1, "{weather}");
                answers.push((report.stats, scene.tally.answered.get(), report.writes));
            }
            assert_eq!(answers[0], answers[1], "{weather}: as without the mask");
        }
    }
}

#[test]
fn a_transport_without_tls_refuses_to_start_it() {
    let world = World::new(1, Faults::NONE);
    let mut sim: Sim = Sim::new(&world);
    let listener = sim.listen(address(), 1).expect("the address is free");
    world.connect(address(), ms(0), Script::new("peer").expect_close(secs(1)));
    sim.poll_until_quiet();
    let (io, _) = sim.accept(listener).expect("it is there");
    assert_eq!(sim.start_tls(io), Err(Error::UNSUPPORTED));
    sim.close(io);
    sim.close(listener);
}

trait PollUntilQuiet {
    fn poll_until_quiet(&mut self);
}

impl PollUntilQuiet for Sim {
    fn poll_until_quiet(&mut self) {
        use dustdevil_core::poller::Poller;
        let until = self.world().now() + ms(10);
        let wakes = dustdevil_core::sim::wakes(1);
        self.poll(Some(until), wakes, &mut |_| ()).expect("a world to poll");
    }
}
