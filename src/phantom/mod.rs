//! Synthetic cells and a simulated microscope: the embedded demo, the test bench and the first lesson.
//!
//! [`build_cell`] grows a yeast or a lymphocyte as a calibrated LAC volume with labels; the
//! microscope scans it with dose, noise, beam decay and jitter. Everything follows from one seed.

mod anatomy;
mod beads;
pub mod cell;
mod lymphocyte;
pub mod microscope;
mod shape;
pub mod strokes;
mod texture;
pub mod truth;
mod yeast;

pub use cell::{CELL_CLASSES, Cell, CellClass, CellKind, CellParams, PhantomError, ScanKind, build_cell};
pub use microscope::{ScanParams, SimulatedScan, scan};
pub use strokes::{CARVING_CLASSES, STROKE_CLASSES, Strokes, strokes};
pub use truth::Truth;
