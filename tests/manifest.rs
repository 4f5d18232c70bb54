//! Every real file at hand: equal to what an independent library reads, refused with its sentence, or out of scope with the reason.
//!
//! `tests/manifest/manifest.tsv` was written by `tests/manifest/make.py`, which reads every file with the library of its field
//! (mrcfile, tifffile, h5py, zarr-python, Pillow, txrm2tiff) and keeps a checksum of the values. Here this program reads them
//! again. Where the files are not (`WATERWINDOW_DATA`, by default `../shared/data`) the test says SKIP.
#![expect(clippy::print_stderr, reason = "a skipped part is said aloud")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use waterwindow::base::{MemoryBudget, Progress};
use waterwindow::io::read_array;
use waterwindow::volume::any::Voxel as _;
use waterwindow::with_array;

fn data_folder() -> Option<PathBuf> {
    let folder = std::env::var_os("WATERWINDOW_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    if folder.join("README.md").is_file() {
        return Some(folder);
    }
    eprintln!("SKIP: {} is not here; set WATERWINDOW_DATA to the folder of real files", folder.display());
    None
}

/// CRC-32 of the values as little-endian f64, z slowest.
fn checksum(path: &Path) -> Result<(String, &'static str, u32), String> {
    let budget = MemoryBudget::from_gib(2.0);
    let array = read_array(path, &Progress::new(), budget).map_err(|error| error.to_string())?.array;
    let mut hasher = crc32fast::Hasher::new();
    with_array!(&array, values => values.iter().for_each(|value| hasher.update(&value.to_f64().to_le_bytes())));
    let [z, y, x] = array.shape();
    Ok((format!("{z},{y},{x}"), array.dtype(), hasher.finalize()))
}

/// What is wrong with a line of the manifest; `None` where it is as it says.
fn fault(folder: &Path, line: &str) -> Option<String> {
    let fields: Vec<&str> = line.split('\t').collect();
    match fields.as_slice() {
        ["equal", name, shape, dtype, crc] => match checksum(&folder.join(name)) {
            Ok((found, kind, sum)) => {
                let right = found == *shape && kind == *dtype && sum.to_string() == *crc;
                (!right).then(|| format!("{name}: {found} {kind} {sum}, expected {shape} {dtype} {crc}"))
            }
            Err(sentence) => Some(format!("{name}: refused: {sentence}")),
        },
        ["refused", name, sentence] => match checksum(&folder.join(name)) {
            Ok(_) => Some(format!("{name} is read now; take the manifest anew")),
            Err(found) if found.starts_with(sentence) => None,
            Err(found) => Some(format!("{name}: {found}, expected {sentence}")),
        },
        ["outside", name, reason] => {
            (!folder.join(name).exists() || reason.is_empty()).then(|| format!("{name} is not there"))
        }
        _ => Some(format!("no line of a manifest: {line}")),
    }
}

fn files_in(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files_in(&path, found) } else { found.push(path) }
    }
}

#[test]
fn every_real_file_is_read_as_independent_libraries_do_or_refused_in_words() {
    let Some(folder) = data_folder() else { return };
    let manifest = include_str!("manifest/manifest.tsv");
    let listed: BTreeSet<&Path> =
        manifest.lines().filter_map(|line| line.split('\t').nth(1)).map(Path::new).collect();
    let mut files = Vec::new();
    files_in(&folder, &mut files);
    let is_listed = |file: &PathBuf| {
        let name = file.strip_prefix(&folder).unwrap();
        let hidden =
            name.file_name().is_some_and(|name| [".zgroup", ".zattrs"].iter().any(|own| name == *own));
        hidden || name.ancestors().any(|part| listed.contains(part))
    };
    let missing: Vec<_> = files.iter().filter(|file| !is_listed(file)).collect();
    assert!(missing.is_empty(), "not in the manifest: {missing:?}");
    let faults: Vec<String> = manifest
        .lines()
        .collect::<Vec<_>>()
        .into_par_iter()
        .filter_map(|line| fault(&folder, line))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
