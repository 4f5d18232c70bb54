//! Files that once hurt this program, and 10 000 seeded mutations of small files of every format: each is read or refused
//! with a sentence, never with a panic, never with more memory than it may take.
//!
//! `tests/hurt` holds, by kind of harm, what was found by fuzzing; a file whose bytes hurt a dependency or another program is
//! never kept there, its guard is tested with a harmless one. What mutations find is put there with the mend.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ndarray::Array3;
use rand::{RngExt as _, SeedableRng as _};
use waterwindow::base::{MemoryBudget, Progress};
use waterwindow::io::{
    ReadOptions, ScanOptions, WriteRequest, read_aln, read_angles, read_any_alignment, read_array, read_imod,
    read_labels, read_landmarks, read_model, read_rulers, read_scan, read_transform, write_array, write_scan,
};
use waterwindow::volume::{AnyArray, Scan};

const N_MUTATIONS: usize = 10_000;
/// What a reader may take: the files are of some kB.
const BUDGET: MemoryBudget = MemoryBudget { bytes: 64 << 20 };

/// Reads a file in every way that its bytes may reach the program; only that nothing panics matters.
fn read_everyhow(path: &Path) {
    let (progress, everything) = (Progress::new(), ReadOptions::default());
    match path.extension().and_then(|e| e.to_str()).unwrap_or_default() {
        "rawtlt" => drop(read_angles(path)),
        "xf" => drop(read_any_alignment(path, &[0.0, 1.0, 2.0])),
        "aln" => drop(read_aln(path, &[0.0, 1.0, 2.0])),
        "mod" => drop(read_imod(path, 3)),
        "csv" => (drop(read_landmarks(path)), drop(read_rulers(path))).0,
        "json" => (drop(read_model(path)), drop(read_transform(path))).0,
        _ => {
            drop(read_array(path, &progress, BUDGET));
            drop(read_labels(path, &everything, &progress, BUDGET));
            drop(read_scan(path, &ScanOptions::default(), &progress, BUDGET));
        }
    }
}

/// Files below a folder, in order.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().flat_map(|path| if path.is_dir() { files_in(&path) } else { vec![path] }).collect()
}

fn in_tree(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// Small files of every format that this program reads.
fn seeds(folder: &Path) -> Vec<PathBuf> {
    let array = Array3::from_shape_fn((3, 5, 7), |(z, y, x)| (100 * z + 10 * y + x) as u16);
    for name in ["a.mrc", "a.tif", "a.npy", "a.h5", "a.zarr", "a.nrrd", "a.mha", "a.am", "a.nii"] {
        write_array(&folder.join(name), &WriteRequest::new(&array), &Progress::new()).unwrap();
    }
    let ids = WriteRequest { unit: Some(waterwindow::base::Unit::Label), ..WriteRequest::new(&array) };
    write_array(&folder.join("a.seg.nrrd"), &ids, &Progress::new()).unwrap();
    write_array(&folder.join("a.mod"), &ids, &Progress::new()).unwrap();
    let mut scan = Scan::new(AnyArray::U16(array.clone()), waterwindow::base::Unit::Counts);
    (scan.flats, scan.angles_deg) = (Some(AnyArray::U16(array)), vec![-1.0, 0.0, 1.0]);
    write_scan(&folder.join("scan.h5"), &scan, &Progress::new()).unwrap();
    fs::write(folder.join("a.rawtlt"), "-1.0\n0.0\n1.0\n").unwrap();
    fs::write(folder.join("a.xf"), "1 0 0 1 2.5 -1\n".repeat(3)).unwrap();
    let aln =
        "# AreTomo Alignment\n# RawSize = 7 5 3\n# NumPatches = 0\n  0 -85.0 1.0 1.5 -2.0 1 1 1 0 -1.0\n";
    fs::write(folder.join("a.aln"), aln).unwrap();
    fs::write(folder.join("a.csv"), "name,moving_x_um,moving_y_um,moving_z_um,fixed_x_um,fixed_y_um,fixed_z_um,used\na,1,2,3,4,5,6,true\n").unwrap();
    fs::write(folder.join("a.json"), r#"{"waterwindow_transform": 1, "model": "rigid", "fixed_from_moving": [[1,0,0,0],[0,1,0,0],[0,0,1,0],[0,0,0,1]]}"#).unwrap();
    image::GrayImage::from_pixel(7, 5, image::Luma([9])).save(folder.join("a.png")).unwrap();
    let mut all = files_in(folder);
    // Small real files and what hurt before are seeds as well.
    all.extend(
        files_in(&in_tree("data")).into_iter().filter(|path| fs::metadata(path).unwrap().len() < 100_000),
    );
    all.extend(files_in(&in_tree("hurt")));
    let is_text =
        |path: &PathBuf| path.extension().is_some_and(|e| ["md", "txt", "py"].iter().any(|t| e == *t));
    all.retain(|path| !is_text(path));
    all
}

/// Some bytes changed: set, flipped, to an extreme number, cut off, doubled.
fn mutate(bytes: &mut Vec<u8>, random: &mut impl rand::Rng) {
    for _ in 0..random.random_range(1..5) {
        if bytes.is_empty() {
            return;
        }
        // Headers lie at the beginning.
        let reach = if random.random_bool(0.6) { bytes.len().min(512) } else { bytes.len() };
        let at = random.random_range(0..reach);
        match random.random_range(0..6) {
            0 => bytes[at] = random.random_range(0..=255),
            1 => bytes[at] ^= 1 << random.random_range(0..8),
            2 | 3 => {
                let extremes: [u32; 6] = [0, 1, 0x7fff_ffff, 0xffff_ffff, 0x8000_0000, 0x0001_0000];
                let value = extremes[random.random_range(0..6)].to_le_bytes();
                let n = value.len().min(bytes.len() - at);
                bytes[at..at + n].copy_from_slice(&value[..n]);
            }
            4 => bytes.truncate(at),
            _ => {
                let end = (at + random.random_range(1..64)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
        }
    }
}

#[test]
fn what_once_hurt_is_read_or_refused() {
    for path in files_in(&in_tree("hurt")) {
        read_everyhow(&path);
    }
}

#[test]
fn mutated_files_of_every_format_are_read_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let seeds = seeds(folder.path());
    assert!(seeds.len() > 15, "{seeds:?}");
    let (started, mut random) = (Instant::now(), rand_pcg::Pcg64Mcg::seed_from_u64(17));
    let inside = |path: &Path| path.starts_with(folder.path().join("a.zarr"));
    for round in 0..N_MUTATIONS {
        let seed = &seeds[round % seeds.len()];
        let original = fs::read(seed).unwrap();
        let mut bytes = original.clone();
        mutate(&mut bytes, &mut random);
        if inside(seed) {
            // A file of a folder is changed in its place, and the folder is read.
            fs::write(seed, &bytes).unwrap();
            read_everyhow(&folder.path().join("a.zarr"));
            fs::write(seed, &original).unwrap();
        } else {
            let path = folder.path().join("mutated").with_extension(seed.extension().unwrap_or_default());
            fs::write(&path, &bytes).unwrap();
            read_everyhow(&path);
            fs::remove_file(&path).unwrap();
        }
    }
    println!("{N_MUTATIONS} mutations of {} files in {:.1} s", seeds.len(), started.elapsed().as_secs_f64());
}
