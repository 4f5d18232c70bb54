//! The panels at the left and the right of the views.

mod align;
pub(crate) mod annotations;
mod beads;
pub(crate) mod classes;
pub(crate) mod correlate;
pub(crate) mod demo;
pub(crate) mod export;
pub(crate) mod figure;
pub(crate) mod file;
pub(crate) mod film;
mod fitted;
pub(crate) mod fourier;
mod histogram;
pub(crate) mod inspector;
pub(crate) mod layers;
pub(crate) mod left;
pub(crate) mod levels;
pub(crate) mod measure;
pub(crate) mod methods;
pub(crate) mod montage;
pub(crate) mod operation;
pub(crate) mod proofread;
pub(crate) mod quality;
mod reconstruct;
pub(crate) mod scan;
pub(crate) mod segment;
mod tool_bar;
