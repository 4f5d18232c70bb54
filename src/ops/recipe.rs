//! Recipes: operations with parameters that can be replayed on other data.
//!
//! `{"waterwindow_recipe": 1, "steps": [{"op": "reconstruct", "params": {…}}, …]}`. No voxel strokes.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::op::{Context, Op, OpError, Outcome};
use super::{Data, Inputs, find};

/// The inputs of an operation from a pool: for every slot the newest data of its kind.
pub fn bind(op: &Op, pool: &[Data]) -> Inputs {
    op.inputs.iter().fold(Inputs::default(), |inputs, slot| {
        match pool.iter().rev().find(|data| data.kind() == slot.kind) {
            Some(data) => inputs.with(slot.name, data.clone()),
            None => inputs,
        }
    })
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
    fn unknown_operations_and_versions_are_refused() {
        let unknown = Recipe::parse(r#"{"waterwindow_recipe": 1, "steps": [{"op": "fly"}]}"#);
        assert!(unknown.unwrap_err().to_string().contains("fly"));
        assert!(Recipe::parse(r#"{"waterwindow_recipe": 2, "steps": []}"#).is_err());
        assert!(Recipe::parse("[]").is_err());
    }
}
