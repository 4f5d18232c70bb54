//! What an operation is: its entry in the registry, its context, its outcome, its errors.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::data::{Data, Inputs, Kind};
use super::grid;
use super::ids::INSTANCES;
use super::param::{Param, ParamKind};
use crate::base::{Cancelled, MemoryBudget, MemoryError, Progress};
use crate::gpu::DeviceChoice;

/// The stage of the work that an operation belongs to; the tabs at the top of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the stages are their names")]
pub enum Stage {
    Scan,
    Align,
    Reconstruct,
    Quality,
    Segment,
    Measure,
    Correlate,
    Export,
}

/// What a second start does while the first still runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// The newest request wins: the older one is cancelled. For previews and live work.
    Latest,
    /// Requests wait for each other. For long work whose result is wanted.
    Queue,
}

/// A slot for an input.
#[derive(Debug, Clone, Copy)]
pub struct Input {
    /// Name of the slot.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether the operation can do without.
    pub optional: bool,
    /// What it is for, in one sentence.
    pub doc: &'static str,
}

/// A slot for an output.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// Name of the slot; also the name of the new layer.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// What an operation may use besides its inputs.
#[derive(Debug, Clone)]
pub struct Context {
    /// Where it reports and is cancelled.
    pub progress: Progress,
    /// How much memory it may take.
    pub budget: MemoryBudget,
    /// Where it may compute.
    pub device: DeviceChoice,
}

/// What work will take, known before it starts.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Forecast {
    /// Peak memory in bytes, inputs not counted.
    pub bytes: u64,
    /// Time in seconds on this machine, where it can be told.
    pub seconds: Option<f64>,
}

/// What an operation gives.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Outputs by the name of their slot.
    pub data: Vec<(&'static str, Data)>,
    /// Sentences for the user: assumptions, repairs, warnings.
    pub notes: Vec<String>,
    /// Numbers for --json and the provenance record: an object, or null.
    pub details: Value,
}

impl Outcome {
    /// An outcome with one output.
    pub fn of(slot: &'static str, data: Data) -> Self {
        Self { data: vec![(slot, data)], ..Self::default() }
    }

    /// The output in a slot.
    pub fn get(&self, slot: &str) -> Option<&Data> {
        self.data.iter().find(|(name, _)| *name == slot).map(|(_, data)| data)
    }
}

/// Why an operation did not give a result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpError {
    /// An input is missing.
    #[error("needs a {} as {slot}", kind.words())]
    MissingInput {
        /// Name of the slot.
        slot: &'static str,
        /// What it should hold.
        kind: Kind,
    },
    /// A parameter is out of its range, or not one of this operation.
    #[error("{0}")]
    Parameter(String),
    /// The work would need more memory than it may have.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The owner cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// The method failed; its own sentence.
    #[error("{0}")]
    Method(String),
}

impl OpError {
    /// Wraps the error of a method, keeping "cancelled" and "too much memory" apart.
    pub fn method<E: std::error::Error + 'static>(error: E) -> Self {
        let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(inner) = source {
            if inner.is::<Cancelled>() {
                return Self::Cancelled(Cancelled);
            }
            if let Some(memory) = inner.downcast_ref::<MemoryError>() {
                return Self::Memory(*memory);
            }
            source = inner.source();
        }
        // Transparent variants pass their inner error's text but not the error itself.
        if error.to_string() == Cancelled.to_string() {
            return Self::Cancelled(Cancelled);
        }
        Self::Method(error.to_string())
    }
}

/// One operation.
pub struct Op {
    /// Name in recipes, provenance and on the command line.
    pub id: &'static str,
    /// Name in the window, sentence case.
    pub label: &'static str,
    /// Stage of the work.
    pub stage: Stage,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// How it works, what to expect, where the method comes from: paragraphs for the docs and the long help.
    pub about: &'static str,
    /// What it takes.
    pub inputs: &'static [Input],
    /// What it gives.
    pub outputs: &'static [Output],
    /// Its parameters, most used first.
    pub params: &'static [Param],
    /// The default parameters as JSON.
    pub defaults: fn() -> Value,
    /// What the work will take.
    pub forecast: fn(&Inputs, &Value) -> Result<Forecast, OpError>,
    /// The work.
    pub run: fn(&Context, &Inputs, &Value) -> Result<Outcome, OpError>,
    /// What a second start does.
    pub policy: Policy,
}

