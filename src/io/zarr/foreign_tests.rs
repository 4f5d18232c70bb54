//! Tests of io::zarr on what other programs write: axes, units, trees, codecs, damage.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use ndarray::Array3;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::base::{MemoryBudget, Progress};
use crate::io::{Header, Kind, ReadOptions, WriteRequest, convert, read_array_of, read_header, write_array};
use crate::volume::AnyArray;

pub(super) fn budget() -> MemoryBudget {
    MemoryBudget::from_gib(0.5)
}

pub(super) fn text(path: PathBuf, value: &Value) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, value.to_string()).unwrap();
}

/// A group of Zarr 2.
pub(super) fn group(path: &Path, attributes: &Value) {
    text(path.join(".zgroup"), &json!({"zarr_format": 2}));
    text(path.join(".zattrs"), attributes);
}

/// An array of Zarr 2 in one chunk, `more` changing its metadata and `pack` its bytes.
pub(super) fn array(path: &Path, shape: &[usize], bytes: Vec<u8>, dtype: &str, more: &Value) {
    let mut meta = json!({"zarr_format": 2, "shape": shape, "chunks": shape, "dtype": dtype, "compressor": null,
        "fill_value": 0, "order": "C", "filters": null});
    for (key, value) in more.as_object().unwrap() {
        meta[key] = value.clone();
    }
    text(path.join(".zarray"), &meta);
    let key = shape.iter().map(|_| "0").collect::<Vec<_>>().join(".");
    fs::write(path.join(key), bytes).unwrap();
}

pub(super) fn bytes_of(values: impl IntoIterator<Item = u16>) -> Vec<u8> {
    values.into_iter().flat_map(u16::to_le_bytes).collect()
}

/// Values that tell their place: 100 z + 10 y + x of an array of 2 × 3 × 4.
pub(super) fn value(z: usize, y: usize, x: usize) -> u16 {
    (100 * z + 10 * y + x) as u16
}

pub(super) fn volume() -> Array3<u16> {
    Array3::from_shape_fn((2, 3, 4), |(z, y, x)| value(z, y, x))
}

pub(super) fn axes(names: &[&str], unit: Option<&str>) -> Value {
    let axis = |name: &&str| {
        let kind = match *name {
            "t" => "time",
            "c" => "channel",
            _ => "space",
        };
        match unit.filter(|_| kind == "space") {
            Some(unit) => json!({"name": name, "type": kind, "unit": unit}),
            None => json!({"name": name, "type": kind}),
        }
    };
    names.iter().map(axis).collect()
}

