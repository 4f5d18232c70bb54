//! Values come out as they are stored, however they are packed.

use proptest::prelude::*;

use super::*;
use crate::io::format::WriteRequest;
use crate::io::write_array;

#[test]
fn white_as_0_keeps_the_stored_values() {
    let stored: [(u16, u16, Vec<u8>); 5] = [
        (8, 1, vec![1, 83]),
        (16, 1, [1u16, 83].iter().flat_map(|v| v.to_le_bytes()).collect()),
        (16, 2, [1i16, 83].iter().flat_map(|v| v.to_le_bytes()).collect()),
        (32, 3, [1f32, 83.0].iter().flat_map(|v| v.to_le_bytes()).collect()),
        (64, 3, [1f64, 83.0].iter().flat_map(|v| v.to_le_bytes()).collect()),
    ];
    for (bits, format, bytes) in stored {
        let white =
            page(1, 2, bits, bytes).with(262, Tag::Short(vec![0])).with(339, Tag::Short(vec![format]));
        let loaded = read_pages(&[white], &ReadOptions::default()).unwrap();
        assert_eq!(values(&loaded), [1.0, 83.0], "{bits} bits, format {format}");
        assert!(says(&loaded, "MinIsWhite"));
    }
}

#[test]
fn few_bits_are_neither_stretched_nor_inverted() {
    let packed: [(u16, Vec<u8>, Vec<f64>); 7] = [
        (1, vec![0b1010_0000], vec![1.0, 0.0, 1.0]),
        (2, vec![0b0001_1000], vec![0.0, 1.0, 2.0]),
        (4, vec![0x12, 0xf0], vec![1.0, 2.0, 15.0]),
        (6, vec![0b0000_0111, 0b1111_0000, 0b1000_0000], vec![1.0, 63.0, 2.0]),
        (10, vec![0x00, 0x7f, 0xf0, 0x08], vec![1.0, 1023.0, 2.0]),
        (12, vec![0x00, 0x1f, 0xff, 0x80, 0x00], vec![1.0, 4095.0, 2048.0]),
        (14, vec![0x00, 0x07, 0xff, 0xf0, 0x00, 0x80], vec![1.0, 16383.0, 2.0]),
    ];
    for (bits, bytes, wanted) in packed {
        // The second row begins at a byte of its own.
        let two_rows = page(2, 3, bits, [bytes.clone(), bytes].concat());
        let loaded = read_pages(&[two_rows], &ReadOptions::default()).unwrap();
        assert_eq!(values(&loaded), [wanted.clone(), wanted].concat(), "{bits} bits");
        assert_eq!(loaded.array.dtype(), if bits <= 8 { "uint8" } else { "uint16" });
    }
    // The first bit of a byte may be its lowest.
    let reversed = page(1, 3, 1, vec![0b0000_0101]).with(266, Tag::Short(vec![2]));
    assert_eq!(values(&read_pages(&[reversed], &ReadOptions::default()).unwrap()), [1.0, 0.0, 1.0]);
}

#[test]
fn wide_and_odd_numbers_are_read() {
    let wide = |format: u16, bits: u16, bytes: Vec<u8>| {
        read_pages(&[page(1, 2, bits, bytes).with(339, Tag::Short(vec![format]))], &ReadOptions::default())
    };
    let loaded = wide(1, 64, [1u64 << 40, 3].iter().flat_map(|v| v.to_le_bytes()).collect()).unwrap();
    assert_eq!((values(&loaded), loaded.array.dtype()), (vec![1_099_511_627_776.0, 3.0], "float64"));
    assert!(says(&loaded, "2^53"));
    let loaded = wide(2, 64, [-7i64, 3].iter().flat_map(|v| v.to_le_bytes()).collect()).unwrap();
    assert_eq!(values(&loaded), [-7.0, 3.0]);
    let loaded = wide(1, 24, vec![0, 0, 1, 255, 255, 255]).unwrap();
    assert_eq!((values(&loaded), loaded.array.dtype()), (vec![1.0, 16_777_215.0], "uint32"));
    let half = |v: f32| half::f16::from_f32(v).to_bits().to_le_bytes();
    let loaded = wide(3, 16, [half(-1.5), half(0.25)].concat()).unwrap();
    assert_eq!((values(&loaded), loaded.array.dtype()), (vec![-1.5, 0.25], "float32"));
    // 24 bits: one of sign, seven of exponent around 63, sixteen of fraction.
    let loaded = wide(3, 24, vec![0, 0x80, 0x3f, 0, 0, 0xc0]).unwrap();
    assert_eq!(values(&loaded), [1.5, -2.0]);
    let loaded = wide(2, 12, vec![0xff, 0xf0, 0x01]).unwrap();
    assert_eq!((values(&loaded), loaded.array.dtype()), (vec![-1.0, 1.0], "int16"));
    let text = wide(6, 64, vec![0; 16]).unwrap_err().to_string();
    assert!(text.contains("complex"), "{text}");
}

