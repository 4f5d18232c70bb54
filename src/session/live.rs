//! Live classification: what is predicted while the user paints.

use std::sync::Arc;

use crate::volume::{Labels, Volume};

/// What the classifier says of every voxel.
#[derive(Debug, Clone)]
pub struct Prediction {
    /// Predicted class ids.
    pub labels: Labels,
    /// Uncertainty from 0 (sure) to 1, on the grid of the volume.
    pub uncertainty: Arc<Volume<f32>>,
    /// Grows with every prediction.
    pub revision: u64,
}

/// Where live classification stands.
#[derive(Debug, Clone, Default)]
pub struct LiveState {
    /// Whether it follows the strokes.
    pub on: bool,
    /// The newest prediction.
    pub prediction: Option<Arc<Prediction>>,
    /// Held-out accuracy of the classifier, 0 to 1.
    pub accuracy: Option<f32>,
    /// What it does or waits for, in one line; empty while it is off.
    pub status: String,
}