pub(super) fn image(axes: &Value, scale: &[f64]) -> Value {
    json!({"multiscales": [{"version": "0.4", "axes": axes, "datasets": [
        {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": scale}]}]}]})
}

pub(super) fn read(path: &Path, options: &ReadOptions) -> Result<(Array3<u16>, Header), String> {
    let loaded = read_array_of(path, options, &Progress::new(), budget()).map_err(|e| e.to_string())?;
    match loaded.array {
        AnyArray::U16(array) => Ok((array, loaded.header)),
        other => Err(format!("values of type {}", other.dtype())),
    }
}

pub(super) fn first(path: &Path) -> (Array3<u16>, Header) {
    read(path, &ReadOptions::default()).unwrap()
}

fn dataset(path: &str) -> ReadOptions {
    ReadOptions { dataset: Some(path.to_owned()), ..ReadOptions::default() }
}

fn entry(name: &str) -> ReadOptions {
    ReadOptions { entry: Some(name.to_owned()), ..ReadOptions::default() }
}

pub(super) fn said(header: &Header, part: &str) -> bool {
    header.warnings.iter().any(|warning| warning.contains(part))
}

/// The image of [`volume`] with edges 3, 2, 1 µm.
fn plain_image(path: &Path) {
    group(path, &image(&axes(&["z", "y", "x"], Some("micrometer")), &[3.0, 2.0, 1.0]));
    array(&path.join("0"), &[2, 3, 4], bytes_of(volume()), "<u2", &json!({}));
}

#[test]
fn axes_in_any_order_are_brought_into_z_y_x() {
    let folder = tempfile::tempdir().unwrap();
    for (n, names) in
        [["x", "y", "z"], ["y", "x", "z"], ["z", "y", "x"], ["depth", "row", "col"]].iter().enumerate()
    {
        let path = folder.path().join(format!("{n}.zarr"));
        let place = |name: &str| ["z", "y", "x"].iter().position(|axis| *axis == name);
        let is: Vec<usize> = names.iter().enumerate().map(|(i, name)| place(name).unwrap_or(i)).collect();
        let sides: Vec<usize> = is.iter().map(|axis| [2, 3, 4][*axis]).collect();
        let scale: Vec<f64> = is.iter().map(|axis| [3.0, 2.0, 1.0][*axis]).collect();
        let mut values = Vec::new();
        for a in 0..sides[0] {
            for b in 0..sides[1] {
                for c in 0..sides[2] {
                    let mut at = [0; 3];
                    is.iter().zip([a, b, c]).for_each(|(axis, i)| at[*axis] = i);
                    values.push(value(at[0], at[1], at[2]));
                }
            }
        }
        group(&path, &image(&axes(names, Some("nanometer")), &scale));
        array(&path.join("0"), &sides, bytes_of(values), "<u2", &json!({}));
        let (read, header) = first(&path);
        assert_eq!(read, volume(), "{names:?}");
        assert_eq!(header.voxel_um, Some([0.003, 0.002, 0.001]), "{names:?}");
        assert!(header.warnings.is_empty(), "{:?}", header.warnings);
    }
}

#[test]
fn channels_and_times_are_chosen_and_the_first_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zarr");
    let mut attributes = image(&axes(&["t", "z", "c", "y", "x"], Some("um")), &[1.0, 3.0, 1.0, 2.0, 1.0]);
    attributes["omero"] = json!({"channels": [{"label": "DAPI"}, {"label": "GFP"}]});
    group(&path, &attributes);
    let mut values = Vec::new();
    for t in 0..3u16 {
        for z in 0..2 {
            for c in 0..2u16 {
                values.extend((0..12).map(|i| 10_000 * t + 1000 * c + value(z, i / 4, i % 4)));
            }
        }
    }
    array(&path.join("0"), &[3, 2, 2, 3, 4], bytes_of(values), "<u2", &json!({}));
    let (array, header) = first(&path);
    assert_eq!(array, volume());
    assert_eq!((header.n_channels, header.n_times), (2, 3));
    assert_eq!(header.channel_names, ["DAPI", "GFP"]);
    assert!(said(&header, "channel 0 (DAPI) of 2") && said(&header, "time 0 of 3"), "{:?}", header.warnings);
    let options = ReadOptions { channel: Some(1), time: Some(2), ..ReadOptions::default() };
    let (array, header) = read(&path, &options).unwrap();
    assert_eq!(array, volume() + 21_000);
    assert!(header.warnings.is_empty(), "{:?}", header.warnings);
    let options = ReadOptions { channel: Some(2), ..ReadOptions::default() };
    assert!(read(&path, &options).unwrap_err().contains("channel 2"));
}

#[test]
fn edges_without_a_unit_are_kept_and_said_and_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let (path, again) = (folder.path().join("a.zarr"), folder.path().join("b.zarr"));
    group(&path, &image(&axes(&["z", "y", "x"], None), &[10.0, 2.0, 2.0]));
    array(&path.join("0"), &[2, 3, 4], bytes_of(volume()), "<u2", &json!({}));
    let header = first(&path).1;
    assert_eq!((header.voxel_um, header.ratios), (None, Some([5.0, 1.0, 1.0])));
    assert!(said(&header, "5 : 1 : 1") && said(&header, "a.zarr.json"), "{:?}", header.warnings);
    convert(&path, &again, &ReadOptions::default(), &Progress::new(), budget()).unwrap();
    assert_eq!(read_header(&again).unwrap().ratios, Some([5.0, 1.0, 1.0]));
    // The way that the sentence names.
    text(folder.path().join("a.zarr.json"), &json!({"waterwindow_sidecar": 1, "voxel_um": [0.5, 0.1, 0.1]}));
    let header = first(&path).1;
    assert_eq!((header.voxel_um, header.ratios), (Some([0.5, 0.1, 0.1]), None));
    assert!(header.warnings.is_empty(), "{:?}", header.warnings);
}

#[test]
fn label_images_inside_are_said_and_read_with_their_classes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zarr");
    plain_image(&path);
    group(&path.join("labels"), &json!({"labels": ["cell"]}));
    let mut attributes = image(&axes(&["z", "y", "x"], Some("micrometer")), &[3.0, 2.0, 1.0]);
    attributes["image-label"] = json!({"colors": [{"label-value": 2.0, "rgba": [1, 2, 3, 255]}],
        "properties": [{"label-value": 2, "name": "nucleus"}]});
    group(&path.join("labels/cell"), &attributes);
    let ids = |id: i64| (0..24).flat_map(move |i| (i % 3 * id).to_le_bytes()).collect::<Vec<u8>>();
    array(&path.join("labels/cell/0"), &[2, 3, 4], ids(1), "<i8", &json!({}));
    assert!(said(&first(&path).1, "cell; --dataset labels/cell"), "{:?}", first(&path).1.warnings);
    let loaded = read_array_of(&path, &dataset("labels/cell"), &Progress::new(), budget()).unwrap();
    assert_eq!((loaded.header.kind, loaded.array.dtype()), (Kind::Labels, "uint32"));
    let class = loaded.header.classes.as_ref().unwrap().get(2).unwrap();
    assert_eq!((class.name.as_str(), class.color), ("nucleus", [1, 2, 3]));
    assert_eq!(loaded.header.voxel_um, Some([3.0, 2.0, 1.0]));
    // Ids are never rounded.
    array(&path.join("labels/cell/0"), &[2, 3, 4], ids(1 << 40), "<i8", &json!({}));
    assert!(read(&path, &dataset("labels/cell")).unwrap_err().contains("does not fit 32 bits"));
    // A level of the image keeps its size.
    assert_eq!(read(&path, &dataset("/0")).unwrap().1.voxel_um, Some([3.0, 2.0, 1.0]));
    assert!(read(&path, &dataset("nothing")).unwrap_err().contains("no array or group"));
}

#[test]
fn one_of_several_images_is_chosen_and_the_first_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let series = folder.path().join("series.zarr");
    group(&series, &json!({"bioformats2raw.layout": 3}));
    (0..3).for_each(|n| plain_image(&series.join(n.to_string())));
    array(&series.join("1/0"), &[2, 3, 4], bytes_of(volume() + 7), "<u2", &json!({}));
    let (array_0, header) = first(&series);
    assert_eq!(array_0, volume());
    assert!(said(&header, "image 0 of 3"), "{:?}", header.warnings);
    for options in [entry("1"), dataset("1")] {
        let (array, header) = read(&series, &options).unwrap();
        assert_eq!((array, header.warnings.len()), (volume() + 7, 0));
    }
    assert!(read(&series, &entry("9")).unwrap_err().contains("0, 1, 2"));

    let plate = folder.path().join("plate.zarr");
    group(&plate, &json!({"plate": {"wells": [{"path": "A/1"}]}}));
    group(&plate.join("A/1"), &json!({"well": {"images": [{"path": "0"}]}}));
    plain_image(&plate.join("A/1/0"));
    assert!(read(&plate, &ReadOptions::default()).unwrap_err().contains("plate of 1 wells"));
    assert_eq!(read(&plate, &dataset("A/1")).unwrap().0, volume());

    let plain = folder.path().join("plain.zarr");
    group(&plain, &json!({}));
    array(&plain.join("raw"), &[2, 3, 4], bytes_of(volume()), "<u2", &json!({}));
    assert_eq!(first(&plain).0, volume());
    array(&plain.join("more"), &[2, 3, 4], bytes_of(volume()), "<u2", &json!({}));
    assert!(read(&plain, &ReadOptions::default()).unwrap_err().contains("more, raw"));
    assert_eq!(read(&plain, &dataset("raw")).unwrap().0, volume());
}

#[test]
fn nothing_outside_the_hierarchy_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("a.zarr"), folder.path().join("other.zarr"));
    plain_image(&other);
    for level in ["../other.zarr/0", "/../other.zarr/0", "..", "0/../../other.zarr/0", "C:\\other"] {
        let mut attributes = image(&axes(&["z", "y", "x"], Some("um")), &[1.0; 3]);
        attributes["multiscales"][0]["datasets"][0]["path"] = json!(level);
        group(&path, &attributes);
        assert!(
            read(&path, &ReadOptions::default()).unwrap_err().contains("leaves the hierarchy"),
            "{level}"
        );
    }
    assert!(read(&path, &dataset("../other.zarr")).unwrap_err().contains("leaves the hierarchy"));
    #[cfg(unix)]
    {
        group(&path, &image(&axes(&["z", "y", "x"], Some("um")), &[1.0; 3]));
        std::os::unix::fs::symlink(other.join("0"), path.join("0")).unwrap();
        assert!(read(&path, &ReadOptions::default()).unwrap_err().contains("link"));
    }
}

