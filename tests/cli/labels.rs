//! Labels stay labels: ids above 65 535, objects with the classes they are of, one grid for labels and volume.

use std::path::{Path, PathBuf};

use ndarray::{Array3, s};
use waterwindow::base::{Progress, Unit};
use waterwindow::io::{self, WriteRequest};
use waterwindow::volume::{AnyArray, ClassTable, Volume};

use super::{array, done, refused};

const UM: [f64; 3] = [0.03, 0.02, 0.01];

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, request: &WriteRequest<'_>) -> PathBuf {
        io::write_array(&self.path(name), request, &Progress::new()).unwrap();
        self.path(name)
    }

    fn volume(&self, name: &str, shape: [usize; 3], voxel_um: [f64; 3], origin_um: [f64; 3]) -> PathBuf {
        let data = Array3::from_shape_fn(shape, |(z, y, x)| (z * 100 + y * 10 + x) as f32);
        let volume = Volume { origin_um, ..Volume::new(data, Some(voxel_um), Unit::PerUm) };
        self.write(name, &WriteRequest::volume(&volume))
    }
}

/// The rows of a CSV file by the names of their columns.
fn rows(file: &Path) -> Vec<std::collections::BTreeMap<String, String>> {
    let text = std::fs::read_to_string(file).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    let head = lines.next().unwrap();
    lines.map(|row| head.iter().cloned().zip(row).collect()).collect()
}

fn ids_of(file: &Path) -> Vec<u64> {
    let mut found: Vec<u64> = match array(file) {
        AnyArray::U8(a) => a.iter().map(|v| u64::from(*v)).collect(),
        AnyArray::U16(a) => a.iter().map(|v| u64::from(*v)).collect(),
        AnyArray::U32(a) => a.iter().map(|v| u64::from(*v)).collect(),
        AnyArray::F32(a) => a.iter().map(|v| *v as u64).collect(),
        other => panic!("ids as {}", other.dtype()),
    };
    found.sort_unstable();
    found.dedup();
    found
}

#[test]
fn ids_above_65535_are_measured_meshed_cleaned_parted_and_drawn() {
    let folder = Folder::new();
    let volume = folder.volume("v.npy", [10, 20, 22], UM, [0.0; 3]);
    let mut ids = Array3::<i64>::zeros((10, 20, 22));
    ids.slice_mut(s![1..4, 2..6, 3..8]).fill(70_000);
    ids.slice_mut(s![6..9, 2..6, 3..8]).fill(3);
    ids[[0, 0, 0]] = -1;
    let with = |name: &str, array: &AnyArray| {
        let request =
            WriteRequest { voxel_um: Some(UM), unit: Some(Unit::Label), ..WriteRequest::new(array) };
        folder.write(name, &request)
    };
    let unsigned = AnyArray::U32(ids.mapv(|id| id.max(0) as u32));
    for file in [
        with("i32.npy", &AnyArray::I32(ids.mapv(|id| id as i32))),
        with("u32.tif", &unsigned),
        with("u32.zarr", &unsigned),
        with("u32.h5", &unsigned),
        with("f32.mrc", &AnyArray::F32(ids.mapv(|id| id as f32))),
    ] {
        let result = done("measure {} {} -o {}", &[&volume, &file, &folder.path("t.csv")]);
        let found = rows(&folder.path("t.csv"));
        let row = found.iter().find(|row| row["class"] == "70000").unwrap();
        assert_eq!(
            (row["name"].as_str(), row["voxels"].as_str()),
            ("class 70000", "60"),
            "{}",
            file.display()
        );
        let volume_um3: f64 = row["volume_um3"].parse().unwrap();
        assert!((volume_um3 - 60.0 * 6e-6).abs() < 1e-12);
        // The mean of z·100 + y·10 + x over the block.
        assert!((row["lac_mean_per_um"].parse::<f64>().unwrap() - (200.0 + 35.0 + 5.0)).abs() < 1e-6);
        let is_signed = !file.to_string_lossy().contains("u32");
        let said = result["warnings"].to_string();
        assert_eq!(said.contains("1 voxels are -1"), is_signed, "{}: {said}", file.display());
        let result = done("mesh {} -o {}", &[&file, &folder.path("m")]);
        assert!(folder.path("m/class_70000.ply").exists(), "{result}");
        done("components {} -o {}", &[&file, &folder.path("c.npy")]);
        assert_eq!(ids_of(&folder.path("c.npy")), [0, 1, 2]);
        done("clean {} -o {} --operation shrink --classes 70000", &[&file, &folder.path("k.npy")]);
        assert_eq!(ids_of(&folder.path("k.npy")), [0, 3, 70_000]);
        done("split {} -o {}", &[&file, &folder.path("p.npy")]);
        assert_eq!(ids_of(&folder.path("p.npy")), [0, 1, 2]);
        done("render {} {} -o {} --size 64x64 --slice 2", &[&volume, &file, &folder.path("r.png")]);
        done("render {} -o {} --size 64x64 --view 3d", &[&file, &folder.path("r.png")]);
    }
    // Where only classes are taken, the word is which commands take objects.
    let said =
        refused("threshold {} -o {} --mask {}", &[&volume, &folder.path("o.npy"), &folder.path("u32.tif")]);
    assert!(said.contains("70000") && said.contains("measure"), "{said}");
}

