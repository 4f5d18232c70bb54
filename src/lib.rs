//! Waterwindow: a workbench for soft X-ray tomography of whole cells.
//!
//! From the raw tilt series of a microscope to a calibrated volume in linear absorption
//! coefficient (LAC, 1/µm), to segmented organelles, to numbers, pictures and models. The
//! modules are floors: each may use those listed before it, never those after it, and siblings
//! (phantom to mesh) never each other. `tests/layering.rs` guards this; ARCHITECTURE.md draws it.

pub mod base;
pub mod volume;

pub mod gpu;
pub mod kernels;

pub mod align;
pub mod correlate;
pub mod filter;
pub mod measure;
pub mod mesh;
pub mod phantom;
pub mod prep;
pub mod recon;
pub mod segment;

pub mod io;
pub mod ops;

pub mod jobs;
pub mod project;
pub mod render;
pub mod session;

pub mod cli;
#[cfg(feature = "gui")]
pub mod gui;
