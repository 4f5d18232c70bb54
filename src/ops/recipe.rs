//! Recipes: operations with parameters that can be replayed on other data.
//!
//! `{"waterwindow_recipe": 1, "steps": [{"op": "reconstruct", "params": {…}}, …]}`. No voxel strokes.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::op::{Context, Input, Op, OpError, Outcome};
use super::{Data, Inputs, Kind, find};

/// Optional inputs that restrict or steer the work: labels that happen to be there must not do that.
const NEVER_BY_CHANCE: [&str; 6] = ["mask", "markers", "start", "membranes", "labels", "instances"];

/// Whether a slot restricts or steers the work, so that only a person can fill it.
fn is_by_name_only(slot: &Input) -> bool {
    slot.optional && NEVER_BY_CHANCE.contains(&slot.name)
}

/// The inputs of an operation from a pool: for every slot the newest data of its kind.
///
/// Several slots of one kind take the newest in the order they were made, and optional ones stay empty where
/// there are too few. A mask or a marker restricts or steers the work, so it is never taken by chance.
pub fn bind(op: &Op, pool: &[Data]) -> Inputs {
    op.inputs.iter().filter(|slot| !is_by_name_only(slot)).fold(Inputs::default(), |inputs, slot| {
        let alike = || op.inputs.iter().filter(|other| other.kind == slot.kind && !is_by_name_only(other));
        let after = alike().skip_while(|other| other.name != slot.name).skip(1).count();
        let found: Vec<&Data> = pool.iter().filter(|data| data.kind() == slot.kind).collect();
        let enough = found.len() >= alike().count();
        let newest =
            if enough { found.iter().rev().nth(after) } else { found.last().filter(|_| !slot.optional) };
        match newest {
            Some(data) => inputs.with(slot.name, (*data).clone()),
            None => inputs,
        }
    })
}

/// How many data of a kind a recipe begins with, besides what its own steps make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Takes {
    /// The kind.
    pub kind: Kind,
    /// As many there must be.
    pub least: usize,
    /// More than these no step would look at.
    pub most: usize,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Id of the operation.
    pub op: String,
    /// Parameters that differ from the defaults.
    #[serde(default)]
    pub params: Value,
}

/// A list of steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Version of the layout, 1.
    #[serde(rename = "waterwindow_recipe")]
    pub version: u32,
    /// What to do, in order.
    pub steps: Vec<Step>,
}

impl Recipe {
    /// Reads and checks a recipe.
    ///
    /// # Errors
    /// One sentence: not JSON, another version, an unknown operation, a parameter out of range.
    pub fn parse(text: &str) -> Result<Self, OpError> {
        let recipe: Self = serde_json::from_str(text)
            .map_err(|error| OpError::Parameter(format!("not a recipe: {error}")))?;
        if recipe.version != 1 {
            let version = recipe.version;
            return Err(OpError::Parameter(format!(
                "recipe of version {version}, this program reads version 1"
            )));
        }
        for step in &recipe.steps {
            let op = find(&step.op).ok_or_else(|| {
                OpError::Parameter(format!("the recipe names an unknown operation, {}", step.op))
            })?;
            op.complete(&step.params)?;
        }
        Ok(recipe)
    }

    /// What the recipe begins with; kinds that no step takes from outside are left out.
    ///
    /// Masks, markers and the like are never taken by chance (see [`bind`]), so they do not count.
    pub fn takes(&self) -> Vec<Takes> {
        let mut takes: Vec<Takes> = Vec::new();
        let mut made: Vec<Kind> = Vec::new();
        for op in self.steps.iter().filter_map(|step| find(&step.op)) {
            for slot in op.inputs.iter().filter(|slot| !is_by_name_only(slot)) {
                let alike =
                    || op.inputs.iter().filter(|other| other.kind == slot.kind && !is_by_name_only(other));
                let n_made = made.iter().filter(|kind| **kind == slot.kind).count();
                let least = alike().filter(|other| !other.optional).count().saturating_sub(n_made);
                let most = alike().count().saturating_sub(n_made);
                match takes.iter_mut().find(|known| known.kind == slot.kind) {
                    Some(known) => (known.least, known.most) = (known.least.max(least), known.most.max(most)),
                    None => takes.push(Takes { kind: slot.kind, least, most }),
                }
            }
            // Labels come onto another grid only where a person gave some.
            let of_volume = |kind: Kind| !op.changes_grid() || kind == Kind::Volume;
            made.extend(op.outputs.iter().map(|output| output.kind).filter(|kind| of_volume(*kind)));
        }
        takes.retain(|known| known.most > 0);
        takes
    }