impl std::fmt::Debug for Op {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Op").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The typed parameters in a JSON object; fields that are absent take their defaults.
///
/// # Errors
/// [`OpError::Parameter`] where a field is unknown or of the wrong type.
pub fn typed<P: DeserializeOwned>(params: &Value) -> Result<P, OpError> {
    serde_json::from_value(params.clone()).map_err(|error| OpError::Parameter(error.to_string()))
}

/// Default parameters of a struct as JSON.
pub fn defaults_of<P: Default + Serialize>() -> Value {
    serde_json::to_value(P::default()).unwrap_or(Value::Null)
}

/// The parameters of a run as the form names them, with units; those that do not apply or are left empty are left out.
pub fn facts(op: &Op, given: &Value) -> Vec<(String, String)> {
    let all = op.complete(given).unwrap_or_default();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let applies = |param: &&Param| {
        let chosen = |name: &str, values: &[&str]| all[name].as_str().is_some_and(|v| values.contains(&v));
        !all[param.name].is_null() && param.only_with.is_none_or(|(name, values)| chosen(name, values))
    };
    let line = |param: &Param| {
        let value = &all[param.name];
        let value = match param.kind {
            ParamKind::Choice(choices) => {
                choices.iter().find(|c| Some(c.value) == value.as_str()).map(|c| c.label.to_owned())
            }
            ParamKind::Bool => Some(if value.as_bool() == Some(true) { "on" } else { "off" }.to_owned()),
            _ => None,
        }
        .unwrap_or_else(|| text(value));
        let unit = if param.unit.is_empty() { String::new() } else { format!(" {}", param.unit) };
        (param.label.to_owned(), value + &unit)
    };
    op.params.iter().filter(applies).map(line).collect()
}

impl Op {
    /// The parameter with this name.
    pub fn param(&self, name: &str) -> Option<&'static Param> {
        self.params.iter().find(|param| param.name == name)
    }

    /// The defaults with `given` laid over them, checked against names and ranges.
    ///
    /// # Errors
    /// [`OpError::Parameter`] with one sentence.
    pub fn complete(&self, given: &Value) -> Result<Value, OpError> {
        let mut params = (self.defaults)();
        let empty = serde_json::Map::new();
        let given = match given {
            Value::Null => &empty,
            Value::Object(fields) => fields,
            _ => return Err(OpError::Parameter(format!("the parameters of {} must be an object", self.id))),
        };
        for (name, value) in given {
            let param = self
                .param(name)
                .ok_or_else(|| OpError::Parameter(format!("{} has no parameter {name}", self.id)))?;
            if let Some(problem) = param.problem(value) {
                return Err(OpError::Parameter(problem));
            }
            params[name.as_str()] = value.clone();
        }
        Ok(params)
    }

    /// Checks parameters and memory, then runs.
    ///
    /// # Errors
    /// Whatever the operation says, in one sentence.
    pub fn execute(&self, context: &Context, inputs: &Inputs, given: &Value) -> Result<Outcome, OpError> {
        let params = self.complete(given)?;
        if let Some(slot) = self.missing(inputs) {
            return Err(OpError::MissingInput { slot: slot.name, kind: slot.kind });
        }
        let (inputs, said) = self.on_one_grid(inputs)?;
        context.budget.admit((self.forecast)(&inputs, &params)?.bytes)?;
        let mut outcome = (self.run)(context, &inputs, &params)?;
        outcome.notes.splice(0..0, said);
        Ok(outcome)
    }

    /// The first slot that must be filled and is not. Where objects stand in place of classes, these may be missing.
    pub fn missing(&self, inputs: &Inputs) -> Option<&'static Input> {
        // Label volumes are stitched as volumes are.
        let is_kind = |slot: &Input, data: &Data| {
            data.kind() == slot.kind || self.id == "stitch" && data.kind() == Kind::Labels
        };
        let is_filled =
            |slot: &Input| inputs.iter().any(|(name, data)| name == slot.name && is_kind(slot, data));
        let has_objects = self.inputs.iter().any(|slot| slot.name == INSTANCES.name && is_filled(slot));
        self.inputs
            .iter()
            .find(|slot| !(slot.optional || is_filled(slot) || has_objects && slot.name == "labels"))
    }

    /// The inputs, seen to lie on one grid, and what there is to say of that.
    ///
    /// # Errors
    /// [`OpError::Method`] with both grids where they do not.
    pub fn on_one_grid(&self, inputs: &Inputs) -> Result<(Inputs, Vec<String>), OpError> {
        grid::checked(self, inputs)
    }

    /// Says where the table of parameters and the struct's defaults disagree.
    ///
    /// # Errors
    /// One sentence; a test fails on it.
    pub fn check(&self) -> Result<(), String> {
        let defaults = (self.defaults)();
        let Value::Object(fields) = &defaults else {
            return Err("the defaults are not an object".to_owned());
        };
        for param in self.params {
            let value = fields.get(param.name).ok_or_else(|| format!("no field {}", param.name))?;
            if let Some(problem) = param.problem(value) {
                return Err(format!("default out of range: {problem}"));
            }
            if param.doc.is_empty() {
                return Err(format!("{} has no description", param.name));
            }
        }
        match fields.keys().find(|field| self.param(field).is_none()) {
            Some(field) => Err(format!("field {field} is not in the table of parameters")),
            None => Ok(()),
        }
    }
}

/// Where a result comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Id of the operation, or "import", "painted".
    pub op: Cow<'static, str>,
    /// All its parameters.
    #[serde(default)]
    pub params: Value,
    /// Names of its inputs.
    #[serde(default)]
    pub inputs: Vec<String>,
    /// Version of the program.
    pub version: String,
    /// What the operation noted.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl Provenance {
    /// A record of an operation by this version of the program.
    pub fn new(
        op: impl Into<Cow<'static, str>>,
        params: Value,
        inputs: Vec<String>,
        notes: Vec<String>,
    ) -> Self {
        Self { op: op.into(), params, inputs, version: env!("CARGO_PKG_VERSION").to_owned(), notes }
    }
}