/// Packs the files of a hierarchy into a zip file.
fn zipped(from: &Path, to: &Path, base: &str, method: zip::CompressionMethod) {
    let mut archive = zip::ZipWriter::new(fs::File::create(to).unwrap());
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    let mut open = vec![from.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let name = path.strip_prefix(from).unwrap().to_str().unwrap().replace('\\', "/");
            archive.start_file(format!("{base}{name}"), options).unwrap();
            archive.write_all(&fs::read(&path).unwrap()).unwrap();
        }
    }
    archive.finish().unwrap();
}

#[test]
fn a_zipped_hierarchy_reads_like_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zarr");
    let array = Array3::from_shape_fn((70, 80, 90), |(z, y, x)| (z * 7919 + y * 104 + x * 31) as u16);
    let request = WriteRequest { voxel_um: Some([0.3, 0.2, 0.1]), ..WriteRequest::new(&array) };
    write_array(&path, &request, &Progress::new()).unwrap();
    for (n, (base, method)) in [
        ("", zip::CompressionMethod::Stored),
        ("", zip::CompressionMethod::Deflated),
        ("a.zarr/", zip::CompressionMethod::Deflated),
    ]
    .into_iter()
    .enumerate()
    {
        // The content tells, not the name.
        let file = folder.path().join(if n == 0 { "a.ozx".to_owned() } else { format!("{n}.zip") });
        zipped(&path, &file, base, method);
        let (found, header) = first(&file);
        assert!(found == array, "{n}");
        assert_eq!((header.voxel_um, header.format), (Some([0.3, 0.2, 0.1]), "OME-Zarr"));
        let bytes = fs::read(&file).unwrap();
        for cut in [10, bytes.len() / 2, bytes.len() - 30] {
            let cut_file = folder.path().join("cut.ozx");
            fs::write(&cut_file, &bytes[..cut]).unwrap();
            assert!(read_header(&cut_file).is_err());
        }
        // A changed byte of a packed value is found; a stored entry is read in pieces, which have no sum.
        if method == zip::CompressionMethod::Stored {
            continue;
        }
        let mut wrong = bytes.clone();
        wrong[bytes.len() / 2] ^= 1;
        fs::write(&file, wrong).unwrap();
        assert!(read(&file, &ReadOptions::default()).is_err(), "{n}");
    }
}

