//! Tests of io::npy.

use super::*;
use crate::volume::AnyArray;
use ndarray::Array3;

use crate::base::{MemoryBudget, Unit};
use crate::io::{Loaded, ReadOptions, read_array, read_array_of, write_array};
use proptest::prelude::*;

fn read_bytes(bytes: &[u8]) -> Result<AnyArray, IoError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npy");
    std::fs::write(&path, bytes).unwrap();
    Ok(read_array(&path, &Progress::new(), MemoryBudget::from_gib(0.1))?.array)
}

fn file(text: &str, data: &[u8]) -> Vec<u8> {
    let n = u16::try_from(text.len()).unwrap().to_le_bytes();
    [&MAGIC[..], &[1, 0], &n, text.as_bytes(), data].concat()
}

#[test]
fn every_type_comes_back_and_the_sidecar_carries_frame_and_unit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npy");
    let base = Array3::from_shape_fn((2, 3, 4), |(z, y, x)| (z * 12 + y * 4 + x) as f64);
    for array in [
        AnyArray::U8(base.mapv(|v| v as u8)),
        AnyArray::I8(base.mapv(|v| v as i8 - 9)),
        AnyArray::U16(base.mapv(|v| v as u16 * 2000)),
        AnyArray::I16(base.mapv(|v| v as i16 - 1000)),
        AnyArray::U32(base.mapv(|v| v as u32 * 100_000_000)),
        AnyArray::I32(base.mapv(|v| -(v as i32))),
        AnyArray::F32(base.mapv(|v| v as f32 / 3.0)),
        AnyArray::F64(base.mapv(|v| v / 7.0)),
    ] {
        let request = WriteRequest {
            voxel_um: Some([0.3, 0.2, 0.1]),
            origin_um: [1.0, 2.0, 3.0],
            unit: Some(Unit::PerUm),
            metadata: [("sample".to_owned(), "Hefe µ".to_owned())].into(),
            ..WriteRequest::new(&array)
        };
        assert_eq!(write_array(&path, &request, &Progress::new()).unwrap(), Vec::<String>::new());
        let loaded = read_array(&path, &Progress::new(), MemoryBudget::from_gib(0.1)).unwrap();
        assert_eq!(loaded.array, array);
        let header = loaded.header;
        assert_eq!((header.voxel_um, header.origin_um), (Some([0.3, 0.2, 0.1]), [1.0, 2.0, 3.0]));
        assert_eq!((header.unit, header.metadata["sample"].as_str()), (Some(Unit::PerUm), "Hefe µ"));
    }
    // Written again without anything to say: the old sidecar must not lie about the new file.
    write_array(&path, &WriteRequest::new(&base), &Progress::new()).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn fortran_order_big_endian_and_wide_integers_are_read() {
    let data: Vec<u8> = (0..6u16).flat_map(u16::to_be_bytes).collect();
    let text = "{'descr': '>u2', 'fortran_order': True, 'shape': (1, 2, 3), }\n";
    let array = read_bytes(&file(text, &data)).unwrap();
    // Column-major: the first axis runs fastest, so element (0, 1, 0) is the second value.
    assert_eq!(array, AnyArray::U16(Array3::from_shape_vec((1, 2, 3), vec![0, 2, 4, 1, 3, 5]).unwrap()));
    let data: Vec<u8> = [-7i64, 1 << 40].iter().flat_map(|v| v.to_le_bytes()).collect();
    let array =
        read_bytes(&file("{'descr': '<i8', 'fortran_order': False, 'shape': (1, 2), }", &data)).unwrap();
    assert_eq!(
        array,
        AnyArray::F64(Array3::from_shape_vec((1, 1, 2), vec![-7.0, 1_099_511_627_776.0]).unwrap())
    );
}

fn load(text: &str, data: &[u8], options: &ReadOptions) -> Loaded {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npy");
    std::fs::write(&path, file(text, data)).unwrap();
    read_array_of(&path, options, &Progress::new(), MemoryBudget::from_gib(0.1)).unwrap()
}

fn values(loaded: &Loaded) -> Vec<f32> {
    loaded.array.to_f32().iter().copied().collect()
}

