//! What several methods share: filters, distance transforms, components, projectors.

pub mod components;
pub mod distance;
pub mod fft;
pub mod fft2;
pub mod fft3;
pub mod filter;
pub mod flood;
pub mod lanes;
pub mod lens;
pub mod max_flow;
pub mod overlap;
pub mod projector;
pub mod registration;
pub mod resample;
pub mod smooth;
pub mod surface;
pub mod turn;
pub mod vertices;
