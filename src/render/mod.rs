//! Drawing: slices, volumes and figures, by the device or by the processor. Knows no window.
//!
//! Scenes are plain data ([`SliceScene`], [`VolumeScene`]).

pub mod camera;
pub mod colormap;
pub mod scene;
pub mod transfer;

pub use camera::{OrbitCamera, Projection, StandardView};
pub use colormap::ColorMap;
pub use scene::{
    Blend, Highlight, ImageLayer, Interpolation, LabelColors, LabelLayer, LayerId, Plane, SlabMode,
    SliceLayer, SliceScene, ViewId, VolumeLabels, VolumeMode, VolumeScene,
};
pub use transfer::{TransferFunction, TransferPreset};