#[test]
fn what_is_no_zarr_of_today_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.n5");
    text(path.join("attributes.json"), &json!({"n5": "2.0.0"}));
    assert!(read_header(&path).unwrap_err().to_string().contains("N5"));
    let path = folder.path().join("b.zarr");
    text(path.join("zarr.json"), &json!({"zarr_format": "https://purl.org/zarr/spec/protocol/core/3.0"}));
    assert!(read_header(&path).unwrap_err().to_string().contains("early draft"));
    let path = folder.path().join("c.zarr");
    array(&path, &[2, 2, 2], vec![0; 40], "<u2", &json!({"dtype": [["a", "<u1"], ["b", "<f4"]]}));
    assert!(read_header(&path).unwrap_err().to_string().contains("records"));
    let path = folder.path().join("d.zarr");
    array(&path, &[2, 2, 2], vec![0; 16], "<u2", &json!({"compressor": {"id": "zfpy", "mode": 4}}));
    assert!(read_header(&path).unwrap_err().to_string().contains("zfpy"));
}

#[test]
fn levels_out_of_order_are_sorted_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zarr");
    let level = |path: &str, scale: f64| json!({"path": path, "coordinateTransformations": [{"type": "scale", "scale": [scale, scale, scale]}]});
    group(
        &path,
        &json!({"multiscales": [{"version": "0.4", "axes": axes(&["z", "y", "x"], Some("um")),
        "datasets": [level("s1", 2.0), level("s0", 1.0)]}]}),
    );
    array(&path.join("s0"), &[2, 3, 4], bytes_of(volume()), "<u2", &json!({}));
    array(&path.join("s1"), &[1, 2, 2], bytes_of([1, 2, 3, 4]), "<u2", &json!({}));
    let (array, header) = first(&path);
    assert_eq!((array, header.voxel_um), (volume(), Some([1.0; 3])));
    assert!(said(&header, "finest"), "{:?}", header.warnings);
    // A coarse level may be missing, which is said; the finest may not: no coarser one is read instead.
    fs::rename(path.join("s1"), path.join("away")).unwrap();
    let (array, header) = first(&path);
    assert_eq!(array, volume());
    assert!(said(&header, "level s1"), "{:?}", header.warnings);
    fs::rename(path.join("away"), path.join("s1")).unwrap();
    fs::remove_dir_all(path.join("s0")).unwrap();
    assert!(read(&path, &ReadOptions::default()).unwrap_err().contains("level s0"));
}

