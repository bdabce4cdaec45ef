//! An HTTP server on the reactor, over the poller, with a stack of clients at the wire's other end.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use dustdevil_core::handle::Handle;
use dustdevil_core::memory::Owned;
use dustdevil_core::reactor::Reactor;
use dustdevil_core::sim;
use dustdevil_core::time::Duration;
use dustdevil_http::{
    BodyOut, Exchange, Fault, HeadOut, Limits, Sent, Server, Status, routes, text,
};
use dustdevil_smoltcp::Net;

use crate::clients::{self, Clients, Plan, Tally, pattern};
use crate::frame::NET_IP;
use crate::scene::{PORT, SMALL, STATIC};
use crate::wire::Faults;
use crate::world::{Counts, World, outside};

/// The application.
pub(crate) struct App;

routes!(App {
    GET "/plain" => plain,
    GET "/user/{id}" => user,
    GET "/big/{bytes}" => big,
    POST "/echo" => echo,
});

async fn plain(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    x.out.reply(text("simple")).await
}

async fn user(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    x.out.reply(text(x.head.param("id").unwrap_or_default())).await
}

async fn big(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let len: usize = x.head.param("bytes").and_then(|len| len.parse().ok()).unwrap_or(0);
    drop(x.head);
    let head = HeadOut { body: BodyOut::Length(len as u64), ..HeadOut::response(Status::OK) };
    let mut body = x.out.start(head).await?;
    let mut at = 0;
    while at < len {
        let mut piece = [0; 64];
        let to = len.min(at + piece.len());
        piece.iter_mut().zip(at..to).for_each(|(byte, at)| *byte = pattern(at));
        body.write(&piece[..to - at]).await?;
        at = to;
    }
    body.end().await
}

async fn echo(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let Exchange { head, mut body, out, .. } = x;
    drop(head);
    let mut buf = [0; 64];
    let mut len = body.read(&mut buf).await?;
    let mut writer = out.start(HeadOut::response(Status::OK)).await?;
    while len > 0 {
        writer.write(&buf[..len]).await?;
        len = body.read(&mut buf).await?;
    }
    writer.end().await
}

/// What a site is made of.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) net: dustdevil_smoltcp::Capacity,
    pub(crate) http: dustdevil_http::Capacity,
    pub(crate) limits: Limits,
    pub(crate) faults: Faults,
    pub(crate) plans: Vec<Plan>,
    /// Whether the allocations of everything but the harness are counted.
    pub(crate) is_counted: bool,
}

impl Setup {
    pub(crate) fn new(faults: Faults, plans: Vec<Plan>) -> Self {
        Self {
            net: SMALL,
            http: dustdevil_http::Capacity::SMALL,
            limits: Limits::DEFAULT,
            faults,
            plans,
            is_counted: false,
        }
    }
}

/// What a run tells.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) tally: Rc<Tally>,
    pub(crate) counts: Counts,
    /// Since the start, without the time that was waited for everything to settle.
    pub(crate) elapsed: Duration,
    pub(crate) hash: u64,
    pub(crate) allocations: u64,
}

fn memory(bytes: usize) -> Owned<Box<[u64]>> {
    Owned::new(vec![0; bytes.div_ceil(8)].into_boxed_slice())
}

/// Serves until every client is through, then until everything has settled.
///
/// # Panics
/// When something is not given back, an answer is wrong, or nothing happens any more.
pub(crate) fn serve(seed: u64, setup: &Setup) -> Report {
    let tables = setup.http.reactor().plus_timers(1);
    let mut clients_memory = memory(clients::bytes(setup.plans.len()));
    let mut net_memory = memory(setup.net.bytes());
    let mut reactor_memory = memory(tables.bytes());
    let mut server_memory = memory(setup.http.bytes::<App>());
    let tally = Rc::<Tally>::default();
    let world = World::new(seed, setup.faults.clone());
    let began = world.now();
    let block = clients_memory.block();
    world.set_far(Clients::new(seed, began.as_micros(), &setup.plans, block, &tally));
    let elapsed = Cell::new(Duration::ZERO);

    let net = Net::new(world.nic(), world.park(), net_memory.block(), setup.net, STATIC, seed);
    let wakes = sim::wakes(tables.tasks);
    let reactor = Reactor::new(net, reactor_memory.block(), tables, wakes);
    let listener = reactor.listen(SocketAddr::from((NET_IP, PORT)), 8).expect("it is free");
    let server = Server::new(&App, server_memory.block(), setup.http, setup.limits);
    let probe = server.probe();
    let handle = Handle::from(&reactor);
    let settled = async {
        while (tally.done.get() as usize) < setup.plans.len() {
            handle.sleep(Duration::from_secs(1)).await;
        }
        elapsed.set(world.now() - began);
        handle.sleep(Duration::from_secs(200)).await;
    };
    let run = || {
        let mut settled = pin!(settled);
        let mut served = pin!(server.serve(&reactor, listener));
        let both = poll_fn(|cx| {
            // The server first: what was never polled has not taken its listener over.
            let Poll::Pending = served.as_mut().poll(cx);
            outside(|| {
                reactor.check();
                probe.check(&reactor, |token| reactor.is_queued(token), reactor.is_woken());
            });
            let polled = settled.as_mut().poll(cx);
            if polled.is_ready() {
                assert_eq!((probe.stats().open, probe.slots_out()), (0, 0), "open, in slots");
                let back = reactor.poller(|net| (net.free(), net.held(), net.lingering()));
                assert_eq!(back, (setup.net.listening, 0, 0), "free, held, lingering");
            }
            polled
        });
        reactor.run(both);
    };
    let mut allocations = 0;
    if setup.is_counted {
        allocations = allocation_counter::measure(run).count_total;
    } else {
        run();
    }
    Report {
        counts: world.counts(),
        elapsed: elapsed.get(),
        hash: world.hash(),
        tally,
        allocations,
    }
}
