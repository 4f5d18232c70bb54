//! Files that other programs wrote, read and compared with what independent readers say of them.
//!
//! The expected numbers were taken with mrcfile 1.5, tifffile, h5py, zarr-python, Pillow, txrm2tiff 2.2.1 and olefile. The
//! large files lie where `WATERWINDOW_DATA` points, by default `../shared/data`; where they are
//! not, the test says SKIP. Four small ones are in `tests/data`.
#![expect(clippy::print_stderr, reason = "a skipped part is said aloud")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use waterwindow::base::{MemoryBudget, Progress};
use waterwindow::gpu::DeviceChoice;
use waterwindow::io::{
    AngleSource, IoError, Kind, Loaded, ReadOptions, ScanInput, ScanOptions, TiltAxis, info,
    read_any_alignment, read_array, read_scan, write_scan,
};
use waterwindow::ops::Context;
use waterwindow::ops::chain::{Chain, ChainOutcome, normalize, scan_to_volume};
use waterwindow::volume::AnyArray;

fn budget() -> MemoryBudget {
    MemoryBudget::from_gib(2.0)
}

fn read(path: &Path) -> Result<Loaded, IoError> {
    read_array(path, &Progress::new(), budget())
}

/// The path of a shared file, or `None` with a line that says so.
fn shared(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("WATERWINDOW_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let path = folder.join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!("SKIP: {} is not here; set WATERWINDOW_DATA to the folder of real files", path.display());
    None
}

fn in_tree(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

struct Expected {
    shape: [usize; 3],
    dtype: &'static str,
    min: f64,
    max: f64,
    mean: f64,
    /// A voxel (z, y, x) and its value.
    at: ([usize; 3], f64),
}

/// Compares with the reading of another program; f32 means are summed in f64 by both, so 1e-9 holds.
fn check(path: &Path, expected: &Expected) -> Loaded {
    let loaded = read(path).unwrap();
    let array = &loaded.array;
    assert_eq!((array.shape(), array.dtype()), (expected.shape, expected.dtype), "{}", path.display());
    let stats = array.stats().unwrap();
    let close = |found: f64, wanted: f64| (found - wanted).abs() <= 1e-7 * wanted.abs().max(1e-3);
    assert!(close(stats.min, expected.min), "{} min {}", path.display(), stats.min);
    assert!(close(stats.max, expected.max), "{} max {}", path.display(), stats.max);
    assert!(close(stats.mean, expected.mean), "{} mean {}", path.display(), stats.mean);
    let ([z, y, x], value) = expected.at;
    let found = f64::from(array.to_f32()[[z, y, x]]);
    assert!(close(found, value), "{} at {z} {y} {x}: {found}", path.display());
    // The streamed description agrees with the array.
    let described = info(path, &ReadOptions::default(), &Progress::new()).unwrap();
    assert_eq!((described.shape_zyx, described.dtype), (expected.shape, expected.dtype));
    assert!(close(described.mean.unwrap(), expected.mean));
    loaded
}

#[test]
fn density_maps_open_though_their_headers_break_the_standard() {
    let small = Expected {
        shape: [20, 20, 20],
        dtype: "float32",
        min: -4.1337457,
        max: 5.576737,
        mean: 0.7836120336436434,
        at: ([3, 5, 7], 2.2494375705718994),
    };
    let loaded = check(&in_tree("EMD-3197.map"), &small);
    assert_eq!(loaded.header.voxel_um, Some([0.00114; 3]));
    assert_eq!(loaded.header.origin_um, [0.0, 0.0, -0.00228]);
    if let Some(path) = shared("maps/emd_1832.map") {
        let expected = Expected {
            shape: [64, 64, 64],
            dtype: "float32",
            min: -0.15937988,
            max: 2.0523305,
            mean: -0.0024537900722124417,
            at: ([3, 5, 7], 0.0),
        };
        assert_eq!(check(&path, &expected).header.voxel_um, Some([0.00057; 3]));
    }
    if let Some(path) = shared("maps/emd_5625.map") {
        let expected = Expected {
            shape: [56, 56, 56],
            dtype: "float32",
            min: -1.4999781,
            max: 7.9406853,
            mean: 0.2521620413958749,
            at: ([3, 5, 7], -1.5144623830565251e-06),
        };
        check(&path, &expected);
    }
}

#[test]
fn haadf_series_has_its_angles_twice_and_opens_as_a_scan() {
    let Some(path) = shared("scans/HAADF.mrc") else { return };
    let expected = Expected {
        shape: [77, 256, 256],
        dtype: "int16",
        min: -31908.0,
        max: 32325.0,
        mean: -27648.408605005832,
        at: ([3, 5, 7], -31878.0),
    };
    let loaded = check(&path, &expected);
    let angles: Vec<f64> = (0..77).map(|i| -76.0 + 2.0 * f64::from(i)).collect();
    assert_eq!(loaded.header.angles_deg, angles, "the extended header");
    assert_eq!(loaded.header.voxel_um, Some([0.00336; 3]));
    let beside = AngleSource::File(in_tree("HAADF.rawtlt")).angles(77).unwrap();
    assert_eq!(beside, angles, "the .rawtlt");
    assert_eq!(info(&path, &ReadOptions::default(), &Progress::new()).unwrap().kind, Kind::Scan);

    let options = ScanOptions { input: Some(ScanInput::Absorbance), ..ScanOptions::default() };
    let scan = read_scan(&path, &options, &Progress::new(), budget()).unwrap();
    assert_eq!((scan.n_views(), scan.angles_deg), (77, angles));
    let text = read_scan(&path, &ScanOptions::default(), &Progress::new(), budget()).unwrap_err().to_string();
    assert!(text.contains("--input absorbance"), "{text}");
}

#[test]
fn tooth_is_a_data_exchange_scan_and_becomes_nxtomo() {
    let Some(path) = shared("scans/tooth.h5") else { return };
    let expected = Expected {
        shape: [181, 2, 640],
        dtype: "float32",
        min: 3921.25,
        max: 33891.5,
        mean: 20499.108237655386,
        at: ([9, 1, 185], 27968.5),
    };
    check(&path, &expected);
    let scan = read_scan(&path, &ScanOptions::default(), &Progress::new(), budget()).unwrap();
    let mean = |array: &Option<AnyArray>| array.as_ref().unwrap().stats().unwrap().mean;
    assert_eq!(scan.flats.as_ref().map(AnyArray::shape), Some([10, 2, 640]));
    assert!((mean(&scan.flats) - 27941.9567578125).abs() < 1e-6);
    assert!((mean(&scan.darks) - 105.184921875).abs() < 1e-6);
    assert!((scan.angles_deg[1] - 0.99447514).abs() < 1e-8 && scan.angles_deg.len() == 181);

    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("tooth.nxs");
    write_scan(&copy, &scan, &Progress::new()).unwrap();
    let back = read_scan(&copy, &ScanOptions::default(), &Progress::new(), budget()).unwrap();
    assert_eq!((back.projections, back.flats, back.darks), (scan.projections, scan.flats, scan.darks));
    assert_eq!(back.angles_deg, scan.angles_deg);
}

#[test]
fn a_folder_of_tiffs_is_one_series_in_natural_order() {
    let Some(path) = shared("scans/tomo77_tiff") else { return };
    let expected = Expected {
        shape: [451, 79, 83],
        dtype: "float32",
        min: -0.12286211,
        max: 0.6241587,
        mean: 0.12112646574841017,
        at: ([10, 3, 5], 0.02522801),
    };
    check(&path, &expected);
    let mut options = ScanOptions { input: Some(ScanInput::Absorbance), ..ScanOptions::default() };
    let text = read_scan(&path, &options, &Progress::new(), budget()).unwrap_err().to_string();
    assert!(text.contains("451 views") && text.contains("--angles"), "{text}");
    options.angles = Some("0:0.4".parse().unwrap());
    let scan = read_scan(&path, &options, &Progress::new(), budget()).unwrap();
    assert_eq!((scan.n_views(), scan.angles_deg[450]), (451, 180.0));
}

/// The whole chain with its defaults.
fn reconstructed(path: &Path, options: &ScanOptions) -> ChainOutcome {
    let scan = read_scan(path, options, &Progress::new(), budget()).unwrap();
    let context = Context { progress: Progress::new(), budget: budget(), device: DeviceChoice::Cpu };
    scan_to_volume(&context, Arc::new(scan), &Chain::default()).unwrap()
}

/// Means of a section inside and outside a circle around its middle, radii as fractions of its width.
fn inside_and_outside(section: ndarray::ArrayView2<'_, f32>, radii: [f64; 2]) -> [f64; 2] {
    let (depth, width) = section.dim();
    let mut sums = [(0.0, 0.0); 2];
    for ((z, x), value) in section.indexed_iter() {
        let at = [z as f64 - (depth as f64 - 1.0) / 2.0, x as f64 - (width as f64 - 1.0) / 2.0];
        let r = at[0].hypot(at[1]) / width as f64;
        let part = if r < radii[0] { 0 } else { usize::from(r > radii[1] && r < 0.48) };
        if r < radii[0] || part == 1 {
            sums[part].0 += f64::from(*value);
            sums[part].1 += 1.0;
        }
    }
    sums.map(|(sum, n)| sum / n)
}

#[test]
fn tooth_reconstructs_around_its_own_axis_onto_clean_air() {
    let Some(path) = shared("scans/tooth.h5") else { return };
    let made = reconstructed(&path, &ScanOptions::default());
    assert_eq!(made.volume.shape(), [640, 2, 640]);
    // The file's authors put the axis near column 296; the middle is 319.5.
    let axis = 319.5 + made.alignment.views[0].shift_x_px;
    assert!((axis - 296.0).abs() < 1.5, "{axis}");
    let [tooth, air] = inside_and_outside(made.volume.data.index_axis(ndarray::Axis(1), 0), [0.1, 0.3]);
    // Dentine and enamel stand far above the air around, which is empty to a few percent of them.
    assert!(tooth > 1e-3 && air.abs() < 0.05 * tooth, "{tooth} {air}");
}

#[test]
fn a_drifting_series_of_real_projections_reconstructs_to_a_block_in_air() {
    let Some(path) = shared("scans/tomo77_tiff") else { return };
    let options = ScanOptions {
        input: Some(ScanInput::Absorbance),
        angles: Some("0:0.4".parse().unwrap()),
        ..ScanOptions::default()
    };
    let made = reconstructed(&path, &options);
    assert_eq!(made.volume.shape(), [83, 79, 83]);
    let [block, air] = inside_and_outside(made.volume.data.index_axis(ndarray::Axis(1), 40), [0.2, 0.42]);
    assert!(block > 4e-3 && air.abs() < 0.2 * block, "{block} {air}");
}

#[test]
fn haadf_is_turned_so_that_its_tilt_axis_is_upright_and_loses_its_background() {
    let Some(path) = shared("scans/HAADF.mrc") else { return };
    let options = ScanOptions {
        input: Some(ScanInput::Absorbance),
        tilt_axis: TiltAxis::Horizontal,
        ..ScanOptions::default()
    };
    let plain = ScanOptions { tilt_axis: TiltAxis::Vertical, ..options.clone() };
    let scan = read_scan(&path, &options, &Progress::new(), budget()).unwrap();
    let as_stored = read_scan(&path, &plain, &Progress::new(), budget()).unwrap().projections.to_f32();
    let turned = scan.projections.to_f32();
    assert_eq!(turned[[38, 20, 90]], as_stored[[38, 255 - 90, 20]]);
    let context = Context { progress: Progress::new(), budget: budget(), device: DeviceChoice::Cpu };
    let (series, outcome) = normalize(&context, Arc::new(scan), &serde_json::Value::Null).unwrap();
    assert!(outcome.notes.iter().any(|note| note.contains("--background")), "{:?}", outcome.notes);
    let corner = series.data.slice(ndarray::s![.., 200.., ..20]);
    // Counts of a detector that reaches 64 000: its dark corner is empty to a thousandth of that.
    assert!(corner.mean().unwrap().abs() < 64.0, "{:?}", corner.mean());
}

#[test]
fn png_slices_and_fluorescence_open_with_their_calibration() {
    if let Some(path) = shared("segmentation/flyem_250/grayscale_maps") {
        let expected = Expected {
            shape: [250, 250, 250],
            dtype: "uint8",
            min: 26.0,
            max: 217.0,
            mean: 130.025721344,
            at: ([249, 200, 100], 142.0),
        };
        check(&path, &expected);
    }
    if let Some(path) = shared("correlative/aics/demo/segmentation/BBBC034_v1_dataset/AICS_12_134_C=0.tif") {
        let expected = Expected {
            shape: [1, 1024, 1024],
            dtype: "uint16",
            min: 215.0,
            max: 5343.0,
            mean: 571.5100202560425,
            at: ([0, 0, 0], f64::from(read(&path).unwrap().array.to_f32()[[0, 0, 0]])),
        };
        let voxel = check(&path, &expected).header.voxel_um.unwrap();
        assert!((voxel[2] - 0.065).abs() < 1e-6, "{voxel:?}: 15.384615 pixels a micron");
    }
    if let Some(path) = shared("correlative/deepclem/EM.png") {
        assert_eq!(read(&path).unwrap().header.kind, Kind::Image);
    }
}

#[test]
fn hdf5_of_other_writers_gives_the_same_numbers() {
    let loaded = read(&in_tree("pyfive-compressed.hdf5")).unwrap();
    // Three datasets of 21 × 16 that count up; the first in the file's order is read.
    assert_eq!((loaded.array.shape(), loaded.array.stats().unwrap().max), ([1, 21, 16], 335.0));
    for (name, shape, sum) in [
        ("hdf5/pyfive/chunked.hdf5", [1, 21, 16], 56280.0),
        ("hdf5/pyfive/fletcher32.hdf5", [1, 4, 4], 120.0),
        ("hdf5/jhdf/implicit_index_datasets.hdf5", [1, 10, 5], 1225.0),
        ("hdf5/jhdf/test_chunked_datasets_earliest.hdf5", [7, 5, 3], 5460.0),
    ] {
        let Some(path) = shared(name) else { continue };
        let array = read(&path).unwrap().array;
        let found = array.stats().unwrap().mean * shape.iter().product::<usize>() as f64;
        assert_eq!(array.shape(), shape, "{name}");
        assert!((found - sum).abs() < 1e-6, "{name}: {found}");
    }
}

#[test]
fn zarr_of_other_writers_gives_the_same_numbers() {
    for name in ["gzip", "blosc", "raw"] {
        let Some(path) = shared(&format!("zarr/zarr_impl/examples/zarr.zr/{name}")) else { continue };
        let expected = Expected {
            shape: [512, 512, 3],
            dtype: "uint8",
            min: 0.0,
            max: 255.0,
            mean: 114.59900410970052,
            at: ([8, 19, 0], 2.0),
        };
        check(&path, &expected);
    }
}

/// Every file of a folder gives an array or one sentence, never a panic.
fn open_all(folder: &str, at_least: usize) {
    let Some(folder) = shared(folder) else { return };
    let mut n_read = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        match read(&path) {
            Ok(loaded) => {
                assert!(loaded.array.shape().iter().all(|n| *n > 0), "{}", path.display());
                n_read += 1;
            }
            Err(error) => assert!(!error.to_string().contains('\n'), "{}: {error}", path.display()),
        }
    }
    assert!(n_read >= at_least, "{n_read} files of {} were read", folder.display());
}

#[test]
fn odd_files_are_read_or_answered() {
    open_all("tiff/image-tiff", 30);
    open_all("tiff/image-tiff/seq", 25);
    open_all("hdf5/jhdf", 15);
    open_all("hdf5/pyfive", 6);
    open_all("scans", 2);
}

#[test]
fn tiff_pages_are_planes() {
    let loaded = read(&in_tree("seq-1c-8b-multipage-adeefdcc.tiff")).unwrap();
    assert_eq!((loaded.array.shape(), loaded.array.dtype()), ([3, 16, 16], "uint8"));
    assert_eq!(loaded.array.to_f32().index_axis(ndarray::Axis(0), 0).sum(), 32640.0);
    for (name, sum) in [
        ("gradient-1c-32b-float.tiff", 128.0319210877642),
        ("gradient-1c-64b-float.tiff", 128.0319210877642),
        ("minisblack-1c-i16b.tiff", -43702869.0),
        ("seq/seq-1c-16b-tiled-68f373a0.tiff", 32640.0),
        ("seq/seq-1c-16b-bigendian-68f373a0.tiff", 32640.0),
        ("seq/seq-1c-32f-deflate-fpredict-390fe673.tiff", 128.0000025429763),
        ("random-fp16-pred2.tiff", 213.475341796875),
        ("seq/seq-1c-8b-tiled-bigtiff-20f3db0c.tiff", 32640.0),
    ] {
        let Some(path) = shared(&format!("tiff/image-tiff/{name}")) else { continue };
        let array = read(&path).unwrap().array;
        let n = array.shape().iter().product::<usize>() as f64;
        let found = array.stats().unwrap().mean * n;
        assert!((found - sum).abs() <= 1e-7 * sum.abs(), "{name}: {found}");
    }
}

#[test]
fn alignments_and_models_of_imod_and_aretomo_are_read() {
    use waterwindow::io::{read_aln, read_imod, read_xf, write_xf};

    if let Some(path) = shared("imod/lil-aretomo/tests/test_data/example_v1_3_0.aln") {
        let angles: Vec<f64> = (0..41).map(|i| -52.0 + 3.0 * f64::from(i)).collect();
        let found = read_aln(&path, &angles).unwrap();
        let (first, last) = (&found.views[0], &found.views[40]);
        assert_eq!((first.rotation_deg, first.shift_x_px, first.shift_y_px), (-93.6692, 157.142, 720.866));
        assert!(first.angle_deg == -51.98 && last.used && found.used_indices().len() == 41);
        assert!(read_aln(&path, &angles[1..]).unwrap_err().to_string().contains("another stack"));
    }
    if let Some(path) = shared("imod/yaiw/tests/test_data/xf_file.xf") {
        let found = read_xf(&path, &[0.0; 41]).unwrap();
        // IMOD turns the content by -85.08°: it lies 85.08° the other way.
        assert!((found.views[0].rotation_deg - 85.0768).abs() < 1e-3, "{:?}", found.views[0]);
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy.xf");
        write_xf(&copy, &found).unwrap();
        let numbers = |path: &Path| -> Vec<f64> {
            let text = std::fs::read_to_string(path).unwrap();
            text.split_whitespace().map(|word| word.parse().unwrap()).collect()
        };
        // The matrix to its seven decimals, the shift to its three.
        for (a, b) in numbers(&path).iter().zip(numbers(&copy)) {
            assert!((a - b).abs() < 1.1e-3, "{a} {b}");
        }
    }
    for (name, contours, first) in [
        ("two_contour_example.mod", 2, None),
        ("point_sizes_example.mod", 5, Some((46, 898.0, 438.0))),
        ("meshed_contour_example.mod", 67, None),
    ] {
        let Some(path) = shared(&format!("imod/imodmodel/tests/test_data/{name}")) else { continue };
        let found = read_imod(&path, 4000).unwrap();
        assert_eq!(found.beads.len(), contours, "{name}");
        if let Some(first) = first {
            let points = &found.beads[0].points;
            assert!(points.iter().any(|p| (p.view, p.y, p.x) == first), "{points:?}");
        }
    }
}

#[test]
fn txrm_and_xrm_of_a_microscope_are_read_as_txrm2tiff_reads_them() {
    if let Some(path) = shared("scans/txrm_test_chip_tomo.txrm") {
        let expected = Expected {
            shape: [7, 256, 256],
            dtype: "uint16",
            min: 1.0,
            max: 476.0,
            mean: 86.08171953473773,
            at: ([6, 200, 30], 99.0),
        };
        let header = check(&path, &expected).header;
        assert_eq!(header.angles_deg.len(), 7);
        assert_eq!((header.angles_deg[0], header.angles_deg[6]), (-45.018001556396484, 44.985877990722656));
        assert_eq!(header.voxel_um, Some([0.15578947961330414; 3]));
        assert_eq!(header.energy_ev, Some(9200.0166015625), "one value every 40 bytes");
        assert_eq!(header.metadata["axis Detector Z"], "470.01703 mm");
        assert_eq!(header.metadata["xray_magnification"], "38");
        assert!(header.metadata["dates"].starts_with("11/09/15 18:19:21; 11/09/15 18:19:29"));
        // Shifts are offered and change sign across, since the picture is to be moved by them.
        let shifts = read_any_alignment(&path, &header.angles_deg).unwrap();
        assert_eq!(shifts.views[0].shift_x_px, -f64::from(0.25915927_f32));
        assert_eq!(shifts.views[0].shift_y_px, f64::from(0.24399558_f32));
        assert!(header.warnings.iter().any(|warning| warning.contains("--align")), "{:?}", header.warnings);
    }
    let Some(path) = shared("scans/test_chip00.xrm") else { return };
    let expected = Expected {
        shape: [1, 512, 512],
        dtype: "uint16",
        min: 1.0,
        max: 1117.0,
        mean: 42.69615936279297,
        at: ([0, 200, 30], 34.0),
    };
    let header = check(&path, &expected).header;
    assert_eq!((header.kind, header.energy_ev), (Kind::Image, Some(7191.04638671875)));
    let scan = read_scan(&path, &ScanOptions::default(), &Progress::new(), budget()).unwrap();
    let flats = scan.flats.unwrap();
    let stats = flats.stats().unwrap();
    assert_eq!((flats.shape(), stats.min, stats.max), ([1, 512, 512], 10.0, 1388.0));
    assert_eq!(flats.to_f32()[[0, 10, 20]], 46.0);
    assert_eq!((scan.exposure_s, scan.flat_exposure_s), (vec![39.884727478027344], vec![40.0]));
    assert_eq!((scan.beam, scan.flat_beam), (vec![343.0], vec![345.0]));
}
