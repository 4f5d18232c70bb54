//! From counts to absorbance: dark, flat, beam, bad pixels, and what the numbers then mean.

mod background;
mod fields;
mod flats;
pub mod normalize;
mod optics;
mod pairs;
mod stripes;
mod wavelet;

pub use flats::FlatFit;
pub use normalize::{
    FitFlats, FrameMean, Intensity, NormalizeParams, NormalizeReport, PrepError, StripeMethod,
    learning_frames, normalize,
};
pub use optics::{DeconvolveParams, Lens, OpticsError, deconvolve};
