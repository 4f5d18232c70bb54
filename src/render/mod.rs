//! Drawing: slices, volumes and figures, by the device or by the processor. Knows no window.
//!
//! Scenes are plain data ([`SliceScene`], [`VolumeScene`]); a [`Renderer`] draws them into any
//! render pass. Volumes and labels are handed over under keys with a revision, and only what
//! changed goes to the device.

pub mod camera;
pub mod colormap;
pub mod cpu;
mod empty;
pub mod figure;
pub mod film;
mod grid;
pub mod label_texture;
mod level;
mod march;
pub mod overlay;
mod pace;
pub mod pipelines;
pub mod refine;
pub mod renderer;
pub mod scene;
mod setup;
mod slice;
#[cfg(test)]
mod slice_tests;
mod stores;
mod streamed;
#[cfg(test)]
mod streamed_tests;
mod surface_cpu;
mod surface_pipelines;
mod surface_setup;
pub mod surfaces;
mod texture;
pub mod transfer;

pub use camera::{OrbitCamera, Projection, StandardView};
pub use colormap::ColorMap;
pub use refine::{Refinement, Work};
pub use renderer::{Renderer, ViewStatus};
pub use scene::{
    Blend, Highlight, ImageLayer, Interpolation, LabelColors, LabelLayer, LayerId, PixelMask, Plane,
    SlabMode, SliceLayer, SliceScene, ViewId, VolumeLabels, VolumeMode, VolumeScene,
};
pub use surfaces::{PartStyle, SurfaceLayer, SurfacePart, SurfaceSet};
pub use transfer::{TransferFunction, TransferPreset};

#[cfg(test)]
mod parity_tests;
#[cfg(test)]
mod surface_tests;