#[test]
fn objects_keep_class_and_name_from_components_and_split_to_the_table() {
    let folder = Folder::new();
    let volume = folder.volume("v.npy", [8, 9, 30], UM, [0.0; 3]);
    let mut ids = Array3::<u16>::zeros((8, 9, 30));
    ids.slice_mut(s![1..4, 2..6, 1..5]).fill(5);
    ids.slice_mut(s![1..4, 2..6, 10..15]).fill(7);
    ids.slice_mut(s![1..4, 2..6, 20..23]).fill(5);
    let mut classes = ClassTable::default().with_ids([5, 7]);
    classes.get_mut(5).unwrap().name = "mitochondria".to_owned();
    classes.get_mut(7).unwrap().name = "lipid droplets".to_owned();
    let labels = folder.write("l.mrc", &WriteRequest::labels(&ids, Some(UM), [0.0; 3], Some(&classes)));
    let expected = [
        ("5", "mitochondria", "1", "48"),
        ("5", "mitochondria", "3", "36"),
        ("7", "lipid droplets", "2", "60"),
    ];
    for (command, out) in [
        ("components", "c.mrc"),
        ("components", "c.zarr"),
        ("components", "c.tif"),
        ("split", "s.h5"),
        ("split", "s.npy"),
    ] {
        let map = folder.path(out);
        done(&format!("{command} {{}} -o {{}} --table {{}}"), &[&labels, &map, &folder.path("o.csv")]);
        done("measure {} {} -o {} --instances", &[&volume, &map, &folder.path("t.csv")]);
        let told = |file: &Path| -> Vec<(String, String, String, String)> {
            let row = |r: &std::collections::BTreeMap<String, String>| {
                (r["class"].clone(), r["name"].clone(), r["object"].clone(), r["voxels"].clone())
            };
            rows(file).iter().map(row).collect()
        };
        let wanted = expected.map(|(a, b, c, d)| (a.to_owned(), b.to_owned(), c.to_owned(), d.to_owned()));
        assert_eq!(told(&folder.path("t.csv")), wanted, "{out}");
        done("measure {} {} -o {}", &[&volume, &map, &folder.path("t.csv")]);
        let classes = rows(&folder.path("t.csv"));
        assert_eq!(classes.len(), 2);
        assert_eq!((classes[0]["voxels"].as_str(), classes[0]["n_objects"].as_str()), ("84", "2"), "{out}");
        // The same from another program's file and the table.
        let bare = folder.path("bare.npy");
        done("convert {} {}", &[&map, &bare]);
        drop(std::fs::remove_file(folder.path("bare.npy.json")));
        let line = "measure {} {} -o {} --instances --objects {}";
        done(line, &[&volume, &bare, &folder.path("t.csv"), &folder.path("o.csv")]);
        assert_eq!(told(&folder.path("t.csv")), wanted, "{out} by its table");
        done("mesh {} -o {}", &[&map, &folder.path("m")]);
        assert!(folder.path("m/mitochondria_3.ply").exists(), "{out}");
    }
}

