//! Files that h5py, hdf5plugin and nxtomo wrote: links, virtual datasets, filters, layouts of other programs.

use std::path::{Path, PathBuf};

use ndarray::Array3;

use super::tests::budget;
use crate::base::Progress;
use crate::io::{
    Kind, Loaded, ReadOptions, ScanOptions, list_arrays, read_array, read_array_of, read_header, read_scan,
};
use crate::volume::{AnyArray, Scan};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/hdf5").join(name)
}

fn scan(name: &str, read: ReadOptions) -> Result<Scan, String> {
    let options = ScanOptions { read, ..ScanOptions::default() };
    read_scan(&data(name), &options, &Progress::new(), budget()).map_err(|e| e.to_string())
}

fn array(name: &str, options: &ReadOptions) -> Result<Loaded, String> {
    read_array_of(&data(name), options, &Progress::new(), budget()).map_err(|e| e.to_string())
}

fn of(dataset: &str) -> ReadOptions {
    ReadOptions { dataset: Some(dataset.to_owned()), ..ReadOptions::default() }
}

/// The volume that make.py calls `cube`.
fn cube() -> Array3<u16> {
    Array3::from_shape_fn((4, 6, 5), |(z, y, x)| ((z * 30 + y * 5 + x) * 37 % 251) as u16)
}

/// Views of make.py: they count up from 500.
fn views(picked: &[usize]) -> AnyArray {
    AnyArray::U16(Array3::from_shape_fn((picked.len(), 3, 4), |(v, y, x)| {
        500 + (picked[v] * 12 + y * 4 + x) as u16
    }))
}

#[test]
fn links_to_other_files_and_virtual_datasets_are_followed() {
    let raw = scan("raw.h5", ReadOptions::default()).unwrap();
    assert_eq!(raw.projections, views(&[0, 1, 2, 3, 4, 5]));
    assert_eq!(raw.angles_deg, [0.0, 30.0, 60.0, 90.0, 120.0, 150.0]);
    let external = scan("external.h5", ReadOptions::default()).unwrap();
    assert_eq!((&external.projections, &external.flats), (&raw.projections, &raw.flats));
    assert!(external.metadata["linked files"].ends_with("raw.h5"));
    let woven = scan("virtual.h5", ReadOptions::default()).unwrap();
    assert_eq!(woven.projections, views(&[0, 3, 1, 4, 2, 5]));
    assert_eq!((&woven.flats, &woven.darks), (&raw.flats, &raw.darks));
    // The list of sources as HDF5 2.0 writes it.
    let newest = scan("virtual_latest.h5", ReadOptions::default()).unwrap();
    assert_eq!(newest.projections, woven.projections);
}

#[test]
fn names_that_sources_share_and_a_user_block_are_read() {
    let AnyArray::U16(frames) = array("raw.h5", &of("entry/instrument/detector/data")).unwrap().array else {
        panic!("another type")
    };
    assert_eq!(array("woven.h5", &of("packed")).unwrap().array, AnyArray::U16(frames.clone()));
    let AnyArray::U16(woven) = array("woven.h5", &of("woven")).unwrap().array else { panic!("another type") };
    for n in 0..20 {
        let (from, more) = (5 * (n / 10) + n % 5, u16::from(n / 5 % 2 == 0));
        let wanted = frames.index_axis(ndarray::Axis(0), from).mapv(|v| v + more);
        assert_eq!(woven.index_axis(ndarray::Axis(0), n), wanted, "frame {n}");
    }
}

#[test]
fn turns_of_a_detector_are_undone_where_they_are_half_turns_and_said_where_not() {
    let of = |entry: &str| {
        scan("turned.h5", ReadOptions { entry: Some(entry.to_owned()), ..ReadOptions::default() }).unwrap()
    };
    let plain = views(&[0, 1, 2, 3, 4, 5]);
    let AnyArray::U16(stored) = &plain else { panic!("another type") };
    let AnyArray::U16(half) = of("half").projections else { panic!("another type") };
    for ((v, y, x), value) in half.indexed_iter() {
        assert_eq!(*value, stored[[v, 2 - y, 3 - x]], "half a turn about the beam");
    }
    assert_eq!(of("twice").projections, plain, "the second turn undoes the first");
    let quarter = of("quarter");
    assert_eq!(quarter.projections, plain);
    assert!(quarter.warnings.join("; ").contains("turned by 90°"), "{:?}", quarter.warnings);
}

