//! The document: layers, labels, classes, landmarks; edits that return their inverse.
//!
//! Panels only ever see `&Project`. The one way to change it is an [`Edit`], and applying one
//! gives the edit that takes it back.

mod annotation;
mod arrays;
mod bricks;
mod calibration;
pub mod edit;
mod history;
mod journal;
pub mod layer;
mod lock;
pub mod open;
mod source;
pub mod store;
mod stored;
#[cfg(test)]
mod undo_tests;

pub use annotation::Annotation;
pub use calibration::Calibration;
pub use edit::{Edit, EditError};
pub use history::{History, HistoryError};
pub use layer::{Content, Display, LabelLayer, Landmark, Layer, LayerId, MissingContent};
pub use open::{OpenError, Opened, Recoverable};
pub use source::{Role, ScanOptions, SourceContent, SourceFile, SourcePart};
pub use store::{SaveWork, Saved, Store, StoreError};

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::volume::{ClassTable, Volume};

/// The document. A clone is a cheap snapshot: all voxels are shared.
#[derive(Debug, Clone)]
pub struct Project {
    /// Name as the user sees it.
    pub name: String,
    /// Layers from the bottom to the top.
    pub layers: Vec<Layer>,
    /// Classes of all label layers.
    pub classes: ClassTable,
    /// Pairs of points for placing one layer on another.
    pub landmarks: Vec<Landmark>,
    /// Rulers that were laid into it, oldest first.
    pub annotations: Vec<Annotation>,
    /// What those who draw keep with the document, by name: films, the look of the views. Nothing here reads it.
    pub kept: BTreeMap<String, Value>,
    /// The next id that a new layer gets.
    pub(crate) next_id: u64,
    /// The last revision that was given.
    pub(crate) next_revision: u64,
}

impl Default for Project {
    fn default() -> Self {
        Self {
            name: "Untitled".to_owned(),
            layers: Vec::new(),
            classes: ClassTable::default(),
            landmarks: Vec::new(),
            annotations: Vec::new(),
            kept: BTreeMap::new(),
            next_id: 1,
            next_revision: 0,
        }
    }
}

impl Project {
    /// The layer with this id.
    pub fn layer(&self, id: LayerId) -> Option<&Layer> {
        self.layers.iter().find(|layer| layer.id == id)
    }

    /// The volume of a layer, where it holds one.
    pub fn volume(&self, id: LayerId) -> Option<&Arc<Volume<f32>>> {
        self.layer(id)?.volume()
    }

    /// The labels of a layer, where it holds some.
    pub fn labels(&self, id: LayerId) -> Option<&LabelLayer> {
        self.layer(id)?.labels()
    }

    /// The layers from the top down, as a list shows them.
    pub fn from_top(&self) -> impl Iterator<Item = &Layer> {
        self.layers.iter().rev()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
            && self.classes.classes.is_empty()
            && self.landmarks.is_empty()
            && self.annotations.is_empty()
    }

    /// A name that no layer has yet: `wanted`, or "`wanted` 2" and so on.
    pub fn free_name(&self, wanted: &str) -> String {
        let taken = |name: &str| self.layers.iter().any(|layer| layer.name == name);
        if !taken(wanted) {
            return wanted.to_owned();
        }
        (2..).map(|n| format!("{wanted} {n}")).find(|name| !taken(name)).unwrap_or_else(|| wanted.to_owned())
    }
}
