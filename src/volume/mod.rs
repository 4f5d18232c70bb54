//! What the program holds: volumes, labels, classes, tilt series, alignments, histograms.
//!
//! Data and the small operations that keep it consistent; no method of the field lives here.

pub mod alignment;
pub mod any;
pub mod block_cache;
pub mod classes;
pub mod dense;
pub mod histogram;
pub mod labels;
pub mod landmarks;
pub mod marks;
pub mod pyramid;
pub mod regions;
pub mod regrid;
pub mod series;
pub mod table;
pub mod tracks;

pub use alignment::{Alignment, ViewShift};
pub use any::{AnyArray, Ids, NotAnId};
pub use block_cache::BlockCache;
pub use classes::{Class, ClassTable};
pub use dense::Volume;
pub use histogram::Histogram;
pub use labels::Labels;
pub use landmarks::{Landmark, Transform, TransformModel};
pub use marks::Mark;
pub use pyramid::{BlockId, BlockSource, Pyramid, PyramidLevel};
pub use regions::{LabelId, ObjectTable, RegionMap};
pub use regrid::{Placement, RegridError};
pub use series::{Scan, TiltSeries};
pub use table::{Cell, Column, Table};
pub use tracks::{BeadTrack, BeadTracks, TrackPoint};
