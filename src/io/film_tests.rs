//! Films are read back: the boxes of MP4 by a small reader, its pictures by a decoder.

use std::path::PathBuf;

use image::Rgba;
use openh264::decoder::Decoder;
use openh264::formats::YUVSource as _;

use super::*;
use crate::base::{Cancelled, Progress};

const SIZE: [u32; 2] = [64, 48];

/// A bright square that wanders over a grey ramp.
fn frame(i: usize) -> RgbaImage {
    RgbaImage::from_fn(SIZE[0], SIZE[1], |x, y| {
        let inside = (x as usize).abs_diff(8 + 2 * i) < 6 && y.abs_diff(24) < 6;
        let ground = (x * 2) as u8;
        if inside { Rgba([250, 120, 20, 255]) } else { Rgba([ground, ground, ground, 255]) }
    })
}

fn be(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |value, byte| value << 8 | usize::from(*byte))
}

/// Boxes within bytes: name, content, where the content begins.
fn boxes(bytes: &[u8], at: usize) -> Vec<(String, &[u8], usize)> {
    let (mut place, mut found) = (0, Vec::new());
    while place < bytes.len() {
        let short = be(&bytes[place..place + 4]);
        let (head, length) = if short == 1 { (16, be(&bytes[place + 8..place + 16])) } else { (8, short) };
        assert!(length >= head && place + length <= bytes.len(), "a box of {length} at {place}");
        let name = String::from_utf8_lossy(&bytes[place + 4..place + 8]).into_owned();
        found.push((name, &bytes[place + head..place + length], at + place + head));
        place += length;
    }
    found
}

fn inside<'a>(bytes: &'a [u8], way: &[&str]) -> &'a [u8] {
    way.iter().fold(bytes, |bytes, name| {
        let found = boxes(bytes, 0).into_iter().find(|(have, _, _)| have == name);
        found.unwrap_or_else(|| panic!("no {name}")).1
    })
}

/// Pictures of an MP4: width, height, brightness of each pixel.
fn decoded(file: &[u8]) -> Vec<(usize, usize, Vec<u8>)> {
    let stbl = inside(file, &["moov", "trak", "mdia", "minf", "stbl"]);
    let (stsz, co64) = (inside(stbl, &["stsz"]), inside(stbl, &["co64"]));
    let avc1 = &inside(stbl, &["stsd"])[8 + 8..];
    let avcc = inside(&avc1[78..], &["avcC"]);
    let sps = &avcc[8..8 + be(&avcc[6..8])];
    let rest = &avcc[8 + sps.len()..];
    let pps = &rest[3..3 + be(&rest[1..3])];
    assert_eq!((sps[0] & 0x1f, pps[0] & 0x1f), (7, 8));
    let mut decoder = Decoder::new().unwrap();
    let mut place = be(&co64[8..16]);
    let mut pictures = Vec::new();
    let mut stream: Vec<u8> = [&[0, 0, 0, 1], sps, &[0, 0, 0, 1], pps].concat();
    for size in stsz[12..].chunks_exact(4).map(be) {
        let (mut sample, end) = (place, place + size);
        while sample < end {
            let length = be(&file[sample..sample + 4]);
            stream.extend([0, 0, 0, 1]);
            stream.extend(&file[sample + 4..sample + 4 + length]);
            sample += 4 + length;
        }
        assert_eq!(sample, end, "lengths of units add up");
        place = end;
        if let Some(picture) = decoder.decode(&stream).unwrap() {
            let (w, h) = picture.dimensions();
            let rows = picture.y().chunks(picture.strides().0).take(h).flat_map(|row| &row[..w]);
            pictures.push((w, h, rows.copied().collect()));
        }
        stream.clear();
    }
    for picture in decoder.flush_remaining().unwrap() {
        let (w, h) = picture.dimensions();
        let rows = picture.y().chunks(picture.strides().0).take(h).flat_map(|row| &row[..w]);
        pictures.push((w, h, rows.copied().collect()));
    }
    pictures
}

fn written(folder: &Path, name: &str, fps: f64, n: usize) -> PathBuf {
    let path = folder.join(name);
    write_film(&path, SIZE, fps, n, |i| Ok(frame(i))).unwrap();
    path
}