    /// Runs every step; each takes the newest data of the kind it needs, from `start` or an earlier step.
    ///
    /// # Errors
    /// The first error of a step.
    pub fn run(&self, context: &Context, start: Vec<Data>) -> Result<Vec<(String, Outcome)>, OpError> {
        let mut pool = start;
        let mut outcomes = Vec::new();
        for step in &self.steps {
            let op =
                find(&step.op).ok_or_else(|| OpError::Parameter(format!("unknown operation {}", step.op)))?;
            let outcome = op.execute(context, &bind(op, &pool), &step.params)?;
            pool.extend(outcome.data.iter().map(|(_, data)| data.clone()));
            outcomes.push((step.op.clone(), outcome));
        }
        Ok(outcomes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_of_one_kind_take_the_newest_in_order_and_masks_are_left_alone() {
        use crate::base::Unit;
        use crate::volume::{Labels, Volume};
        use std::sync::Arc;

        let volume = |value: f32| {
            let data = ndarray::Array3::from_elem((1, 1, 1), value);
            Data::Volume(Arc::new(Volume::new(data, None, Unit::Arbitrary)))
        };
        let pool = [volume(1.0), volume(2.0), volume(3.0)];
        let correlate = find("correlate").unwrap();
        let value = |pool: &[Data], slot: &str| {
            bind(correlate, pool).find_volume(slot).map(|volume| volume.data[[0, 0, 0]])
        };
        assert_eq!((value(&pool, "moving"), value(&pool, "fixed")), (Some(2.0), Some(3.0)));
        assert_eq!((value(&pool[..1], "moving"), value(&pool[..1], "fixed")), (None, None));
        let labels = super::super::LabelData {
            labels: Labels::new([1, 1, 1]),
            voxel_um: None,
            ratios: None,
            origin_um: [0.0; 3],
            classes: crate::volume::ClassTable::default(),
        };
        let pool = [volume(1.0), Data::Labels(Arc::new(labels))];
        let inputs = bind(find("supervoxels").unwrap(), &pool);
        assert!(inputs.find_volume("volume").is_some() && inputs.find_labels("mask").is_none());
    }

    #[test]
    fn a_recipe_knows_what_it_begins_with() {
        let takes = |steps: &[&str]| {
            let steps = steps.iter().map(|op| Step { op: (*op).to_owned(), params: Value::Null }).collect();
            let recipe = Recipe { version: 1, steps };
            recipe.takes().iter().map(|t| (t.kind, t.least, t.most)).collect::<Vec<_>>()
        };
        assert_eq!(takes(&["normalize", "align", "reconstruct"]), [(Kind::Scan, 1, 1)]);
        assert_eq!(takes(&["normalize", "reconstruct"]), [(Kind::Scan, 1, 1), (Kind::Alignment, 0, 1)]);
        assert_eq!(takes(&["components", "measure"]), [(Kind::Labels, 1, 1), (Kind::Volume, 0, 1)]);
        assert_eq!(
            takes(&["normalize", "reconstruct", "threshold"]),
            [(Kind::Scan, 1, 1), (Kind::Alignment, 0, 1)]
        );
        assert_eq!(takes(&["stitch"]), [(Kind::Volume, 2, 8)]);
        // Labels that lie on another grid are none that a recipe crops by chance.
        assert_eq!(takes(&["crop", "measure"]), [(Kind::Volume, 0, 1), (Kind::Labels, 1, 1)]);
    }

    #[test]
    fn unknown_operations_and_versions_are_refused() {
        let unknown = Recipe::parse(r#"{"waterwindow_recipe": 1, "steps": [{"op": "fly"}]}"#);
        assert!(unknown.unwrap_err().to_string().contains("fly"));
        assert!(Recipe::parse(r#"{"waterwindow_recipe": 2, "steps": []}"#).is_err());
        assert!(Recipe::parse("[]").is_err());
    }
}