#[test]
fn a_palette_gives_the_numbers_of_its_colours() {
    let colours = page(1, 4, 8, vec![0, 1, 2, 3])
        .with(262, Tag::Short(vec![3]))
        .with(320, Tag::Short((0..768u16).map(|i| i.wrapping_mul(7919)).collect()));
    let loaded = read_pages(&[colours], &ReadOptions::default()).unwrap();
    assert_eq!(values(&loaded), [0.0, 1.0, 2.0, 3.0]);
    assert!(says(&loaded, "palette"));
}

#[test]
fn samples_are_channels_or_planes() {
    // Grey samples in planes of their own: a stack.
    let planar = |photometric: u16| {
        let mut page = page(1, 2, 8, vec![1, 2])
            .with(258, Tag::Short(vec![8; 3]))
            .with(262, Tag::Short(vec![photometric]))
            .with(277, Tag::Short(vec![3]))
            .with(284, Tag::Short(vec![2]));
        page.pieces = vec![vec![1, 2], vec![3, 4], vec![5, 6]];
        page
    };
    let loaded = read_pages(&[planar(1)], &ReadOptions::default()).unwrap();
    assert_eq!((loaded.array.shape(), firsts(&loaded)), ([3, 1, 2], vec![1.0, 3.0, 5.0]));
    // The same written as colours by a program that says it is a stack.
    let stack = planar(2).described(r#"{"shape": [3, 1, 2]}"#);
    assert_eq!(firsts(&read_pages(&[stack], &ReadOptions::default()).unwrap()), [1.0, 3.0, 5.0]);
    // Colours.
    let loaded = read_pages(&[planar(2)], &channel(2)).unwrap();
    assert_eq!((loaded.array.shape(), values(&loaded)), ([1, 1, 2], vec![5.0, 6.0]));
    assert_eq!((loaded.header.n_channels, loaded.header.channel_names[2].as_str()), (3, "blue"));
    // Grey with its opacity.
    let mut alpha = planar(1).with(258, Tag::Short(vec![8; 2])).with(277, Tag::Short(vec![2]));
    alpha.pieces.truncate(2);
    let loaded = read_pages(&[alpha.with(338, Tag::Short(vec![2]))], &ReadOptions::default()).unwrap();
    assert_eq!((loaded.array.shape(), loaded.header.n_channels), ([1, 1, 2], 2));
    let mixed = page(1, 2, 8, (1..=6).collect())
        .with(258, Tag::Short(vec![8; 3]))
        .with(262, Tag::Short(vec![2]))
        .with(277, Tag::Short(vec![3]));
    assert_eq!(values(&read_pages(&[mixed], &channel(1)).unwrap()), [2.0, 5.0]);
}

#[test]
fn volumes_of_one_page_are_read_plane_by_plane() {
    // Four planes of 2 × 3 in tiles of 2 × 16 × 16.
    let mut tiled = page(2, 3, 8, Vec::new())
        .with(322, Tag::Short(vec![16]))
        .with(323, Tag::Short(vec![16]))
        .with(32997, Tag::Long(vec![4]))
        .with(32998, Tag::Long(vec![2]));
    let tile = |first: u8| {
        let mut tile = vec![0; 512];
        for plane in 0..2u8 {
            for row in 0..2u8 {
                for col in 0..3u8 {
                    let at = usize::from(plane) * 256 + usize::from(row) * 16 + usize::from(col);
                    tile[at] = 10 * (first + plane) + 3 * row + col;
                }
            }
        }
        tile
    };
    tiled.pieces = vec![tile(0), tile(2)];
    let loaded = read_pages(&[tiled], &ReadOptions::default()).unwrap();
    assert_eq!(loaded.array.shape(), [4, 2, 3]);
    let wanted: Vec<f64> = (0..4).flat_map(|z| (0..6).map(move |i| f64::from(10 * z + i))).collect();
    assert_eq!(values(&loaded), wanted);
    // The same in strips.
    let mut strips = page(2, 3, 8, Vec::new()).with(278, Tag::Short(vec![1])).with(32997, Tag::Long(vec![2]));
    strips.pieces = vec![vec![0, 1, 2], vec![3, 4, 5], vec![10, 11, 12], vec![13, 14, 15]];
    assert_eq!(values(&read_pages(&[strips], &ReadOptions::default()).unwrap()), wanted[..12]);
}

#[test]
fn rows_of_strips_are_read_without_the_others() {
    let folder = tempfile::tempdir().unwrap();
    for big_endian in [false, true] {
        // Two planes of 5 × 2, two rows a strip, the last strip shorter.
        let value = |z: u16, y: u16, x: u16| 1000 * z + 10 * y + x;
        let bytes = |v: u16| if big_endian { v.to_be_bytes() } else { v.to_le_bytes() };
        let strip = |z: u16, rows: std::ops::Range<u16>| -> Vec<u8> {
            rows.flat_map(|y| (0..2).flat_map(move |x| bytes(value(z, y, x)))).collect()
        };
        let pages = [0, 1].map(|z| Handmade {
            pieces: vec![strip(z, 0..2), strip(z, 2..4), strip(z, 4..5)],
            ..page(5, 2, 16, Vec::new()).with(278, Tag::Short(vec![2]))
        });
        let path = folder.path().join("a.tif");
        std::fs::write(&path, file_of(big_endian, &pages)).unwrap();
        let mut source = crate::io::format::open(&path, &ReadOptions::default(), budget()).unwrap();
        assert!(source.reads_rows());
        for rows in [0..5usize, 1..4, 3..5, 4..5] {
            let read = source.read_rows(0..2, rows.clone()).unwrap();
            let wanted = (0..2)
                .flat_map(|z| rows.clone().flat_map(move |y| (0..2).map(move |x| value(z, y as u16, x))));
            assert_eq!(read, any_u16((2, rows.len(), 2), wanted.collect()), "{rows:?}");
        }
        assert!(source.read_rows(0..2, 4..6).is_err());
    }
}

#[test]
fn packed_pages_of_an_independent_writer_are_read() {
    use tiff::encoder::{Compression, TiffEncoder, colortype};
    use tiff::tags::Predictor;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tif");
    let values_u16: Vec<u16> = (0..35 * 17).map(|i| (i * 37 % 4001) as u16).collect();
    let packings = [
        Compression::Uncompressed,
        Compression::Lzw,
        Compression::Deflate(tiff::encoder::DeflateLevel::Balanced),
        Compression::Packbits,
    ];
    for compression in packings {
        for predictor in [Predictor::None, Predictor::Horizontal] {
            let file = std::fs::File::create(&path).unwrap();
            let mut encoder =
                TiffEncoder::new(file).unwrap().with_compression(compression).with_predictor(predictor);
            let mut image = encoder.new_image::<colortype::Gray16>(17, 35).unwrap();
            image.rows_per_strip(4).unwrap();
            image.write_data(&values_u16).unwrap();
            assert_eq!(read(&path).array, any_u16((1, 35, 17), values_u16.clone()), "{predictor:?}");
        }
    }
}

#[test]
fn what_is_not_unpacked_is_named() {
    for (compression, name) in
        [(34712, "JPEG 2000"), (34887, "LERC"), (50002, "JPEG XL"), (6, "old kind"), (99, "number 99")]
    {
        let packed = page(1, 2, 8, vec![0; 2]).with(259, Tag::Short(vec![compression]));
        let text = read_pages(&[packed], &ReadOptions::default()).unwrap_err().to_string();
        assert!(text.contains(name) && text.contains("save it"), "{text}");
    }
}

#[test]
fn the_signed_16_bits_of_image_j_are_said_and_other_functions_left_out() {
    let grey = |text: &'static str| {
        let bytes = [0u16, 32768, 65535].iter().flat_map(|v| v.to_le_bytes()).collect();
        read_pages(&[page(1, 3, 16, bytes).described(text)], &ReadOptions::default()).unwrap()
    };
    let loaded = grey("ImageJ=1.53t\ncf=0\nc0=-32768.0\nc1=1.0\nvunit=Gray Value\n");
    assert_eq!((values(&loaded), loaded.array.dtype()), (vec![-32768.0, 0.0, 32767.0], "int16"));
    assert!(says(&loaded, "32768 was taken off"));
    let loaded = grey("ImageJ=1.53t\ncf=0\nc0=1.5\nc1=0.25\nvunit=HU\nmin=3.0\nmax=7.0\n");
    assert_eq!(values(&loaded), [0.0, 32768.0, 65535.0]);
    assert!(says(&loaded, "1.5 + 0.25 × stored (HU)"), "{:?}", loaded.header.warnings);
}