#[test]
fn an_mp4_has_its_index_first_and_its_pictures_decode() {
    let folder = tempfile::tempdir().unwrap();
    let file = std::fs::read(written(folder.path(), "a.mp4", 25.0, 20)).unwrap();
    let names: Vec<String> = boxes(&file, 0).into_iter().map(|(name, _, _)| name).collect();
    assert_eq!(names, ["ftyp", "moov", "mdat"], "it plays while it loads");
    let mdhd = inside(&file, &["moov", "trak", "mdia", "mdhd"]);
    assert_eq!((be(&mdhd[12..16]), be(&mdhd[16..20])), (25_000, 20_000), "25 frames per second, 0.8 s");
    let stbl = inside(&file, &["moov", "trak", "mdia", "minf", "stbl"]);
    let (stss, co64) = (inside(stbl, &["stss"]), inside(stbl, &["co64"]));
    assert_eq!(be(&stss[8..12]), 1, "it can start at the first frame");
    let mdat = boxes(&file, 0).into_iter().find(|(name, _, _)| name == "mdat").unwrap();
    assert_eq!(be(&co64[8..16]), mdat.2, "frames begin where the index says");
    let avc1 = &inside(stbl, &["stsd"])[16..];
    assert_eq!(inside(&avc1[78..], &["colr"]), *b"nclx\0\x01\0\x01\0\x01\0");
    let pictures = decoded(&file);
    assert_eq!(pictures.len(), 20, "no frame is skipped");
    for (i, (w, h, luma)) in pictures.iter().enumerate() {
        assert_eq!((*w, *h), (64, 48));
        let wanted = frame(i);
        let error: f64 = wanted
            .pixels()
            .zip(luma)
            .map(|(p, y)| {
                let [r, g, b, _] = p.0.map(f64::from);
                (16.0 + 219.0 / 255.0 * (0.2126 * r + 0.7152 * g + 0.0722 * b) - f64::from(*y)).powi(2)
            })
            .sum();
        let rms = (error / luma.len() as f64).sqrt();
        // A lossy code: edges of the square cost a few grey levels.
        assert!(rms < 6.0, "frame {i}: {rms}");
    }
}

#[test]
fn odd_sizes_gain_a_pixel_and_impossible_ones_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("odd.mp4");
    write_film(&path, [33, 21], 10.0, 3, |_| Ok(RgbaImage::from_pixel(33, 21, Rgba([90, 90, 90, 255]))))
        .unwrap();
    assert_eq!(decoded(&std::fs::read(&path).unwrap())[0].0, 34);
    for (name, size, fps, said) in [
        ("a.mp4", [8, 8], 25.0, "cannot be coded"),
        ("a.mp4", [5000, 100], 25.0, "any size"),
        ("a.gif", [64, 48], 100.0, "50 frames"),
        ("a.avi", [64, 48], 25.0, ".mp4"),
    ] {
        let error = write_film(&folder.path().join(name), size, fps, 2, |i| Ok(frame(i))).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn a_gif_starts_over_and_keeps_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), "a.gif", 30.0, 12);
    let mut options = ::gif::DecodeOptions::new();
    options.set_color_output(::gif::ColorOutput::RGBA);
    let mut reader = options.read_info(File::open(&path).unwrap()).unwrap();
    let (mut n, mut time) = (0, 0);
    while let Some(picture) = reader.read_next_frame().unwrap() {
        let wanted = frame(n);
        let worst =
            wanted.as_raw().iter().zip(picture.buffer.iter()).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(worst <= 1, "66 colours are kept: {worst}");
        time += picture.delay;
        n += 1;
    }
    assert_eq!((n, time), (12, 40), "12 frames of a thirtieth second");
    assert_eq!(reader.repeat(), ::gif::Repeat::Infinite);
}

#[test]
fn pngs_lie_in_a_folder_and_cancelling_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), "frames", 25.0, 3);
    let last = image::open(path.join("frame_00003.png")).unwrap().to_rgba8();
    assert_eq!(last, frame(2));
    for name in ["c.mp4", "c.gif", "c"] {
        let progress = Progress::new();
        let result = write_film(&folder.path().join(name), SIZE, 25.0, 10, |i| {
            if i == 4 {
                progress.cancel();
            }
            progress.check().map_err(IoError::from)?;
            Ok(frame(i))
        });
        assert!(matches!(result, Err(IoError::Cancelled(Cancelled))), "{name}");
    }
    let mut names: Vec<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["frames"], "nothing half-written is left");
    let again = write_film(&path, SIZE, 25.0, 1, |i| Ok(frame(i))).unwrap_err();
    assert!(again.to_string().contains("not replaced"), "{again}");
}

#[test]
fn a_film_is_the_same_bytes_on_one_thread_and_on_three() {
    let folder = tempfile::tempdir().unwrap();
    let with = |threads: usize, name: &str| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| std::fs::read(written(folder.path(), name, 25.0, 8)).unwrap())
    };
    assert!(with(1, "one.mp4") == with(3, "three.mp4"));
    assert!(with(1, "one.gif") == with(3, "three.gif"));
}