#[test]
fn labels_of_another_grid_are_refused_with_both_numbers_and_resampled_on_request() {
    let folder = Folder::new();
    let fine = folder.volume("v.npy", [12, 16, 20], [0.01; 3], [0.0; 3]);
    let ids = Array3::from_shape_fn((6, 8, 10), |(z, _, x)| 1 + u16::from(x > 4) + 2 * u16::from(z > 2));
    let coarse = folder.write("l.mrc", &WriteRequest::labels(&ids, Some([0.02; 3]), [0.005; 3], None));
    let out = |name: &str| folder.path(name);
    for (line, paths) in [
        ("measure {} {} -o {}", [&fine, &coarse, &out("t.csv")]),
        ("threshold {} --mask {} -o {}", [&fine, &coarse, &out("o.npy")]),
        ("watershed {} --markers {} -o {}", [&fine, &coarse, &out("o.npy")]),
        ("carve {} --scribbles {} -o {}", [&fine, &coarse, &out("o.npy")]),
        ("segment {} --scribbles {} -o {}", [&fine, &coarse, &out("o.npy")]),
        ("surface {} --start {} -o {}", [&fine, &coarse, &out("o.npy")]),
        ("supervoxels {} --mask {} -o {}", [&fine, &coarse, &out("o.npy")]),
        ("mesh --volume {} {} -o {} --values", [&fine, &coarse, &out("m.ply")]),
        ("split --volume {} {} -o {} --method intensity", [&fine, &coarse, &out("o.npy")]),
        ("calibrate {} --labels {} -o {} --reference-class 1", [&fine, &coarse, &out("o.npy")]),
    ] {
        let said = refused(line, &paths.map(std::path::PathBuf::as_path));
        for part in ["0.01 µm", "0.02 µm", "6 × 8 × 10", "--resample"] {
            assert!(said.contains(part), "{line}: {part}: {said}");
        }
    }
    done("measure {} {} -o {} --resample", &[&fine, &coarse, &out("t.csv")]);
    let found = rows(&out("t.csv"));
    // Each coarse voxel is eight fine ones.
    assert_eq!(found.iter().map(|row| row["voxels"].as_str()).collect::<Vec<_>>(), ["960"; 4]);
    let mean: f64 = found[0]["lac_mean_per_um"].parse().unwrap();
    assert!((mean - (250.0 + 75.0 + 4.5)).abs() < 1e-6, "{mean}");
    done("threshold {} --mask {} -o {} --resample", &[&fine, &coarse, &out("o.npy")]);
    done("resample {} --like {} -o {}", &[&coarse, &fine, &out("on.mrc")]);
    let on = array(&out("on.mrc")).to_label_ids().unwrap();
    assert!(on.indexed_iter().all(|((z, y, x), id)| *id == ids[[z / 2, y / 2, x / 2]]));
    let result = done("render {} {} -o {} --size 64x64", &[&fine, &coarse, &out("r.png")]);
    assert!(result["warnings"].to_string().contains("different grids"), "{result}");
}

#[test]
fn a_file_can_be_said_to_be_labels_and_its_ids_stay_what_they_are() {
    let folder = Folder::new();
    let mut ids = Array3::<u16>::zeros((80, 96, 130));
    ids.slice_mut(s![10..60, 10..70, 10..100]).fill(4);
    ids.slice_mut(s![20..50, 20..60, 30..90]).fill(9);
    let plain = folder.write("l.tif", &WriteRequest { voxel_um: Some([0.01; 3]), ..WriteRequest::new(&ids) });
    assert_eq!(done("info {}", &[&plain])["kind"], "volume");
    for out in ["l.zarr", "l.npy", "l.h5", "l.mrc", "l2.tif"] {
        let target = folder.path(out);
        done("convert {} {} --as labels", &[&plain, &target]);
        assert_eq!(done("info {}", &[&target])["kind"], "labels", "{out}");
    }
    // Every level of the pyramid.
    let read = |level: &str| {
        let path = folder.path("l.zarr").join(level);
        ids_of(&path)
    };
    for level in ["0", "1"].into_iter().filter(|level| folder.path("l.zarr").join(level).exists()) {
        assert_eq!(read(level), [0, 4, 9], "level {level}");
    }
    let half = folder.write("half.npy", &WriteRequest::new(&Array3::from_elem((2, 2, 2), 0.5f32)));
    let said = refused("convert {} {} --as labels", &[&half, &folder.path("half.zarr")]);
    assert!(said.contains("0.5"), "{said}");
    assert_eq!(done("info {} --as volume", &[&folder.path("l.npy")])["kind"], "volume");
}

