//! The segmenting tools of the command line on the demo cell: what they write and what they say.

use ndarray::Array3;
use serde_json::Value;

use super::{SIZE, array, demo, done, refused, volume};

/// Class ids of a file.
fn ids(path: &std::path::Path) -> Array3<u16> {
    array(path).to_label_ids().unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// Twice the voxels that two masks share over the voxels of both.
fn dice(a: &Array3<u16>, b: &Array3<u16>, in_a: impl Fn(u16) -> bool, in_b: impl Fn(u16) -> bool) -> f64 {
    let (mut both, mut all) = (0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (in_a(*a), in_b(*b));
        both += f64::from(u8::from(a && b));
        all += f64::from(u8::from(a)) + f64::from(u8::from(b));
    }
    2.0 * both / all
}

#[test]
fn threshold_finds_the_cell_its_lipid_and_its_chromatin_by_value() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    let truth = ids(&demo().join("labels.mrc"));
    let result = done("threshold {} -o {} --table {}", &[volume(), &out("otsu.mrc"), &out("otsu.csv")]);
    // The cell apart from the ice; its border voxels are mixed of both.
    assert!(dice(&ids(&out("otsu.mrc")), &truth, |id| id == 2, |id| id != 0) > 0.9, "{result}");
    assert_eq!(result["unit"], "1/um");
    let table = std::fs::read_to_string(out("otsu.csv")).unwrap();
    assert!(table.starts_with("class,name,low,high,voxels,share,mean,sd\n") && table.lines().count() == 3);

    done("threshold {} -o {} --method range --low 0.45", &[volume(), &out("lipid.npy")]);
    let lipid = ids(&out("lipid.npy"));
    assert!(dice(&lipid, &truth, |id| id == 1, |id| id == 6) > 0.5);

    let labels = demo().join("labels.mrc");
    let nucleus = out("nucleus.npy");
    let inside = truth.mapv(|id| u16::from((2..=4).contains(&id)) * 9);
    super::write(&nucleus, &waterwindow::volume::AnyArray::U16(inside.clone()));
    let line = "threshold {} -o {} --method chromatin --mask {} --within 9";
    let result = done(line, &[&demo().join("truth.mrc"), &out("chromatin.mrc"), &nucleus]);
    let parts = result["mixture"]["components"].as_array().unwrap();
    assert_eq!(parts.len(), 2);
    for part in parts {
        for field in ["weight", "fraction", "mean", "sd"] {
            assert!(number(&part[field]["value"]).is_finite(), "{field}: {part}");
        }
    }
    let found = ids(&out("chromatin.mrc"));
    assert!(found.iter().zip(&inside).all(|(id, inside)| (*id == 0) == (*inside == 0)));
    assert_eq!(found.dim(), (SIZE, SIZE, SIZE));

    let sentence = refused("threshold {} -o {} --method chromatin", &[volume(), &out("x.mrc")]);
    assert!(sentence.contains("mask"), "{sentence}");
    let sentence = refused("threshold {} -o {} --method range", &[volume(), &out("x.mrc")]);
    assert!(sentence.contains("low"), "{sentence}");
    let line = "threshold {} -o {} --mask {} --within 99";
    assert!(refused(line, &[volume(), &out("x.mrc"), &labels]).contains("99"));
    assert!(!out("x.mrc").exists());
}

#[test]
fn interpolate_fills_what_was_painted_in_every_fourth_slice() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    let truth = ids(&demo().join("labels.mrc"));
    let mut painted = truth.clone();
    for (z, mut slice) in painted.outer_iter_mut().enumerate() {
        if z % 4 != 0 {
            slice.fill(0);
        }
    }
    super::write(&out("painted.npy"), &waterwindow::volume::AnyArray::U16(painted.clone()));
    let line = "interpolate {} -o {} --round-ends --new {}";
    let result = done(line, &[&out("painted.npy"), &out("whole.mrc"), &out("new.mrc")]);
    let (whole, new) = (ids(&out("whole.mrc")), ids(&out("new.mrc")));
    assert!(dice(&whole, &truth, |id| id != 0, |id| id != 0) > 0.92);
    for ((painted, whole), new) in painted.iter().zip(&whole).zip(&new) {
        assert!(if *painted != 0 { whole == painted && *new == 0 } else { whole == new });
    }
    assert_eq!(number(&result["new_voxels"]), new.iter().filter(|id| **id != 0).count() as f64);
    let again = done("interpolate {} -o {} --axis z", &[&out("whole.mrc"), &out("again.mrc")]);
    // What stays open is said, for each class that has a gap or for all.
    assert!(again["new_voxels"] != 0 || !again["notes"].as_array().unwrap().is_empty(), "{again}");
}

