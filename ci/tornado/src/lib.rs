//! The same scripts on Tornado's locks, queues and loop and on ours: the order in which waiters are
//! granted what they wait for, and when, is the same, or the script's number is told.
//!
//! | module | |
//! |---|---|
//! | [`script`] | what a script is, made from a seed, and its text for the other side |
//! | [`ours`] | plays a script in the simulator |
//! | [`executor`] | tasks that go on in the order in which they were woken, as asyncio's do |
//! | [`theirs`] | Tornado's side: a Python process that runs `scripts.py` |
//! | [`trace`] | what happened, and where two of them differ |
//!
//! Both clocks are virtual and count units, 1.024 ms here, one tick of the timer wheel. Each
//! deadline of a script is one of its own, so nothing is asked that nobody promises: who is first
//! of two that are due at once. Where Tornado itself promises no order (the waiters of an `Event`
//! and of `Queue.join` stand in a set) those of one instant are compared as a set.
//!
//! What differs by design is not in the scripts. A timeout of zero is decided here when it is
//! asked, there in the loop's next turn, after whatever is ready; so a script asks only when
//! nothing else is. A queue has room for a number of items that is not "any". And a dropped wait,
//! which asyncio loses the permit of when it was granted at that moment, is tested in core.

pub mod executor;
pub mod ours;
pub mod script;
pub mod theirs;
pub mod trace;

// Their features: the host's critical section, and memory in a boxed slice.
use critical_section as _;
use stable_deref_trait as _;