#[test]
fn labels_are_brought_over_by_nearest_id_with_their_classes() {
    let folder = Folder::new();
    let mut ids = Array3::<u16>::zeros((24, 24, 24));
    ids.slice_mut(s![4..14, 4..14, 4..14]).fill(2);
    ids.slice_mut(s![14..20, 4..14, 4..14]).fill(9);
    let mut classes = ClassTable::default().with_ids([2, 9]);
    classes.get_mut(9).unwrap().name = "nucleus".to_owned();
    let moving =
        folder.write("m.zarr", &WriteRequest::labels(&ids, Some([0.01; 3]), [0.0; 3], Some(&classes)));
    let fixed = folder.volume("f.npy", [24, 24, 24], [0.01; 3], [0.0; 3]);
    let (sin, cos) = 20f64.to_radians().sin_cos();
    let mut csv =
        "name,moving_x_um,moving_y_um,moving_z_um,fixed_x_um,fixed_y_um,fixed_z_um,used\n".to_owned();
    for (k, [x, y, z]) in
        [[0.02, 0.03, 0.05], [0.2, 0.03, 0.1], [0.1, 0.2, 0.02], [0.15, 0.1, 0.2], [0.05, 0.15, 0.12]]
            .into_iter()
            .enumerate()
    {
        let (u, v) = (cos * x - sin * y + 0.03, sin * x + cos * y - 0.02);
        csv.push_str(&format!("p{k},{x},{y},{z},{u},{v},{},true\n", z + 0.01));
    }
    std::fs::write(folder.path("lm.csv"), csv).unwrap();
    let line = "correlate {} {} --landmarks {} --model rigid -o {} --apply {}";
    let go = |moving: &Path, out: &str, more: &str| {
        let paths = [moving, &fixed, &folder.path("lm.csv"), &folder.path("t.json"), &folder.path(out)];
        done(&format!("{line}{more}"), &paths);
        folder.path(out)
    };
    let out = go(&moving, "out.mrc", "");
    assert_eq!(ids_of(&out), [0, 2, 9]);
    assert_eq!(done("info {}", &[&out])["kind"], "labels");
    done("measure {} {} -o {}", &[&fixed, &out, &folder.path("x.csv")]);
    let found = rows(&folder.path("x.csv"));
    assert_eq!(found[1]["name"], "nucleus");
    // A rigid move keeps volumes, and puts centroids where the landmarks say.
    let number = |row: usize, name: &str| found[row][name].parse::<f64>().unwrap();
    assert!((number(0, "volume_um3") / 1e-3 - 1.0).abs() < 0.05, "{}", number(0, "volume_um3"));
    let expected = cos * 0.085 - sin * 0.085 + 0.03;
    assert!((number(0, "centroid_x_um") - expected).abs() < 0.003, "{}", number(0, "centroid_x_um"));
    // A file that does not say so, and objects.
    let bare =
        folder.write("bare.npy", &WriteRequest { voxel_um: Some([0.01; 3]), ..WriteRequest::new(&ids) });
    assert_eq!(ids_of(&go(&bare, "said.npy", " --as labels")), [0, 2, 9]);
    done("components {} -o {}", &[&moving, &folder.path("c.npy")]);
    assert_eq!(ids_of(&go(&folder.path("c.npy"), "c.zarr", "")), [0, 1, 2]);
    done("measure {} {} -o {} --instances", &[&fixed, &folder.path("c.zarr"), &folder.path("x.csv")]);
    assert_eq!(rows(&folder.path("x.csv"))[1]["name"], "nucleus");
}

#[test]
fn label_volumes_are_stitched_by_their_origins_or_not_at_all() {
    let folder = Folder::new();
    let left = Array3::from_elem((4, 5, 10), 3u16);
    let right = Array3::from_elem((4, 5, 10), 8u16);
    let write = |name: &str, ids: &Array3<u16>, x: f64| {
        folder.write(name, &WriteRequest::labels(ids, Some([0.02; 3]), [0.0, 0.0, x], None))
    };
    let parts = [write("l.mrc", &left, 0.0), write("r.mrc", &right, 0.12)];
    let said = refused("stitch {} {} -o {}", &[&parts[0], &parts[1], &folder.path("w.mrc")]);
    assert!(said.contains("--register=off"), "{said}");
    done("stitch {} {} -o {} --register=off", &[&parts[0], &parts[1], &folder.path("w.mrc")]);
    let whole = array(&folder.path("w.mrc")).to_label_ids().unwrap();
    assert_eq!(whole.dim(), (4, 5, 16));
    assert!(whole.indexed_iter().all(|((_, _, x), id)| *id == if x < 10 { 3 } else { 8 }));
}