#[test]
fn a_missing_file_is_named() {
    let error = scan("missing.h5", ReadOptions::default()).unwrap_err();
    assert!(error.contains("gone.h5"), "{error}");
    // Views whose file is missing are left out.
    let partly = scan("partly.h5", ReadOptions::default()).unwrap();
    assert_eq!(partly.projections, views(&[0, 1, 2, 3]));
    assert_eq!(partly.angles_deg, [0.0, 30.0, 60.0, 90.0]);
    let said = partly.warnings.join("; ");
    assert!(said.contains("2 of 6 views were never written") && said.contains("gone.h5"), "{said}");
}

#[test]
fn a_virtual_dataset_grows_with_the_files_that_its_name_counts() {
    let AnyArray::U16(grown) = array("growing.h5", &of("counted")).unwrap().array else {
        panic!("another type")
    };
    assert_eq!(grown.dim(), (4, 3, 4));
    assert_eq!((grown[[1, 2, 3]], grown[[2, 0, 0]]), (10, 11));
}

#[test]
fn every_filter_gives_the_same_values() {
    let plain = array("filters.h5", &of("plain")).unwrap().array;
    assert_eq!(plain, AnyArray::U16(cube()));
    for name in [
        "gzip",
        "lzf",
        "szip",
        "scaleoffset",
        "lz4",
        "lz4_blocks",
        "bitshuffle",
        "bitshuffle_lz4",
        "bitshuffle_zstd",
        "zstd",
        "blosc_lz4",
        "blosc_zstd",
        "blosc_blosclz",
        "blosc_zlib",
        "bzip2",
    ] {
        let read = array("filters.h5", &of(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(read.array, plain, "{name}");
    }
    let refused = array("filters.h5", &of("zfp")).unwrap_err();
    assert!(refused.contains("32013 (ZFP)") && refused.contains("h5repack"), "{refused}");
}

#[test]
fn every_type_gives_its_numbers() {
    let cube = cube();
    let unwritten = AnyArray::U16(Array3::from_elem((4, 6, 5), 9));
    assert_eq!(array("filters.h5", &of("unwritten")).unwrap().array, unwritten);
    assert_eq!(array("filters.h5", &of("half")).unwrap().array, AnyArray::F32(cube.mapv(f32::from)));
    assert_eq!(array("filters.h5", &of("big")).unwrap().array, AnyArray::I32(cube.mapv(i32::from)));
    assert_eq!(array("filters.h5", &of("long")).unwrap().array, AnyArray::F64(cube.mapv(f64::from)));
    assert_eq!(
        array("filters.h5", &of("truth")).unwrap().array,
        AnyArray::U8(cube.mapv(|v| u8::from(v > 100)))
    );
    let error = array("filters.h5", &of("nothing")).unwrap_err();
    assert!(error.contains("/gzip"), "{error}");
    let arrays = list_arrays(&data("filters.h5")).unwrap();
    assert!(arrays.iter().any(|a| (a.path.as_str(), a.dtype.as_str()) == ("/long", "int64")));
}

#[test]
fn nxtomo_of_today_says_pixel_drift_frames_mirror_and_exposures() {
    let asked = scan("nxtomo31.nx", ReadOptions::default()).unwrap_err();
    assert!(asked.contains("entry0000, entry0001") && asked.contains("--entry"), "{asked}");
    let entry = ReadOptions { entry: Some("entry0001".to_owned()), ..ReadOptions::default() };
    let read = scan("nxtomo31.nx", entry).unwrap();
    let AnyArray::U16(mut expected) = views(&[0, 1, 2, 3]) else { panic!("another type") };
    expected.invert_axis(ndarray::Axis(2));
    assert_eq!(read.projections, AnyArray::U16(expected.as_standard_layout().into_owned()));
    assert_eq!((read.pixel_um, read.energy_ev), (Some(0.01), Some(520.0)));
    assert_eq!((read.exposure_s, read.flat_exposure_s), (vec![2.0; 4], vec![1.0; 2]));
    assert_eq!(read.beam, vec![0.3; 4]);
    let said = read.warnings.join("; ");
    assert!(said.contains("2 frames were taken again") && said.contains("mirrored left to right"), "{said}");
}

#[test]
fn imaris_volumes_lose_their_padding() {
    let options = ReadOptions { channel: Some(1), time: Some(1), ..ReadOptions::default() };
    let read = array("imaris.ims", &options).unwrap();
    assert_eq!(read.array, AnyArray::U16(cube().mapv(|v| v + 11_000)));
    let header = read.header;
    assert_eq!((header.n_channels, header.n_times), (2, 2));
    assert_eq!(header.channel_names, ["DAPI", "GFP"]);
    let voxel = header.voxel_um.unwrap();
    assert!(voxel.iter().zip([0.25, 0.15, 0.1]).all(|(a, b)| (a - b).abs() < 1e-9), "{voxel:?}");
}

#[test]
fn big_data_viewer_volumes_are_unsigned_and_sized_by_their_xml() {
    let read = array("bdv.h5", &ReadOptions { time: Some(1), ..ReadOptions::default() }).unwrap();
    assert_eq!(read.array, AnyArray::U16(cube().mapv(|v| v + 40_001)));
    assert_eq!(read.header.voxel_um, Some([0.03, 0.02, 0.01]));
    assert_eq!((read.header.n_times, read.header.n_channels), (2, 1));
}

#[test]
fn emd_volumes_are_turned_by_the_names_of_their_axes() {
    let read = read_array(&data("tomviz.emd"), &Progress::new(), budget()).unwrap();
    assert_eq!(read.array, AnyArray::U16(cube()));
    let voxel = read.header.voxel_um.unwrap();
    assert!(voxel.iter().zip([0.03, 0.02, 0.01]).all(|(a, b)| (a - b).abs() < 1e-9), "{voxel:?}");
    assert!(read.header.warnings.iter().any(|w| w.contains("xyz")), "{:?}", read.header.warnings);
}

#[test]
fn one_array_of_a_scan_is_read_by_its_path() {
    let read = array("raw.h5", &of("entry/instrument/detector/data")).unwrap();
    assert_eq!((read.array.shape(), read.header.kind), ([10, 3, 4], Kind::Volume));
    let metadata = read_header(&data("raw.h5")).unwrap().metadata;
    assert_eq!(metadata["entry/definition"], "NXtomo");
    assert_eq!(metadata["entry/sample/rotation_angle@units"], "degree");
}

/// Bytes changed in files with lists of sources and every filter: an answer each time.
#[test]
fn damaged_virtual_datasets_and_chunks_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.h5");
    std::fs::copy(data("raw.h5"), folder.path().join("raw.h5")).unwrap();
    let mut state = 1_u32;
    let mut next = |n: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % n
    };
    let limit = crate::base::MemoryBudget::from_gib(0.05);
    for (name, datasets) in [
        ("virtual.h5", vec!["entry/instrument/detector/data"]),
        ("virtual_latest.h5", vec!["entry/instrument/detector/data"]),
        ("woven.h5", vec!["woven", "packed"]),
        ("growing.h5", vec!["counted"]),
        (
            "filters.h5",
            vec!["lzf", "lz4", "bitshuffle_lz4", "bitshuffle_zstd", "zstd", "blosc_lz4", "bzip2", "gzip"],
        ),
    ] {
        let whole = std::fs::read(data(name)).unwrap();
        for _ in 0..60 {
            let mut bytes = whole.clone();
            for _ in 0..=next(20) {
                let at = next(bytes.len());
                bytes[at] = next(256) as u8;
            }
            std::fs::write(&path, &bytes).unwrap();
            let dataset = datasets[next(datasets.len())];
            drop(read_array_of(&path, &of(dataset), &Progress::new(), limit));
        }
    }
}

