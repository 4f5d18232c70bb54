//! Tests of labels in models of IMOD: made by hand, our own, and those of other programs.

use std::path::Path;

use ndarray::Array3;

use crate::base::{MemoryBudget, Progress, Unit};
use crate::io::{IoError, Kind, Loaded, WriteRequest, read_array, write_array};
use crate::volume::{AnyArray, Class, ClassTable};

fn read(path: &Path) -> Result<Loaded, IoError> {
    read_array(path, &Progress::new(), MemoryBudget::from_gib(0.5))
}

/// A head of a model on an image of these sides, x, y, z.
fn head(sides: [i32; 3], z_scale: f32, pixel: f32, unit: i32) -> Vec<u8> {
    let mut out = b"IMODV1.2".to_vec();
    out.extend([0; 128]);
    sides.into_iter().chain([0]).for_each(|n| out.extend(n.to_be_bytes()));
    out.extend([0; 4 + 16 + 12]);
    [1.0, 1.0, z_scale].into_iter().for_each(|scale: f32| out.extend(scale.to_be_bytes()));
    out.extend([0; 20]);
    out.extend(pixel.to_be_bytes());
    out.extend(unit.to_be_bytes());
    out.extend([0; 16]);
    assert_eq!(out.len(), 240);
    out
}

fn object(out: &mut Vec<u8>, name: &str, flags: u32, radius: i32) {
    let mut text = [0; 128];
    text[..name.len()].copy_from_slice(name.as_bytes());
    out.extend(b"OBJT");
    out.extend(text);
    out.extend(0i32.to_be_bytes());
    out.extend(flags.to_be_bytes());
    out.extend([0; 8]);
    [1.0, 0.5, 0.0].into_iter().for_each(|part: f32| out.extend(part.to_be_bytes()));
    out.extend(radius.to_be_bytes());
    out.extend([0; 16]);
}

fn contour(out: &mut Vec<u8>, points: &[[f32; 3]]) {
    out.extend(b"CONT");
    out.extend(i32::try_from(points.len()).unwrap().to_be_bytes());
    out.extend([0; 12]);
    points.iter().flatten().for_each(|value| out.extend(value.to_be_bytes()));
}

fn square(low: f32, high: f32, z: f32) -> [[f32; 3]; 4] {
    [[low, low, z], [high, low, z], [high, high, z], [low, high, z]]
}

fn of_bytes(bytes: &[u8]) -> Result<Loaded, IoError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mod");
    std::fs::write(&path, bytes).unwrap();
    read(&path)
}

#[test]
fn contours_lines_and_points_become_classes() {
    let mut bytes = head([20, 20, 5], 2.0, 10.0, -9);
    object(&mut bytes, "cell", 0, 0);
    for z in [1.0, 2.0, 4.0] {
        contour(&mut bytes, &square(2.0, 12.0, z));
    }
    object(&mut bytes, "vacuole", 0, 0);
    contour(&mut bytes, &square(4.0, 6.0, 2.0));
    object(&mut bytes, "", 1 << 3, 0);
    contour(&mut bytes, &[[15.5, 1.5, 0.0], [15.5, 8.5, 0.0]]);
    // A thread through all sections, a pixel to the right in each.
    contour(&mut bytes, &[[1.5, 18.5, 0.0], [5.5, 18.5, 4.0]]);
    object(&mut bytes, "gold", 1 << 9, 4);
    contour(&mut bytes, &[[16.5, 16.5, 2.0]]);
    bytes.extend(b"IEOF");
    let loaded = of_bytes(&bytes).unwrap();
    let AnyArray::U16(ids) = loaded.array else { panic!("another type") };
    assert_eq!(ids.dim(), (5, 20, 20));
    let count = |z: usize, id: u16| ids.index_axis(ndarray::Axis(0), z).iter().filter(|v| **v == id).count();
    assert_eq!([0, 1, 2, 3, 4].map(|z| count(z, 1)), [0, 100, 96, 0, 100]);
    assert_eq!((count(2, 2), ids[[2, 4, 4]], ids[[2, 5, 5]]), (4, 2, 2), "the smaller one is on top");
    assert_eq!((ids[[0, 1, 15]], ids[[0, 8, 15]], ids[[0, 9, 15]]), (3, 3, 0));
    assert!((0..5).all(|z| ids[[z, 18, 1 + z]] == 3), "a thread");
    // A ball of 4 pixels: sections are 2 pixels apart.
    assert!(count(2, 4) > count(1, 4) && count(1, 4) == count(3, 4) && count(4, 4) == 1);
    let header = loaded.header;
    assert_eq!((header.kind, header.unit), (Kind::Labels, Some(Unit::Label)));
    assert_eq!(header.voxel_um, Some([0.02, 0.01, 0.01]));
    let classes = header.classes.unwrap().classes;
    let names: Vec<&str> = classes.iter().map(|class| class.name.as_str()).collect();
    assert_eq!((names, classes[0].color), (vec!["cell", "vacuole", "object 3", "gold"], [255, 128, 0]));
    let said = header.warnings.join("; ");
    assert!(said.contains("cell was drawn in 3 of its 4 sections") && said.contains("smaller one"), "{said}");
}

