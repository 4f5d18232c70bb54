//! Options of a subcommand from the parameters of an operation, and back.

use clap::{Arg, ArgMatches, Command};
use serde_json::{Map, Value};

use crate::ops::{self, Op, ParamKind};

/// The command was used wrongly: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct UsageError(pub(super) String);

/// The entry of an operation that this program is built with.
pub(super) fn op(id: &str) -> &'static Op {
    ops::find(id).unwrap_or_else(|| unreachable!("{id} is in the registry"))
}

/// A subcommand with the name, texts and options of an operation, without those in `skip`.
pub(super) fn command_of(op: &'static Op, skip: &[&str]) -> Command {
    let long = if op.about.is_empty() {
        op.summary.to_owned()
    } else {
        format!("{}\n\n{}", op.summary, op.about.trim())
    };
    Command::new(op.id).about(op.summary).long_about(long).args(args_of(op, skip))
}

/// One option per parameter of the operation, without those in `skip`.
pub(super) fn args_of(op: &'static Op, skip: &[&str]) -> Vec<Arg> {
    let defaults = (op.defaults)();
    op.params
        .iter()
        .filter(|param| !skip.contains(&param.name))
        .map(|param| {
            let default = match &defaults[param.name] {
                Value::Null => "automatic".to_owned(),
                Value::String(word) => word.clone(),
                other => other.to_string(),
            };
            let unit = if param.unit.is_empty() { String::new() } else { format!(" {}", param.unit) };
            let help = match param.kind {
                ParamKind::Choice(choices) => {
                    let words: Vec<_> = choices.iter().map(|choice| choice.value).collect();
                    format!("{} [default: {default}] [{}]", param.doc, words.join(", "))
                }
                _ => format!("{} [default: {default}{unit}]", param.doc),
            };
            let value_name = match param.kind {
                ParamKind::Bool => "on|off",
                ParamKind::Int { .. } => "N",
                ParamKind::Float { .. } => "X",
                ParamKind::Choice(_) | ParamKind::Text => "WORD",
            };
            let arg = Arg::new(param.name).long(param.option()).value_name(value_name).help(help);
            if param.kind == ParamKind::Bool {
                // A value only behind "=", so that a switch never takes the argument that follows it.
                arg.num_args(0..=1).require_equals(true).default_missing_value("true")
            } else {
                arg.allow_hyphen_values(true)
            }
        })
        .collect()
}

/// The parameters given on the command line, as a JSON object of those alone.
///
/// # Errors
/// [`UsageError`] that names the option and what is wanted.
pub(super) fn params_of(op: &'static Op, matches: &ArgMatches) -> anyhow::Result<Value> {
    let mut fields = Map::new();
    for param in op.params {
        if let Ok(Some(text)) = matches.try_get_one::<String>(param.name) {
            let value = param.parse(text).map_err(|problem| UsageError(format!("--{problem}")))?;
            fields.insert(param.name.to_owned(), value);
        }
    }
    Ok(Value::Object(fields))
}
