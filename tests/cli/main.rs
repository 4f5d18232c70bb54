//! The command line as outside scripts use it: the built program, run on a small demo cell.
//!
//! Everything goes through files and exit codes; the library only reads and writes the files that are compared.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod bits;
mod convert;
mod grids;
mod labels;
mod pictures;
mod quality;
mod readme;
mod refusals;
mod start;
mod tools;
mod watch;
mod whole_way;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use ndarray::Array3;
use serde_json::Value;
use waterwindow::base::{MemoryBudget, Progress};
use waterwindow::io::{self, Loaded};
use waterwindow::volume::AnyArray;

/// Edge of the demo cell in voxels, and its views.
const SIZE: usize = 48;
const VIEWS: usize = 90;

/// The program with arguments, split at spaces; `{}` stands for the next of `paths`.
fn command(line: &str, paths: &[&Path]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waterwindow"));
    let mut paths = paths.iter();
    for word in line.split_whitespace() {
        match word {
            "{}" => command.arg(paths.next().unwrap()),
            _ => command.arg(word),
        };
    }
    assert!(paths.next().is_none(), "every path has its place in {line}");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a command that must succeed; returns what it prints with --json.
fn done(line: &str, paths: &[&Path]) -> Value {
    let output = command(line, paths).arg("--json").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{line}: {}", text(&output.stderr));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    assert!(result.is_object(), "{line} printed no JSON object: {}", text(&output.stdout));
    result
}

/// Runs a command that must fail; returns its one sentence.
fn refused(line: &str, paths: &[&Path]) -> String {
    one_sentence(line, &command(line, paths).output().unwrap())
}

/// Exit code 1, nothing on stdout, exactly one line on stderr.
fn one_sentence(line: &str, output: &Output) -> String {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{line}: {err}");
    assert!(out.is_empty(), "{line} failed and printed {out}");
    assert_eq!(err.lines().count(), 1, "{line}: {err}");
    let sentence = err.trim().strip_prefix("error: ").unwrap_or_default().to_owned();
    assert!(sentence.len() > 10 && !sentence.ends_with('.') && !sentence.contains("panic"), "{line}: {err}");
    sentence
}

/// The demo cell, made once by the program itself.
fn demo() -> &'static Path {
    static DEMO: OnceLock<PathBuf> = OnceLock::new();
    DEMO.get_or_init(|| {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("cli-demo");
        drop(std::fs::remove_dir_all(&folder));
        let line = format!("demo --size {SIZE} --views {VIEWS} --seed 3 --out {{}}");
        done(&line, &[&folder]);
        folder
    })
}

/// A reconstruction of the demo cell without alignment, made once.
fn volume() -> &'static Path {
    static VOLUME: OnceLock<PathBuf> = OnceLock::new();
    VOLUME.get_or_init(|| {
        let file = demo().join("volume.npy");
        done("reconstruct {} --align none -o {}", &[&demo().join("projections.mrc"), &file]);
        file
    })
}

/// Strokes made of the true labels, made once: every third voxel of the inner part of five slices, class id + 1.
fn scribbles() -> &'static Path {
    static SCRIBBLES: OnceLock<PathBuf> = OnceLock::new();
    SCRIBBLES.get_or_init(|| {
        let labels = array(&demo().join("labels.mrc")).to_label_ids().unwrap();
        let mut strokes = Array3::<u16>::zeros(labels.dim());
        for z in [12, 18, 24, 30, 36] {
            for (y, x) in (0..SIZE).flat_map(|y| (0..SIZE).map(move |x| (y, x))) {
                if (y + 2 * x + z) % 7 == 0 {
                    strokes[[z, y, x]] = labels[[z, y, x]] + 1;
                }
            }
        }
        let file = demo().join("scribbles.npy");
        write(&file, &AnyArray::U16(strokes));
        file
    })
}

fn load(path: &Path) -> Loaded {
    io::read_array(path, &Progress::new(), MemoryBudget::from_gib(2.0)).unwrap()
}

fn array(path: &Path) -> AnyArray {
    load(path).array
}

/// The values of a file as f32.
fn values(path: &Path) -> Array3<f32> {
    array(path).into_f32()
}

/// The bits of a file's values as f32.
fn bits(path: &Path) -> (Vec<usize>, Vec<u32>) {
    let values = values(path);
    (values.shape().to_vec(), values.iter().map(|v| v.to_bits()).collect())
}

fn write(path: &Path, array: &AnyArray) {
    io::write_array(path, &io::WriteRequest::new(array), &Progress::new()).unwrap();
}

/// Everything below a folder, temporaries included.
fn listing(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path.clone());
            }
            found.push(path);
        }
    }
    found.sort();
    found
}
