//! The floors of ARCHITECTURE.md, held by a test: imports only go down, siblings never meet.
#![expect(clippy::expect_used, reason = "a source tree that cannot be read is a failed test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Floors from the ground up. Those of one row are siblings and must not know each other.
const FLOORS: &[&[&str]] = &[
    &["base"],
    &["volume"],
    &["gpu", "kernels"],
    &["align", "correlate", "filter", "measure", "mesh", "phantom", "prep", "recon", "segment"],
    &["io"],
    &["ops"],
    &["jobs", "project"],
    &["session"],
    &["cli", "gui"],
];

/// The drawing floor is told what to draw by plain structs: it stands beside the methods.
const RENDER_MAY_USE: &[&str] = &["base", "volume", "gpu", "kernels"];

/// Floors that know no files, threads or logs.
const METHODS: &[&str] = &[
    "align",
    "correlate",
    "filter",
    "kernels",
    "measure",
    "mesh",
    "phantom",
    "prep",
    "recon",
    "segment",
    "volume",
];

struct Source {
    path: PathBuf,
    floor: String,
    /// The text without comments and tests.
    code: String,
    text: String,
}

fn rust_files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a readable source folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            rust_files(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let read = |path: PathBuf| {
        let first = path.strip_prefix(&src).expect("below src").components().next().expect("a name");
        let floor = first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned();
        let text = fs::read_to_string(&path).expect("readable source");
        // A file of tests beside its subject may do what tests do.
        let is_test = path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("tests"));
        let code = if is_test { "" } else { text.split("#[cfg(test)]").next().unwrap_or_default() };
        let code =
            code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        Source { path, floor, code, text }
    };
    files.into_iter().map(read).collect()
}

fn floors_used(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for part in code.split("crate::").skip(1) {
        let group = part.strip_prefix('{').map_or("", |rest| rest.split("};").next().unwrap_or_default());
        if group.is_empty() {
            used.insert(part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
        for item in group.split(',') {
            used.insert(item.trim().split("::").next().unwrap_or_default().to_owned());
        }
    }
    used
}

fn rank(floor: &str) -> Option<usize> {
    FLOORS.iter().position(|row| row.contains(&floor))
}

#[test]
fn imports_only_go_down() {
    let mut wrong = Vec::new();
    for source in sources() {
        let floor = source.floor.as_str();
        for used in floors_used(&source.code) {
            if used == floor || (used != "render" && rank(&used).is_none()) {
                continue;
            }
            let allowed = match (floor, used.as_str()) {
                ("main" | "lib", _) | ("cli" | "gui", "render") => true,
                ("render", _) => RENDER_MAY_USE.contains(&used.as_str()),
                (_, "render") => false,
                _ => rank(&used) < rank(floor),
            };
            if !allowed {
                wrong.push(format!("{}: {floor} uses {used}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "imports that go up or sideways:\n{}", wrong.join("\n"));
}

#[test]
fn only_the_window_knows_egui() {
    for Source { path, floor, code, .. } in sources() {
        if floor != "gui" {
            assert!(!code.contains("egui::"), "{} names egui", path.display());
            assert!(!code.contains("winit::"), "{} names winit", path.display());
        }
    }
}

#[test]
fn methods_know_no_files_threads_or_logs() {
    for Source { path, floor, code, .. } in sources() {
        if METHODS.contains(&floor.as_str()) {
            for word in ["std::fs", "std::thread", "log::", "println!"] {
                assert!(!code.contains(word), "{} uses {word}", path.display());
            }
        }
    }
}

#[test]
fn the_window_never_edits_the_document_or_touches_files() {
    for Source { path, floor, code, .. } in sources() {
        if floor == "gui" {
            assert!(!code.contains("&mut Project"), "{} takes &mut Project", path.display());
            assert!(!code.contains("std::fs"), "{} uses std::fs", path.display());
        }
    }
}

#[test]
fn every_floor_is_in_the_architecture() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let text = fs::read_to_string(path).expect("ARCHITECTURE.md");
    let floors: BTreeSet<_> = sources().into_iter().map(|source| source.floor).collect();
    for floor in floors {
        assert!(text.contains(&format!("`{floor}")), "ARCHITECTURE.md says nothing of {floor}");
        assert!(
            !["utils", "common", "misc", "helpers"].contains(&floor.as_str()),
            "{floor} names no subject"
        );
    }
}

#[test]
fn every_file_says_what_it_is_and_stays_readable() {
    for Source { path, text, .. } in sources() {
        assert!(text.starts_with("//!"), "{} has no //! line", path.display());
        let lines = text.lines().count();
        assert!(lines <= 1000, "{} has {lines} lines: would two names tell more than one?", path.display());
    }
}
