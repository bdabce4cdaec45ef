//! Frames that were right once, changed by chance: no panic, no leak, and service afterwards.

use dustdevil_core::nb;
use dustdevil_core::poller::{Io, Readiness, Transport};
use dustdevil_core::sim::Rng;

use crate::frame::{
    ACK, Arp, FIN, IPV4, NET_IP, NET_MAC, PEER_IP, PEER_MAC, PSH, RST, SYN, Segment, checksum,
    ethernet, ping, udp,
};
use crate::scene::{PORT, Scene};
use crate::world::seeds;

/// Rounds of each seed: a few frames, and what a server does with them.
const ROUNDS: u32 = 1_500;

/// A frame that means something, near the flows that there are.
fn recorded(s: &Scene, rng: &mut Rng) -> Vec<u8> {
    match rng.range(0, 11) {
        0 => Arp::who_has_net(PEER_IP).frame(),
        1 => ping(PEER_IP, rng.range(0, 100) as usize),
        2 => {
            let data = vec![0; rng.range(0, 300) as usize];
            let packet = udp((PEER_IP, rng.range(1, 100) as u16), (NET_IP, 68), &data);
            ethernet(NET_MAC, PEER_MAC, IPV4, &packet)
        }
        _ => segment(s, rng).frame(),
    }
}

fn segment(s: &Scene, rng: &mut Rng) -> Segment {
    let port = 40_000 + rng.range(0, 9) as u16;
    let flow = s.flows.get(&port);
    let (seq, ack) = flow.map_or((1, 1), |flow| (flow.seq, flow.ack));
    let flags = [SYN, SYN, ACK, ACK, ACK | PSH, FIN | ACK, RST, RST | ACK, SYN | ACK];
    let flags = flags[rng.index(flags.len())];
    let near = |rng: &mut Rng, number: u32| match rng.range(0, 5) {
        0 => number.wrapping_add(rng.range(0, 2_000) as u32),
        1 => number.wrapping_sub(rng.range(0, 2_000) as u32),
        _ => number,
    };
    let data = vec![b'd'; if rng.hits(500) { rng.range(0, 1_400) as usize } else { 0 }];
    Segment {
        from: (PEER_IP, port),
        to: (NET_IP, PORT),
        flags,
        seq: near(rng, seq),
        ack: near(rng, ack),
        window: rng.range(0, 5_000) as u16,
        mss: rng.hits(300).then(|| rng.range(0, 65_535) as u16),
        data,
    }
}

/// Changes a frame in one of the ways that wires and enemies do.
fn mutate(frame: &mut Vec<u8>, rng: &mut Rng) {
    for _ in 0..rng.range(1, 4) {
        match rng.range(0, 5) {
            0 => frame.truncate(rng.index(frame.len() + 1)),
            1 => frame.extend((0..rng.range(0, 60)).map(|_| 0)),
            2 if frame.len() > 20 => {
                let (from, to) = (rng.index(frame.len()), rng.index(frame.len()));
                frame[to] = frame[from];
            }
            _ if !frame.is_empty() => {
                // The headers more often than the rest.
                let most = if rng.hits(700) { frame.len().min(60) } else { frame.len() };
                let at = rng.index(most);
                frame[at] = match rng.range(0, 3) {
                    0 => 0,
                    1 => 0xff,
                    _ => frame[at] ^ (1 << rng.range(0, 7)),
                };
            }
            _ => {}
        }
    }
    if rng.hits(700) {
        repair(frame);
    }
}

