//! Tests of io::zarr.

use std::sync::Arc;

use ndarray::{Array3, s};

use super::*;
use crate::base::{MemoryBudget, Unit};
use crate::io::{Dtype, Kind, ReadOptions, read_array, write_array};
use crate::volume::{BlockCache, ClassTable};

fn budget() -> MemoryBudget {
    MemoryBudget::from_gib(1.0)
}

fn ramp(shape: [usize; 3]) -> Array3<f32> {
    Array3::from_shape_fn(shape, |(z, y, x)| (z * 10000 + y * 100 + x) as f32)
}

#[test]
fn every_type_comes_back_with_frame_and_unit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zarr");
    let base = ramp([3, 5, 7]);
    for array in [
        AnyArray::U8(base.mapv(|v| (v % 251.0) as u8)),
        AnyArray::I8(base.mapv(|v| (v % 100.0 - 50.0) as i8)),
        AnyArray::U16(base.mapv(|v| v as u16)),
        AnyArray::I16(base.mapv(|v| v as i16 - 9000)),
        AnyArray::U32(base.mapv(|v| v as u32 * 70000)),
        AnyArray::I32(base.mapv(|v| -(v as i32))),
        AnyArray::F32(base.clone()),
        AnyArray::F64(base.mapv(|v| f64::from(v) * 0.1)),
    ] {
        let request = WriteRequest {
            voxel_um: Some([0.03, 0.02, 0.01]),
            origin_um: [1.0, -2.0, 3.5],
            unit: Some(Unit::PerUm),
            energy_ev: Some(520.0),
            metadata: [("note".to_owned(), "a".to_owned())].into(),
            ..WriteRequest::new(&array)
        };
        assert_eq!(write_array(&path, &request, &Progress::new()).unwrap(), Vec::<String>::new());
        let loaded = read_array(&path, &Progress::new(), budget()).unwrap();
        assert_eq!(loaded.array, array);
        assert_eq!(loaded.header.voxel_um, Some([0.03, 0.02, 0.01]));
        assert_eq!(loaded.header.origin_um, [1.0, -2.0, 3.5]);
        assert_eq!(loaded.header.unit, Some(Unit::PerUm));
        assert_eq!(loaded.header.energy_ev, Some(520.0));
        assert_eq!(loaded.header.metadata["note"], "a");
        assert_eq!(loaded.header.kind, Kind::Volume);
    }
}

#[test]
fn coarse_levels_are_means_and_their_centres_are_right() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zarr");
    let array = ramp([4, 70, 130]);
    let request = WriteRequest { voxel_um: Some([0.1; 3]), ..WriteRequest::new(&array) };
    write_array(&path, &request, &Progress::new()).unwrap();
    // 130 → 65 → 33: three levels; level 1 at (1, 2, 3) is the mean over z 2..4, y 4..6, x 6..8.
    assert!(path.join("2").is_dir() && !path.join("3").exists());
    let level = read_array(&path.join("1"), &Progress::new(), budget()).unwrap().array.into_f32();
    assert_eq!(level.dim(), (2, 35, 65));
    assert_eq!(level[[1, 2, 3]], 2.5 * 10000.0 + 4.5 * 100.0 + 6.5);
    let json: Value = serde_json::from_slice(&std::fs::read(path.join("zarr.json")).unwrap()).unwrap();
    let steps = &json["attributes"]["ome"]["multiscales"][0]["datasets"][1]["coordinateTransformations"];
    assert_eq!(steps[0]["scale"][0], 0.2);
    assert_eq!(steps[1]["translation"][2], 0.05);
    assert_eq!(json["attributes"]["ome"]["multiscales"][0]["name"], "a");
}

#[test]
fn coarse_voxels_at_odd_ends_are_means_of_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zarr");
    let whole =
        Array3::from_shape_fn((5, 7, 131), |(z, y, x)| ((z * 977 + y * 131 + x * 37) % 1000) as i16 - 500);
    write_array(&path, &WriteRequest::new(&whole), &Progress::new()).unwrap();
    let coarse = read_array(&path.join("1"), &Progress::new(), budget()).unwrap().array;
    let AnyArray::I16(coarse) = coarse else { panic!("another type") };
    assert_eq!(coarse.dim(), (3, 4, 66));
    for ((z, y, x), value) in coarse.indexed_iter() {
        let box_of = |at: usize, n: usize| 2 * at..n.min(2 * at + 2);
        let fine = whole.slice(s![box_of(z, 5), box_of(y, 7), box_of(x, 131)]).mapv(f64::from);
        // Half away from 0.
        assert_eq!(f64::from(*value), (fine.sum() / fine.len() as f64).round(), "{z} {y} {x}");
    }
}

