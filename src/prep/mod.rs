//! From counts to absorbance: dark, flat, beam, bad pixels, and what the numbers then mean.

mod background;
mod fields;
mod flats;
mod normalize;
mod optics;
mod pairs;
mod params;
mod stripes;
mod wavelet;

pub use flats::FlatFit;
pub use normalize::{learning_frames, normalize};
pub use optics::{DeconvolveParams, Lens, OpticsError, deconvolve};
pub use params::{FitFlats, FrameMean, Intensity, NormalizeParams, NormalizeReport, PrepError, StripeMethod};
