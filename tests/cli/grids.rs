//! A volume in hand: box, bins, axes, voxel size, filters and arithmetic, through files.

use std::path::{Path, PathBuf};

use ndarray::{Array3, s};
use serde_json::json;
use waterwindow::base::{Progress, Unit};
use waterwindow::io::{self, WriteRequest};
use waterwindow::volume::{AnyArray, Volume};

use super::{array, demo, done, refused, values, volume};

fn written(folder: &Path, name: &str, request: &WriteRequest<'_>) -> PathBuf {
    let path = folder.join(name);
    io::write_array(&path, request, &Progress::new()).unwrap();
    path
}

#[test]
fn a_box_keeps_its_place_and_what_the_file_says_besides() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    let made = done("crop {} -o {} --z 4:20 --x 10:", &[volume(), &out("c.mrc")]);
    let before = done("info {}", &[volume()]);
    assert_eq!(made["shape_zyx"], json!([16, 48, 38]));
    let voxel = before["voxel_um"][0].as_f64().unwrap();
    let origin = made["origin_um"][0].as_f64().unwrap();
    assert!((origin - 4.0 * voxel).abs() < 1e-6, "{made}");
    let after = done("info {}", &[&out("c.mrc")]);
    assert_eq!((&after["unit"], &after["energy_ev"]), (&before["unit"], &before["energy_ev"]));
    let whole = values(volume());
    assert_eq!(values(&out("c.mrc")), whole.slice(s![4..20, .., 10..]));
    // Labels stay labels, with the box of a class.
    let labels = demo().join("labels.mrc");
    let line = "crop {} -o {} --mask {} --class 4 --margin 1";
    let made = done(line, &[&labels, &out("l.mrc"), &labels]);
    let found = done("info {}", &[&out("l.mrc")]);
    assert_eq!(found["kind"], "labels", "{found}");
    assert_eq!(found["shape_zyx"], made["shape_zyx"]);
    let said = refused("crop {} -o {} --y 3:480", &[volume(), &out("no.mrc")]);
    assert!(said.contains("3:480") && said.contains("48 voxels"), "{said}");
}

#[test]
fn ids_are_binned_by_the_most_frequent_where_the_file_or_the_option_says_labels() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    let ids = Array3::from_shape_fn((4, 4, 4), |(_, _, x)| if x < 3 { 2u16 } else { 9 });
    let (plain, labels) =
        (AnyArray::U16(ids.clone()), WriteRequest::labels(&ids, Some([0.02; 3]), [0.0; 3], None));
    let plain = written(folder.path(), "plain.npy", &WriteRequest::new(&plain));
    let labels = written(folder.path(), "labels.mrc", &labels);
    done("bin {} -o {}", &[&labels, &out("a.mrc")]);
    done("bin {} -o {} --as labels", &[&plain, &out("b.npy")]);
    for file in [out("a.mrc"), out("b.npy")] {
        // Two and two of 2 and 9 are equally frequent: the smaller.
        assert!(values(&file).iter().all(|id| *id == 2.0), "{:?}", array(&file));
    }
}

#[test]
fn axes_there_and_back_scale_filter_and_arithmetic_go_through_files() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    let data = Array3::from_shape_fn((3, 4, 5), |(z, y, x)| (z * 100 + y * 10 + x) as f32);
    let cell =
        Volume { origin_um: [1.0, 2.0, 3.0], ..Volume::new(data, Some([0.03, 0.02, 0.01]), Unit::PerUm) };
    let cell = written(folder.path(), "cell.mrc", &WriteRequest::volume(&cell));
    let made = done("reorient {} -o {} --order y-zx", &[&cell, &out("turned.mrc")]);
    assert_eq!((&made["shape_zyx"], &made["mirrored"]), (&json!([4, 3, 5]), &json!(false)));
    done("reorient {} -o {} --order -yzx", &[&out("turned.mrc"), &out("back.mrc")]);
    assert_eq!(values(&out("back.mrc")), values(&cell));
    let made = done("rescale {} -o {} --to-voxel-um 0.05 --factor 2", &[&cell, &out("scaled.mrc")]);
    assert!((made["voxel_um"][1].as_f64().unwrap() - 0.05).abs() < 1e-9, "{made}");
    assert!(refused("rescale {} -o {} --factor 0", &[&cell, &out("no.mrc")]).contains("factor of 0"));
    done("filter {} -o {} --method median", &[&cell, &out("smooth.mrc")]);
    let made = done("calculate {} {} -o {}", &[&cell, &out("smooth.mrc"), &out("rest.mrc")]);
    assert_eq!(made["unit"], "1/um");
    let said = refused("calculate {} {} -o {}", &[&cell, &out("scaled.mrc"), &out("no.mrc")]);
    assert!(said.contains("0.05 µm") && said.contains("0.03 × 0.02 × 0.01"), "{said}");
}