#[test]
fn clean_removes_islands_fills_holes_and_counts_what_it_did() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    let mut labels = Array3::<u16>::zeros((12, 12, 12));
    labels.slice_mut(ndarray::s![1..8, 1..8, 1..8]).fill(1);
    labels[[4, 4, 4]] = 0;
    labels[[10, 10, 10]] = 2;
    super::write(&out("labels.npy"), &waterwindow::volume::AnyArray::U16(labels));
    let filled = done("clean {} -o {} --table {}", &[&out("labels.npy"), &out("filled.mrc"), &out("t.csv")]);
    assert_eq!(filled["classes"][0]["gained"], 1);
    assert_eq!(ids(&out("filled.mrc"))[[4, 4, 4]], 1);
    assert_eq!(std::fs::read_to_string(out("t.csv")).unwrap().lines().count(), 3);
    let line = "clean {} -o {} --operation remove-islands --min-voxels 2";
    done(line, &[&out("labels.npy"), &out("clean.mrc")]);
    assert_eq!(ids(&out("clean.mrc"))[[10, 10, 10]], 0);
    // The file has no voxel size.
    let line = "clean {} -o {} --operation grow --radius-nm 30";
    assert!(refused(line, &[&out("labels.npy"), &out("x.mrc")]).contains("voxel size"));
    let line = "clean {} -o {} --operation grow --radius 1 --classes one";
    assert!(refused(line, &[&out("labels.npy"), &out("x.mrc")]).contains("one"));
    assert!(!out("x.mrc").exists());
}

#[test]
fn split_parts_balls_that_touch_and_watershed_floods_from_strokes() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    let ball = |z: usize, y: usize, x: usize, c: f64| {
        (z as f64 - 10.0).powi(2) + (y as f64 - 10.0).powi(2) + (x as f64 - c).powi(2) <= 49.0
    };
    let labels = Array3::from_shape_fn((20, 20, 40), |(z, y, x)| {
        u16::from(ball(z, y, x, 10.0) || ball(z, y, x, 22.6)) * 5
    });
    super::write(&out("labels.npy"), &waterwindow::volume::AnyArray::U16(labels.clone()));
    for method in ["distance", "shape"] {
        let line = format!("split {{}} -o {{}} --method {method} --table {{}}");
        let result = done(&line, &[&out("labels.npy"), &out("objects.mrc"), &out("t.csv")]);
        assert_eq!(result["objects"], 2, "{method}");
        let table = std::fs::read_to_string(out("t.csv")).unwrap();
        assert!(table.starts_with("object,class,name,voxels\n1,5,"), "{table}");
        let map = super::values(&out("objects.mrc"));
        assert!(map[[10, 10, 8]] != map[[10, 10, 24]] && map[[10, 10, 8]] > 0.0);
    }
    let line = "split {} -o {} --method intensity";
    assert!(refused(line, &[&out("labels.npy"), &out("x.mrc")]).contains("volume"));

    let truth = ids(&demo().join("labels.mrc"));
    let mut markers = Array3::<u16>::zeros((SIZE, SIZE, SIZE));
    for ((z, y, x), id) in truth.indexed_iter().filter(|((z, y, x), _)| z % 8 == 4 && (y + x) % 5 == 0) {
        markers[[z, y, x]] = if *id == 0 { 1 } else { 2 };
    }
    super::write(&out("markers.npy"), &waterwindow::volume::AnyArray::U16(markers));
    let line = "watershed {} -o {} --markers {}";
    let result = done(line, &[&demo().join("truth.mrc"), &out("cell.mrc"), &out("markers.npy")]);
    assert_eq!((&result["regions"], &result["from_markers"]), (&Value::from(2), &Value::from(true)));
    assert!(dice(&ids(&out("cell.mrc")), &truth, |id| id == 2, |id| id != 0) > 0.9);
    let result = done("watershed {} -o {} --depth 1", &[volume(), &out("regions.npy")]);
    let n = ids(&out("regions.npy")).iter().copied().max().unwrap();
    assert!(n > 1 && result["regions"] == n, "{result}");
    assert!(refused("watershed {} -o {} --on distance", &[volume(), &out("x.mrc")]).contains("mask"));
    assert!(!out("x.mrc").exists());
}

