//! Tests as packet dumps: what is sent, what must come, and that nothing does.
//!
//! Each is a call of the [`Scene`](crate::scene::Scene) in other words.

/// Sends a segment from a port of the peer: flags, port, data.
macro_rules! send {
    ($scene:expr, $($flag:ident)|+ $port:literal $(, $data:expr)?) => {
        $scene.send_segment($(crate::frame::$flag)|+, $port, crate::dump::data!($($data)?))
    };
    ($scene:expr, $($flag:ident)|+ $port:ident $(, $data:expr)?) => {
        $scene.send_segment($(crate::frame::$flag)|+, $port, crate::dump::data!($($data)?))
    };
}

/// Expects the stack's next segment, for a port of the peer: flags (but for PSH), port, data.
macro_rules! recv {
    ($scene:expr, $($flag:ident)|+ $port:literal $(, $data:expr)?) => {
        $scene.expect($(crate::frame::$flag)|+, $port, crate::dump::data!($($data)?))
    };
    ($scene:expr, $($flag:ident)|+ $port:ident $(, $data:expr)?) => {
        $scene.expect($(crate::frame::$flag)|+, $port, crate::dump::data!($($data)?))
    };
}

/// Expects that the stack sends nothing, for this many milliseconds (20 unless said).
macro_rules! quiet {
    ($scene:expr) => {
        $scene.quiet(20)
    };
    ($scene:expr, $ms:expr) => {
        $scene.quiet($ms)
    };
}

macro_rules! data {
    () => {
        &[]
    };
    ($data:expr) => {
        &$data[..]
    };
}

pub(crate) use data;
