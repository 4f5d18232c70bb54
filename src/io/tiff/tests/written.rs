//! What is written comes back, and lies where other programs look for it.

use ndarray::Array3;

use super::*;
use crate::base::Unit;
use crate::io::format::WriteRequest;
use crate::io::write_array;
use crate::volume::ClassTable;

fn every_type() -> [AnyArray; 8] {
    let base = Array3::from_shape_fn((3, 4, 5), |(z, y, x)| (z * 20 + y * 5 + x) as f64);
    [
        AnyArray::U8(base.mapv(|v| v as u8)),
        AnyArray::I8(base.mapv(|v| v as i8 - 30)),
        AnyArray::U16(base.mapv(|v| v as u16 * 1000)),
        AnyArray::I16(base.mapv(|v| v as i16 - 300)),
        AnyArray::U32(base.mapv(|v| v as u32 * 70_000_000)),
        AnyArray::I32(base.mapv(|v| -(v as i32))),
        AnyArray::F32(base.mapv(|v| v as f32 / 3.0)),
        AnyArray::F64(base.mapv(|v| v / 7.0)),
    ]
}

#[test]
fn every_type_comes_back_with_frame_unit_and_classes() {
    let folder = tempfile::tempdir().unwrap();
    let classes = ClassTable::from_names(["nucleus"]);
    for (name, array) in
        ["a.tif", "a.ome.tif"].iter().flat_map(|name| every_type().map(|array| (name, array)))
    {
        let path = folder.path().join(name);
        let request = WriteRequest {
            voxel_um: Some([0.03, 0.0123457, 0.01]),
            origin_um: [1.0, -2.0, 3.5],
            unit: Some(Unit::PerUm),
            classes: Some(&classes),
            energy_ev: Some(520.0),
            metadata: [("note".to_owned(), "µ \"quoted\" <&>".to_owned())].into(),
            ..WriteRequest::new(&array)
        };
        let losses = write_array(&path, &request, &Progress::new()).unwrap();
        // Plain TIFF has no tag for the distance of planes, and ImageJ does not read every type.
        let is_plain = *name == "a.tif" && !matches!(array.dtype(), "uint8" | "uint16" | "int16" | "float32");
        assert_eq!(losses.len(), usize::from(is_plain), "{losses:?}");
        assert!(losses.iter().all(|loss| loss.contains("0.03 µm") && loss.contains(".ome.tif")));
        let loaded = read(&path);
        assert_eq!(loaded.array, array);
        let header = loaded.header;
        assert_eq!(header.voxel_um, Some([0.03, 0.0123457, 0.01]));
        assert_eq!(header.origin_um, [1.0, -2.0, 3.5]);
        assert_eq!((header.unit, header.energy_ev), (Some(Unit::PerUm), Some(520.0)));
        assert_eq!(header.classes.as_ref(), Some(&classes));
        assert_eq!(header.metadata["note"], "µ \"quoted\" <&>");
        assert_eq!(header.warnings, Vec::<String>::new());
    }
}

#[test]
fn planes_lie_in_a_row_where_image_j_looks_and_each_has_a_directory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tif");
    // An odd number of bytes: directories still begin at even places.
    let array = Array3::from_shape_fn((5, 3, 3), |(z, y, x)| (40 * z + 3 * y + x) as u8);
    let request = WriteRequest { voxel_um: Some([0.2, 0.05, 0.05]), ..WriteRequest::new(&array) };
    write_array(&path, &request, &Progress::new()).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let mut decoder = tiff::decoder::Decoder::new(std::io::Cursor::new(&bytes)).unwrap();
    let text = decoder.get_tag_ascii_string(tiff::tags::Tag::ImageDescription).unwrap();
    assert!(text.starts_with("ImageJ=") && text.contains("images=5\nslices=5\n"), "{text}");
    assert!(text.contains("unit=um\nspacing=0.2\n"), "{text}");
    let first = decoder.get_tag_u64(tiff::tags::Tag::StripOffsets).unwrap() as usize;
    assert_eq!(&bytes[first..first + 45], array.as_slice().unwrap());
    // An independent reader finds every page by its directory.
    for plane in 0..5 {
        let tiff::decoder::DecodingResult::U8(values) = decoder.read_image().unwrap() else {
            panic!("another type")
        };
        assert_eq!(values, &array.as_slice().unwrap()[9 * plane..9 * plane + 9]);
        assert_eq!(decoder.more_images(), plane < 4);
        if plane < 4 {
            decoder.next_image().unwrap();
        }
    }
}

#[test]
fn what_image_j_cannot_hold_is_not_said_to_be_its_own() {
    let folder = tempfile::tempdir().unwrap();
    for array in every_type() {
        let path = folder.path().join("a.tif");
        write_array(&path, &WriteRequest::new(&array), &Progress::new()).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let claims = bytes.windows(7).any(|w| w == b"ImageJ=");
        let holds = matches!(array.dtype(), "uint8" | "uint16" | "int16" | "float32");
        assert_eq!(claims, holds, "{}", array.dtype());
    }
}

#[test]
fn cubes_lose_nothing_in_any_type() {
    let folder = tempfile::tempdir().unwrap();
    for array in every_type() {
        let request = WriteRequest { voxel_um: Some([0.01; 3]), ..WriteRequest::new(&array) };
        let losses = write_array(&folder.path().join("a.tif"), &request, &Progress::new()).unwrap();
        assert_eq!(losses, Vec::<String>::new(), "{}", array.dtype());
    }
}

#[test]
fn streams_and_arrays_are_written_alike() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let array = Array3::from_shape_fn((7, 30, 20), |(z, y, x)| (1000 * z + 20 * y + x) as u16);
    let request = WriteRequest { voxel_um: Some([0.2, 0.05, 0.05]), ..WriteRequest::new(&array) };
    for name in ["a.tif", "a.ome.tif"] {
        write_array(&at(name), &request, &Progress::new()).unwrap();
        let copy = at(&format!("copy_of_{name}"));
        crate::io::convert(&at(name), &copy, &ReadOptions::default(), &Progress::new(), budget()).unwrap();
        assert_eq!(std::fs::read(at(name)).unwrap(), std::fs::read(copy).unwrap());
    }
    let error =
        read_array_of(&at("a.tif"), &ReadOptions::default(), &Progress::new(), MemoryBudget { bytes: 5000 });
    assert!(matches!(error, Err(IoError::Memory { .. })));
}
