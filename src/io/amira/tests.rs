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
    assert_eq!(table.get(3).unwrap().name, "lipid__droplet_");
    assert_eq!(table.get(2), None, "the place between them is no class");
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
}

#[test]
fn types_that_the_format_lacks_are_written_as_others_where_every_value_fits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.am");
    let bytes = Array3::from_shape_fn((2, 3, 4), |(z, y, x)| (z * 12 + y * 4 + x) as i8 - 12);
    let said = write_array(&path, &WriteRequest::new(&bytes), &Progress::new()).unwrap();
    assert!(said[0].contains("int8 is stored as int16"), "{said:?}");
    let back = read_of(&path, &ReadOptions::default()).unwrap().array;
    assert_eq!(back, AnyArray::I16(bytes.mapv(i16::from)));
    let objects = bytes.mapv(|v| 70_000 + (i32::from(v) + 12) as u32);
    write_array(&path, &WriteRequest::new(&objects), &Progress::new()).unwrap();
    let back = read_of(&path, &ReadOptions::default()).unwrap().array;
    assert_eq!(back, AnyArray::I32(objects.mapv(|v| v as i32)));
    let beyond = objects.mapv(|v| v + (1 << 31));
    let refused = write_array(&path, &WriteRequest::new(&beyond), &Progress::new()).unwrap_err().to_string();
    assert!(refused.contains("2147483647"), "{refused}");
}

#[test]
fn only_what_the_file_cannot_say_lies_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let (path, beside) = (folder.path().join("a.am"), folder.path().join("a.am.json"));
    let ids = Array3::from_elem((2, 3, 4), 1u8);
    let mut classes = ClassTable::from_names(["nucleus", "lipid_droplets"]);
    classes.classes.iter_mut().for_each(|class| (class.go_id, class.typical_lac) = (None, None));
    let request = WriteRequest {
        voxel_um: Some([0.03, 0.02, 0.01]),
        unit: Some(Unit::Label),
        classes: Some(&classes),
        ..WriteRequest::new(&ids)
    };
    write_array(&path, &request, &Progress::new()).unwrap();
    let said = std::fs::read_to_string(&beside).unwrap_or_default();
    assert!(!said.contains("voxel_um") && !said.contains("nucleus"), "{said}");
    let back = read_of(&path, &ReadOptions::default()).unwrap().header;
    assert_eq!(back.classes, Some(classes.clone()));
    // What a name of the format cannot hold is kept beside.
    let mut named = classes.clone();
    named.classes[0].name = "cell wall".to_owned();
    write_array(&path, &WriteRequest { classes: Some(&named), ..request }, &Progress::new()).unwrap();
    assert_eq!(read_of(&path, &ReadOptions::default()).unwrap().header.classes, Some(named));
    // Another program adds a material.
    let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap())
        .replace("        lipid", "        a { }\n        lipid");
    std::fs::write(&path, text).unwrap();
    let said = read_of(&path, &ReadOptions::default()).unwrap().header.warnings;
    assert!(said.iter().any(|said| said.contains("classes")), "{said:?}");
}

#[test]
fn heads_of_other_programs_are_read() {
    let little = "AmiraMesh BINARY-LITTLE-ENDIAN 2.1";
    // One byte for µ, a path that ends in a backslash, a name of two words, a colour in quotes, a brace below its name.
    let parameters = "    ImageData \"C:\\data\\\",\n    Note \"a \\\"word\\\" here\"\n    Materials\n    {\n        Exterior {\n        }\n        Cell wall {\n            Color \"1 0.5 0\"\n        }\n    }\n";
    let mut bytes = file(little, parameters, "Lattice { byte Data } @1", &[0, 1, 1, 0, 0, 1]);
    let at = bytes.windows(2).position(|pair| pair == b"nm").unwrap();
    bytes[at] = 0xb5;
    let header = plain(&bytes).header;
    assert_eq!(header.voxel_um, Some([20.0; 3]));
    assert_eq!(header.metadata["ImageData"], "C:\\data\\");
    assert_eq!(header.metadata["Note"], "a \"word\" here");
    let table = header.classes.unwrap();
    assert_eq!((table.name(1), table.get(1).unwrap().color), ("Cell wall".to_owned(), [255, 128, 0]));
    // Labels without materials, a comment behind the mark, values of two bytes in runs.
    let loaded = plain(&file(little, "", "Lattice {\n byte Labels\n} Constant(@1)", &[1; 6]));
    assert_eq!((loaded.header.kind, loaded.header.classes), (Kind::Labels, None));
    let text = file("AmiraMesh 3D ASCII 2.0", "", "Lattice { int Ids } = @1", b"1 2 3\n4 5 6\n");
    let text = String::from_utf8(text).unwrap().replace("\n@1\n", "\n@1 # x runs fastest\n");
    let expected = Array3::from_shape_vec((1, 2, 3), vec![1, 2, 3, 4, 5, 6]).unwrap();
    assert_eq!(plain(text.as_bytes()).array, AnyArray::I32(expected));
    let runs = [6, 1, 130, 0, 2, 4, 0];
    let loaded = plain(&file(little, "", "Lattice { ushort Labels } @1(HxByteRLE,7)", &runs));
    let expected = Array3::from_shape_vec((1, 2, 3), vec![257u16, 257, 257, 512, 0, 0]).unwrap();
    assert_eq!(loaded.array, AnyArray::U16(expected));
    let moved = "    TransformationMatrix 1 0 0 0 0 1 0 0 0 0 1 0 5 0 0 1,\n";
    let said = plain(&file(little, moved, "Lattice { byte Data } @1", &[0; 6])).header.warnings;
    assert!(said.iter().any(|said| said.contains("TransformationMatrix")), "{said:?}");
}

