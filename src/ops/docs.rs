//! The reference page of all operations, written from the registry.

use std::fmt::Write as _;

use serde_json::Value;

use super::op::Op;
use super::param::ParamKind;
use super::registry;

/// docs/operations.md as the registry says it; a test compares it with the file.
pub fn operations_page() -> String {
    let mut page = String::from(
        "# Operations\n\nWritten from the registry; `UPDATE_DOCS=1 cargo test --lib operations_page` writes it anew.\n",
    );
    for op in registry() {
        page.push_str(&section(op));
    }
    page
}

fn section(op: &Op) -> String {
    let mut text = format!("\n## {}: {}\n\n{}.\n", op.id, op.label, op.summary);
    if !op.about.is_empty() {
        let _ = write!(text, "\n{}\n", op.about.trim());
    }
    let inputs: Vec<_> = op
        .inputs
        .iter()
        .map(|i| format!("{} ({}{})", i.name, i.kind.words(), if i.optional { ", optional" } else { "" }))
        .collect();
    let outputs: Vec<_> = op.outputs.iter().map(|o| format!("{} ({})", o.name, o.kind.words())).collect();
    let _ = write!(
        text,
        "\nTakes {}. Gives {}.\n",
        if inputs.is_empty() { "nothing".to_owned() } else { inputs.join(", ") },
        if outputs.is_empty() { "nothing to keep".to_owned() } else { outputs.join(", ") }
    );
    if op.params.is_empty() {
        return text;
    }
    text.push_str("\n| parameter | default | range | what it does |\n|---|---|---|---|\n");
    let defaults = (op.defaults)();
    for param in op.params {
        let default = match &defaults[param.name] {
            Value::Null => "automatic".to_owned(),
            Value::String(word) => word.clone(),
            other => other.to_string(),
        };
        let range = match param.kind {
            ParamKind::Bool => "on, off".to_owned(),
            ParamKind::Int { min, max } => format!("{min} to {max}"),
            ParamKind::Float { min, max } => format!("{min} to {max}"),
            ParamKind::Choice(choices) => choices.iter().map(|c| c.value).collect::<Vec<_>>().join(", "),
            ParamKind::Text => "text".to_owned(),
        };
        let unit = if param.unit.is_empty() { String::new() } else { format!(" {}", param.unit) };
        let _ = writeln!(text, "| `--{}` | {default}{unit} | {range} | {} |", param.option(), param.doc);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_page_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md");
        let page = operations_page();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &page).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            kept == page,
            "docs/operations.md is behind the registry: UPDATE_DOCS=1 cargo test --lib operations_page"
        );
    }
}
