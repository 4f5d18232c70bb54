//! Models of IMOD: beads of a tilt series, and contours of a tomogram as labels.

mod beads;
mod fill;
mod labels;
mod outline;
mod pieces;
#[cfg(test)]
mod tests;

pub use self::beads::{read_imod, write_imod};
pub(crate) use self::labels::ImodLabels;
