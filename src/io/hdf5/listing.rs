//! What is in a file: its arrays for a choice, and everything small as text.

use hdf5_reader::{Attribute, Datatype};

use super::store::{Dataset, Group, Node, numbers_of, text_of};
use super::tree::{dtype_of, numbers, search, type_name};
use crate::io::format::{ArrayEntry, Header};

/// Arrays listed at most.
const MAX_ARRAYS: usize = 10_000;
/// Entries of metadata at most.
const MAX_ENTRIES: usize = 2000;
/// Groups and datasets looked at for metadata at most.
const MAX_LOOKED_AT: usize = 3000;
/// Characters of one entry at most.
const MAX_TEXT: usize = 500;
/// Numbers of a list that is written out.
const MAX_NUMBERS: u64 = 64;

/// Every array of numbers with rows and columns, in the order of the file.
pub(super) fn arrays(root: &Group) -> Vec<ArrayEntry> {
    let mut found: Vec<ArrayEntry> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    search(root, |group| {
        for name in group.names() {
            let Some(dataset) = group.dataset(&name).filter(|d| dtype_of(d).is_some() && d.ndim() >= 2)
            else {
                continue;
            };
            let Ok(shape) = dataset.shape() else { continue };
            if seen.insert(dataset.identity()) {
                found.push(ArrayEntry {
                    path: dataset.path().to_owned(),
                    shape: shape.iter().map(|n| usize::try_from(*n).unwrap_or(usize::MAX)).collect(),
                    dtype: type_name(&dataset),
                    note: dataset.attr_text("long_name"),
                });
            }
        }
        (found.len() >= MAX_ARRAYS).then_some(())
    });
    found
}

/// Writes scalars, short lists and attributes of the whole tree into the metadata, by their paths.
pub(super) fn describe(root: &Group, header: &mut Header) {
    let mut entries: Vec<(String, String)> = Vec::new();
    let mut cut = false;
    let mut looked_at = 0;
    search(root, |group| {
        let path = group.path().trim_start_matches('/').to_owned();
        note_attributes(&path, &group.attributes(), &mut entries);
        for name in group.names().into_iter().take(MAX_LOOKED_AT) {
            looked_at += 1;
            if let Some(Node::Dataset(dataset)) = group.at(&name) {
                let path = dataset.path().trim_start_matches('/').to_owned();
                note_attributes(&path, &dataset.attributes(), &mut entries);
                entries.extend(value_of(&dataset).map(|value| (path, value)));
            }
        }
        cut = entries.len() > MAX_ENTRIES || looked_at > MAX_LOOKED_AT;
        cut.then_some(())
    });
    entries.truncate(MAX_ENTRIES);
    for (key, value) in entries {
        header.metadata.entry(key).or_insert(value);
    }
    if cut {
        header.metadata.insert("metadata".to_owned(), format!("cut after {MAX_ENTRIES} entries"));
    }
}

fn note_attributes(path: &str, attributes: &[Attribute], entries: &mut Vec<(String, String)>) {
    // What this program writes for itself is read as what it is.
    let own = [
        "classes",
        "metadata",
        "element_size_um",
        "origin_um",
        "angles_deg",
        "energy_ev",
        "NX_class",
        "target",
    ];
    let is_own = |name: &str| own.contains(&name) || (path == "volume" && matches!(name, "axes" | "unit"));
    for attribute in attributes.iter().filter(|a| !is_own(&a.name)) {
        let text = match attribute.datatype {
            Datatype::String { .. } | Datatype::VarLen { .. } => text_of(attribute),
            _ if attribute.num_elements().is_ok_and(|n| n <= MAX_NUMBERS) => listed(&numbers_of(attribute)),
            _ => String::new(),
        };
        if !text.is_empty() {
            let key =
                if path.is_empty() { attribute.name.clone() } else { format!("{path}@{}", attribute.name) };
            entries.push((key, shortened(&text)));
        }
    }
}

/// A scalar or a short list as text.
fn value_of(dataset: &Dataset) -> Option<String> {
    let n = dataset.shape().ok()?.iter().try_fold(1u64, |n, side| n.checked_mul(*side))?;
    if dataset.ndim() > 1 || n > MAX_NUMBERS || n == 0 {
        return None;
    }
    let text = if dtype_of(dataset).is_some() { listed(&numbers(dataset)) } else { dataset.text()? };
    (!text.is_empty()).then(|| shortened(&text))
}

fn listed(numbers: &[f64]) -> String {
    numbers.iter().map(f64::to_string).collect::<Vec<_>>().join(" ")
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((at, _)) => format!("{}… (cut)", &text[..at]),
        None => text.to_owned(),
    }
}
