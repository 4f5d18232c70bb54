//! Tests of io::tiff.

use super::*;
use crate::base::Unit;
use crate::io::{ReadOptions, read_array, read_array_of, write_array};
use crate::volume::ClassTable;
use proptest::prelude::*;

fn budget() -> MemoryBudget {
    MemoryBudget::from_gib(0.5)
}

#[test]
fn every_type_comes_back_with_frame_unit_and_classes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tif");
    let base = Array3::from_shape_fn((3, 4, 5), |(z, y, x)| (z * 20 + y * 5 + x) as f64);
    let classes = ClassTable::from_names(["nucleus"]);
    for array in [
        AnyArray::U8(base.mapv(|v| v as u8)),
        AnyArray::I8(base.mapv(|v| v as i8 - 30)),
        AnyArray::U16(base.mapv(|v| v as u16 * 1000)),
        AnyArray::I16(base.mapv(|v| v as i16 - 300)),
        AnyArray::U32(base.mapv(|v| v as u32 * 70_000_000)),
        AnyArray::I32(base.mapv(|v| -(v as i32))),
        AnyArray::F32(base.mapv(|v| v as f32 / 3.0)),
        AnyArray::F64(base.mapv(|v| v / 7.0)),
    ] {
        let request = WriteRequest {
            voxel_um: Some([0.03, 0.0123457, 0.01]),
            origin_um: [1.0, -2.0, 3.5],
            unit: Some(Unit::PerUm),
            classes: Some(&classes),
            energy_ev: Some(520.0),
            metadata: [("note".to_owned(), "µ \"quoted\"".to_owned())].into(),
            ..WriteRequest::new(&array)
        };
        assert_eq!(write_array(&path, &request, &Progress::new()).unwrap(), Vec::<String>::new());
        let loaded = read_array(&path, &Progress::new(), budget()).unwrap();
        assert_eq!(loaded.array, array);
        let header = loaded.header;
        assert_eq!(header.voxel_um, Some([0.03, 0.0123457, 0.01]));
        assert_eq!(header.origin_um, [1.0, -2.0, 3.5]);
        assert_eq!((header.unit, header.energy_ev), (Some(Unit::PerUm), Some(520.0)));
        assert_eq!(header.classes.as_ref(), Some(&classes));
        assert_eq!(header.metadata["note"], "µ \"quoted\"");
        assert_eq!(header.warnings, Vec::<String>::new());
    }
}

#[test]
fn channels_of_a_hyperstack_and_of_colours_are_told_apart() {
    use tiff::encoder::{TiffEncoder, colortype};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h.tif");
    let mut encoder = TiffEncoder::new(File::create(&path).unwrap()).unwrap();
    for page in 0..6u8 {
        let mut image = encoder.new_image::<colortype::Gray8>(2, 1).unwrap();
        if page == 0 {
            let text = "ImageJ=1.53\nimages=6\nchannels=2\nslices=3\nunit=nm\nspacing=200\n";
            image.encoder().write_tag(Tag::ImageDescription, text).unwrap();
        }
        image.write_data(&[page, page + 100]).unwrap();
    }
    let loaded = read_array_of(&path, &channel(1), &Progress::new(), budget()).unwrap();
    assert_eq!(
        loaded.array,
        AnyArray::U8(Array3::from_shape_vec((3, 1, 2), vec![1, 101, 3, 103, 5, 105]).unwrap())
    );
    assert_eq!(loaded.header.n_channels, 2);

    let mut encoder = TiffEncoder::new(File::create(&path).unwrap()).unwrap();
    let mut image = encoder.new_image::<colortype::Gray8>(2, 1).unwrap();
    image.x_resolution(tiff::encoder::Rational { n: 15384615, d: 1000000 });
    image.y_resolution(tiff::encoder::Rational { n: 15384615, d: 1000000 });
    image.encoder().write_tag(Tag::ImageDescription, "ImageJ=1.53c\nunit=micron\n").unwrap();
    image.write_data(&[0, 1]).unwrap();
    let voxel = read_array(&path, &Progress::new(), budget()).unwrap().header.voxel_um.unwrap();
    assert!((voxel[2] - 0.065).abs() < 1e-6 && voxel[1] == voxel[2], "{voxel:?}");

    let mut encoder = TiffEncoder::new(File::create(&path).unwrap()).unwrap();
    encoder.write_image::<colortype::RGB8>(2, 1, &[1, 2, 3, 4, 5, 6]).unwrap();
    let loaded = read_array_of(&path, &channel(2), &Progress::new(), budget()).unwrap();
    assert_eq!(loaded.array, AnyArray::U8(Array3::from_shape_vec((1, 1, 2), vec![3, 6]).unwrap()));
}

