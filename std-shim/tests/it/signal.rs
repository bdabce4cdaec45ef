//! Signals as a source of a reactor. Other tests of this process raise none of these.

use std::sync::Mutex;
use std::thread;

use dustdevil_core::embedded_io::ErrorKind;
use dustdevil_core::poller::Error;
use dustdevil_core::time::Duration;
use dustdevil_std::signal::{Caught, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH};
use rustix::process::{Signal, getpid, kill_process};

use crate::reactor::{is_pending, run, until};

/// Signals belong to the process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn raise(signals: &[Signal]) {
    signals.iter().for_each(|signal| kill_process(getpid(), *signal).unwrap());
}

#[test]
fn signals_are_heard_once_each_and_in_turn() {
    let _alone = ALONE.lock();
    run(async |host| {
        let mut caught = Caught::new(host, &[SIGHUP, SIGUSR1]).unwrap();
        assert!(is_pending(&mut Box::pin(caught.next())).await);
        raise(&[Signal::HUP]);
        assert_eq!(caught.next().await, SIGHUP);
        // Several of a kind are one, and none hides another.
        raise(&[Signal::USR1, Signal::HUP, Signal::USR1, Signal::HUP]);
        let mut next = [caught.next().await, caught.next().await];
        next.sort_unstable();
        assert_eq!(next, [SIGHUP, SIGUSR1]);
        assert!(host.handle().timeout(Duration::from_millis(2), caught.next()).await.is_err());
        raise(&[Signal::HUP]);
        assert_eq!(caught.next().await, SIGHUP);
        raise(&[Signal::HUP, Signal::USR1]);
        assert_eq!(caught.next().await, SIGUSR1, "HUP was heard last");
    });
}

#[test]
fn a_dropped_wait_loses_no_signal_and_two_hear_the_same() {
    let _alone = ALONE.lock();
    run(async |host| {
        let mut one = Caught::new(host, &[SIGUSR2]).unwrap();
        let mut other = Caught::new(host, &[SIGUSR2, SIGWINCH]).unwrap();
        for _ in 0..200 {
            let raises = thread::spawn(|| raise(&[Signal::USR2]));
            let span = Duration::from_micros(50);
            let first = host.handle().timeout(span, one.next()).await;
            if first.is_err() {
                assert_eq!(one.next().await, SIGUSR2);
            }
            assert_eq!(other.next().await, SIGUSR2);
            raises.join().unwrap();
            assert_eq!((one.try_next(), other.try_next()), (None, None));
        }
    });
}

#[test]
fn a_callback_is_called_for_each() {
    let _alone = ALONE.lock();
    run(async |host| {
        let mut caught = Caught::new(host, &[SIGHUP, SIGUSR1]).unwrap();
        let heard = Mutex::new(Vec::new());
        let raises = async {
            for (index, signal) in [Signal::USR1, Signal::HUP, Signal::USR1].into_iter().enumerate()
            {
                raise(&[signal]);
                until(host.handle(), || heard.lock().unwrap().len() > index).await;
            }
        };
        let callbacks = caught.run(|signal| heard.lock().unwrap().push(signal));
        let (mut raises, mut callbacks) = (std::pin::pin!(raises), std::pin::pin!(callbacks));
        std::future::poll_fn(|cx| {
            assert!(callbacks.as_mut().poll(cx).is_pending());
            raises.as_mut().poll(cx)
        })
        .await;
        assert_eq!(*heard.lock().unwrap(), [SIGUSR1, SIGHUP, SIGUSR1]);
    });
}

#[test]
fn what_cannot_be_caught_is_an_error() {
    run(async |host| {
        for (signal, kind) in [
            (9, ErrorKind::InvalidInput),
            (19, ErrorKind::InvalidInput),
            (11, ErrorKind::InvalidInput),
            (0, ErrorKind::InvalidInput),
            (1_000, ErrorKind::InvalidInput),
        ] {
            let Err(Error { kind: got, .. }) = Caught::new(host, &[SIGWINCH, signal]) else {
                panic!("signal {signal}")
            };
            assert_eq!(got, kind, "signal {signal}");
        }
        assert!(Caught::new(host, &[]).is_err(), "there is nothing to wait for");
    });
}
