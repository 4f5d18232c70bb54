//! Tests of io::amira: heads made by hand in every coding, and our own files.

use std::io::Write as _;
use std::path::Path;

use ndarray::Array3;

use crate::base::{MemoryBudget, Progress, Unit};
use crate::io::{IoError, Kind, Loaded, ReadOptions, WriteRequest, list_arrays, read_array_of, write_array};
use crate::volume::{AnyArray, Class, ClassTable};

fn read_of(path: &Path, options: &ReadOptions) -> Result<Loaded, IoError> {
    read_array_of(path, options, &Progress::new(), MemoryBudget::from_gib(0.5))
}

fn read(bytes: &[u8], options: &ReadOptions) -> Result<Loaded, IoError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.am");
    std::fs::write(&path, bytes).unwrap();
    read_of(&path, options)
}

fn plain(bytes: &[u8]) -> Loaded {
    read(bytes, &ReadOptions::default()).unwrap()
}

const BOX: &str =
    "    Units { Coordinates \"nm\" }\n    BoundingBox 10 50 0 20 5 5,\n    CoordType \"uniform\"\n";

/// A file of one field of 3 × 2 × 1 voxels (x, y, z).
fn file(kind: &str, parameters: &str, field: &str, values: &[u8]) -> Vec<u8> {
    let head = format!(
        "# {kind}\n\ndefine Lattice 3 2 1\n\nParameters {{\n{parameters}{BOX}}}\n\n{field}\n\n# Data section follows\n@1\n"
    );
    [head.as_bytes(), values, b"\n"].concat()
}

fn ids(loaded: &Loaded) -> Vec<u8> {
    let AnyArray::U8(array) = &loaded.array else { panic!("another type") };
    array.iter().copied().collect()
}

#[test]
fn every_coding_gives_the_same_values() {
    let raw = [1, 1, 1, 1, 0, 2];
    let mut zip = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(6));
    zip.write_all(&raw).unwrap();
    let zip = zip.finish().unwrap();
    let little = "AmiraMesh BINARY-LITTLE-ENDIAN 2.1";
    for (kind, field, values) in [
        (little, "Lattice { byte Labels } @1".to_owned(), raw.to_vec()),
        ("AmiraMesh 3D BINARY 2.0", "Lattice { byte Labels } = @1".to_owned(), raw.to_vec()),
        ("AmiraMesh 3D ASCII 2.0", "Lattice { byte Labels } @1".to_owned(), b"1 1 1\n1 0 2\n".to_vec()),
        (little, format!("Lattice {{ byte Labels }} @1(HxZip,{})", zip.len()), zip.clone()),
        (
            "Avizo BINARY-LITTLE-ENDIAN 3.0",
            "Lattice { byte Labels } @1(HxByteRLE, 5)".to_owned(),
            vec![4, 1, 130, 0, 2],
        ),
    ] {
        let loaded = plain(&file(kind, "", &field, &values));
        assert_eq!(ids(&loaded), raw, "{kind}: {field}");
        assert_eq!(loaded.array.shape(), [1, 2, 3]);
        let header = loaded.header;
        assert_eq!((header.voxel_um, header.origin_um), (Some([0.02; 3]), [0.005, 0.0, 0.01]), "{kind}");
    }
    let big = plain(&file(
        "AmiraMesh 3D BINARY 2.0",
        "",
        "Lattice { short Data } @1",
        &[0, 1, 255, 254, 0, 3, 0, 4, 0, 5, 1, 0],
    ));
    let expected = Array3::from_shape_vec((1, 2, 3), vec![1i16, -2, 3, 4, 5, 256]).unwrap();
    assert_eq!(big.array, AnyArray::I16(expected));
}

#[test]
fn materials_are_classes_by_their_order() {
    let materials = "    Materials {\n        Exterior { Id 1 }\n        \"Cell wall\" { Color 1 0.5 0, Id 2 }\n        Nucleus { Id 3,\n            Color 0 0 1 }\n    }\n    ContentType \"HxUniformLabelField3\",\n";
    let loaded = plain(&file(
        "AmiraMesh BINARY-LITTLE-ENDIAN 2.1",
        materials,
        "Lattice { byte Labels } @1",
        &[0, 1, 2, 2, 1, 0],
    ));
    assert_eq!((loaded.header.kind, loaded.header.unit), (Kind::Labels, Some(Unit::Label)));
    let table = loaded.header.classes.unwrap();
    let classes: Vec<(u16, &str, [u8; 3])> =
        table.classes.iter().map(|class| (class.id, class.name.as_str(), class.color)).collect();
    assert_eq!(classes, [(1, "Cell wall", [255, 128, 0]), (2, "Nucleus", [0, 0, 255])]);
    assert!(loaded.header.warnings.is_empty(), "{:?}", loaded.header.warnings);
    let odd = materials.replace("Id 3", "Id 9").replace("Nucleus", "\"Cell wall\"");
    let said =
        plain(&file("AmiraMesh BINARY-LITTLE-ENDIAN 2.1", &odd, "Lattice { byte Labels } @1", &[0; 6]))
            .header
            .warnings;
    assert!(
        said.iter().any(|said| said.contains("by the order"))
            && said.iter().any(|said| said.contains("several materials"))
    );
}