#[test]
fn fields_of_one_name_are_told_apart_by_their_marks() {
    let fields = "Lattice { byte Data } @1\nLattice { byte Data } @2";
    let values = [&[1; 6][..], b"\n@2\n", &[2; 6]].concat();
    let bytes = file("AmiraMesh BINARY-LITTLE-ENDIAN 2.1", "", fields, &values);
    let options = ReadOptions { dataset: Some("Data@2".to_owned()), ..ReadOptions::default() };
    assert_eq!(ids(&read(&bytes, &options).unwrap()), [2; 6]);
}

#[test]
fn the_place_keeps_its_digits_and_a_single_plane_its_thickness() {
    let far = "\n    BoundingBox 50000.005 50000.045 0 20 7 9,\n";
    let one = file("AmiraMesh BINARY-LITTLE-ENDIAN 2.1", "", "Lattice { byte Data } @1", &[0; 6]);
    let text = String::from_utf8(one).unwrap();
    let text = text.replace("\n    BoundingBox 10 50 0 20 5 5,\n", far).replace("\"nm\"", "\"um\"");
    let header = plain(text.as_bytes()).header;
    assert_eq!(header.origin_um, [7.0, 0.0, 50_000.005]);
    assert_eq!(header.voxel_um, Some([2.0, 20.0, 0.02]));
}

#[test]
fn coordinates_of_planes_are_read_where_they_are_even_and_said_where_not() {
    let little = "AmiraMesh BINARY-LITTLE-ENDIAN 2.1";
    let floats = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let with = |kind: &str, n: usize, coordinates: &[f32]| {
        let fields = "Lattice { byte Data } @1\nCoordinates { float xyz } @2";
        let values = [&[3; 6][..], b"\n@2\n", &floats(coordinates)].concat();
        let text = file(little, "", fields, &values);
        let at = text.windows(9).position(|part| part == b"\"uniform\"").unwrap();
        let (head, rest) = (String::from_utf8(text[..at].to_vec()).unwrap(), &text[at + 9..]);
        let head =
            head.replace("define Lattice 3 2 1", &format!("define Lattice 3 1 2\ndefine Coordinates {n}"));
        plain(&[format!("{head}\"{kind}\"").as_bytes(), rest].concat()).header
    };
    let even = with("rectilinear", 6, &[1.0, 2.0, 3.0, 7.0, 10.0, 14.0]);
    assert_eq!((even.voxel_um, even.origin_um), (Some([0.004, 0.001, 0.001]), [0.01, 0.0, 0.001]));
    let uneven = with("rectilinear", 6, &[1.0, 2.0, 5.0, 7.0, 10.0, 14.0]);
    assert!(uneven.warnings.iter().any(|said| said.contains("along x are not evenly apart")));
    assert_eq!(uneven.voxel_um, Some([0.004, 0.002, 0.002]));
    let stacked = with("stacked", 2, &[10.0, 14.0]);
    assert_eq!(stacked.voxel_um.map(|um| [um[0], um[2]]), Some([0.004, 0.02]));
    let curved = with("curvilinear", 2, &[10.0, 14.0]);
    assert!(curved.voxel_um.is_none() && curved.warnings.iter().any(|said| said.contains("curvilinear")));
}

#[test]
fn what_is_no_volume_and_what_is_damaged_is_answered() {
    let error = |bytes: &[u8]| read(bytes, &ReadOptions::default()).unwrap_err().to_string();
    let many = "Lattice { byte D } @1\n".repeat(2000);
    let many = format!("# AmiraMesh 3D ASCII 2.0\ndefine Lattice 1 1 1\n{many}@1\n1\n");
    assert!(error(many.as_bytes()).contains("1000 fields"));
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
    for many in ["a\n".repeat(1 << 20), "a {".repeat(100)] {
        let text = String::from_utf8_lossy(&good).replace("Parameters {", &format!("Parameters {{ {many}"));
        assert!(read(text.as_bytes(), &ReadOptions::default()).is_err());
    }
    let unsized_box = String::from_utf8_lossy(&good).replace("Units { Coordinates \"nm\" }", "");
    let header = plain(unsized_box.as_bytes()).header;
    assert_eq!((header.voxel_um, header.ratios), (None, Some([1.0; 3])));
}
