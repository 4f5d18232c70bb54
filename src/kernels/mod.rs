//! What several methods share: projectors, transforms, filters, distance transforms, components.

pub mod lanes;
pub mod projector;
pub mod smooth;
