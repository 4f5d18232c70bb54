//! Strips and tiles that are not in the file, and what a page says beside its values.

use std::io::Read as _;

use super::*;

/// A page of one row of tiles of 16 × 16 bytes; where there is no value the tile is missing.
fn tiles(values: &[Option<u8>]) -> Handmade {
    let mut tiled = page(16, 16 * values.len() as u32, 8, Vec::new())
        .with(322, Tag::Short(vec![16]))
        .with(323, Tag::Short(vec![16]));
    tiled.pieces = values.iter().map(|value| value.map_or(Vec::new(), |value| vec![value; 256])).collect();
    tiled
}

/// A page of strips of one row of two 16-bit numbers.
fn strips(values: &[Option<u16>]) -> Handmade {
    let row = |value: u16| [value, value + 1].iter().flat_map(|v| v.to_le_bytes()).collect();
    Handmade {
        pieces: values.iter().map(|value| value.map_or(Vec::new(), row)).collect(),
        ..page(values.len() as u32, 2, 16, Vec::new()).with(278, Tag::Short(vec![1]))
    }
}

fn zipped(page: Handmade) -> Handmade {
    let pack = |bytes: &Vec<u8>| {
        let mut packed = Vec::new();
        if !bytes.is_empty() {
            let mut encoder =
                flate2::read::ZlibEncoder::new(bytes.as_slice(), flate2::Compression::default());
            encoder.read_to_end(&mut packed).unwrap();
        }
        packed
    };
    Handmade { pieces: page.pieces.iter().map(pack).collect(), ..page.with(259, Tag::Short(vec![8])) }
}

#[test]
fn missing_tiles_and_strips_are_zeros_and_are_counted() {
    let options = ReadOptions::default();
    for pack in [|page: Handmade| page, zipped] {
        let pages = [tiles(&[Some(3), None, Some(5)]), tiles(&[None; 3])].map(pack);
        let loaded = read_pages(&pages, &options).unwrap();
        assert_eq!(loaded.array.shape(), [2, 16, 48]);
        let all = values(&loaded);
        assert_eq!([all[0], all[16], all[32]], [3.0, 0.0, 5.0]);
        assert!(all[768..].iter().all(|v| *v == 0.0));
        assert!(says(&loaded, "4 of 6 tiles are missing"), "{:?}", loaded.header.warnings);
        assert!(says(&loaded, "read as 0"), "{:?}", loaded.header.warnings);
        let pages = [strips(&[Some(300), None, Some(500)])].map(pack);
        let loaded = read_pages(&pages, &options).unwrap();
        assert_eq!(values(&loaded), [300.0, 301.0, 0.0, 0.0, 500.0, 501.0]);
        assert!(says(&loaded, "1 of 3 strips"), "{:?}", loaded.header.warnings);
    }
    let whole = read_pages(&[strips(&[Some(300), Some(1)])], &options).unwrap();
    assert_eq!(whole.header.warnings, Vec::<String>::new());
}

#[test]
fn a_missing_tile_has_the_value_for_no_data() {
    let mut depths = page(1, 2, 32, Vec::new())
        .with(278, Tag::Short(vec![1]))
        .with(257, Tag::Long(vec![2]))
        .with(339, Tag::Short(vec![3]))
        .with(42113, Tag::Text("-9999"));
    depths.pieces = vec![[1.5f32, -9999.0].iter().flat_map(|v| v.to_le_bytes()).collect(), Vec::new()];
    let loaded = read_pages(&[depths], &ReadOptions::default()).unwrap();
    assert_eq!(values(&loaded), [1.5, -9999.0, -9999.0, -9999.0]);
    assert!(says(&loaded, "1 of 2 strips are missing") && says(&loaded, "read as -9999"));
    assert!(says(&loaded, "values of -9999 mean no data"), "{:?}", loaded.header.warnings);
    // A value that the type does not hold stands for nothing.
    let bytes = tiles(&[None, Some(7)]).with(42113, Tag::Text("-9999"));
    let loaded = read_pages(&[bytes], &ReadOptions::default()).unwrap();
    assert_eq!((values(&loaded)[0], values(&loaded)[16]), (0.0, 7.0));
}

#[test]
fn strips_whose_lengths_are_all_0_are_as_long_as_they_must_be() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tif");
    // Three rows in strips of two, the last thing of the file: the last strip is shorter.
    let mut one = page(3, 2, 8, Vec::new()).with(278, Tag::Short(vec![2]));
    one.pieces = vec![vec![1, 2, 3, 4], vec![5, 6]];
    let mut bytes = file_of(false, &[one]);
    let at = bytes.windows(4).position(|w| w == [23, 1, 4, 0]).unwrap() + 8;
    let lengths = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    bytes[lengths..lengths + 8].fill(0);
    std::fs::write(&path, &bytes).unwrap();
    let loaded = read(&path);
    assert_eq!(values(&loaded), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(loaded.header.warnings, Vec::<String>::new());
}

#[test]
fn rows_of_sparse_pages_are_those_of_their_planes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tif");
    let pages = [strips(&[Some(1), Some(3), Some(5)]), strips(&[Some(10), None, Some(50)])];
    std::fs::write(&path, file_of(false, &pages)).unwrap();
    let mut source = crate::io::format::open(&path, &ReadOptions::default(), budget()).unwrap();
    let rows = source.read_rows(0..2, 1..3).unwrap();
    assert_eq!(rows, any_u16((2, 2, 2), vec![3, 4, 5, 6, 0, 0, 50, 51]));
}

#[test]
fn orientations_pyramids_and_scales_are_said_and_not_acted_on() {
    let mut pages = numbered(3);
    pages[1] = pages[1].clone().with(274, Tag::Short(vec![4]));
    pages[0] = pages[0].clone().with(330, Tag::Long(vec![8, 8])).with(
        42112,
        Tag::Text(r#"<GDALMetadata><Item name="OFFSET" sample="0" role="offset">5</Item><Item name="SCALE" sample="0" role="scale">0.25</Item></GDALMetadata>"#),
    );
    let loaded = read_pages(&pages, &ReadOptions::default()).unwrap();
    assert_eq!(firsts(&loaded), [0.0, 1.0, 2.0]);
    assert!(says(&loaded, "1 pages are to be shown mirrored, top for bottom (orientation 4)"));
    assert!(says(&loaded, "pyramid of 3 levels") && says(&loaded, "5 + 0.25 × stored"));
    let upright = [page(1, 2, 8, vec![1, 2]).with(274, Tag::Short(vec![1]))];
    assert_eq!(read_pages(&upright, &ReadOptions::default()).unwrap().header.warnings, Vec::<String>::new());
}

#[test]
fn differences_that_are_not_packed_and_a_choice_among_pages_are_not_passed_over() {
    let odd = page(1, 3, 8, vec![1, 1, 1]).with(317, Tag::Short(vec![2]));
    let loaded = read_pages(&[odd], &ReadOptions::default()).unwrap();
    assert_eq!(values(&loaded), [1.0, 2.0, 3.0]);
    assert!(says(&loaded, "predictor 2"), "{:?}", loaded.header.warnings);
    let options = ReadOptions { dataset: Some("1".to_owned()), ..ReadOptions::default() };
    assert!(read_pages(&numbered(2), &options).unwrap_err().to_string().contains("one stack"));
}