#[test]
fn chunks_of_version_2_are_unpacked_whatever_packed_them() {
    let folder = tempfile::tempdir().unwrap();
    let level = flate2::Compression::default();
    let raw = bytes_of(volume());
    let packed = |reader: &mut dyn std::io::Read| {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        bytes
    };
    let mut lz4 = (raw.len() as u32).to_le_bytes().to_vec();
    lz4.extend(lz4_flex::block::compress(&raw));
    // Differences in the order of memory: x slowest in an array in Fortran's order.
    let flat: Vec<u16> =
        (0..4).flat_map(|x| (0..3).flat_map(move |y| (0..2).map(move |z| value(z, y, x)))).collect();
    let differences: Vec<u8> = (0..24)
        .flat_map(|i| flat[i].wrapping_sub(if i == 0 { 0 } else { flat[i - 1] }).to_be_bytes())
        .collect();
    for (n, (bytes, more)) in [
        (
            packed(&mut flate2::read::ZlibEncoder::new(raw.as_slice(), level)),
            json!({"compressor": {"id": "zlib", "level": 1}}),
        ),
        (
            packed(&mut flate2::read::GzEncoder::new(raw.as_slice(), level)),
            json!({"compressor": {"id": "gzip", "level": 1}}),
        ),
        (
            packed(&mut bzip2::read::BzEncoder::new(raw.as_slice(), bzip2::Compression::fast())),
            json!({"compressor": {"id": "bz2", "level": 1}}),
        ),
        (lz4, json!({"compressor": {"id": "lz4", "acceleration": 1}})),
        (zstd::bulk::compress(&raw, 1).unwrap(), json!({"compressor": {"id": "zstd", "level": 1}})),
        (differences, json!({"order": "F", "dtype": ">u2", "filters": [{"id": "delta", "dtype": ">u2", "astype": ">u2"}]})),
    ]
    .into_iter()
    .enumerate()
    {
        let path = folder.path().join(format!("{n}.zarr"));
        array(&path, &[2, 3, 4], bytes, "<u2", &more);
        assert_eq!(first(&path).0, volume(), "{more}");
    }
}

#[test]
fn complex_numbers_are_two_channels() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zarr");
    let bytes: Vec<u8> = (0..8).flat_map(|i| [i as f32, -(i as f32)]).flat_map(f32::to_le_bytes).collect();
    array(&path, &[2, 2, 2], bytes, "<c8", &json!({}));
    for (channel, sign) in [(0, 1.0), (1, -1.0)] {
        let options = ReadOptions { channel: Some(channel), ..ReadOptions::default() };
        let loaded = read_array_of(&path, &options, &Progress::new(), budget()).unwrap();
        assert_eq!(loaded.array.into_f32()[[1, 0, 1]], 5.0 * sign);
        assert_eq!(loaded.header.n_channels, 2);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn mutated_hierarchies_never_panic(
        which in 0usize..3,
        changes in prop::collection::vec((0usize..900, any::<u8>()), 1..8),
        keep in 0usize..1200,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.zarr");
        plain_image(&path);
        let file = path.join([".zattrs", "0/.zarray", "0/0.0.0"][which]);
        let mut bytes = fs::read(&file).unwrap();
        let n = bytes.len();
        changes.into_iter().for_each(|(at, to)| bytes[at % n] = to);
        bytes.truncate(keep.max(1));
        fs::write(&file, bytes).unwrap();
        drop(read_array_of(&path, &ReadOptions::default(), &Progress::new(), MemoryBudget { bytes: 1 << 24 }));
    }

    #[test]
    fn mutated_archives_never_panic(changes in prop::collection::vec((0usize..4000, any::<u8>()), 1..8)) {
        let folder = tempfile::tempdir().unwrap();
        let (path, file) = (folder.path().join("a.zarr"), folder.path().join("a.ozx"));
        plain_image(&path);
        zipped(&path, &file, "", zip::CompressionMethod::Deflated);
        let mut bytes = fs::read(&file).unwrap();
        let n = bytes.len();
        changes.into_iter().for_each(|(at, to)| bytes[at % n] = to);
        fs::write(&file, bytes).unwrap();
        drop(read_array_of(&file, &ReadOptions::default(), &Progress::new(), MemoryBudget { bytes: 1 << 24 }));
    }
}
