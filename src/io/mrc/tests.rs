//! Tests of io::mrc.

use super::*;
use crate::base::MemoryBudget;
use crate::io::{Loaded, read_array, write_array};
use proptest::prelude::*;

fn read(path: &Path) -> Result<Loaded, IoError> {
    read_array(path, &Progress::new(), MemoryBudget::from_gib(1.0))
}

fn ramp<T: FileVoxel>(shape: [usize; 3], value: impl Fn(usize) -> T) -> Array3<T> {
    let mut n = 0;
    Array3::from_shape_simple_fn(shape, || {
        n += 1;
        value(n - 1)
    })
}

fn round_trip<T: FileVoxel>(array: &Array3<T>) -> Loaded {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mrc");
    let request = WriteRequest {
        voxel_um: Some([0.03, 0.02, 0.0123456]),
        origin_um: [1.5, -2.25, 100.0],
        unit: Some(Unit::PerUm),
        energy_ev: Some(520.0),
        ..WriteRequest::new(array)
    };
    let losses = write_array(&path, &request, &Progress::new()).unwrap();
    assert_eq!(losses, Vec::<String>::new());
    read(&path).unwrap()
}

fn check_type<T: FileVoxel>(value: impl Fn(usize) -> T) {
    let array = ramp([3, 4, 5], value);
    let loaded = round_trip(&array);
    assert_eq!(loaded.array, T::wrap(array));
    assert_eq!(loaded.header.voxel_um, Some([0.03, 0.02, 0.0123456]));
    assert_eq!(loaded.header.origin_um, [1.5, -2.25, 100.0]);
    assert_eq!(loaded.header.unit, Some(Unit::PerUm));
    assert_eq!(loaded.header.energy_ev, Some(520.0));
    assert_eq!(loaded.header.kind, Kind::Volume);
}

#[test]
fn every_stored_type_comes_back_with_frame_and_unit() {
    check_type(|i| u8::try_from(i * 4).unwrap());
    check_type(|i| i8::try_from(i).unwrap() * 2 - 100);
    check_type(|i| u16::try_from(i * 1000).unwrap());
    check_type(|i| i16::try_from(i * 1000).unwrap_or(31000) - 30000);
    check_type(|i| i as f32 * 0.1 - 3.0);
}

#[test]
fn types_without_a_mode_are_stored_exactly_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mrc");
    let write = |array: &AnyArray| write_array(&path, &WriteRequest::new(array), &Progress::new());
    for (array, stored) in [
        (AnyArray::U32(ramp([1, 2, 3], |i| u32::try_from(i).unwrap() * 13000)), "uint16"),
        (AnyArray::U32(ramp([1, 2, 3], |i| u32::try_from(i).unwrap() * 3_000_000)), "float32"),
        (AnyArray::I32(ramp([1, 2, 3], |i| i32::try_from(i).unwrap() - 3)), "int16"),
        (AnyArray::F64(ramp([1, 2, 3], |i| i as f64 + 0.5)), "float32"),
    ] {
        let losses = write(&array).unwrap();
        assert!(losses[0].contains(stored), "{losses:?}");
        let back = read(&path).unwrap().array;
        assert_eq!(back.dtype(), stored);
        assert_eq!(back.to_f32(), array.to_f32());
    }
    let too_large = AnyArray::U32(Array3::from_elem((1, 1, 2), (1 << 24) + 1));
    let text = write(&too_large).unwrap_err().to_string();
    assert!(text.contains("2^24") && text.contains("16777217"), "{text}");
}

/// The bytes of a small file of mode `mode` whose data are `data`.
fn file_bytes(shape: [usize; 3], mode: i32, data: &[u8]) -> Vec<u8> {
    let new = NewHeader {
        shape,
        dtype: Dtype::U8,
        voxel_um: None,
        origin_um: [0.0; 3],
        statistics: [0.0; 4],
        is_stack: false,
        labels: &[],
    };
    let mut bytes = header::build(&new).unwrap().to_vec();
    bytes[12..16].copy_from_slice(&mode.to_le_bytes());
    bytes.extend_from_slice(data);
    bytes
}

fn read_bytes(bytes: &[u8]) -> Result<Loaded, IoError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mrc");
    std::fs::write(&path, bytes).unwrap();
    read(&path)
}

