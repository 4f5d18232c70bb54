//! From counts to absorbance: dark, flat, beam, bad pixels, and what the numbers then mean.

mod background;
mod fields;
pub mod normalize;

pub use normalize::{FrameMean, Intensity, NormalizeParams, NormalizeReport, PrepError, normalize};
