//! Half-sets: the two reconstructions of a volume from every other view each.

use serde_json::{Value, json};

use super::Session;
use crate::project::{Layer, LayerId};

/// Which half of the views a layer was made from: 0 the even ones, 1 the odd ones.
///
/// The record of the reconstruction says so; files from elsewhere say it in their name.
fn half_of(layer: &Layer) -> Option<usize> {
    const HALVES: [&str; 2] = ["even", "odd"];
    if layer.provenance.op == "reconstruct" {
        let params = &layer.provenance.params;
        // A whole chain keeps the parameters of its last step apart.
        let half = params.get("reconstruct").unwrap_or(params).get("half").and_then(|half| half.as_str());
        return HALVES.iter().position(|name| Some(*name) == half);
    }
    let stem = layer.name.split('.').next().unwrap_or_default().to_lowercase();
    HALVES.iter().position(|half| stem.strip_suffix(half).is_some_and(|rest| rest.ends_with(['_', '-', ' '])))
}

/// How a layer was reconstructed, whichever views it was made from; `None` where its record does not say.
fn recipe_of(layer: &Layer) -> Option<Value> {
    if layer.provenance.op != "reconstruct" {
        return None;
    }
    let mut params = layer.provenance.params.clone();
    let last = match params.get_mut("reconstruct") {
        Some(last) => last,
        None => &mut params,
    };
    match last.as_object_mut() {
        Some(last) => drop(last.remove("half")),
        // Nothing was said, as by an empty list of parameters.
        None => *last = json!({}),
    }
    // Halves get the alignment of the whole as it was found.
    if let Some(whole) = params.as_object_mut() {
        whole.remove("align");
    }
    Some(params)
}

impl Session {
    /// Which half of the views a layer was made from: 0 the even ones, 1 the odd ones; `None` for all of them.
    pub fn half_of(&self, layer: LayerId) -> Option<usize> {
        half_of(self.project.layer(layer)?)
    }

    /// The even and the odd half of a volume: the topmost layers on its grid that were made from half of the views of
    /// the same scan in the same way.
    pub fn half_sets(&self, volume: LayerId) -> Option<[LayerId; 2]> {
        let whole = self.project.layer(volume)?;
        let data = whole.volume()?;
        if half_of(whole).is_some() {
            return None;
        }
        let recipe = recipe_of(whole);
        let find = |half| {
            self.project.from_top().find(|layer| {
                layer.volume().is_some_and(|v| v.shape() == data.shape() && v.unit == data.unit)
                    && half_of(layer) == Some(half)
                    && (layer.provenance.op != whole.provenance.op
                        || layer.provenance.inputs == whole.provenance.inputs && recipe_of(layer) == recipe)
            })
        };
        Some([find(0)?.id, find(1)?.id])
    }
}
