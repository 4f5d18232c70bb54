//! What several methods share: filters, distance transforms, components, projectors.

pub mod smooth;
