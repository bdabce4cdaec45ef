"""Runs scripts on Tornado's locks, queues and loop, in virtual time, and prints what happened.

Reads scripts from standard input, and answers each with its trace and a line `end`:

    script 7 queue 2            a number, what it is about, and its arguments
    task                        begins a task
    9 sleep 1                   an operation of it: number, name, and what it takes
    10 put 14 2                 a timeout is `-` for none, `0` for one that has passed
    run 40

A line of a trace is `<time> <task> <operation's number> <what it gave>`, printed when the task goes
on. Time is counted in units; the clock stands still while anything runs, and jumps to the next
deadline when nothing does. `run` says how many units a round has: the deadline of operation number
`n` that says `k` is `n` units into a round, `k` rounds from now, so that no two deadlines of a
script are equal and the order of equal ones, which is nobody's promise, is never asked.
"""

import asyncio
import datetime
import math
import random
import selectors
import sys

import tornado
from tornado import gen, ioloop, locks, queues

TIMED_OUT = (TimeoutError, asyncio.TimeoutError)
NEXT_TURN = datetime.timedelta(0)

# Far less than a microsecond, in units: what is lost where floating point counts them.
ROUNDING = 1e-6

# Microseconds in a unit.
UNIT_US = 1024


class VirtualSelector(selectors.DefaultSelector):
    """Does not wait: moves the loop's clock instead."""

    loop = None

    def select(self, timeout=None):
        events = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        if timeout is None:
            self.loop.stop()  # Nothing will ever happen again.
        else:
            # A timer goes off at a tick of the wheel, the first at or behind its deadline.
            self.loop.now = float(math.ceil(self.loop.now + timeout - ROUNDING))
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time, which begins at 0."""

    def __init__(self):
        self.now = 0.0
        selector = VirtualSelector()
        super().__init__(selector)
        selector.loop = self

    def time(self):
        return self.now


class Script:
    """One script: its tasks, what they share, and its trace."""

    def __init__(self, words):
        self.number, self.kind, *arguments = words
        self.arguments = [int(word) for word in arguments]
        self.tasks = []
        self.round = 1
        self.trace = []

    # Time.

    def time(self):
        return asyncio.get_running_loop().time()

    def deadline(self, number, rounds):
        now = self.time()
        at = (now // self.round + int(rounds)) * self.round + number
        return at if at > now else at + self.round

    def timeout(self, number, word):
        if word == "-":
            return None
        return NEXT_TURN if word == "0" else self.deadline(number, int(word) - 1)

    def log(self, task, number, what):
        self.trace.append(f"{self.time():.0f} {task} {number} {what}")

    # Running.

    def run(self):
        loop = VirtualLoop()
        asyncio.set_event_loop(loop)
        loop.set_exception_handler(lambda _, context: self.trace.append(context["message"]))
        tasks = []

        def begin():
            self.shared = MAKE[self.kind](*self.arguments)
            tasks.extend(loop.create_task(self.play(*task)) for task in enumerate(self.tasks))
            loop.create_task(self.stop_after(tasks))

        loop.call_soon(begin)
        loop.run_forever()
        trace = self.trace
        self.trace = []
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()
        return trace

    async def stop_after(self, tasks):
        if tasks and self.kind not in ("calls", "periodic"):
            await asyncio.wait(tasks)
            asyncio.get_running_loop().stop()

    async def play(self, task, operations):
        held = []
        for number, name, *words in operations:
            number = int(number)
            try:
                what = OPERATIONS[name](self, number, held, *words)
                if asyncio.iscoroutine(what) or asyncio.isfuture(what):
                    what = await what
            except TIMED_OUT:
                what = "timeout"
            except queues.QueueFull:
                what = "full"
            except queues.QueueEmpty:
                what = "empty"
            except (ValueError, RuntimeError):
                what = "too often"
            self.log(task, number, f"{name} {what}")
        while held:
            self.drop(None, held)

    # Operations: each returns what it gave, or something to wait for that does.

    async def sleep(self, number, _, rounds):
        await gen.sleep(self.deadline(number, rounds) - self.time())
        return "done"

    async def wait(self, number, _, timeout):
        granted = await self.shared.wait(self.timeout(number, timeout))
        return "timeout" if granted is False else "granted"

    def notify(self, _, __, count):
        self.shared.notify(int(count))
        return "done"

    def notify_all(self, _, __):
        self.shared.notify_all()
        return "done"

    def set(self, _, __):
        self.shared.set()
        return "done"

    def clear(self, _, __):
        self.shared.clear()
        return "done"

    def is_set(self, _, __):
        return str(self.shared.is_set()).lower()

    async def take(self, number, _, timeout):
        """Acquires, for somebody to release by hand."""
        await self.shared.acquire(self.timeout(number, timeout))
        return "granted"

    def release(self, _, __):
        self.shared.release()
        return "done"

    async def acquire(self, number, held, timeout):
        """Acquires, and holds it until `drop`, or the task's end."""
        await self.shared.acquire(self.timeout(number, timeout))
        held.append(number)
        return "granted"

    def drop(self, _, held):
        if not held:
            return "none"
        held.pop(0)
        self.shared.release()
        return "done"

    async def put(self, number, _, item, timeout):
        await self.shared.put(int(item), self.timeout(number, timeout))
        return "granted"

    async def get(self, number, _, timeout):
        return await self.shared.get(self.timeout(number, timeout))

    def put_nowait(self, _, __, item):
        self.shared.put_nowait(int(item))
        return "done"

    def get_nowait(self, _, __):
        return self.shared.get_nowait()

    def task_done(self, _, __):
        self.shared.task_done()
        return "done"

    async def join(self, number, _, timeout):
        await self.shared.join(self.timeout(number, timeout))
        return "granted"

    def size(self, _, __):
        queue = self.shared
        return f"{queue.qsize()} of {queue.maxsize}{' empty' * queue.empty()}{' full' * queue.full()}"

    # The loop's calls.

    def call_at(self, number, _, rounds):
        at = self.deadline(number, rounds)
        loop = ioloop.IOLoop.current()
        self.shared[number] = loop.call_at(at, self.called, number)
        return "done"

    def call_later(self, number, _, rounds):
        span = self.deadline(number, rounds) - self.time()
        loop = ioloop.IOLoop.current()
        self.shared[number] = loop.call_later(span, self.called, number)
        return "done"

    def called(self, number):
        self.shared.pop(number)
        self.log("-", number, "called")

    def cancel(self, _, __, number):
        call = self.shared.pop(int(number), None)
        if call is None:
            return "none"
        ioloop.IOLoop.current().remove_timeout(call)
        return "done"

    # Several at once: `all`, `each` and `within` are given tasks by the numbers of their sleeps.

    async def after(self, number, rounds):
        await self.sleep(number, None, rounds)
        return number

    async def all(self, number, _, *rounds):
        futures = [self.after(number + place, word) for place, word in enumerate(rounds)]
        return " ".join(str(at - number) for at in await gen.multi(futures))

    async def each(self, number, _, *rounds):
        loop = asyncio.get_running_loop()
        futures = [
            loop.create_task(self.after(number + place, word)) for place, word in enumerate(rounds)
        ]
        ready = gen.WaitIterator(*futures)
        order = []
        while not ready.done():
            await ready.next()
            order.append(f"{ready.current_index} at {self.time():.0f}")
        return ", ".join(order)

    async def within(self, number, _, limit, rounds):
        deadline = self.deadline(number, limit)
        await gen.with_timeout(deadline, self.after(number + 1, rounds))
        return "granted"


