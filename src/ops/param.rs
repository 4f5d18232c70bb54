//! Descriptions of parameters, from which forms, command options and docs are made.

use serde_json::Value;

/// One choice of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// As the command line and JSON spell it.
    pub value: &'static str,
    /// As the form shows it.
    pub label: &'static str,
}

/// Type and range of a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ParamKind {
    /// On or off.
    Bool,
    /// A whole number within these bounds, both included.
    Int {
        /// Smallest value.
        min: i64,
        /// Largest value.
        max: i64,
    },
    /// A number within these bounds, both included.
    Float {
        /// Smallest value.
        min: f64,
        /// Largest value.
        max: f64,
    },
    /// One of a list.
    Choice(&'static [Choice]),
    /// Free text.
    Text,
}

/// One parameter of an operation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Param {
    /// Name of the field in the parameter struct (snake case); the option is the same with dashes.
    pub name: &'static str,
    /// Label in the form, sentence case.
    pub label: &'static str,
    /// Unit behind the number, empty where there is none.
    pub unit: &'static str,
    /// Type and range.
    pub kind: ParamKind,
    /// May be left empty (the field is an `Option`); what that means, `doc` says.
    pub optional: bool,
    /// What it does to the data, in one sentence.
    pub doc: &'static str,
    /// Folded under "More" in the form.
    pub advanced: bool,
    /// Counts only where another parameter has one of these values; the form hides it elsewhere.
    pub only_with: Option<(&'static str, &'static [&'static str])>,
}

impl Param {
    /// A parameter of this kind, required and shown.
    pub const fn new(name: &'static str, label: &'static str, kind: ParamKind, doc: &'static str) -> Self {
        Self { name, label, unit: "", kind, optional: false, doc, advanced: false, only_with: None }
    }

    /// With a unit.
    #[must_use]
    pub const fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }

    /// May be left empty.
    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// Folded under "More".
    #[must_use]
    pub const fn advanced(mut self) -> Self {
        self.advanced = true;
        self
    }

    /// Counts only where the parameter `name` has one of these values.
    #[must_use]
    pub const fn only_with(mut self, name: &'static str, values: &'static [&'static str]) -> Self {
        self.only_with = Some((name, values));
        self
    }

    /// The option on the command line, without the dashes in front.
    pub fn option(&self) -> String {
        self.name.replace('_', "-")
    }

    /// Says in one sentence what is wrong with a value, if anything.
    pub fn problem(&self, value: &Value) -> Option<String> {
        if value.is_null() {
            return (!self.optional).then(|| format!("{} needs a value", self.option()));
        }
        let wrong = |wanted: &str| Some(format!("{} is {value}, it must be {wanted}", self.option()));
        match self.kind {
            ParamKind::Bool if value.is_boolean() => None,
            ParamKind::Bool => wrong("true or false"),
            ParamKind::Int { min, max } => match value.as_i64() {
                Some(n) if n >= min && n <= max => None,
                _ => wrong(&format!("a whole number from {min} to {max}")),
            },
            ParamKind::Float { min, max } => match value.as_f64() {
                Some(x) if x >= min && x <= max => None,
                _ => wrong(&format!("a number from {min} to {max}")),
            },
            ParamKind::Choice(choices) => match value.as_str() {
                Some(text) if choices.iter().any(|choice| choice.value == text) => None,
                _ => wrong(&format!(
                    "one of {}",
                    choices.iter().map(|c| c.value).collect::<Vec<_>>().join(", ")
                )),
            },
            ParamKind::Text if value.is_string() => None,
            ParamKind::Text => wrong("a text"),
        }
    }

    /// The value of a text from the command line.
    ///
    /// # Errors
    /// One sentence that names the option, what was given and what is wanted.
    pub fn parse(&self, text: &str) -> Result<Value, String> {
        let value = match self.kind {
            ParamKind::Bool => match text {
                "true" | "on" | "yes" => Value::Bool(true),
                "false" | "off" | "no" => Value::Bool(false),
                _ => Value::from(text),
            },
            ParamKind::Int { .. } => text.parse::<i64>().map_or_else(|_| Value::from(text), Value::from),
            ParamKind::Float { .. } => text.parse::<f64>().map_or_else(|_| Value::from(text), Value::from),
            ParamKind::Choice(_) | ParamKind::Text => Value::from(text),
        };
        self.problem(&value).map_or(Ok(value), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ITERATIONS: Param =
        Param::new("iterations", "Iterations", ParamKind::Int { min: 1, max: 1000 }, "Sweeps over all views");

    #[test]
    fn values_out_of_range_are_named_with_their_bounds() {
        assert_eq!(ITERATIONS.parse("30"), Ok(Value::from(30)));
        let problem = ITERATIONS.parse("0").unwrap_err();
        assert!(problem.contains("iterations") && problem.contains("1000"), "{problem}");
        assert!(ITERATIONS.parse("many").is_err());
        assert!(ITERATIONS.problem(&Value::Null).is_some());
        assert_eq!(ITERATIONS.optional().problem(&Value::Null), None);
    }
}
