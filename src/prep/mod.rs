//! From counts to absorbance: dark, flat, beam, bad pixels, and what the numbers then mean.

mod background;
mod fields;
pub mod normalize;
mod optics;
mod stripes;

pub use normalize::{FrameMean, Intensity, NormalizeParams, NormalizeReport, PrepError, normalize};
pub use optics::{DeconvolveParams, Lens, OpticsError, deconvolve};
