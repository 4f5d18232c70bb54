//! Every format holds the same array, index by index: no scaling, no mirroring, no detour through another type.

use ndarray::Array3;
use waterwindow::volume::AnyArray;

use super::{array, bits, demo, done, load, values, volume, write};

/// Values that differ in every direction, up to `max`.
fn pattern(max: f64) -> Array3<f64> {
    Array3::from_shape_fn((3, 5, 7), |(z, y, x)| ((z * 97 + y * 31 + x * 13 + z * y * x) as f64 * 7.0) % max)
}

fn arrays() -> Vec<AnyArray> {
    let signed = |max: f64| pattern(2.0 * max).mapv(|v| v - max);
    let mut fractions = pattern(4.0).mapv(|v| (v / 3.0 - 0.4) as f32);
    fractions[[1, 2, 3]] = f32::NAN;
    vec![
        AnyArray::U8(pattern(256.0).mapv(|v| v as u8)),
        AnyArray::I8(signed(127.0).mapv(|v| v as i8)),
        AnyArray::U16(pattern(65_536.0).mapv(|v| (v * 37.0 % 65_536.0) as u16)),
        AnyArray::I16(signed(32_767.0).mapv(|v| (v * 37.0 % 32_767.0) as i16)),
        AnyArray::U32(pattern(4.0e9).mapv(|v| (v * 31.0) as u32)),
        AnyArray::I32(signed(1.0e6).mapv(|v| v as i32)),
        AnyArray::F32(fractions),
        AnyArray::F64(pattern(4.0).mapv(|v| v / 3.0 - 0.4)),
    ]
}

/// The bits of every value, so that NaN equals itself.
fn exact(array: &AnyArray) -> Vec<u64> {
    match array {
        AnyArray::F64(values) => values.iter().map(|v| v.to_bits()).collect(),
        other => other.to_f32().iter().map(|v| u64::from(v.to_bits())).collect(),
    }
}

#[test]
fn every_format_round_trips_every_type_index_by_index() {
    let folder = tempfile::tempdir().unwrap();
    for given in arrays() {
        let name = given.dtype();
        let start = folder.path().join(format!("{name}.npy"));
        write(&start, &given);
        for extension in ["mrc", "rec", "st", "tif", "h5", "zarr", "npy"] {
            let is_mrc = matches!(extension, "mrc" | "rec" | "st");
            // MRC rounds f64 to f32, and says so: not a round trip.
            if is_mrc && name == "float64" {
                continue;
            }
            let there = folder.path().join(format!("{name}-there.{extension}"));
            let back = folder.path().join(format!("{name}-{extension}.npy"));
            done("convert {} {}", &[&start, &there]);
            done("convert {} {}", &[&there, &back]);
            let (middle, found) = (array(&there), array(&back));
            assert_eq!((middle.shape(), found.shape()), (given.shape(), given.shape()), "{name} {extension}");
            assert_eq!(exact(&found), exact(&given), "{name} through .{extension}");
            // Bytes without a sign are 16 bits in MRC: those of 8 have a sign there.
            let no_such_type = is_mrc && matches!(name, "uint8" | "uint32" | "int32");
            assert!(no_such_type || found.dtype() == name, "{name} became {} in .{extension}", found.dtype());
        }
    }
}

#[test]
fn frame_and_unit_survive_every_format() {
    let truth = load(&demo().join("truth.mrc"));
    let folder = tempfile::tempdir().unwrap();
    for extension in ["tif", "h5", "zarr", "npy", "rec"] {
        let file = folder.path().join(format!("truth.{extension}"));
        done("convert {} {}", &[&demo().join("truth.mrc"), &file]);
        let found = load(&file);
        assert_eq!(found.header.unit, truth.header.unit, "{extension}");
        let (voxel, wanted) = (found.header.voxel_um.unwrap(), truth.header.voxel_um.unwrap());
        for axis in 0..3 {
            // An MRC keeps f32.
            assert!((voxel[axis] / wanted[axis] - 1.0).abs() < 1e-6, "{extension} {voxel:?}");
        }
        assert_eq!(found.array, truth.array, "{extension}");
    }
}

/// Pearson's correlation.
fn correlation(a: &Array3<f32>, b: &Array3<f32>) -> f64 {
    let mean = |v: &Array3<f32>| v.iter().map(|v| f64::from(*v)).sum::<f64>() / v.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (f64::from(*a) - mean_a, f64::from(*b) - mean_b);
        (ab, aa, bb) = (ab + a * b, aa + a * a, bb + b * b);
    }
    ab / (aa * bb).sqrt()
}

#[test]
fn a_reconstruction_lies_on_the_truth_index_by_index_in_every_format() {
    let truth = values(&demo().join("truth.mrc"));
    let straight = values(volume());
    assert_eq!(straight.dim(), truth.dim());
    // 90 noisy views of 48³ voxels: 0.95 is far above what any mirror image reaches.
    let direct = correlation(&straight, &truth);
    assert!(direct > 0.95, "{direct}");
    for axis in 0..3 {
        let mut mirrored = truth.clone();
        mirrored.invert_axis(ndarray::Axis(axis));
        let other = correlation(&straight, &mirrored);
        assert!(other < direct - 0.02, "mirrored along axis {axis}: {other}, straight {direct}");
    }
    let folder = tempfile::tempdir().unwrap();
    for extension in ["mrc", "rec", "st", "tif", "zarr", "h5"] {
        let file = folder.path().join(format!("volume.{extension}"));
        done("reconstruct {} --align none -o {}", &[&demo().join("projections.mrc"), &file]);
        assert_eq!(bits(&file), bits(volume()), "{extension}");
    }
    // The same counts in one NXtomo file.
    let file = folder.path().join("from-h5.npy");
    done("reconstruct {} --align none -o {}", &[&demo().join("scan.h5"), &file]);
    let worst = values(&file).iter().zip(&straight).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    // The file says when each flat was taken, so the flats may be weighted otherwise: noise of flats only.
    assert!(worst < 0.05, "{worst}");
}
