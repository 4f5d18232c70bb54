//! The HDF5 file as a store of named arrays: groups, links, and boxes of values.
//!
//! A crate parses the structures of the file; what it leaves out is here: links that lead to other
//! files, virtual datasets, and the filters that detectors use. Every file that another one points
//! to must be an ordinary file on this machine; how deep such pointers go is bounded.

mod bits;
mod boxes;
mod chunks;
mod copy;
mod family;
mod links;
mod node;
mod overlay;
mod pipeline;
mod selection;
mod squeeze;
mod virtuals;

pub(super) use self::bits::Bits;
pub(super) use self::boxes::Area;
pub(super) use self::family::Family;
pub(super) use self::node::{Dataset, Group, Node, numbers_of, text_of};

/// The crate's error as text.
pub(super) fn text(error: impl std::fmt::Display) -> String {
    format!("HDF5: {error}")
}
