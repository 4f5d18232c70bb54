//! Tests of io::zarr on what names of axes and attributes mean, and on filters and checksums that few write.

use ndarray::Array3;
use serde_json::{Value, json};

use super::foreign_tests::{
    array, axes, budget, bytes_of, first, group, image, read, said, text, value, volume,
};
use crate::base::Progress;
use crate::io::{LoadedIds, ReadOptions, read_ids};

/// The values of [`volume`] with its axes the other way round, of x, y, z.
fn backwards() -> Vec<u8> {
    bytes_of((0..4).flat_map(|x| (0..3).flat_map(move |y| (0..2).map(move |z| value(z, y, x)))))
}

#[test]
fn names_of_plain_arrays_decide_what_their_axes_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zarr");
    for names in [json!(["x", "y", "z"]), json!(["lon", "lat", "depth"]), json!(["Col", "Row", "Slice"])] {
        array(&path, &[4, 3, 2], backwards(), "<u2", &json!({}));
        text(path.join(".zattrs"), &json!({"_ARRAY_DIMENSIONS": names}));
        let (found, header) = first(&path);
        assert_eq!((found, header.warnings), (volume(), Vec::<String>::new()), "{names}");
        // The same in Zarr 3.
        let new = folder.path().join("b.zarr");
        let meta = json!({"zarr_format": 3, "node_type": "array", "shape": [4, 3, 2], "data_type": "uint16",
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4, 3, 2]}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": 0, "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
            "dimension_names": names});
        text(new.join("zarr.json"), &meta);
        std::fs::create_dir_all(new.join("c/0/0")).unwrap();
        std::fs::write(new.join("c/0/0/0"), backwards()).unwrap();
        assert_eq!(first(&new).0, volume(), "{names}");
    }
    // Names that do not tell.
    array(&path, &[2, 3, 4], bytes_of(volume()), "<u2", &json!({}));
    text(path.join(".zattrs"), &json!({"_ARRAY_DIMENSIONS": ["a", "b", "c"]}));
    let (found, header) = first(&path);
    assert_eq!(found, volume());
    assert!(said(&header, "are called a, b, c"), "{:?}", header.warnings);
    text(path.join(".zattrs"), &json!({"_ARRAY_DIMENSIONS": ["dim_0", "dim_1", "dim_2"]}));
    assert_eq!(first(&path).1.warnings, Vec::<String>::new());
}

#[test]
fn times_and_views_of_one_plane_each_are_planes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zarr");
    let edges = [9.0, 2.0, 1.0];
    group(&path, &image(&axes(&["t", "y", "x"], Some("um")), &edges));
    array(&path.join("0"), &[2, 3, 4], bytes_of(volume()), "<u2", &json!({}));
    let (found, header) = first(&path);
    assert_eq!((found, header.n_times, header.voxel_um), (volume(), 1, Some([2.0, 2.0, 1.0])));
    assert!(said(&header, "2 times of one plane each were read as 2 planes"), "{:?}", header.warnings);
    group(&path, &image(&axes(&["t", "z", "y", "x"], Some("um")), &[9.0, 3.0, 2.0, 1.0]));
    array(&path.join("0"), &[2, 1, 3, 4], bytes_of(volume()), "<u2", &json!({}));
    let (found, header) = first(&path);
    assert_eq!((found, header.n_times, header.voxel_um), (volume(), 1, Some([3.0, 2.0, 1.0])));
    let plain = folder.path().join("b.zarr");
    array(&plain, &[2, 3, 4], bytes_of(volume()), "<u2", &json!({}));
    for names in [json!(["time", "lat", "lon"]), json!(["angle", "y", "x"])] {
        text(plain.join(".zattrs"), &json!({"_ARRAY_DIMENSIONS": names}));
        let (found, header) = first(&plain);
        assert_eq!((found, header.n_channels), (volume(), 1), "{names}");
        assert!(said(&header, "of one plane each"), "{:?}", header.warnings);
    }
    // Bands are channels.
    text(plain.join(".zattrs"), &json!({"_ARRAY_DIMENSIONS": ["band", "y", "x"]}));
    assert_eq!(first(&plain).1.n_channels, 2);
}

