//! Dustdevil's core: a reactor without a heap.
#![no_std]

#[cfg(any(test, feature = "sim"))]
extern crate std;

pub mod memory;
pub mod task;
pub mod time;
pub mod wake;
pub mod wheel;
pub mod handle;
pub mod list;
pub mod metrics;
pub mod poller;
pub mod pool;
pub mod reactor;
#[cfg(feature = "sim")]
pub mod sim;
pub mod slab;
mod state;