#[test]
fn shards_hold_their_chunks_and_leave_zeros_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zarr");
    // Two shards along y; the chunks of the middle are empty, so is all of the last shard.
    let whole = Array3::from_shape_fn((70, 300, 130), |(z, y, x)| {
        if (64..128).contains(&y) || y >= 256 { 0 } else { (z * 31 + y * 7 + x + 1) as u16 }
    });
    write_array(&path, &WriteRequest::new(&whole), &Progress::new()).unwrap();
    assert_eq!(read_array(&path, &Progress::new(), budget()).unwrap().array, AnyArray::U16(whole.clone()));
    assert!(path.join("0/c/0/0/0").is_file() && !path.join("0/c/0/1/0").exists());
    let first = std::fs::read(path.join("0/c/0/0/0")).unwrap();
    let (n_chunks, entries) = (2 * 4 * 3, first.len() - 4);
    let entry = |i: usize| {
        let at = entries - 16 * (n_chunks - i);
        u64::from_le_bytes(first[at..at + 8].try_into().unwrap())
    };
    assert_eq!((entry(0), entry(3)), (0, u64::MAX), "the second chunk along y is not there");
}

#[test]
fn labels_keep_names_and_colours_and_coarse_levels_stay_ids() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("l.zarr");
    let mut ids = Array3::<u16>::from_elem((2, 2, 100), 3);
    ids.slice_mut(s![.., .., 0..1]).fill(1);
    let classes = ClassTable::from_names(["nucleus", "mitochondria", "nucleolus"]);
    let request =
        WriteRequest { unit: Some(Unit::Label), classes: Some(&classes), ..WriteRequest::new(&ids) };
    write_array(&path, &request, &Progress::new()).unwrap();
    let loaded = read_array(&path, &Progress::new(), budget()).unwrap();
    assert_eq!(loaded.header.classes.as_ref(), Some(&classes));
    assert_eq!((loaded.header.kind, loaded.header.voxel_um), (Kind::Labels, None));
    let coarse = read_array(&path.join("1"), &Progress::new(), budget()).unwrap().array;
    // Four 1s and four 3s: the smaller id wins, 2 would be no id of this volume.
    assert_eq!(coarse.to_label_ids().unwrap()[[0, 0, 0]], 1);

    let image = folder.path().join("image.zarr");
    write_array(&image, &WriteRequest::new(&ramp([2, 2, 100])), &Progress::new()).unwrap();
    write_labels_into(&image, "organelles", &request, &Progress::new()).unwrap();
    let inside = read_array(&image.join("labels/organelles"), &Progress::new(), budget()).unwrap();
    assert_eq!(inside.array, AnyArray::U16(ids.clone()));
    assert!(write_labels_into(&image, "../out", &request, &Progress::new()).is_err());
    // The same by the path alone; as many levels as the image, listed beside the other.
    write_array(&image.join("labels/more"), &request, &Progress::new()).unwrap();
    assert!(image.join("labels/more/1").is_dir() && !image.join("labels/more/2").exists());
    let text = std::fs::read_to_string(image.join("labels/zarr.json")).unwrap();
    assert!(text.contains("organelles") && text.contains("more"), "{text}");
    let whole = read_array(&image, &Progress::new(), budget()).unwrap().header;
    assert!(whole.warnings[0].contains("more, organelles"), "{:?}", whole.warnings);
    let greys = ids.mapv(f32::from);
    let refused = write_array(&image.join("labels/grey"), &WriteRequest::new(&greys), &Progress::new());
    assert!(refused.unwrap_err().to_string().contains("only labels"));
}

#[test]
fn rows_written_in_any_order_and_at_once_make_the_volume() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.zarr");
    let whole = ramp([5, 30, 70]);
    let ranges = [16..30, 0..8, 8..11, 11..16];
    let write = |range: Range<usize>| {
        let part = whole.slice(s![.., range.clone(), ..]).to_owned();
        let request = WriteRequest { voxel_um: Some([0.1; 3]), ..WriteRequest::new(&part) };
        let target = create_rows(&path, [5, 30, 70], &request).unwrap();
        write_rows(&target, range, &request, &Progress::new()).unwrap();
    };
    write(ranges[0].clone());
    let part = read_array(&path, &Progress::new(), budget()).unwrap();
    assert!(part.array.to_f32()[[0, 0, 0]].is_nan(), "rows nobody wrote are NaN");
    std::thread::scope(|scope| {
        for range in &ranges[1..] {
            scope.spawn(|| write(range.clone()));
        }
    });
    let loaded = read_array(&path, &Progress::new(), budget()).unwrap();
    assert_eq!(loaded.array, AnyArray::F32(whole.clone()));
    assert_eq!(loaded.header.voxel_um, Some([0.1; 3]));
    let text = create_rows(&path, [5, 31, 70], &WriteRequest::new(&whole)).unwrap_err().to_string();
    assert!(text.contains("already"), "{text}");
}

