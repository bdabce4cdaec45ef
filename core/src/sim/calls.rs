//! What the owner of an end may do to its connection, whoever it is: send, take, finish, reset,
//! close.
//!
//! Layer: stands on [`state`](super::state); peers and the transport both come down to this.

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::boxed::Box;

use embedded_io::ErrorKind;

use super::link::{End, Fin, Link, Owner, Side, Status};
use super::peer::PeerEvent;
use super::state::{Call, Happening, State, note};

impl State {
    /// Makes a connection whose opener is `owner`, from `from` as far as that says something; its
    /// SYN leaves after `delay_us`.
    pub(super) fn add_link(
        &mut self,
        owner: Owner,
        to: SocketAddr,
        from: Option<SocketAddr>,
        delay_us: u64,
    ) -> u32 {
        self.links_made += 1;
        let (id, faults) = (self.links_made, self.faults.clone());
        let latency_us = self.rng.range(faults.latency_us.0, faults.latency_us.1).max(1);
        let mut window = || {
            let (least, most) = faults.window_bytes;
            self.rng.range(least as u64, most as u64).max(1) as usize
        };
        let opener = End::new(owner, opener_address(id, to, from), window());
        let acceptor = End::new(Owner::Nobody, to, window());
        self.links.insert(id, Box::new(Link { ends: [opener, acceptor], latency_us }));
        self.after(delay_us.saturating_add(latency_us), Happening::Syn { link: id, attempt: 0 });
        if self.rng.hits(faults.reset_permille) {
            let after_us = self.rng.range(faults.reset_after_us.0, faults.reset_after_us.1);
            self.after(delay_us.saturating_add(after_us), Happening::Sever { link: id });
        }
        id
    }

    /// Sends what the window has room for, cut into segments; returns how much that was.
    pub(super) fn send(&mut self, id: u32, from: Side, data: &[u8]) -> usize {
        let Some(link) = self.links.get_mut(&id) else { return 0 };
        let out = &mut link.ends[from].out;
        let mut count = data.len().min(out.credit);
        if count > 1 && self.rng.hits(self.faults.short_write_permille) {
            count = self.rng.range(1, count as u64 - 1) as usize;
        }
        out.credit -= count;
        let (least, most) = self.faults.segment_bytes;
        let mut rest = &data[..count];
        while !rest.is_empty() {
            let size = self.rng.range(least as u64, most as u64).max(1) as usize;
            let (segment, after) = rest.split_at(size.min(rest.len()));
            rest = after;
            if let Some(link) = self.links.get_mut(&id) {
                link.ends[from].out.flight.push_back(segment.to_vec());
            }
            self.arrive(id, from, Happening::Segment { link: id, from });
        }
        self.trace.bytes(&data[..count]);
        count
    }

    /// Lets something arrive at the other end, after everything that was sent before it.
    fn arrive(&mut self, id: u32, from: Side, what: Happening) {
        let jitter_us = self.rng.range(self.faults.jitter_us.0, self.faults.jitter_us.1);
        let Some(link) = self.links.get_mut(&id) else { return };
        let pipe = &mut link.ends[from].out;
        let at = self.now_us.saturating_add(link.latency_us + jitter_us).max(pipe.arrival_last);
        pipe.arrival_last = at;
        self.after(at - self.now_us, what);
    }

    /// Takes what arrived, and lets the sender know that there is room again.
    pub(super) fn take(&mut self, id: u32, side: Side, buf: &mut [u8]) -> usize {
        let Some(link) = self.links.get_mut(&id) else { return 0 };
        let count = link.input(side).take(buf);
        self.give_credit(id, 1 - side, count);
        count
    }

