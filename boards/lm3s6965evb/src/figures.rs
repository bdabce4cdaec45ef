//! What the demo's page shows of this board.
//!
//! Place: above `stack` and the poller; the demo's firmware hands it on.

use demo::{MemoryFigures, NetworkFigures};
use dustdevil_smoltcp::{Net, Nic, Park};

use crate::net::Capacity;
use crate::stack;

/// How the board's RAM is used now.
pub fn memory_figures() -> MemoryFigures {
    MemoryFigures {
        ram_bytes: stack::ram_bytes() as u32,
        static_bytes: stack::static_bytes() as u32,
        stack_bytes: stack::stack_bytes() as u32,
        stack_peak_bytes: stack::stack_peak_bytes() as u32,
    }
}

/// What becomes of the sockets of a network of this capacity.
pub fn network_figures<N: Nic, P: Park>(net: &Net<'_, N, P>, capacity: Capacity) -> NetworkFigures {
    let (held_total, dropped_total) = net.held_total();
    NetworkFigures {
        sockets: (capacity.listening + capacity.outgoing) as u32,
        free: net.free() as u32,
        lingering: net.lingering() as u32,
        held: net.held() as u32,
        held_total,
        dropped_total,
    }
}
