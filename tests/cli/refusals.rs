//! Bad input: exit code 1, one clear sentence, nothing under the final name, nothing left over.

use std::path::{Path, PathBuf};

use ndarray::s;
use waterwindow::volume::AnyArray;

use super::{
    array, command, demo, done, listing, one_sentence, refused, scribbles, text, values, volume, write,
};

/// A folder with a copy of the demo's stack; a test spoils one of its files.
struct Copy {
    folder: tempfile::TempDir,
}

impl Copy {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["projections.mrc", "projections.rawtlt", "flat.mrc", "dark.mrc"] {
            std::fs::copy(demo().join(name), folder.path().join(name)).unwrap();
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces a stack by f32 values made from its own.
    fn change(&self, name: &str, change: impl Fn(&mut ndarray::Array3<f32>)) {
        let mut values = values(&self.path(name));
        change(&mut values);
        write(&self.path(name), &AnyArray::F32(values));
    }

    /// Reconstructing it fails with a sentence that holds `words`, and leaves the folder as it is.
    fn refuses(&self, words: &[&str]) {
        self.refuses_with("reconstruct {} -o {}", words);
        // Aligning reads the same scan.
        self.refuses_with("align {} -o {}", words);
    }

    fn refuses_with(&self, line: &str, words: &[&str]) {
        let before = listing(self.folder.path());
        let sentence = refused(line, &[&self.path("projections.mrc"), &self.path("out.zarr")]);
        for word in words {
            assert!(sentence.contains(word), "no {word:?} in: {sentence}");
        }
        assert_eq!(listing(self.folder.path()), before, "{line}");
    }
}

/// Cuts a file to its first `n` bytes.
fn cut(path: &Path, n: usize) {
    let bytes = std::fs::read(path).unwrap();
    std::fs::write(path, &bytes[..n.min(bytes.len())]).unwrap();
}

#[test]
fn files_that_are_missing_cut_short_or_foreign_are_named() {
    let copy = Copy::new();
    let gone = copy.path("gone.mrc");
    for line in ["info {}", "convert {} x.npy", "supervoxels {} -o x.npy", "render {} -o x.png"] {
        assert!(refused(line, &[&gone]).contains("gone.mrc"), "{line}");
    }
    cut(&copy.path("projections.mrc"), 1_100);
    copy.refuses(&["truncated", "projections.mrc", "copy it again"]);
    cut(&copy.path("projections.mrc"), 300);
    copy.refuses(&["truncated", "300 bytes"]);
    std::fs::write(copy.path("projections.mrc"), "Dear colleague, ".repeat(300)).unwrap();
    copy.refuses(&["not an MRC file"]);
    std::fs::write(copy.path("projections.mrc"), "").unwrap();
    copy.refuses(&["empty"]);
    for (name, bytes) in [
        ("a.h5", b"no HDF5 at all, but long enough to look at".as_slice()),
        ("a.tif", b"II*\0\xff\xff\xff\x7f no pages".as_slice()),
        ("a.npy", b"\x93NUMPY\x01\x00\x10\x00{'descr': garbage".as_slice()),
        ("a.jpg", b"\xff\xd8\xff\xe0 a photograph".as_slice()),
    ] {
        std::fs::write(copy.path(name), bytes).unwrap();
        for line in ["info {}", "convert {} x.mrc", "measure {} {} -o x.csv"] {
            let paths = [copy.path(name), copy.path(name)];
            let n = line.matches("{}").count();
            let paths: Vec<&Path> = paths[..n].iter().map(PathBuf::as_path).collect();
            assert!(refused(line, &paths).contains(name), "{line}");
        }
    }
    let half = copy.path("half.h5");
    std::fs::copy(demo().join("scan.h5"), &half).unwrap();
    cut(&half, 60_000);
    assert!(refused("reconstruct {} -o x.mrc", &[&half]).contains("truncated"));
    // A chunk of a volume that is cut, and a group that is no group.
    let zarr = copy.path("cut.zarr");
    done("convert {} {}", &[volume(), &zarr]);
    let is_chunk =
        |path: &PathBuf| path.is_file() && path.file_name().is_some_and(|name| name != "zarr.json");
    let chunk = listing(&zarr).into_iter().find(is_chunk).unwrap();
    cut(&chunk, 1000);
    assert!(refused("convert {} x.npy", &[&zarr]).contains("copy it again"));
    let shell = copy.path("half.zarr");
    std::fs::create_dir(&shell).unwrap();
    std::fs::write(shell.join("zarr.json"), "{").unwrap();
    assert!(refused("info {}", &[&shell]).contains("half.zarr"));
}

#[test]
fn angles_that_do_not_fit_are_counted_and_named() {
    let copy = Copy::new();
    let angles = copy.path("projections.rawtlt");
    let good = std::fs::read_to_string(&angles).unwrap();
    let few: Vec<&str> = good.lines().take(17).collect();
    std::fs::write(&angles, few.join("\n")).unwrap();
    copy.refuses(&["17 angles", "90 views", "projections.rawtlt"]);
    for (word, wanted) in [("NaN", "not finite"), ("inf", "not finite"), ("ten", "\"ten\"")] {
        let mut lines: Vec<&str> = good.lines().collect();
        lines[4] = word;
        std::fs::write(&angles, lines.join("\n")).unwrap();
        copy.refuses(&["line 5", wanted]);
    }
    std::fs::remove_file(&angles).unwrap();
    copy.refuses(&["90 views without tilt angles", "--angles"]);
    let sentence = refused(
        "reconstruct {} --angles {} -o x.mrc",
        &[&copy.path("projections.mrc"), &copy.path("no.rawtlt")],
    );
    assert!(sentence.contains("no.rawtlt"), "{sentence}");
    let sentence = refused("reconstruct {} --angles 0:x -o x.mrc", &[&copy.path("projections.mrc")]);
    assert!(sentence.contains("0:x"), "{sentence}");
}

#[test]
fn flats_that_cannot_be_divided_by_are_refused_with_their_share() {
    let copy = Copy::new();
    copy.change("flat.mrc", |flat| flat.fill(0.0));
    copy.refuses(&["flat field is zero", "100 %"]);
    copy.change("flat.mrc", |flat| flat.fill(f32::NAN));
    copy.refuses(&["not a number", "100 %"]);
    copy.change("flat.mrc", |flat| {
        flat.fill(3000.0);
        flat.slice_mut(s![.., 10..30, 10..30]).fill(0.0);
    });
    copy.refuses(&["400 of 2304 pixels"]);
    // A few bad pixels are filled, and that is said.
    copy.change("flat.mrc", |flat| flat.slice_mut(s![.., 10..12, 10..12]).fill(f32::NAN));
    let line = "reconstruct {} --align none -o {}";
    let few = Copy::new();
    few.change("flat.mrc", |flat| flat.slice_mut(s![.., 10..12, 10..12]).fill(f32::NAN));
    let run = command(line, &[&few.path("projections.mrc"), &few.path("out.mrc")]).output().unwrap();
    assert!(run.status.success() && text(&run.stderr).contains("4 pixels"), "{}", text(&run.stderr));
    assert!(values(&few.path("out.mrc")).iter().all(|v| v.is_finite()));
    let copy = Copy::new();
    write(&copy.path("flat.mrc"), &AnyArray::U16(ndarray::Array3::ones((2, 30, 48))));
    copy.refuses(&["30 × 48", "48 × 48"]);
    std::fs::remove_file(copy.path("flat.mrc")).unwrap();
    copy.refuses(&["--flat"]);
    let copy = Copy::new();
    copy.change("projections.mrc", |views| views.slice_mut(s![..40, .., ..]).fill(f32::NAN));
    copy.refuses(&["not finite"]);
}

#[test]
fn the_other_byte_order_is_read_and_gives_the_same_volume() {
    // Every word of the header and every value turned round, the stamp included.
    let bytes = std::fs::read(demo().join("projections.mrc")).unwrap();
    let mut turned = bytes.clone();
    for at in (0..208).step_by(4).chain((212..224).step_by(4)) {
        if !(104..108).contains(&at) {
            turned[at..at + 4].reverse();
        }
    }
    turned[212..216].copy_from_slice(&[0x11, 0x11, 0, 0]);
    turned[1024..].chunks_exact_mut(2).for_each(|pair| pair.swap(0, 1));
    let copy = Copy::new();
    std::fs::write(copy.path("projections.mrc"), &turned).unwrap();
    assert_eq!(array(&copy.path("projections.mrc")), array(&demo().join("projections.mrc")));
    let info = done("info {}", &[&copy.path("projections.mrc")]);
    assert_eq!(info["metadata"]["byte_order"], "big");
    done("reconstruct {} --align none -o {}", &[&copy.path("projections.mrc"), &copy.path("out.npy")]);
    assert_eq!(values(&copy.path("out.npy")), values(volume()));
}

#[test]
fn work_over_the_memory_budget_is_refused_with_numbers_before_it_starts() {
    let copy = Copy::new();
    copy.refuses_with(
        "reconstruct {} --thickness 60000 --memory 0.01 -o {}",
        &["needs", "the budget is 10.2 MiB"],
    );
    copy.refuses_with("reconstruct {} --memory 0.0002 -o {}", &["needs", "MiB", "projections.mrc"]);
    let out = copy.path("x.npy");
    let paths = [volume(), out.as_path()];
    assert!(refused("supervoxels {} --memory 0.001 -o {}", &paths).contains("the budget is 1.0 MiB"));
    let sentence = refused("segment {} --scribbles {} --memory 0.001 -o {}", &[volume(), scribbles(), &out]);
    assert!(sentence.contains("the budget is"), "{sentence}");
    assert!(refused("demo --size 1024 --memory 0.5 --out {}", &[&copy.path("demo")]).contains("0.50 GiB"));
    assert!(!out.exists() && !copy.path("demo").exists());
}

/// Every command that writes, with its output last.
const WRITERS: &[&str] = &[
    "convert {volume} {out}.npy",
    "normalize {scan} -o {out}.mrc",
    "align {scan} -o {out}.json",
    "reconstruct {scan} -o {out}.mrc",
    "crop {volume} -o {out}.mrc",
    "bin {volume} -o {out}.mrc",
    "reorient {volume} -o {out}.mrc",
    "rescale {volume} --to-voxel-um 0.02 -o {out}.mrc",
    "filter {volume} -o {out}.mrc",
    "calculate {volume} --constant 2 -o {out}.mrc",
    "threshold {volume} -o {out}.mrc",
    "supervoxels {volume} -o {out}.mrc",
    "segment {volume} --scribbles {scribbles} -o {out}.mrc",
    "watershed {volume} -o {out}.mrc",
    "split {labels} -o {out}.mrc",
    "surface {volume} -o {out}.mrc",
    "carve {volume} --scribbles {scribbles} -o {out}.mrc",
    "interpolate {labels} -o {out}.mrc",
    "clean {labels} -o {out}.mrc",
    "components {labels} -o {out}.mrc",
    "resample {labels} --like {volume} -o {out}.mrc",
    "measure {volume} {labels} -o {out}.csv",
    "mesh {labels} -o {out}.ply",
    "render {volume} -o {out}.png",
    "demo --size 16 --out {out}",
];

#[test]
fn a_folder_that_takes_no_files_is_named_at_once() {
    let folder = tempfile::tempdir().unwrap();
    // A file where the folder should be, and a folder of the system that takes nothing, whoever asks.
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let mut places = vec![(file.join("out"), "file")];
    if Path::new("/proc/self").exists() {
        places.push((PathBuf::from("/proc/out"), "/proc"));
    }
    for (out, named) in places {
        for line in WRITERS {
            let line = line
                .replace("{out}", &out.display().to_string())
                .replace("{volume}", &volume().display().to_string())
                .replace("{scan}", &demo().join("projections.mrc").display().to_string())
                .replace("{labels}", &demo().join("labels.mrc").display().to_string())
                .replace("{scribbles}", &scribbles().display().to_string());
            let sentence = refused(&line, &[]);
            let advice = sentence.contains("choose another") || sentence.contains("create it");
            assert!(sentence.contains(named) && advice, "{line}: {sentence}");
        }
    }
    assert_eq!(listing(folder.path()), [file]);
}

#[test]
fn outputs_of_no_known_format_and_labels_that_are_none_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    let sentence = refused("convert {} {}", &[volume(), &out("a.xyz")]);
    assert!(sentence.contains(".mrc") && sentence.contains("a.xyz"), "{sentence}");
    assert!(refused("mesh {} -o {}", &[&demo().join("labels.mrc"), &out("a.xyz")]).contains(".obj"));
    let sentence = refused("measure {} {} -o {}", &[volume(), volume(), &out("a.csv")]);
    assert!(sentence.contains("not a label volume"), "{sentence}");
    let small = out("small.npy");
    write(&small, &AnyArray::U16(ndarray::Array3::ones((4, 5, 6))));
    for line in ["measure {} {} -o {}", "segment {} --scribbles {} -o {}"] {
        let target = out(if line.starts_with("measure") { "a.csv" } else { "a.mrc" });
        let sentence = refused(line, &[volume(), &small, &target]);
        assert!(sentence.contains('4') && sentence.contains("48"), "{sentence}");
    }
    let nothing = out("nothing.npy");
    write(&nothing, &AnyArray::U16(ndarray::Array3::zeros((48, 48, 48))));
    refused("segment {} --scribbles {} -o {}", &[volume(), &nothing, &out("a.mrc")]);
    refused("mesh {} -o {}", &[&nothing, &out("a.ply")]);
    let truth = demo().join("truth.json");
    refused("predict {} --model {} -o {}", &[volume(), &truth, &out("a.mrc")]);
    refused("run {} {} -o {}", &[&truth, volume(), &out("results")]);
    refused("reconstruct {} --align {} -o {}", &[&demo().join("projections.mrc"), &truth, &out("a.mrc")]);
    let mut left: Vec<_> = listing(folder.path());
    left.retain(|path| !path.to_string_lossy().contains(".npy"));
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_old_output_survives_a_failure() {
    let copy = Copy::new();
    let out = copy.path("out.mrc");
    std::fs::copy(demo().join("truth.mrc"), &out).unwrap();
    // Cut short it is read as far as it goes; without a whole view there is nothing to read.
    cut(&copy.path("projections.mrc"), 2000);
    refused("reconstruct {} -o {}", &[&copy.path("projections.mrc"), &out]);
    assert_eq!(array(&out), array(&demo().join("truth.mrc")));
}

#[test]
fn without_a_graphics_device_pictures_are_drawn_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let draw = |name: &str, device: &str, view: &str| {
        let out = folder.path().join(name);
        let line = format!("render {{}} -o {{}} --view {view} --size 96x80 --device {device}");
        let mut command = command(&line, &[volume(), &out]);
        // No driver is found under these names.
        command
            .env("VK_ICD_FILENAMES", "/nowhere")
            .env("VK_DRIVER_FILES", "/nowhere")
            .env("WGPU_BACKEND", "vulkan");
        let run = command.env_remove("DISPLAY").output().unwrap();
        assert!(run.status.success(), "{}", text(&run.stderr));
        (std::fs::read(out).unwrap(), text(&run.stderr))
    };
    for view in ["xy", "3d"] {
        let (plain, _) = draw("a.png", "auto", view);
        let (asked, said) = draw("b.png", "gpu", view);
        assert!(plain == asked && plain.len() > 500);
        assert!(said.contains("processor"), "{said}");
    }
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let out = Path::new("x.mrc");
    for line in [
        "reconstruct {} -o {} --iterations many",
        "reconstruct {} -o {} --filter none-such",
        "reconstruct {} -o {} --memory 0",
        "reconstruct {} -o {} --threads 0",
        "reconstruct {} -o {} --pixel-size -1",
        "reconstruct {} -o {} --half third",
        "reconstruct {} -o {} --center 400",
        "align {} -o {} --method magic",
        "render {} -o {}",
    ] {
        let run = command(line, &[&demo().join("projections.mrc"), out]).output().unwrap();
        assert_eq!(run.status.code(), Some(2), "{line}: {}", text(&run.stderr));
        assert!(run.stdout.is_empty() && !run.stderr.is_empty(), "{line}");
    }
    assert!(!out.exists());
    let nothing = command("reconstruct", &[]).output().unwrap();
    assert_eq!(nothing.status.code(), Some(2));
}

#[test]
fn quiet_leaves_only_the_error() {
    let run = command("info {} --quiet", &[Path::new("gone.mrc")]).output().unwrap();
    assert!(one_sentence("info", &run).contains("gone.mrc"));
}
