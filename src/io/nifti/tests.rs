//! Tests of io::nifti: our own files, and heads changed by hand.

use std::path::Path;

use ndarray::Array3;

use crate::base::{MemoryBudget, Progress, Unit};
use crate::io::{IoError, Kind, Loaded, ReadOptions, WriteRequest, read_array_of, write_array};
use crate::volume::AnyArray;

fn read_of(path: &Path, options: &ReadOptions) -> Result<Loaded, IoError> {
    read_array_of(path, options, &Progress::new(), MemoryBudget::from_gib(0.5))
}

/// A file of 2 × 3 × 4 voxels (z, y, x) of i16 that count up.
fn counted() -> (AnyArray, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.nii");
    let array = AnyArray::I16(Array3::from_shape_fn((2, 3, 4), |(z, y, x)| (100 * z + 10 * y + x) as i16));
    let request = WriteRequest {
        voxel_um: Some([0.03, 0.02, 0.01]),
        origin_um: [3.0, 2.0, 1.0],
        ..WriteRequest::new(&array)
    };
    write_array(&path, &request, &Progress::new()).unwrap();
    (array, std::fs::read(&path).unwrap())
}

fn read(bytes: &[u8]) -> Result<Loaded, IoError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.nii");
    std::fs::write(&path, bytes).unwrap();
    read_of(&path, &ReadOptions::default())
}

fn with(bytes: &[u8], at: usize, new: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at..at + new.len()].copy_from_slice(new);
    bytes
}

/// Another matrix in `sform`.
fn placed(bytes: &[u8], rows: [[f32; 4]; 3]) -> Vec<u8> {
    let new: Vec<u8> = rows.iter().flatten().flat_map(|v| v.to_le_bytes()).collect();
    with(bytes, 280, &new)
}

fn are_close(found: [f64; 3], expected: [f64; 3]) -> bool {
    found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6)
}

#[test]
fn every_type_comes_back_packed_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let shape = (2, 3, 4);
    for name in ["a.nii", "a.nii.gz"] {
        let path = folder.path().join(name);
        for array in [
            AnyArray::U8(Array3::from_elem(shape, 200)),
            AnyArray::I8(Array3::from_elem(shape, -100)),
            AnyArray::I16(Array3::from_elem(shape, -300)),
            AnyArray::U16(Array3::from_elem(shape, 60_000)),
            AnyArray::I32(Array3::from_elem(shape, -70_000)),
            AnyArray::U32(Array3::from_elem(shape, 4_000_000_000)),
            AnyArray::F32(Array3::from_elem(shape, 0.25)),
            AnyArray::F64(Array3::from_elem(shape, 0.1)),
        ] {
            let request = WriteRequest {
                voxel_um: Some([0.03, 0.02, 0.01]),
                origin_um: [3.0, -2.0, 1.0],
                unit: Some(Unit::PerUm),
                ..WriteRequest::new(&array)
            };
            assert!(write_array(&path, &request, &Progress::new()).unwrap().is_empty());
            let back = read_of(&path, &ReadOptions::default()).unwrap();
            assert_eq!(back.array, array, "{name}");
            assert!(are_close(back.header.voxel_um.unwrap(), [0.03, 0.02, 0.01]), "{name}");
            assert!(are_close(back.header.origin_um, [3.0, -2.0, 1.0]), "{name}");
            assert_eq!(back.header.unit, Some(Unit::PerUm));
        }
    }
    let long = AnyArray::U8(Array3::from_shape_fn((1, 2, 40_000), |(_, y, x)| ((y + x) % 251) as u8));
    let path = folder.path().join("long.nii");
    let request = WriteRequest { unit: Some(Unit::Label), ..WriteRequest::new(&long) };
    write_array(&path, &request, &Progress::new()).unwrap();
    let back = read_of(&path, &ReadOptions::default()).unwrap();
    assert_eq!((back.array, back.header.kind), (long, Kind::Labels), "version 2");
}