class Periodic:
    """A PeriodicCallback whose calls take as long as the script says, and then stop it."""

    def __init__(self, period, jitter_permille, is_coroutine, *numbers):
        half = len(numbers) // 2
        self.spans, offsets_us = list(numbers[:half]), list(numbers[half:])
        # How far a call is moved is drawn by the other side, in its whole microseconds.
        window_us = period * UNIT_US * jitter_permille / 1000
        random.random = lambda: offsets_us.pop(0) / window_us
        call = self.call_and_wait if is_coroutine else self.call
        self.callback = ioloop.PeriodicCallback(call, period * 1000, jitter_permille / 1000)
        self.called = 0

    def begin(self):
        """Notes a call; how long it takes."""
        if self.called == len(self.spans) - 1:
            self.callback.stop()
        span = self.spans[self.called]
        self.called += 1
        RUNNING.log("-", self.called - 1, "called")
        return span

    def call(self):
        # Whoever blocks the loop makes its clock go on.
        asyncio.get_running_loop().now += self.begin()

    async def call_and_wait(self):
        span = self.begin()
        if span:
            await gen.sleep(span)


def periodic(*arguments):
    made = Periodic(*arguments)
    made.callback.start()
    return made


RUNNING = None

MAKE = {
    "condition": locks.Condition,
    "event": locks.Event,
    "semaphore": locks.Semaphore,
    "bounded": locks.BoundedSemaphore,
    "lock": locks.Lock,
    "queue": queues.Queue,
    "priority": queues.PriorityQueue,
    "lifo": queues.LifoQueue,
    "calls": dict,
    "several": dict,
    "periodic": periodic,
}

OPERATIONS = {
    name: getattr(Script, name)
    for name in (
        "sleep wait notify notify_all set clear is_set take release acquire drop put get put_nowait "
        "get_nowait task_done join size call_at call_later cancel all each within"
    ).split()
}


def main():
    global RUNNING
    # The loop's own clock, not the wall's, which Tornado asks by default.
    ioloop.IOLoop.time = lambda self: self.asyncio_loop.time()
    print("tornado", tornado.version, flush=True)
    for line in sys.stdin:
        words = line.split()
        if words[0] == "script":
            RUNNING = Script(words[1:])
        elif words[0] == "task":
            operations = []
            RUNNING.tasks.append(operations)
        elif words[0] == "run":
            RUNNING.round = int(words[1])
            print(*RUNNING.run(), "end", sep="\n", flush=True)
        else:
            operations.append(words)


if __name__ == "__main__":
    main()