#[test]
fn of_several_fields_one_is_chosen_and_vectors_are_channels() {
    let fields = "Lattice { byte First } @1\nLattice { float[2] Second } @2";
    let mut values = vec![9; 6];
    values.extend(b"\n@2\n");
    (0..12).for_each(|n| values.extend((n as f32).to_le_bytes()));
    let bytes = file("AmiraMesh BINARY-LITTLE-ENDIAN 2.1", "", fields, &values);
    let first = plain(&bytes);
    assert_eq!((ids(&first), first.header.guessed.dataset.as_deref()), (vec![9; 6], Some("First")));
    assert!(first.header.warnings.iter().any(|said| said.contains("also holds Second")));
    let options =
        ReadOptions { dataset: Some("Second".to_owned()), channel: Some(1), ..ReadOptions::default() };
    let second = read(&bytes, &options).unwrap();
    let expected = Array3::from_shape_fn((1, 2, 3), |(_, y, x)| (2 * (3 * y + x) + 1) as f32);
    assert_eq!((second.array, second.header.n_channels), (AnyArray::F32(expected), 2));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.am");
    std::fs::write(&path, &bytes).unwrap();
    let names: Vec<String> = list_arrays(&path).unwrap().into_iter().map(|array| array.path).collect();
    assert_eq!(names, ["First", "Second"]);
    let missing = ReadOptions { dataset: Some("Third".to_owned()), ..ReadOptions::default() };
    assert!(read(&bytes, &missing).unwrap_err().to_string().contains("holds First, Second"));
}

#[test]
fn what_is_written_comes_back_with_its_materials() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cell.am");
    let ids = Array3::from_shape_fn((3, 4, 5), |(z, y, x)| ((z + y + x) % 4) as u8);
    let class = |id: u16, name: &str| Class {
        id,
        name: name.to_owned(),
        color: [200, 100, 50],
        parent: None,
        go_id: None,
        typical_lac: None,
        visible: true,
        locked: false,
    };
    let mut classes = ClassTable::default();
    classes.insert(class(1, "nucleus"));
    classes.insert(class(3, "lipid \"droplet\""));
    let request = WriteRequest {
        voxel_um: Some([0.03, 0.02, 0.01]),
        origin_um: [1.0, -2.0, 0.5],
        unit: Some(Unit::Label),
        classes: Some(&classes),
        ..WriteRequest::new(&ids)
    };
    assert!(write_array(&path, &request, &Progress::new()).unwrap().is_empty());
    // What other programs read has no file beside it.
    std::fs::remove_file(folder.path().join("cell.am.json")).unwrap();
    let back = read_of(&path, &ReadOptions::default()).unwrap();
    assert_eq!(back.array, AnyArray::U8(ids));
    let header = back.header;
    assert_eq!((header.voxel_um, header.origin_um), (Some([0.03, 0.02, 0.01]), [1.0, -2.0, 0.5]));
    let table = header.classes.unwrap();
    assert_eq!(
        (table.get(1).unwrap().name.as_str(), table.get(3).unwrap().color),
        ("nucleus", [200, 100, 50])
    );
    assert_eq!(table.get(3).unwrap().name, "lipid _droplet_");
    for (array, name) in [
        (AnyArray::I16(Array3::from_elem((2, 3, 4), -5)), "i16"),
        (AnyArray::U16(Array3::from_elem((2, 3, 4), 60_000)), "u16"),
        (AnyArray::I32(Array3::from_elem((2, 3, 4), -70_000)), "i32"),
        (AnyArray::F32(Array3::from_elem((2, 3, 4), 0.25)), "f32"),
        (AnyArray::F64(Array3::from_elem((2, 3, 4), 0.1)), "f64"),
    ] {
        let request = WriteRequest { unit: Some(Unit::PerUm), ..WriteRequest::new(&array) };
        write_array(&path, &request, &Progress::new()).unwrap();
        let back = read_of(&path, &ReadOptions::default()).unwrap();
        assert_eq!((back.array, back.header.unit), (array, Some(Unit::PerUm)), "{name}");
    }
    let wide = Array3::<u32>::ones((2, 3, 4));
    assert!(
        write_array(&path, &WriteRequest::new(&wide), &Progress::new())
            .unwrap_err()
            .to_string()
            .contains("no type")
    );
}

#[test]
fn what_is_no_volume_and_what_is_damaged_is_answered() {
    let error = |bytes: &[u8]| read(bytes, &ReadOptions::default()).unwrap_err().to_string();
    assert!(error(b"# HyperSurface 0.1 ASCII\n").contains("export it as OBJ"));
    assert!(
        error(b"# AmiraMesh 3D ASCII 3.0\ndefine VERTEX 4\nVERTEX { float[3] P } @1\n@1\n")
            .contains("VERTEX")
    );
    let good = file(
        "AmiraMesh BINARY-LITTLE-ENDIAN 2.1",
        "",
        "Lattice { byte Labels } @1(HxByteRLE, 5)",
        &[4, 1, 130, 0, 2],
    );
    for cut in 20..good.len() - 4 {
        assert!(read(&good[..cut], &ReadOptions::default()).is_err(), "{cut}");
    }
    for (from, to) in [
        ("3 2 1", "0 2 1"),
        ("3 2 1", "99999999999 99999999999 99999999999"),
        ("byte Labels", "word Labels"),
        ("HxByteRLE", "HxOther"),
        ("BoundingBox", "Bounding { { {"),
    ] {
        let text = String::from_utf8_lossy(&good).replace(from, to);
        assert!(read(text.as_bytes(), &ReadOptions::default()).is_err(), "{to}");
    }
    let unsized_box = String::from_utf8_lossy(&good).replace("Units { Coordinates \"nm\" }", "");
    let header = plain(unsized_box.as_bytes()).header;
    assert_eq!((header.voxel_um, header.ratios), (None, Some([1.0; 3])));
}