/// The same file in the other byte order: every 4-byte word of the header, every value of `width` bytes.
fn swapped(bytes: &[u8], width: usize) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for (at, word) in out[..1024].chunks_exact_mut(4).enumerate() {
        if !(208 / 4..224 / 4 - 1).contains(&at) && at < 224 / 4 {
            word.reverse();
        }
    }
    out[212..216].copy_from_slice(&[0x11, 0x11, 0, 0]);
    out[1024..].chunks_exact_mut(width).for_each(<[u8]>::reverse);
    out
}

#[test]
fn big_endian_half_floats_and_nonsense_stamps_are_read() {
    let data: Vec<u8> = [1i16, -2, 300, -400].iter().flat_map(|v| v.to_le_bytes()).collect();
    let little = file_bytes([1, 2, 2], 1, &data);
    let expected = AnyArray::I16(Array3::from_shape_vec((1, 2, 2), vec![1, -2, 300, -400]).unwrap());
    assert_eq!(read_bytes(&little).unwrap().array, expected);
    let big = swapped(&little, 2);
    assert_eq!(read_bytes(&big).unwrap().array, expected);
    for stamp in [[0, 0, 0, 0], [0x11, 0x11, 0, 0], [0xff; 4]] {
        let mut bytes = little.clone();
        bytes[212..216].copy_from_slice(&stamp);
        assert_eq!(read_bytes(&bytes).unwrap().array, expected, "stamp {stamp:?}");
    }
    let mut lying = big;
    lying[212..216].copy_from_slice(&[0x44, 0x44, 0, 0]);
    let loaded = read_bytes(&lying).unwrap();
    assert_eq!(loaded.array, expected);
    assert!(loaded.header.warnings[0].contains("byte-order"), "{:?}", loaded.header.warnings);

    let halves: Vec<u8> =
        [1.5f32, -0.25].iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect();
    let loaded = read_bytes(&file_bytes([1, 1, 2], 12, &halves)).unwrap();
    assert_eq!(loaded.array, AnyArray::F32(Array3::from_shape_vec((1, 1, 2), vec![1.5, -0.25]).unwrap()));
}

#[test]
fn bytes_are_signed_by_flag_then_by_range_then_by_version() {
    let mut bytes = file_bytes([1, 1, 2], 0, &[1, 200]);
    assert_eq!(read_bytes(&bytes).unwrap().array.dtype(), "uint8");
    bytes[156..160].copy_from_slice(&5i32.to_le_bytes());
    assert_eq!(read_bytes(&bytes).unwrap().array.dtype(), "int8");
    bytes[152..160].fill(0);
    assert_eq!(read_bytes(&bytes).unwrap().array.dtype(), "int8", "MRC2014 without flags");
    bytes[80..84].copy_from_slice(&200f32.to_le_bytes());
    assert_eq!(read_bytes(&bytes).unwrap().array.dtype(), "uint8", "a maximum of 200 is unsigned");
    bytes[80..84].fill(0);
    bytes[108..112].fill(0);
    assert_eq!(read_bytes(&bytes).unwrap().array.dtype(), "uint8", "before MRC2014");
}

#[test]
fn damaged_and_hostile_files_get_one_clear_sentence() {
    let good = file_bytes([2, 3, 4], 2, &[0; 96]);
    let with = |at: usize, value: i32| {
        let mut bytes = good.clone();
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        bytes
    };
    for (bytes, part) in [
        (good[..1100].to_vec(), "need 1120 bytes, the file has 1100"),
        (good[..500].to_vec(), "truncated"),
        (with(12, 3), "complex"),
        (with(12, 77), "mode 77"),
        (with(0, 0), "not an MRC file"),
        (with(0, -5), "not an MRC file"),
        (with(0, 1 << 24), "truncated"),
        (with(92, -1), "extended header of -1"),
        (with(92, i32::MAX), "truncated"),
    ] {
        let text = read_bytes(&bytes).unwrap_err().to_string();
        assert!(text.contains(part), "{part}: {text}");
    }
    let mut huge = good;
    for at in [0, 4, 8] {
        huge[at..at + 4].copy_from_slice(&(1i32 << 24).to_le_bytes());
    }
    let text = read_bytes(&huge).unwrap_err().to_string();
    assert!(text.contains("more than 2^64"), "{text}");
}

