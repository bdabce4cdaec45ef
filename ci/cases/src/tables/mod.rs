//! The cases, a module for each subject.
//!
//! | module | group |
//! |---|---|
//! | `line`, `fields`, `host`, `length`, `coding`, `chunks`, `sizes` | `framing` |
//! | `semantics`, `methods`, `expect`, `persistence` | `semantics` |
//! | `lifecycle`, `pipelines` | `lifecycle` |
//! | `h1spec` | `h1spec` |

mod chunks;
mod coding;
mod expect;
mod fields;
mod h1spec;
mod host;
mod length;
mod lifecycle;
mod line;
mod methods;
mod persistence;
mod pipelines;
mod semantics;
mod sizes;

use crate::case::Case;

/// What a server has room for: sizes that must fit, and sizes that are certainly too much.
#[derive(Clone, Debug)]
pub struct Room {
    /// It is a board: cases that cannot hold there are left out.
    pub is_board: bool,
    /// A head of so many bytes fits.
    pub head_fits: usize,
    /// A head of so many bytes does not.
    pub head_exceeds: usize,
    /// So many fields fit.
    pub fields_fit: usize,
    /// So many do not.
    pub fields_exceed: usize,
    /// `/echo` takes a body of so many bytes.
    pub echo_fits: usize,
    /// And not one of so many.
    pub echo_exceeds: usize,
    /// `/upload` takes a body of so many bytes.
    pub upload_fits: usize,
    /// `/large` is asked for so many bytes.
    pub large: usize,
}

impl Room {
    /// `conformance` on Linux, and every other server of that size.
    pub const LINUX: Self = Self {
        is_board: false,
        head_fits: 4_000,
        head_exceeds: 200_000,
        fields_fit: 40,
        fields_exceed: 2_000,
        echo_fits: 1024 * 1024,
        echo_exceeds: 2 * 1024 * 1024,
        upload_fits: 3 * 1024 * 1024,
        large: 3 * 1024 * 1024,
    };

    /// `conformance` on a board: 4 sockets, 1 KiB for a head and its table, bodies of 4 KiB.
    pub const BOARD: Self = Self {
        is_board: true,
        head_fits: 500,
        head_exceeds: 16_000,
        fields_fit: 16,
        fields_exceed: 200,
        echo_fits: 4 * 1024,
        echo_exceeds: 64 * 1024,
        upload_fits: 128 * 1024,
        large: 128 * 1024,
    };
}

/// Every case, in the order of the modules above.
pub fn all(room: &Room) -> Vec<Case> {
    let mut cases = Vec::new();
    line::add(&mut cases);
    fields::add(&mut cases);
    host::add(&mut cases);
    length::add(&mut cases);
    coding::add(&mut cases);
    chunks::add(&mut cases, room);
    sizes::add(&mut cases, room);
    semantics::add(&mut cases, room);
    methods::add(&mut cases);
    expect::add(&mut cases, room);
    persistence::add(&mut cases);
    lifecycle::add(&mut cases, room);
    pipelines::add(&mut cases, room);
    h1spec::add(&mut cases);
    cases
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn there_are_enough_and_each_has_a_name_of_its_own() {
        for room in [Room::LINUX, Room::BOARD] {
            let cases = all(&room);
            let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
            assert_eq!(names.len(), cases.len(), "two cases with one name");
            assert!(cases.len() >= 430, "{}", cases.len());
            for case in &cases {
                assert!(!case.script.is_empty(), "{}", case.name);
                let rfc = case.section.split(' ').next().unwrap_or_default();
                assert!(["9110", "9112", "6585"].contains(&rfc), "{}: {rfc}", case.name);
            }
        }
    }
}