#[test]
fn axes_are_turned_as_the_world_has_them_and_said() {
    let (array, bytes) = counted();
    let AnyArray::I16(stored) = &array else { panic!("another type") };
    // Columns run down in z, rows to x, planes to y.
    let rows = [[0.0, 0.02, 0.0, 1.0], [0.0, 0.0, 0.03, 2.0], [-0.01, 0.0, 0.0, 3.0]];
    let turned = read(&placed(&bytes, rows)).unwrap();
    let AnyArray::I16(found) = &turned.array else { panic!("another type") };
    assert_eq!(found.dim(), (4, 2, 3));
    for ((z, y, x), value) in found.indexed_iter() {
        assert_eq!(*value, stored[[y, x, 3 - z]]);
    }
    let header = turned.header;
    assert!(are_close(header.voxel_um.unwrap(), [0.01, 0.03, 0.02]), "{:?}", header.voxel_um);
    assert!(are_close(header.origin_um, [3.0 - 0.03, 2.0, 1.0]), "{:?}", header.origin_um);
    assert!(header.warnings.iter().any(|said| said.contains("yx-z")), "{:?}", header.warnings);
    // An image that was never turned, as the programs built on ITK write it.
    let itk =
        read(&placed(&bytes, [[-0.01, 0.0, 0.0, -1.0], [0.0, -0.02, 0.0, -2.0], [0.0, 0.0, 0.03, 3.0]]))
            .unwrap();
    assert_eq!((&itk.array, itk.header.warnings.len()), (&array, 0));
    assert!(are_close(itk.header.origin_um, [3.0, 2.0, 1.0]));
    let aslant =
        read(&placed(&bytes, [[0.01, 0.005, 0.0, 0.0], [-0.005, 0.02, 0.0, 0.0], [0.0, 0.0, 0.03, 0.0]]))
            .unwrap();
    assert!(aslant.array == array && aslant.header.warnings.iter().any(|said| said.contains("aslant")));
    // Without a matrix the quaternion counts: half a turn about x.
    let mut by_turn = with(&bytes, 254, &[0, 0]);
    by_turn = with(&by_turn, 256, &1f32.to_le_bytes());
    let by_turn = read(&by_turn).unwrap();
    assert!(
        by_turn.header.warnings.iter().any(|said| said.contains("-z-yx")),
        "{:?}",
        by_turn.header.warnings
    );
}

#[test]
fn scale_units_times_and_colours_are_read() {
    let (array, bytes) = counted();
    let scaled = with(&bytes, 112, &[0.5f32.to_le_bytes(), 10f32.to_le_bytes()].concat());
    let loaded = read(&scaled).unwrap();
    let AnyArray::I16(stored) = &array else { panic!("another type") };
    assert_eq!(loaded.array, AnyArray::F32(stored.mapv(|v| f32::from(v) * 0.5 + 10.0)));
    assert!(loaded.header.warnings.iter().any(|said| said.contains("0.5 times") && said.contains("10 more")));
    let unknown = read(&with(&bytes, 123, &[0])).unwrap().header;
    assert_eq!(unknown.voxel_um, None);
    assert!(are_close(unknown.ratios.unwrap(), [3.0, 2.0, 1.0]));
    assert!(are_close(read(&with(&bytes, 123, &[2])).unwrap().header.voxel_um.unwrap(), [30.0, 20.0, 10.0]));
    // Two times of one plane.
    let times: Vec<u8> = [4i16, 4, 3, 1, 2, 1, 1, 1].iter().flat_map(|n| n.to_le_bytes()).collect();
    let header = read(&with(&bytes, 40, &times)).unwrap().header;
    assert_eq!((header.shape, header.n_times), ([1, 3, 4], 2));
    // The same bytes as pictures in two colours that are complex: 12 pairs of f32 are as many bytes as 24 of i16 times two.
    let colours: Vec<u8> = [3i16, 4, 2, 2, 1, 1, 1, 1].iter().flat_map(|n| n.to_le_bytes()).collect();
    let rgb = with(&with(&bytes, 40, &colours), 70, &128i16.to_le_bytes());
    let header = read(&rgb).unwrap().header;
    assert_eq!((header.n_channels, header.dtype.name()), (3, "uint8"));
}

#[test]
fn pairs_and_analyze_are_read_and_damage_is_answered() {
    let (array, bytes) = counted();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.hdr");
    let head = with(&bytes[..348], 344, b"ni1\0");
    std::fs::write(&path, with(&head, 108, &0f32.to_le_bytes())).unwrap();
    let alone = read_of(&path, &ReadOptions::default()).unwrap_err().to_string();
    assert!(alone.contains(".img"), "{alone}");
    std::fs::write(folder.path().join("a.img"), &bytes[352..]).unwrap();
    assert_eq!(read_of(&path, &ReadOptions::default()).unwrap().array, array);
    std::fs::write(&path, with(&head, 344, &[0; 4])).unwrap();
    let analyze = read_of(&path, &ReadOptions::default()).unwrap();
    assert_eq!(analyze.array, array);
    assert!(analyze.header.warnings.iter().any(|said| said.contains("Analyze 7.5")));
    for cut in [4, 200, 347, 351] {
        assert!(read(&bytes[..cut]).is_err(), "{cut}");
    }
    for (at, new) in [
        (40, vec![9, 0]),
        (42, vec![0, 0]),
        (42, vec![255, 127, 255, 127, 255, 127]),
        (70, 1i16.to_le_bytes().to_vec()),
        (70, 7i16.to_le_bytes().to_vec()),
        (108, f32::NAN.to_le_bytes().to_vec()),
    ] {
        let read = read(&with(&bytes, at, &new));
        assert!(read.is_err() || at == 108, "{at}");
    }
}
