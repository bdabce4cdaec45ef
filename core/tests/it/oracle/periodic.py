"""What Tornado 6.6.1's PeriodicCallback does in an hour of a clock that somebody else moves.

Time is in microseconds, which a float holds exactly. A timer fires at the next multiple of
1,024 us, as the reactor's wheel does. A callback takes 0 to 50 ms: it blocks for so long
(`blocks`), or sleeps until the first tick after that (`sleeps`). The numbers it prints stand in
`periodic.rs`.
"""
from tornado import ioloop

TICK = 1024
HOUR = 3_600_000_000
PERIOD = 10_000


class Loop:
    def __init__(self):
        self.now, self.timer = 0, None

    def time(self):
        return float(self.now)

    def add_timeout(self, deadline, callback):
        self.timer = (deadline, callback)
        return self.timer

    def remove_timeout(self, timer):
        self.timer = None


def ceil_tick(at):
    return -(-int(at) // TICK) * TICK


def run(sleeps):
    loop, random, calls = Loop(), 1, []
    ioloop.IOLoop.current = staticmethod(lambda: loop)

    def callback():
        nonlocal random
        random ^= random << 13 & 0xFFFFFFFF
        random ^= random >> 17
        random ^= random << 5 & 0xFFFFFFFF
        calls.append(int(due) // PERIOD)
        assert due % PERIOD == 0
        took = random % 50_001
        loop.now = ceil_tick(loop.now + took) if sleeps else loop.now + took

    periodic = ioloop.PeriodicCallback(callback, PERIOD * 1000.0)
    periodic.start()
    while True:
        due, fire = loop.timer
        loop.now = max(loop.now, ceil_tick(due))
        if loop.now > HOUR:
            break
        try:
            fire().send(None)
        except StopIteration:
            pass
    hash_ = 0xCBF29CE484222325
    for call in calls:
        hash_ = (hash_ ^ call) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    print("sleeps" if sleeps else "blocks", len(calls), calls[-1], hex(hash_))
    print(calls[:24])


for sleeps in False, True:
    run(sleeps)
