//! What the command line prints: one place for stdout, one for error sentences.

use serde_json::Value;

/// One line for an error and its causes, outermost first, each said once.
pub(super) fn sentence(error: &anyhow::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = cause.to_string().replace('\n', " ");
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
    }
    parts.join(": ")
}

/// Prints a line on stdout; a reader that went away is no error.
pub(super) fn print_line(text: &str) {
    use std::io::Write as _;
    if writeln!(std::io::stdout(), "{text}").is_err() {
        log::debug!("stdout is closed");
    }
}

/// A JSON object as lines "name: value" for people; nested values as compact JSON.
pub(super) fn human(value: &Value) -> String {
    let Value::Object(fields) = value else { return value.to_string() };
    let width = fields.keys().map(String::len).max().unwrap_or(0);
    fields
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| format!("{:width$}  {}", name.replace('_', " "), human_value(value)))
        .collect::<Vec<_>>()
        .join("\n")
}

fn human_value(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.len() > 8 => {
            let head: Vec<_> = items.iter().take(3).map(human_value).collect();
            let last = items.last().map(human_value).unwrap_or_default();
            format!("{} … {last} ({} values)", head.join(", "), items.len())
        }
        Value::Array(items) => items.iter().map(human_value).collect::<Vec<_>>().join(", "),
        Value::Number(number) => match number.as_f64() {
            Some(x) if number.is_f64() => format!("{}", (x * 1e6).round() / 1e6),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn causes_are_said_once_and_in_one_line() {
        let error =
            Err::<(), _>(std::io::Error::other("disk\nfull")).context("could not write a.mrc").unwrap_err();
        assert_eq!(sentence(&error), "could not write a.mrc: disk full");
    }

    #[test]
    fn long_lists_are_cut_for_people() {
        let text = human(&serde_json::json!({"angles_deg": (0..20).collect::<Vec<_>>(), "unit": null}));
        assert!(text.contains("(20 values)") && !text.contains("unit"), "{text}");
    }
}