#[test]
fn version_0_4_axes_channels_and_units_are_understood() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join(".zgroup"), r#"{"zarr_format":2}"#).unwrap();
    let attributes = r#"{"multiscales":[{"version":"0.4","axes":[{"name":"c","type":"channel"},
        {"name":"z","type":"space","unit":"nanometer"},{"name":"y","type":"space","unit":"nanometer"},{"name":"x","type":"space","unit":"nanometer"}],
        "datasets":[{"path":"s0","coordinateTransformations":[{"type":"scale","scale":[1,30,20,10]},{"type":"translation","translation":[0,0,0,500]}]}]}]}"#;
    std::fs::write(path.join(".zattrs"), attributes).unwrap();
    std::fs::create_dir(path.join("s0")).unwrap();
    std::fs::write(path.join("s0/.zarray"), r#"{"zarr_format":2,"shape":[2,1,2,3],"chunks":[1,1,2,3],"dtype":">u2","compressor":null,"fill_value":0,"order":"C","filters":null}"#).unwrap();
    for channel in 0..2u16 {
        let bytes: Vec<u8> = (0..6u16).flat_map(|v| (v + 1000 * channel).to_be_bytes()).collect();
        std::fs::write(path.join(format!("s0/{channel}.0.0.0")), bytes).unwrap();
    }
    let loaded = crate::io::read_array_of(path, &channel(1), &Progress::new(), budget()).unwrap();
    assert_eq!(loaded.array.to_label_ids().unwrap()[[0, 1, 2]], 1005);
    assert_eq!(loaded.header.voxel_um, Some([0.03, 0.02, 0.01]));
    assert_eq!(loaded.header.origin_um, [0.0, 0.0, 0.5]);
    assert_eq!(loaded.header.n_channels, 2);
    let text =
        crate::io::read_array_of(path, &channel(2), &Progress::new(), budget()).unwrap_err().to_string();
    assert!(text.contains("channel 2"), "{text}");
}

