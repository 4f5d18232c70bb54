//! The graphics device: choosing one, its limits, and saying clearly when there is none.
//!
//! Everything that draws or computes on a device takes a [`Gpu`]. It may be a graphics card or
//! a software driver ([`Gpu::is_software`]); where there is neither, callers fall back to the
//! processor (`render::cpu`).

pub mod compute;
pub mod device;

pub use device::{DeviceChoice, Gpu, GpuError, GpuInfo};