#[test]
fn scales_and_values_for_no_data_in_attributes_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zarr");
    array(&path, &[2, 3, 4], bytes_of(volume()), "<u2", &json!({}));
    text(path.join(".zattrs"), &json!({"scale_factor": 0.1, "add_offset": 5, "_FillValue": 123}));
    let (found, header) = first(&path);
    assert_eq!(found, volume());
    assert!(said(&header, "5 + 0.1 × stored") && said(&header, "values of 123 mean no data"));
    text(path.join(".zattrs"), &json!({"scale_factor": 1.0, "add_offset": 0}));
    assert_eq!(first(&path).1.warnings, Vec::<String>::new());
}

#[test]
fn label_ids_of_minus_1_are_unlabelled_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zarr");
    let mut attributes = image(&axes(&["z", "y", "x"], Some("um")), &[1.0; 3]);
    attributes["image-label"] = json!({"version": "0.4"});
    group(&path, &attributes);
    let write = |ids: [i64; 4]| {
        let bytes = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        array(&path.join("0"), &[2, 1, 2], bytes, "<i8", &json!({}));
    };
    let ids = || read_ids(&path, &ReadOptions::default(), None, &Progress::new(), budget());
    write([-1, 3, -1, 70_000]);
    let LoadedIds::Regions(found) = ids().unwrap() else { panic!("no regions") };
    assert_eq!(found.map.data.iter().copied().collect::<Vec<u32>>(), [0, 3, 0, 70_000]);
    assert!(found.warnings.iter().any(|w| w.starts_with("2 voxels are -1")), "{:?}", found.warnings);
    write([-2, 0, 0, 0]);
    assert!(ids().unwrap_err().to_string().contains("the id -2"));
}

/// The chunks of 2 × 3 × 4 of an array of 3 × 4 × 5 in Fortran order as differences, what lies outside filled with 0.
fn ragged(path: &std::path::Path, whole: &Array3<u16>) {
    let chunk = |at: [usize; 3]| {
        let mut values: Vec<u16> = Vec::new();
        for x in 0..4 {
            for y in 0..3 {
                for z in 0..2 {
                    let place = (2 * at[0] + z, 3 * at[1] + y, 4 * at[2] + x);
                    values.push(whole.get(place).copied().unwrap_or(0));
                }
            }
        }
        let before = std::iter::once(0).chain(values.clone());
        bytes_of(values.iter().zip(before).map(|(v, b)| v.wrapping_sub(b)).collect::<Vec<u16>>())
    };
    let delta: Value =
        json!({"chunks": [2, 3, 4], "order": "F", "filters": [{"id": "delta", "dtype": "<u2"}]});
    array(path, &[3, 4, 5], Vec::new(), "<u2", &delta);
    for z in 0..2 {
        for y in 0..2 {
            for x in 0..2 {
                std::fs::write(path.join(format!("{z}.{y}.{x}")), chunk([z, y, x])).unwrap();
            }
        }
    }
}

#[test]
fn differences_in_ragged_chunks_of_fortran_order_are_added_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zarr");
    let whole = Array3::from_shape_fn((3, 4, 5), |(z, y, x)| (40_000 - 999 * z + 101 * y + x * x) as u16);
    ragged(&path, &whole);
    assert_eq!(read(&path, &ReadOptions::default()).unwrap().0, whole);
}

#[test]
fn checksums_are_read_on_either_side_of_their_values() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zarr");
    let values = bytes_of(volume());
    let sums: [(&str, fn(&[u8]) -> u32); 2] = [("crc32", crc32fast::hash), ("crc32c", crc32c::crc32c)];
    for (id, sum_of) in sums {
        let sum = sum_of(&values).to_le_bytes().to_vec();
        for (location, is_behind) in [(Some("start"), false), (Some("end"), true), (None, id == "crc32c")] {
            let parts = if is_behind { [values.clone(), sum.clone()] } else { [sum.clone(), values.clone()] };
            let mut codec = json!({"id": id});
            if let Some(location) = location {
                codec["location"] = json!(location);
            }
            array(&path, &[2, 3, 4], parts.concat(), "<u2", &json!({"filters": [codec]}));
            assert_eq!(first(&path).0, volume(), "{id} {location:?}");
        }
    }
}