#[test]
fn files_cut_short_open_as_far_as_whole_planes_go() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tif");
    // An ordinary file: each directory behind its values.
    let pages: Vec<Handmade> = (0..4u8).map(|i| page(20, 30, 8, vec![i; 600])).collect();
    let whole = file_of(false, &pages);
    std::fs::write(&path, &whole[..whole.len() - 640]).unwrap();
    let loaded = read(&path);
    assert_eq!(firsts(&loaded), [0.0, 1.0, 2.0]);
    assert!(says(&loaded, "damaged behind page 3"), "{:?}", loaded.header.warnings);
    for keep in [5, 100] {
        std::fs::write(&path, &whole[..keep]).unwrap();
        let text = read_of(&path, &ReadOptions::default()).unwrap_err().to_string();
        assert!(!text.is_empty(), "{keep} bytes");
    }
    // A directory that leads back to an earlier one.
    let mut circle = file_of(false, &pages);
    let first: [u8; 4] = circle[4..8].try_into().unwrap();
    let n = circle.len();
    circle[n - 4..].copy_from_slice(&first);
    std::fs::write(&path, &circle).unwrap();
    assert!(says(&read(&path), "circle"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn mutated_files_never_panic(
        kind in 0usize..4,
        changes in prop::collection::vec((0usize..2000, any::<u8>()), 1..8),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(["a.tif", "a.tif", "a.ome.tif", "a.tif"][kind]);
        let request = ndarray::Array3::<u16>::zeros((2, 4, 5));
        write_array(&path, &WriteRequest::new(&request), &Progress::new()).unwrap();
        let mut bytes = match kind {
            0 | 2 => std::fs::read(&path).unwrap(),
            1 => file_of(true, &described(4, "ImageJ=1.53\nimages=4\nchannels=2\nslices=2\nunit=nm\n")),
            _ => file_of(false, &[page(2, 3, 12, vec![7; 10]).with(259, Tag::Short(vec![5])).with(317, Tag::Short(vec![2]))]),
        };
        for (at, value) in changes {
            let n = bytes.len();
            bytes[at % n] = value;
        }
        std::fs::write(&path, &bytes).unwrap();
        drop(read_array_of(&path, &ReadOptions::default(), &Progress::new(), MemoryBudget::from_gib(0.05)));
    }
}