#[test]
fn arrays_of_every_number_of_axes_are_read() {
    let bytes: Vec<u8> = (0..48).collect();
    let none = ReadOptions::default();
    let channel = |n| ReadOptions { channel: Some(n), ..ReadOptions::default() };
    let time = |n| ReadOptions { time: Some(n), ..ReadOptions::default() };
    let text = |shape: &str, fortran: &str| {
        format!("{{'descr': '|u1', 'fortran_order': {fortran}, 'shape': {shape}, }}")
    };
    for (shape, expected) in [
        ("()", [1, 1, 1]),
        ("(48,)", [1, 1, 48]),
        ("(6, 8)", [1, 6, 8]),
        ("(2, 4, 6)", [2, 4, 6]),
        ("(1, 1, 2, 4, 6)", [2, 4, 6]),
    ] {
        let loaded = load(&text(shape, "False"), &bytes[..expected.iter().product()], &none);
        assert_eq!(loaded.array.shape(), expected, "{shape}");
        assert_eq!(
            loaded.header.warnings.len(),
            usize::from(expected[1] == 1),
            "{shape}: {:?}",
            loaded.header.warnings
        );
    }
    // (n, z, y, x): channels, or times where --time is given; Fortran order has n run fastest... in reverse.
    for fortran in ["False", "True"] {
        let at = |n: usize, z: usize, y: usize, x: usize| {
            if fortran == "True" { n + 2 * (z + 2 * (y + 3 * x)) } else { ((n * 2 + z) * 3 + y) * 4 + x }
        };
        for options in [channel(1), time(1)] {
            let loaded = load(&text("(2, 2, 3, 4)", fortran), &bytes, &options);
            assert_eq!(loaded.array.shape(), [2, 3, 4]);
            let array = loaded.array.to_f32();
            for ((z, y, x), value) in array.indexed_iter() {
                assert_eq!(*value, at(1, z, y, x) as f32, "{fortran} {z} {y} {x}");
            }
        }
    }
    let first = load(&text("(2, 2, 3, 4)", "False"), &bytes, &none);
    assert!(first.header.warnings[0].contains("channel 0 of 2"), "{:?}", first.header.warnings);
    let both = ReadOptions { channel: Some(1), time: Some(1), ..ReadOptions::default() };
    assert_eq!(values(&load(&text("(2, 3, 1, 2, 4)", "False"), &bytes, &both))[0], 32.0);
}

#[test]
fn sides_of_1_behind_x_are_left_out_and_said() {
    let bytes: Vec<u8> = (0..60).collect();
    let none = ReadOptions::default();
    for fortran in ["False", "True"] {
        for (shape, expected) in
            [("(2, 3, 4, 1)", [2, 3, 4]), ("(2, 3, 4, 1, 1)", [2, 3, 4]), ("(4, 5, 1)", [4, 5, 1])]
        {
            let text = format!("{{'descr': '|u1', 'fortran_order': {fortran}, 'shape': {shape}, }}");
            let loaded = load(&text, &bytes[..expected.iter().product()], &none);
            assert_eq!((loaded.array.shape(), loaded.header.n_channels), (expected, 1), "{shape}");
            let at = if fortran == "True" { expected[0] as f32 } else { expected[2] as f32 };
            assert_eq!(loaded.array.to_f32()[[0, 1, 0]], at, "{shape} {fortran}");
            let is_said = loaded.header.warnings.iter().any(|said| said.contains("sides of 1 behind x"));
            assert_eq!(is_said, expected[2] > 1, "{:?}", loaded.header.warnings);
        }
    }
    let colours: Vec<u8> = (0..150).collect();
    let text = "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 2, 5, 5, 3), }";
    let blue = load(text, &colours, &ReadOptions { channel: Some(2), ..ReadOptions::default() });
    assert_eq!((blue.array.shape(), values(&blue)[1]), ([2, 5, 5], 5.0));
}

