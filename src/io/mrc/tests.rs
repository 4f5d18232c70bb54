//! Tests of io::mrc.

use ndarray::Array3;
use proptest::prelude::*;

use super::write::{NewHeader, build};
use super::*;
use crate::base::MemoryBudget;
use crate::io::{Dtype, FileVoxel, Loaded, ReadOptions, read_array, read_array_of, write_array};
use crate::volume::AnyArray;

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
        // Bytes of mode 0 are signed for whoever follows MRC2014: mrcfile would read 200 as -56.
        (AnyArray::U8(ramp([1, 2, 3], |i| u8::try_from(i).unwrap() * 50)), "uint16"),
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
        dtype: Dtype::I8,
        voxel_um: None,
        origin_um: [0.0; 3],
        statistics: [0.0; 4],
        is_stack: false,
        labels: &[],
    };
    let mut bytes = build(&new).unwrap().to_vec();
    bytes[12..16].copy_from_slice(&mode.to_le_bytes());
    // IMOD's flags say that bytes are unsigned.
    bytes[156..160].copy_from_slice(&4i32.to_le_bytes());
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
        (good[..1050].to_vec(), "need 1120 bytes, the file has 1050 and not one whole plane"),
        (good[..500].to_vec(), "truncated"),
        (with(12, 77), "mode 77"),
        (with(0, 0), "not an MRC file"),
        (with(0, -5), "not an MRC file"),
        (with(0, 1 << 24), "not one whole plane"),
        (with(92, -1), "extended header of -1"),
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

