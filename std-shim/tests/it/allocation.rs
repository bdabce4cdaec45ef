//! Nothing here allocates once it was made, on the loop's thread.

use dustdevil_core::poller::Interest;
use dustdevil_core::reactor::Reactor;
use dustdevil_core::stream::IoStream;
use dustdevil_core::wake::Wakes;
use dustdevil_std::executor::Executor;
use dustdevil_std::signal::{Caught, SIGCONT};
use dustdevil_std::watch::{Host, Watch};
use dustdevil_std::{Epoll, pipe, unix, zeroed};
use rustix::event::{EventfdFlags, eventfd};
use rustix::process::{Signal, getpid, kill_process};

use crate::reactor::CAPACITY;

#[test]
fn what_is_there_is_used_without_the_heap() {
    let mut tables = zeroed(CAPACITY.bytes());
    let wakes: &'static Wakes<16> = Box::leak(Box::new(Wakes::new()));
    let reactor = Reactor::new(Epoll::new().unwrap(), tables.block(), CAPACITY, wakes);
    let host = Host::from(&reactor);
    let executor = Executor::<fn() -> u32>::new(1, 2).unwrap();
    let mut caught = Caught::new(host, &[SIGCONT]).unwrap();
    let watch = Watch::new(host, eventfd(1, EventfdFlags::NONBLOCK).unwrap()).unwrap();
    let (mut buffers, [mut none, mut nothing]) = ([[0; 64]; 2], [[0; 1]; 2]);
    let [one, other] = &mut buffers;

    let counted = allocation_counter::measure(|| {
        reactor.run(async {
            for round in 0..50 {
                let later = executor.submit(|| 1).unwrap();
                drop(executor.submit(|| 2).unwrap());
                assert_eq!(executor.submit(|| 3).unwrap().await, Ok(3));
                assert_eq!(later.await, Ok(1));
                kill_process(getpid(), Signal::CONT).unwrap();
                assert_eq!(caught.next().await, SIGCONT);
                watch.ready(Interest::Read).await;
                watch.recheck();
                let (reading, writing) = pipe::pipe(host).unwrap();
                let (mine, theirs) = unix::pair(host).unwrap();
                let mut writing = IoStream::new(writing, &mut none);
                let mut reading = IoStream::new(reading, one);
                let mut mine = IoStream::new(mine, &mut nothing);
                let mut theirs = IoStream::new(theirs, other);
                writing.write(b"pipe\n").await.unwrap();
                mine.write(b"unix\n").await.unwrap();
                assert_eq!(reading.read_until(b"\n", 64).await.unwrap(), b"pipe\n", "{round}");
                assert_eq!(theirs.read_until(b"\n", 64).await.unwrap(), b"unix\n", "{round}");
            }
        });
    });
    assert_eq!(counted.count_total, 0);
    let counted = allocation_counter::measure(|| drop(std::hint::black_box(vec![0_u8; 64])));
    assert_eq!(counted.count_total, 1, "it does count");
}
