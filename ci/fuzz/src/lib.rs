//! What the fuzz targets share: the readers that they compare, and where their inputs come from.
//!
//! A byte stream is read in three ways that share no code. [`machine`] lets the project's own
//! `Conn` read it, in pieces. [`reference`] reads it as a whole, line by line, as the RFC is
//! written. [`oracle`] asks milo, the parser of one of Node's maintainers. Each gives a
//! [`Reading`](reading::Reading), and the targets say how these may differ: not at all, or in one
//! of the ways that [`strictness`] lists.

pub mod compare;
pub mod input;
pub mod machine;
pub mod oracle;
pub mod reading;
pub mod reference;
pub mod seeds;
pub mod strictness;