#[test]
fn surface_finds_the_cell_by_itself_and_from_a_seed() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    let truth = ids(&demo().join("labels.mrc"));
    let result = done("surface {} -o {}", &[volume(), &out("cell.mrc")]);
    assert!(dice(&ids(&out("cell.mrc")), &truth, |id| id == 1, |id| id != 0) > 0.95, "{result}");
    assert_eq!(result["at_rest"], true);
    // A seed of class 4 well inside: it keeps its id.
    let inside = truth.indexed_iter().filter(|(_, id)| **id != 0).map(|((z, y, x), _)| [z, y, x]);
    let cell: Vec<[usize; 3]> = inside.collect();
    let middle: [usize; 3] = std::array::from_fn(|a| cell.iter().map(|at| at[a]).sum::<usize>() / cell.len());
    let seed = Array3::from_shape_fn((SIZE, SIZE, SIZE), |(z, y, x)| {
        let d: usize = [z, y, x].iter().zip(middle).map(|(i, m)| i.abs_diff(m).pow(2)).sum();
        u16::from(d <= 9) * 4
    });
    super::write(&out("seed.npy"), &waterwindow::volume::AnyArray::U16(seed));
    let line = "surface {} -o {} --start {} --class 4 --seed";
    done(line, &[volume(), &out("grown.mrc"), &out("seed.npy")]);
    assert!(dice(&ids(&out("grown.mrc")), &truth, |id| id == 4, |id| id != 0) > 0.95);
    let line = "surface {} -o {} --start {} --class 9";
    assert!(refused(line, &[volume(), &out("x.mrc"), &out("seed.npy")]).contains('9'));
    let line = "surface {} -o {} --mask {}";
    let nothing = out("nothing.npy");
    super::write(&nothing, &waterwindow::volume::AnyArray::U16(Array3::zeros((SIZE, SIZE, SIZE))));
    assert!(refused(line, &[volume(), &out("x.mrc"), &nothing]).contains("mask"));
    assert!(!out("x.mrc").exists());
}

#[test]
fn carve_takes_the_cell_out_of_the_ice_from_strokes_on_both() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    let truth = ids(&demo().join("labels.mrc"));
    let mut strokes = Array3::<u16>::zeros((SIZE, SIZE, SIZE));
    for ((z, y, x), id) in truth.indexed_iter().filter(|((z, y, x), _)| z % 6 == 0 && (y + x) % 4 == 0) {
        strokes[[z, y, x]] = if *id == 0 { 1 } else { 2 };
    }
    super::write(&out("strokes.npy"), &waterwindow::volume::AnyArray::U16(strokes.clone()));
    let line = "carve {} --scribbles {} -o {} --region-voxels 3";
    let result = done(line, &[volume(), &out("strokes.npy"), &out("carved.mrc")]);
    assert_eq!(result["classes"], serde_json::json!([1, 2]));
    let found = ids(&out("carved.mrc"));
    assert!(dice(&found, &truth, |id| id == 2, |id| id != 0) > 0.85);
    assert!(found.iter().zip(&strokes).all(|(id, stroke)| *stroke == 0 || id == stroke));
    super::write(&out("one.npy"), &waterwindow::volume::AnyArray::U16(strokes.mapv(|id| id / 2)));
    assert!(
        refused("carve {} --scribbles {} -o {}", &[volume(), &out("one.npy"), &out("x.mrc")])
            .contains("class 1")
    );
    assert!(!out("x.mrc").exists());
}
