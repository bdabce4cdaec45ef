//! Tasks that go on in the order in which they were woken.
//!
//! The reactor's own tasks go on in the order of their numbers within a turn. asyncio's go on in
//! the order of their wakes, which is the order in which they were granted what they waited for:
//! with this executor that order can be seen.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

/// A task.
pub type Task<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Which of the tasks that are ready goes on first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The one that was woken first.
    Woken,
    /// The one that was woken last. No loop does that: it shows that a wrong order is noticed.
    Reversed,
}

/// Runs tasks; done when all are.
pub struct Executor<'a> {
    tasks: Vec<Option<Task<'a>>>,
    order: Order,
    ready: Arc<Ready>,
}

#[derive(Default)]
struct Ready {
    queue: Mutex<VecDeque<usize>>,
    main: Mutex<Option<Waker>>,
}

struct Woken {
    task: usize,
    ready: Arc<Ready>,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        let mut queue = self.ready.queue.lock().unwrap();
        if !queue.contains(&self.task) {
            queue.push_back(self.task);
        }
        drop(queue);
        if let Some(main) = &*self.ready.main.lock().unwrap() {
            main.wake_by_ref();
        }
    }
}

impl<'a> Executor<'a> {
    /// Tasks, each of which is polled first in this order.
    pub fn new(tasks: Vec<Task<'a>>, order: Order) -> Self {
        let ready = Arc::new(Ready::default());
        ready.queue.lock().unwrap().extend(0..tasks.len());
        Self { tasks: tasks.into_iter().map(Some).collect(), order, ready }
    }

    fn next(&self) -> Option<usize> {
        let mut queue = self.ready.queue.lock().unwrap();
        match self.order {
            Order::Woken => queue.pop_front(),
            Order::Reversed => queue.pop_back(),
        }
    }
}

impl Future for Executor<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        *this.ready.main.lock().unwrap() = Some(cx.waker().clone());
        while let Some(task) = this.next() {
            let waker = Waker::from(Arc::new(Woken { task, ready: this.ready.clone() }));
            // A task that has ended may be woken late.
            let Some(future) = &mut this.tasks[task] else { continue };
            if future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                this.tasks[task] = None;
            }
        }
        if this.tasks.iter().all(Option::is_none) { Poll::Ready(()) } else { Poll::Pending }
    }
}