#[test]
fn over_budget_is_refused_with_numbers_and_cancel_stops() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mrc");
    std::fs::write(&path, file_bytes([2, 300, 400], 2, &vec![0; 960_000])).unwrap();
    let budget = MemoryBudget { bytes: 900_000 };
    let error = read_array(&path, &Progress::new(), budget).unwrap_err();
    assert!(matches!(error, IoError::Memory { .. }), "{error}");
    let cancelled = Progress::new();
    cancelled.cancel();
    let error = read_array(&path, &cancelled, MemoryBudget::from_gib(1.0)).unwrap_err();
    assert!(matches!(error, IoError::Cancelled(_)), "{error}");
}

/// A stack of `n` one-pixel views with this extended header.
fn stack_with(n: usize, kind: [u8; 4], n_int_real: [i16; 2], extended: &[u8]) -> Vec<u8> {
    let mut bytes = file_bytes([n, 1, 1], 0, &[]);
    bytes[92..96].copy_from_slice(&i32::try_from(extended.len()).unwrap().to_le_bytes());
    bytes[104..108].copy_from_slice(&kind);
    bytes[128..130].copy_from_slice(&n_int_real[0].to_le_bytes());
    bytes[130..132].copy_from_slice(&n_int_real[1].to_le_bytes());
    bytes.extend_from_slice(extended);
    bytes.extend_from_slice(&vec![7; n]);
    bytes
}

#[test]
fn tilt_angles_come_out_of_every_extended_header() {
    let tilts = [-60.25f64, 0.0, 12.5];
    let serial: Vec<u8> =
        [-6025i16, 0, 1250].iter().flat_map(|t| [t.to_le_bytes(), [9, 9]].concat()).collect();
    let mut fei = Vec::new();
    for tilt in tilts {
        let mut record = vec![0u8; 768];
        record[..4].copy_from_slice(&768i32.to_le_bytes());
        record[100..108].copy_from_slice(&tilt.to_le_bytes());
        record[156..164].copy_from_slice(&1.25e-8f64.to_le_bytes());
        fei.extend_from_slice(&record);
    }
    let agard: Vec<u8> = tilts
        .iter()
        .flat_map(|t| {
            [7i32.to_le_bytes(), 1f32.to_le_bytes(), [0; 4]]
                .concat()
                .into_iter()
                .enumerate()
                .map(|(i, b)| if (4..8).contains(&i) { (*t as f32).to_le_bytes()[i - 4] } else { b })
                .collect::<Vec<_>>()
        })
        .collect();
    // SerialEM: tilt and magnification, 4 bytes a section, flags 1 + 8.
    for (kind, n_int_real, extended) in [
        (*b"SERI", [4, 9], &serial),
        (*b"FEI1", [0, 0], &fei),
        (*b"\0\0\0\0", [1, 2], &agard),
        (*b"\0\0\0\0", [4, 9], &serial),
    ] {
        let loaded = read_bytes(&stack_with(3, kind, n_int_real, extended)).unwrap();
        assert_eq!(loaded.header.angles_deg, tilts, "{kind:?}");
        assert_eq!(loaded.header.kind, Kind::Scan);
        assert_eq!(loaded.array.stats().unwrap().min, 7.0, "the values begin after the extended header");
        if kind == *b"FEI1" {
            assert_eq!(loaded.header.voxel_um, Some([0.0125; 3]));
        }
    }
    let nonsense = read_bytes(&stack_with(3, *b"FEI1", [0, 0], &[0xff; 3000])).unwrap();
    assert_eq!(nonsense.header.angles_deg, Vec::<f64>::new());
}

#[test]
fn a_stack_of_one_angstrom_has_no_known_pixel() {
    let mut bytes = file_bytes([2, 1, 1], 0, &[1, 2]);
    bytes[40..52].copy_from_slice(&[1f32, 1.0, 2.0].map(f32::to_le_bytes).concat());
    bytes[88..92].fill(0);
    bytes[224..304].fill(b' ');
    let loaded = read_bytes(&bytes).unwrap();
    assert_eq!(loaded.header.voxel_um, None);
    assert!(loaded.header.warnings[0].contains("1 Å"), "{:?}", loaded.header.warnings);
    bytes[88..92].copy_from_slice(&1i32.to_le_bytes());
    assert_eq!(read_bytes(&bytes).unwrap().header.voxel_um, Some([1e-4; 3]), "a map means it");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn mutated_headers_never_panic(changes in prop::collection::vec((0usize..1200, any::<u8>()), 1..12), keep in 0usize..1400) {
        let mut bytes = stack_with(3, *b"FEI1", [0, 0], &[3; 300]);
        for (at, value) in changes {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        bytes.truncate(keep.max(1));
        drop(read_bytes(&bytes));
    }
}