/// Sets the checksums of what may be a TCP segment, so that the change is looked at and not only
/// thrown away.
fn repair(frame: &mut [u8]) -> Option<()> {
    let packet = frame.get_mut(14..)?;
    let header = usize::from(packet.first()? & 15) * 4;
    packet.get_mut(10..12)?.fill(0);
    let sum = checksum(&[packet.get(..header)?]);
    packet.get_mut(10..12)?.copy_from_slice(&sum.to_be_bytes());
    let len = usize::from(u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]));
    let addresses = packet.get(12..20)?.to_vec();
    let protocol = *packet.get(9)?;
    let place = match protocol {
        6 => 16,
        17 => 6,
        1 => 2,
        _ => return None,
    };
    let payload = packet.get_mut(header..len)?;
    payload.get_mut(place..place + 2)?.fill(0);
    let mut pseudo = addresses;
    pseudo.extend([0, protocol]);
    pseudo.extend((payload.len() as u16).to_be_bytes());
    let sum = if protocol == 1 { checksum(&[payload]) } else { checksum(&[&pseudo, payload]) };
    payload.get_mut(place..place + 2)?.copy_from_slice(&sum.to_be_bytes());
    Some(())
}

/// Follows the flows by what the stack sends, so that later frames are near its windows.
fn follow(s: &mut Scene) {
    while let Some(frame) = s.world.sent() {
        let Some(segment) = Segment::parse(&frame) else { continue };
        if let Some(flow) = s.flows.get_mut(&segment.to.1) {
            let length = segment.data.len() as u32 + u32::from(segment.flags & (SYN | FIN) != 0);
            flow.ack = segment.seq.wrapping_add(length);
            flow.seq = segment.ack;
        }
    }
}

/// What a server does: takes who comes, reads and answers, ends some, now and then at random.
fn serve(s: &mut Scene, open: &mut Vec<Io>, rng: &mut Rng) {
    while let Ok((io, _)) = s.try_accept() {
        open.push(io);
    }
    open.retain(|&io| {
        let mut is_over = s.ready(io).intersects(Readiness::GONE);
        match s.read(io, 1 + rng.index(1_000)) {
            Ok(data) if data.is_empty() => is_over = true,
            Ok(data) => match s.net.write_whole(io, &data) {
                Ok(_) | Err(nb::Error::WouldBlock) => {}
                Err(nb::Error::Other(_)) => is_over = true,
            },
            Err(nb::Error::WouldBlock) => {}
            Err(nb::Error::Other(_)) => is_over = true,
        }
        match rng.range(0, 60) {
            0 => s.net.abort(io),
            1 => s.net.close(io),
            2 => {
                s.net.shutdown(io);
                return true;
            }
            _ if is_over => s.net.close(io),
            _ => return true,
        }
        false
    });
}

fn run(seed: u64) -> u64 {
    let mut s = Scene::new();
    let mut rng = Rng::new(seed);
    let mut open = Vec::new();
    for port in 40_000..40_010 {
        send!(s, SYN port);
    }
    for _ in 0..ROUNDS {
        for _ in 0..rng.range(1, 6) {
            let mut frame = recorded(&s, &mut rng);
            if rng.hits(600) {
                mutate(&mut frame, &mut rng);
            }
            s.world.send(&frame);
        }
        if rng.hits(100) {
            s.sleep(rng.range(1, 3_000));
        } else {
            s.settle();
        }
        follow(&mut s);
        serve(&mut s, &mut open, &mut rng);
        assert!(open.len() <= 4, "more connections than sockets");
        assert!(s.net.held() <= 12);
    }
    for io in open {
        s.net.close(io);
    }
    // Who was not accepted yet comes out here.
    for _ in 0..20 {
        s.sleep(20_000);
        while let Ok((io, _)) = s.try_accept() {
            s.net.abort(io);
        }
        while s.world.sent().is_some() {}
    }
    s.assert_all_back(4);
    // A change may have told the stack a lie about who the peer's station is.
    s.world.send(&Arp::who_has_net(PEER_IP).frame());
    s.settle();
    while s.world.sent().is_some() {}
    s.flows.clear();
    for port in 50_000..50_004 {
        s.connected(port);
    }
    s.world.hash()
}

#[test]
fn changed_frames_neither_panic_nor_leak() {
    for seed in 0..seeds(12) {
        run(seed);
    }
}

#[test]
fn the_same_seed_tells_the_same_story() {
    assert_eq!(run(1_000), run(1_000));
    assert_ne!(run(1_000), run(1_001));
}