#[test]
fn hostile_metadata_is_refused_before_memory_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zarr");
    std::fs::create_dir(&path).unwrap();
    let array = |shape: &str, chunks: &str| {
        format!(
            r#"{{"zarr_format":2,"shape":{shape},"chunks":{chunks},"dtype":"<f4","compressor":null,"fill_value":0,"order":"C","filters":null}}"#
        )
    };
    for (json, part) in [
        (array("[1000000,1000000,1000000]", "[64,64,64]"), "memory"),
        (array("[1000000,1000000,1000000]", "[1000000,1000000,1000000]"), "memory"),
        (array("[1000000,1000000]", "[4294967296,4294967296]"), "memory"),
        (array("[0,4,4]", "[1,4,4]"), "empty"),
        (array("[4]", "[4]"), "expected 3 axes"),
        ("{".to_owned(), "Zarr"),
        (r#"{"zarr_format":9}"#.to_owned(), "Zarr"),
    ] {
        std::fs::write(path.join(".zarray"), &json).unwrap();
        let text = read_array(&path, &Progress::new(), budget()).unwrap_err().to_string();
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn planes_that_come_one_layer_after_the_other_give_the_same_files_as_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    // Two layers of shards and a part of a third at the finest level, odd sides everywhere.
    let array =
        Array3::from_shape_fn((531, 37, 70), |(z, y, x)| ((z * 7919 + y * 104_729 + x * 31) % 4099) as u16);
    for (name, unit) in [("image", Unit::PerUm), ("labels", Unit::Label)] {
        let request =
            WriteRequest { voxel_um: Some([0.02; 3]), unit: Some(unit), ..WriteRequest::new(&array) };
        let (npy, whole, streamed) = (
            folder.path().join(format!("{name}.npy")),
            folder.path().join(format!("{name}.zarr")),
            folder.path().join(format!("{name}_streamed.zarr")),
        );
        write_array(&npy, &request, &Progress::new()).unwrap();
        write_array(&whole, &request, &Progress::new()).unwrap();
        let done =
            crate::io::convert(&npy, &streamed, &ReadOptions::default(), &Progress::new(), budget()).unwrap();
        assert_eq!((done.shape, done.dtype), ([531, 37, 70], Dtype::U16));
        let levels: Vec<[usize; 3]> = (0..5)
            .map(|level| {
                let [a, b] = [&whole, &streamed].map(|path| {
                    read_array(&path.join(level.to_string()), &Progress::new(), budget()).unwrap().array
                });
                assert_eq!(a, b, "{name} level {level}");
                a.shape()
            })
            .collect();
        assert_eq!(levels[1], [266, 19, 35]);
        // The mean of two by two by two voxels, by hand.
        if unit == Unit::PerUm {
            let fine = read_array(&streamed, &Progress::new(), budget()).unwrap().array.into_f32();
            let coarse =
                read_array(&streamed.join("1"), &Progress::new(), budget()).unwrap().array.into_f32();
            let mean = fine.slice(s![256..258, 4..6, 8..10]).mean().unwrap();
            assert!((coarse[[128, 2, 4]] - mean).abs() <= 0.5, "{} {mean}", coarse[[128, 2, 4]]);
        }
    }
}

#[test]
fn converting_does_not_need_the_memory_of_the_array() {
    let folder = tempfile::tempdir().unwrap();
    let array = Array3::from_elem((640, 64, 64), 3u16);
    let npy = folder.path().join("a.npy");
    write_array(&npy, &WriteRequest::new(&array), &Progress::new()).unwrap();
    // 5.2 MB of voxels; a layer of 256 planes takes 2.1, three and a half of them are asked for.
    let tight = MemoryBudget { bytes: 7_400_000 };
    crate::io::convert(&npy, &folder.path().join("a.zarr"), &ReadOptions::default(), &Progress::new(), tight)
        .unwrap();
    let refused = crate::io::convert(
        &npy,
        &folder.path().join("b.zarr"),
        &ReadOptions::default(),
        &Progress::new(),
        MemoryBudget { bytes: 1 << 20 },
    );
    assert!(matches!(refused, Err(IoError::Memory { .. })), "{refused:?}");
    assert!(!folder.path().join("b.zarr").exists());
    let cancelled = Progress::new();
    cancelled.cancel();
    let stopped = crate::io::convert(
        &npy,
        &folder.path().join("c.zarr"),
        &ReadOptions::default(),
        &cancelled,
        budget(),
    );
    assert!(matches!(stopped, Err(IoError::Cancelled(_))), "{stopped:?}");
    assert!(!folder.path().join("c.zarr").exists());
}

#[test]
fn a_pyramid_gives_any_block_of_any_level() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zarr");
    let array = ramp([70, 90, 300]);
    let request = WriteRequest {
        voxel_um: Some([0.1, 0.1, 0.2]),
        origin_um: [1.0, 2.0, 3.0],
        ..WriteRequest::new(&array)
    };
    write_array(&path, &request, &Progress::new()).unwrap();
    let cache = Arc::new(BlockCache::new(1 << 30));
    let pyramid = open_pyramid(&path, &ReadOptions::default(), |_| 2, &cache, budget()).unwrap().unwrap();
    let shapes: Vec<[usize; 3]> = pyramid.levels().iter().map(|level| level.shape).collect();
    assert_eq!(shapes, [[70, 90, 300], [35, 45, 150], [18, 23, 75], [9, 12, 38]]);
    assert_eq!(pyramid.working(), 2);
    assert!(
        open_pyramid(&path, &ReadOptions::default(), |_| 4, &cache, budget()).is_err(),
        "there is no such level"
    );
    assert_eq!(pyramid.levels()[0].block, [64, 64, 64]);
    assert_eq!(pyramid.levels()[0].scale, [0.1, 0.1, 0.2]);
    assert_eq!(pyramid.levels()[1].offset, [1.05, 2.05, 3.1]);
    for (level, low) in [(0, [64, 64, 256]), (0, [0, 64, 0]), (1, [0, 0, 64])] {
        let block = crate::volume::BlockId { level, at: std::array::from_fn(|a| low[a] / 64) };
        let whole =
            read_array(&path.join(level.to_string()), &Progress::new(), budget()).unwrap().array.into_f32();
        let (first, dims) = pyramid.block_box(block);
        assert_eq!(first, low);
        let expected =
            whole.slice(s![low[0]..low[0] + dims[0], low[1]..low[1] + dims[1], low[2]..low[2] + dims[2]]);
        assert_eq!(pyramid.read(block).unwrap().into_f32(), expected);
    }
    // One level is no pyramid; chunks beyond the budget are refused.
    let small = folder.path().join("b.zarr");
    write_array(&small, &WriteRequest::new(&ramp([4, 4, 4])), &Progress::new()).unwrap();
    assert!(open_pyramid(&small, &ReadOptions::default(), |_| 0, &cache, budget()).unwrap().is_none());
    let tight = MemoryBudget { bytes: 1 << 20 };
    assert!(open_pyramid(&path, &ReadOptions::default(), |_| 1, &cache, tight).is_err());
    // A shard that is cut short is an error of that block, not a panic.
    let shard = path.join("0/c/0/0/0");
    let bytes = std::fs::read(&shard).unwrap();
    std::fs::write(&shard, &bytes[..bytes.len() / 2]).unwrap();
    let again = open_pyramid(&path, &ReadOptions::default(), |_| 2, &cache, budget()).unwrap().unwrap();
    assert!(again.read(crate::volume::BlockId { level: 0, at: [0; 3] }).is_err());
}

fn channel(n: usize) -> ReadOptions {
    ReadOptions { channel: Some(n), ..ReadOptions::default() }
}
