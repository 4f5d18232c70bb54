//! The ground floor: units, absorption by material and energy, frames, progress and cancel, parallel loops, memory plans.
//!
//! Knows nothing of volumes, files, devices or windows.

pub mod frame;
#[cfg(feature = "gui")]
pub(crate) mod frame_cost;
pub mod give_way;
pub mod lac;
pub mod memory;
pub mod parallel;
pub mod progress;
pub mod unit;

pub use frame::{WorldFromVoxel, position_text, position_unit};
pub use give_way::GiveWay;
pub use memory::{MemoryBudget, MemoryError};
pub use progress::{Cancelled, Progress, ProgressReport};
pub use unit::Unit;