    /// Sends credit for `count` bytes to the end that wrote them.
    pub(super) fn give_credit(&mut self, id: u32, sender: Side, count: usize) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let due = &mut link.ends[sender].out.credit_due;
        let is_first = *due == 0;
        *due += count;
        // What is read while the news is under way travels with it.
        if is_first && count > 0 {
            let latency_us = link.latency_us;
            self.after(latency_us, Happening::Credit { link: id, to: sender });
        }
    }

    /// Sends FIN after everything that was written. Twice is once.
    pub(super) fn finish(&mut self, id: u32, side: Side) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let end = &mut link.ends[side];
        if end.status != Status::Open || end.out.fin != Fin::None {
            return;
        }
        end.out.fin = Fin::Sent;
        note!(self, "link {id}: {side} sends fin");
        self.arrive(id, side, Happening::Fin { link: id, from: side });
    }

    /// Ends the connection at once; the other end learns of it when the reset arrives.
    pub(super) fn send_reset(&mut self, id: u32, side: Side) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let was = link.ends[side].status;
        link.ends[side].owner = Owner::Nobody;
        link.ends[side].status = Status::Gone(ErrorKind::ConnectionAborted);
        if !matches!(was, Status::Gone(_)) {
            let latency_us = link.latency_us;
            note!(self, "link {id}: {side} resets");
            self.after(latency_us, Happening::Reset { link: id, to: 1 - side });
        }
        self.settle(id);
    }

    /// Gives an end up in good order: FIN, and whatever still comes is read and thrown away.
    pub(super) fn close_lingering(&mut self, id: u32, side: Side) {
        let Some(link) = self.links.get_mut(&id) else { return };
        match link.ends[side].status {
            // Before it stands there is nothing to send and nobody to wait for.
            Status::Opening => return self.send_reset(id, side),
            Status::Gone(_) => link.ends[side].owner = Owner::Nobody,
            Status::Open => {
                link.ends[side].owner = Owner::Lingering;
                let input = link.input(side);
                let unread = core::mem::take(&mut input.unread).len();
                self.give_credit(id, 1 - side, unread);
                self.finish(id, side);
                let linger_us = self.faults.linger_us;
                self.after(linger_us, Happening::LingerEnd { link: id, side });
            }
        }
        self.settle(id);
    }

    /// Gives an end up as a process that ends: a reset if there is unread input, else FIN, and a
    /// reset for whatever still comes.
    pub(super) fn close_deaf(&mut self, id: u32, side: Side) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.ends[side].status == Status::Opening || !link.input(side).unread.is_empty() {
            return self.send_reset(id, side);
        }
        match link.ends[side].status {
            Status::Gone(_) => link.ends[side].owner = Owner::Nobody,
            _ => {
                link.ends[side].owner = Owner::Deaf;
                self.finish(id, side);
            }
        }
        self.settle(id);
    }

    // What only a peer does.

    /// Sends for a peer, which is told later if not everything was taken.
    pub(super) fn peer_write(&mut self, id: u32, side: Side, data: &[u8]) -> usize {
        let Some(link) = self.links.get_mut(&id) else { return 0 };
        let end = &mut link.ends[side];
        if end.status != Status::Open || end.out.fin != Fin::None {
            return 0;
        }
        let count = self.send(id, side, data);
        note!(self, "link {id}: peer writes {count} of {} bytes", data.len());
        if count < data.len()
            && let Some(link) = self.links.get_mut(&id)
        {
            let out = &link.ends[side].out;
            let has_room = out.credit > 0;
            link.ends[side].blocked = !has_room;
            if has_room && let Owner::Peer(peer) = link.ends[side].owner {
                // A short write with room left: no news will come by itself.
                let event = PeerEvent::Writable;
                self.calls.push_back(Call::Peer { peer, link: id, side, event });
            }
        }
        count
    }

    /// Lets a peer stop reading, or go on: then it is told what it missed.
    pub(super) fn peer_stops(&mut self, id: u32, side: Side, stop: bool) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let was = core::mem::replace(&mut link.ends[side].stopped, stop);
        let (has_unread, ended) = (!link.input(side).unread.is_empty(), link.input_ended(side));
        let end = &link.ends[side];
        let Owner::Peer(peer) = end.owner else { return };
        if !was || stop {
            return;
        }
        for (event, is_due) in
            [(PeerEvent::Readable, has_unread), (PeerEvent::Fin, ended && !end.fin_told)]
        {
            if is_due {
                self.calls.push_back(Call::Peer { peer, link: id, side, event });
            }
        }
    }
}

/// The address of whoever opens link `id`: its own for each, so that nobody is mistaken, but for
/// what `from` chooses of it.
fn opener_address(id: u32, to: SocketAddr, from: Option<SocketAddr>) -> SocketAddr {
    let [_, high, middle, low] = id.to_be_bytes();
    let port = 49_152 + (id % 16_384) as u16;
    let mut own: SocketAddr = match to {
        SocketAddr::V4(_) => (Ipv4Addr::new(10, high, middle, low), port).into(),
        SocketAddr::V6(_) => (Ipv6Addr::from(0xfd00_u128 << 112 | u128::from(id)), port).into(),
    };
    if let Some(from) = from {
        if !from.ip().is_unspecified() {
            own.set_ip(from.ip());
        }
        if from.port() != 0 {
            own.set_port(from.port());
        }
    }
    own
}