#[test]
fn numbers_whose_bits_lie_otherwise_are_read_as_what_they_are() {
    let signed = AnyArray::I16(cube().mapv(|v| v.cast_signed() - 100));
    assert_eq!(array("bits.h5", &of("twelve")).unwrap().array, AnyArray::U16(cube()));
    assert_eq!(array("bits.h5", &of("named")).unwrap().array, AnyArray::U16(cube()));
    assert_eq!(array("bits.h5", &of("signed")).unwrap().array, signed);
    assert_eq!(array("bits.h5", &of("packed")).unwrap().array, signed, "packed bit by bit");
    let halves = AnyArray::F32(cube().mapv(|v| f32::from(v) / 2.0));
    assert_eq!(array("bits.h5", &of("brain")).unwrap().array, halves);
}

/// Whether edges or places are these to nine digits.
fn are_close(found: [f64; 3], expected: [f64; 3]) -> bool {
    found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9)
}

#[test]
fn lists_beside_an_array_say_what_its_axes_are_and_how_far_apart() {
    let cube = AnyArray::U16(cube());
    let edges = [0.03, 0.02, 0.01];
    for (name, origin) in [
        ("named", [0.005, -0.06, 0.0]),
        ("turned", [0.0; 3]),
        // Its places count down: the lowest is the first of the turned array.
        ("down", [0.005, 0.0, 0.0]),
        ("old", [0.0; 3]),
        ("scaled", [0.0; 3]),
    ] {
        let read = array("scales.h5", &of(&format!("{name}/data"))).unwrap();
        assert_eq!(read.array, cube, "{name}");
        let header = read.header;
        assert!(
            header.voxel_um.is_some_and(|voxel| are_close(voxel, edges)),
            "{name}: {:?}",
            header.voxel_um
        );
        assert!(are_close(header.origin_um, origin), "{name}: {:?}", header.origin_um);
    }
    let bare = array("scales.h5", &of("bare/data")).unwrap().header;
    assert_eq!((bare.voxel_um, bare.ratios), (None, Some([2.0, 1.0, 1.0])));
    let views = array("scales.h5", &of("views/data")).unwrap();
    assert_eq!((views.header.kind, views.header.angles_deg[5]), (Kind::Scan, 50.0));
}