/// Sets 4-byte words of a header.
fn edited(mut bytes: Vec<u8>, words: &[(usize, i32)]) -> Vec<u8> {
    for (at, value) in words {
        bytes[*at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    bytes
}

fn read_part(bytes: &[u8], options: &ReadOptions) -> Loaded {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mrc");
    std::fs::write(&path, bytes).unwrap();
    read_array_of(&path, options, &Progress::new(), MemoryBudget::from_gib(0.1)).unwrap()
}

fn channel(channel: usize) -> ReadOptions {
    ReadOptions { channel: Some(channel), ..ReadOptions::default() }
}

fn f32s(loaded: &Loaded) -> Vec<f32> {
    loaded.array.to_f32().iter().copied().collect()
}

#[test]
fn complex_colour_and_packed_modes_are_read() {
    let shorts: Vec<u8> = [1i16, -2, 3, -4].iter().flat_map(|v| v.to_le_bytes()).collect();
    let floats: Vec<u8> = [1f32, -2.0, 3.0, -4.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    for (mode, data) in [(3, shorts), (4, floats)] {
        let bytes = file_bytes([1, 1, 2], mode, &data);
        assert_eq!(f32s(&read_part(&bytes, &channel(0))), [1.0, 3.0]);
        let loaded = read_part(&bytes, &channel(1));
        assert_eq!(f32s(&loaded), [-2.0, -4.0]);
        assert_eq!(loaded.header.channel_names, ["real", "imaginary"]);
    }
    let colours = file_bytes([1, 1, 2], 16, &[1, 2, 3, 4, 5, 6]);
    assert_eq!(f32s(&read_part(&colours, &channel(2))), [3.0, 6.0]);
    // Rows of odd width begin with a byte of their own, the left value is the low half.
    let packed = file_bytes([1, 2, 3], 101, &[0x21, 0x03, 0x54, 0x06]);
    let loaded = read_part(&packed, &ReadOptions::default());
    assert_eq!((f32s(&loaded), loaded.array.dtype()), (vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "uint8"));
}

#[test]
fn axes_in_any_order_are_turned_with_their_voxels_and_place() {
    // Columns run along z, rows along x, sections along y.
    let data: Vec<u8> = (0..24u8).collect();
    let mut bytes =
        edited(file_bytes([2, 3, 4], 0, &data), &[(64, 3), (68, 1), (72, 2), (28, 3), (32, 2), (36, 4)]);
    bytes = edited(bytes, &[(16, 7), (20, 0), (24, -5)]);
    for (at, value) in [(40, 300f32), (44, 400.0), (48, 1600.0)] {
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    let loaded = read_part(&bytes, &ReadOptions::default());
    assert_eq!(loaded.array.shape(), [4, 2, 3]);
    let values = loaded.array.to_f32();
    for (z, y, x) in [(0, 0, 0), (3, 1, 2), (1, 0, 2), (2, 1, 0)] {
        assert_eq!(values[[z, y, x]], (y * 12 + x * 4 + z) as f32, "{z} {y} {x}");
    }
    assert_eq!(loaded.header.voxel_um, Some([0.04, 0.02, 0.01]));
    // nxstart counts columns, which run along z; nzstart sections, along y.
    assert_eq!(loaded.header.origin_um, [0.28, -0.1, 0.0]);
    assert!(loaded.header.warnings.iter().any(|w| w.contains("yxz")), "{:?}", loaded.header.warnings);
}

#[test]
fn what_a_cell_lacks_is_taken_from_the_rest_and_said() {
    let cell = |x: f32, y: f32, z: f32, m: [i32; 3]| {
        let mut bytes = file_bytes([9, 20, 24], 0, &[0; 4320]);
        for (at, value) in [(40, x), (44, y), (48, z)] {
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        let loaded = read_bytes(&edited(bytes, &[(28, m[0]), (32, m[1]), (36, m[2])])).unwrap();
        (loaded.header.voxel_um, loaded.header.warnings.len())
    };
    assert_eq!(cell(2400.0, 2000.0, 900.0, [24, 20, 9]), (Some([0.01; 3]), 0));
    assert_eq!(cell(2400.0, 2000.0, 0.0, [24, 20, 9]), (Some([0.01; 3]), 1));
    assert_eq!(cell(2400.0, 2000.0, -900.0, [24, 20, 9]), (Some([0.01; 3]), 1));
    assert_eq!(cell(2400.0, f32::NAN, 900.0, [24, 20, 9]), (Some([0.01; 3]), 1));
    assert_eq!(cell(2400.0, 2000.0, 900.0, [0, 0, 0]), (Some([0.01; 3]), 1));
    assert_eq!(cell(0.0, 0.0, 0.0, [0, 0, 0]), (None, 0));
}

#[test]
fn growing_files_open_as_far_as_they_are_whole() {
    let whole = file_bytes([4, 2, 3], 0, &(0..24).collect::<Vec<u8>>());
    let loaded = read_bytes(&whole[..1024 + 20]).unwrap();
    assert_eq!(loaded.array.shape(), [3, 2, 3]);
    assert!(loaded.header.warnings[0].contains("the first 3 of 4 planes"), "{:?}", loaded.header.warnings);
    let longer = read_bytes(&[whole.clone(), vec![0; 7]].concat()).unwrap();
    assert!(longer.header.warnings[0].contains("7 bytes longer"), "{:?}", longer.header.warnings);
    let uncounted = read_bytes(&edited(whole.clone(), &[(8, 0)])).unwrap();
    assert_eq!(uncounted.array.shape(), [4, 2, 3]);
    assert!(uncounted.header.warnings[0].contains("0 sections"), "{:?}", uncounted.header.warnings);
    // An extended header that is not there.
    let lying = read_bytes(&edited(whole, &[(92, 512)])).unwrap();
    assert_eq!(lying.array.shape(), [4, 2, 3]);
    assert!(lying.header.warnings[0].contains("512 bytes"), "{:?}", lying.header.warnings);
}

#[test]
fn volumes_of_a_stack_are_points_of_time() {
    let bytes = edited(file_bytes([6, 1, 2], 0, &(0..12).collect::<Vec<u8>>()), &[(88, 401), (36, 2)]);
    let options = ReadOptions { time: Some(2), ..ReadOptions::default() };
    let loaded = read_part(&bytes, &options);
    assert_eq!((loaded.header.n_times, loaded.array.shape()), (3, [2, 1, 2]));
    assert_eq!(f32s(&loaded), [8.0, 9.0, 10.0, 11.0]);
}

/// A DeltaVision file of 2 planes, 3 waves and 2 times in an order of sections.
fn dv(sequence: i16) -> Vec<u8> {
    let mut bytes = vec![0u8; 1024];
    let words = [(0, 1), (4, 1), (8, 12), (12, 6), (28, 1), (32, 1), (36, 1), (64, 1), (68, 2), (72, 3)];
    for (at, value) in [(40, 0.08f32), (44, 0.08), (48, 0.125), (212, 10.0)] {
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    for (at, value) in [(96, -16224i16), (180, 2), (182, sequence), (196, 3), (198, 525), (200, 605)] {
        bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
    bytes.extend((0..12u16).flat_map(u16::to_le_bytes));
    edited(bytes, &words)
}

#[test]
fn waves_and_times_of_deltavision_are_found_in_all_three_orders() {
    for (sequence, expected) in [(0, [6.0, 7.0]), (1, [7.0, 10.0]), (2, [8.0, 9.0])] {
        let options = ReadOptions { channel: Some(1), time: Some(1), ..ReadOptions::default() };
        let loaded = read_part(&dv(sequence), &options);
        assert_eq!(f32s(&loaded), expected, "{sequence}");
        let header = loaded.header;
        assert_eq!((header.format, header.n_channels, header.n_times), ("DeltaVision", 3, 2));
        assert_eq!(header.channel_names, ["525 nm", "605 nm", "wave 2"]);
        assert_eq!((header.voxel_um, header.origin_um), (Some([0.125, 0.08, 0.08]), [0.0, 0.0, 10.0]));
    }
}

#[test]
fn a_montage_is_said_and_old_tilt_words_give_angles() {
    let pieces: Vec<u8> = [[0i16, 0, 0], [100, 0, 0], [0, 0, 1], [100, 0, 1]]
        .iter()
        .flatten()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    let loaded = read_bytes(&stack_with(4, *b"SERI", [6, 2], &pieces)).unwrap();
    assert!(
        loaded.header.warnings.iter().any(|w| w.contains("4 pieces of 2 larger")),
        "{:?}",
        loaded.header.warnings
    );
    let mut bytes = file_bytes([3, 1, 1], 0, &[1, 2, 3]);
    for (at, value) in [(160, 1i16), (164, 2), (168, 150), (170, -6000)] {
        bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
    assert_eq!(read_bytes(&bytes).unwrap().header.angles_deg, [-60.0, -58.5, -57.0]);
}

#[test]
fn a_streamed_copy_is_the_file_that_is_written_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (source, copied, whole) =
        (folder.path().join("a.npy"), folder.path().join("copied.mrc"), folder.path().join("whole.mrc"));
    let array = ramp([3, 40, 50], |i| (i * 7 % 1000) as f32);
    write_array(&source, &WriteRequest::new(&array), &Progress::new()).unwrap();
    let budget = MemoryBudget::from_gib(0.5);
    crate::io::convert(&source, &copied, &ReadOptions::default(), &Progress::new(), budget).unwrap();
    write_array(&whole, &WriteRequest::new(&array), &Progress::new()).unwrap();
    let [a, b] = [&copied, &whole].map(|path| std::fs::read(path).unwrap());
    assert!(a == b, "the two files differ");
}

#[test]
fn what_is_written_follows_the_standard() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mrc");
    let array = ramp([3, 4, 5], |i| i as f32);
    let request =
        WriteRequest { voxel_um: Some([0.01; 3]), unit: Some(Unit::Counts), ..WriteRequest::new(&array) };
    write_array(&path, &request, &Progress::new()).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let word = |at: usize| i32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    // A stack: space group 0, one section a cell.
    assert_eq!([word(88), word(28), word(32), word(36), word(108), word(220)], [0, 5, 4, 1, 20141, 2]);
    assert_eq!(read(&path).unwrap().header.voxel_um, Some([0.01; 3]));
    let nan = Array3::from_elem((1, 2, 2), f32::NAN);
    write_array(&path, &WriteRequest::new(&nan), &Progress::new()).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let float = |at: usize| f32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    assert!(float(80) < float(76) && float(84) < float(80) && float(216) < 0.0, "not determined");
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn mutated_deltavision_headers_never_panic(changes in prop::collection::vec((0usize..1048, any::<u8>()), 1..12), sequence in 0i16..3) {
        let mut bytes = dv(sequence);
        for (at, value) in changes {
            bytes[at] = value;
        }
        drop(read_bytes(&bytes));
    }
}