#[test]
fn colours_halves_truth_values_and_complex_numbers_are_read() {
    let none = ReadOptions::default();
    let second = ReadOptions { channel: Some(1), ..ReadOptions::default() };
    let colours: Vec<u8> = (0..150).collect();
    let loaded = load("{'descr': '|u1', 'fortran_order': False, 'shape': (2, 5, 5, 3), }", &colours, &second);
    assert_eq!((loaded.array.shape(), values(&loaded)[2]), ([2, 5, 5], 7.0));
    let halves: Vec<u8> = [0.5f32, -2.0].iter().flat_map(|v| half::f16::from_f32(*v).to_be_bytes()).collect();
    assert_eq!(
        values(&load("{'descr': '>f2', 'fortran_order': False, 'shape': (1, 2), }", &halves, &none)),
        [0.5, -2.0]
    );
    assert_eq!(
        values(&load("{'descr': '|b1', 'fortran_order': False, 'shape': (1, 2), }", &[0, 1], &none)),
        [0.0, 1.0]
    );
    let complex: Vec<u8> = [1f64, 2.0, 3.0, 4.0].iter().flat_map(|v| v.to_be_bytes()).collect();
    for (options, expected) in [(&none, [1.0, 3.0]), (&second, [2.0, 4.0])] {
        let loaded = load("{'descr': '>c16', 'fortran_order': False, 'shape': (1, 2), }", &complex, options);
        assert_eq!((values(&loaded), loaded.array.dtype()), (expected.to_vec(), "float64"));
        assert_eq!(loaded.header.channel_names, ["real", "imaginary"]);
    }
}

#[test]
fn a_growing_file_opens_as_far_as_it_is_whole() {
    let text = "{'descr': '|u1', 'fortran_order': False, 'shape': (4, 2, 3), }";
    let loaded = load(text, &(0..20).collect::<Vec<u8>>(), &ReadOptions::default());
    assert_eq!(loaded.array.shape(), [3, 2, 3]);
    assert!(loaded.header.warnings[0].contains("the first 3 of 4 planes"), "{:?}", loaded.header.warnings);
}

#[test]
fn one_array_of_an_archive_is_read_and_others_are_named() {
    use std::io::Write as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npz");
    let mut archive = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    for (i, name) in ["volume.npy", "mask.npy"].iter().enumerate() {
        let method = [zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated][i];
        archive
            .start_file(*name, zip::write::SimpleFileOptions::default().compression_method(method))
            .unwrap();
        let text = "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 2, 2), }";
        archive.write_all(&file(text, &[i as u8; 4])).unwrap();
    }
    archive.finish().unwrap();
    let read = |dataset: Option<&str>| {
        let options = ReadOptions { dataset: dataset.map(str::to_owned), ..ReadOptions::default() };
        read_array_of(&path, &options, &Progress::new(), MemoryBudget::from_gib(0.1))
    };
    let first = read(None).unwrap();
    assert_eq!(values(&first), [0.0; 4]);
    assert!(first.header.warnings[0].contains("volume of 2") && first.header.warnings[0].contains("mask"));
    assert_eq!(values(&read(Some("mask")).unwrap()), [1.0; 4]);
    assert!(read(Some("other")).unwrap_err().to_string().contains("volume, mask"));
}

#[test]
fn damaged_files_are_answered() {
    for (text, part) in [
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (10, 10, 10), }", "not one whole plane"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999, 9), }", "2^64"),
        ("{'descr': '<f16', 'fortran_order': False, 'shape': (1, 1, 1), }", "<f16"),
        ("{'descr': '<U5', 'fortran_order': False, 'shape': (1, 1, 1), }", "text"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (1, 1, 1), }", "objects"),
        ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1, 1, 1), }", "records"),
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2, 2, 2, 2, 3), }", "3 axes"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 5, 5), }", "empty"),
        ("nonsense", "records"),
    ] {
        let text = read_bytes(&file(text, &[0; 16])).unwrap_err().to_string();
        assert!(text.contains(part), "{part}: {text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn mutated_headers_never_panic(changes in prop::collection::vec((0usize..80, any::<u8>()), 1..6)) {
        let mut bytes = file("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 2), }", &[1; 16]);
        for (at, value) in changes {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        drop(read_bytes(&bytes));
    }
}