#[test]
fn emd_files_of_views_of_several_arrays_and_of_velox_are_read() {
    let read = array("views.emd", &ReadOptions::default()).unwrap();
    assert_eq!(read.array, views(&[0, 1, 2, 3, 4, 5]));
    assert_eq!(read.header.angles_deg, [-50.0, -30.0, -10.0, 10.0, 30.0, 50.0]);
    assert!(read.header.voxel_um.is_some_and(|voxel| are_close(voxel, [0.01; 3])));
    assert_eq!(read.header.guessed.dataset.as_deref(), Some("/data/first/data"));
    assert!(read.header.warnings.join("; ").contains("/data/second/data"), "{:?}", read.header.warnings);
    let second = array("views.emd", &of("data/second/data")).unwrap();
    assert_eq!(second.array, AnyArray::U16(cube()));
    assert!(second.header.voxel_um.is_some_and(|voxel| are_close(voxel, [0.003, 0.002, 0.001])));
    for options in [ReadOptions::default(), of("Data/Image/0f1e2d3c/Data")] {
        let velox = array("velox.emd", &options).unwrap();
        assert_eq!(velox.array, read.array, "frames lie along the last axis");
        assert!(velox.header.voxel_um.is_some_and(|voxel| are_close(voxel, [0.01; 3])));
        assert!(
            velox.header.angles_deg.iter().zip(&read.header.angles_deg).all(|(a, b)| (a - b).abs() < 1e-9)
        );
        assert_eq!(velox.header.angles_deg.len(), 6);
    }
}