/// A file as ImageJ writes stacks over 4 GiB: one directory, three planes of 2 × 2 uint16 behind it.
fn one_directory(n_planes: u16) -> Vec<u8> {
    let text = format!("ImageJ=1.53\nimages={n_planes}\nslices={n_planes}\n\0");
    let n_text = u32::try_from(text.len()).unwrap();
    let entries: [(u16, u16, u32, u32); 10] = [
        (256, 3, 1, 2),
        (257, 3, 1, 2),
        (258, 3, 1, 16),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (270, 2, n_text, 134),
        (273, 4, 1, 134 + n_text),
        (277, 3, 1, 1),
        (278, 3, 1, 2),
        (279, 4, 1, 8),
    ];
    let mut bytes = b"II\x2a\0\x08\0\0\0\x0a\0".to_vec();
    for (tag, kind, n, value) in entries {
        bytes.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
        bytes.extend([n.to_le_bytes(), value.to_le_bytes()].concat());
    }
    bytes.extend([0; 4]);
    bytes.extend(text.as_bytes());
    bytes.extend((0..12u16).flat_map(u16::to_le_bytes));
    bytes
}

#[test]
fn image_j_stacks_of_one_directory_are_read_and_checked_for_length() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.tif");
    std::fs::write(&path, one_directory(3)).unwrap();
    let loaded = read_array(&path, &Progress::new(), budget()).unwrap();
    assert_eq!(loaded.array, AnyArray::U16(Array3::from_shape_vec((3, 2, 2), (0..12).collect()).unwrap()));
    std::fs::write(&path, one_directory(4)).unwrap();
    let text = read_array(&path, &Progress::new(), budget()).unwrap_err().to_string();
    assert!(text.contains("promises 4 planes"), "{text}");
}

#[test]
fn truncated_and_hostile_files_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tif");
    write_array(&path, &WriteRequest::new(&Array3::<f32>::zeros((3, 20, 30))), &Progress::new()).unwrap();
    let whole = std::fs::read(&path).unwrap();
    for keep in [5, 100, 3000, whole.len() - 10] {
        std::fs::write(&path, &whole[..keep]).unwrap();
        assert!(read_array(&path, &Progress::new(), budget()).is_err(), "{keep} bytes");
    }
    std::fs::write(&path, &whole).unwrap();
    let error = read_array(&path, &Progress::new(), MemoryBudget { bytes: 5000 }).unwrap_err();
    assert!(matches!(error, IoError::Memory { .. }), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn mutated_files_never_panic(changes in prop::collection::vec((0usize..2000, any::<u8>()), 1..8)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tif");
        write_array(&path, &WriteRequest::new(&Array3::<u16>::zeros((2, 4, 5))), &Progress::new()).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        for (at, value) in changes {
            let n = bytes.len();
            bytes[at % n] = value;
        }
        std::fs::write(&path, &bytes).unwrap();
        drop(read_array(&path, &Progress::new(), MemoryBudget::from_gib(0.05)));
    }
}

fn channel(n: usize) -> ReadOptions {
    ReadOptions { channel: Some(n), ..ReadOptions::default() }
}