#[test]
fn labels_are_drawn_as_contours_and_come_back_voxel_by_voxel() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cell.mod");
    // Noise has holes, islands and voxels that touch at a corner only.
    let mut state = 7u32;
    let ids = Array3::from_shape_fn((3, 17, 23), |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        [0u16, 1, 2, 5][(state >> 24) as usize % 4]
    });
    let class = |id: u16, name: &str| Class {
        id,
        name: name.to_owned(),
        color: [10, 20, 30],
        parent: None,
        go_id: None,
        typical_lac: None,
        visible: true,
        locked: false,
    };
    let mut classes = ClassTable::default();
    classes.insert(class(1, "nucleus"));
    classes.insert(class(5, "lipid"));
    let request = WriteRequest::labels(&ids, Some([0.03, 0.01, 0.01]), [0.2, -0.1, 0.0], Some(&classes));
    assert!(write_array(&path, &request, &Progress::new()).unwrap().is_empty());
    let loaded = read(&path).unwrap();
    assert_eq!(loaded.array, AnyArray::U16(ids));
    let header = loaded.header;
    assert_eq!(header.voxel_um, Some([0.03, 0.01, 0.01]));
    assert!(header.origin_um.iter().zip([0.2, -0.1, 0.0]).all(|(a, b)| (a - b).abs() < 1e-6));
    let table = header.classes.unwrap();
    let found = (&table.get(1).unwrap().name, table.get(5).unwrap().color, &table.get(2).unwrap().name);
    assert_eq!(found, (&"nucleus".to_owned(), [10, 20, 30], &"object 2".to_owned()));
    assert!(table.get(3).is_none(), "no such id");
}

#[test]
fn what_is_no_label_and_what_is_damaged_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mod");
    let values = Array3::<f32>::ones((2, 3, 4));
    let error = write_array(&path, &WriteRequest::new(&values), &Progress::new()).unwrap_err().to_string();
    assert!(error.contains("only labels"), "{error}");
    let halves = Array3::<f32>::from_elem((2, 3, 4), 0.5);
    let request = WriteRequest { unit: Some(Unit::Label), ..WriteRequest::new(&halves) };
    let error = write_array(&path, &request, &Progress::new()).unwrap_err().to_string();
    assert!(error.contains("the id 0.5 at (z 0, y 0, x 0)"), "{error}");
    assert!(!path.exists());
    let mut bytes = head([0, 0, 0], 1.0, 1.0, 0);
    object(&mut bytes, "", 0, 0);
    contour(&mut bytes, &square(1.0, 3.0, 1.0));
    contour(&mut bytes, &[[0.0, 0.0, 0.0], [4.0, 0.0, 1.0], [4.0, 4.0, 2.0]]);
    contour(&mut bytes, &[[0.0, 0.0, 0.0]]);
    let loaded = of_bytes(&bytes).unwrap();
    assert_eq!(loaded.array.shape(), [3, 5, 5], "as far as its points go");
    let said = loaded.header.warnings.join("; ");
    for part in [
        "does not say how large",
        "1 contours or points are closed but do not lie in one",
        "1 contours or points have fewer",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    for cut in [4, 100, 239, 300, bytes.len() - 1] {
        assert!(of_bytes(&bytes[..cut]).is_err(), "{cut}");
    }
}
