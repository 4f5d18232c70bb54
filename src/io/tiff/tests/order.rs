//! Which page is which plane, channel and time.

use super::*;

#[test]
fn channels_planes_and_times_of_image_j_are_told_apart() {
    // Channels run fastest, then planes, then times: page = c + 2 (z + 3 t).
    let text = "ImageJ=1.53t\nimages=12\nchannels=2\nslices=3\nframes=2\nhyperstack=true\nmode=composite\nunit=nm\nspacing=200\n";
    let pages = described(12, text);
    let loaded =
        read_pages(&pages, &ReadOptions { channel: Some(1), time: Some(1), ..ReadOptions::default() })
            .unwrap();
    assert_eq!(firsts(&loaded), [7.0, 9.0, 11.0]);
    assert_eq!((loaded.header.n_channels, loaded.header.n_times), (2, 2));
    let loaded = read_pages(&pages, &ReadOptions::default()).unwrap();
    assert_eq!(firsts(&loaded), [0.0, 2.0, 4.0]);
    assert!(says(&loaded, "channel 0 of 2") && says(&loaded, "time 0 of 2"), "{:?}", loaded.header.warnings);
    let text = read_pages(&pages, &channel(2)).unwrap_err().to_string();
    assert!(text.contains("channel 2"), "{text}");
    // Another order, where the file says one.
    let text = "ImageJ=1.53t\nimages=6\nchannels=2\nslices=3\norder=zct\n";
    assert_eq!(firsts(&read_pages(&described(6, text), &channel(1)).unwrap()), [3.0, 4.0, 5.0]);
}

#[test]
fn a_series_in_time_is_a_stack_where_there_is_one_plane_at_each_time() {
    for text in [
        "ImageJ=1.53t\nimages=5\nchannels=1\nslices=1\nframes=5\nhyperstack=true\n",
        "ImageJ=1.53t\nimages=5\nframes=5\n",
        "ImageJ=1.53t\nimages=5\nslices=5\n",
        "ImageJ=1.53t\nimages=5\n",
        r#"{"shape": [5, 1, 2], "axes": "TYX"}"#,
    ] {
        let loaded = read_pages(&described(5, text), &ReadOptions::default()).unwrap();
        assert_eq!(firsts(&loaded), [0.0, 1.0, 2.0, 3.0, 4.0], "{text}");
        assert_eq!(
            says(&loaded, "5 times of one plane"),
            text.contains("frames") || text.contains('T') && text.contains('{'),
            "{text}"
        );
    }
    // Two channels of three times stay apart.
    let text = "ImageJ=1.53t\nimages=6\nchannels=2\nframes=3\nhyperstack=true\n";
    assert_eq!(firsts(&read_pages(&described(6, text), &channel(1)).unwrap()), [1.0, 3.0, 5.0]);
}

#[test]
fn arrays_of_more_axes_are_ordered_by_their_names() {
    let named = r#"{"shape": [2, 3, 1, 2], "axes": "TZYX"}"#;
    let loaded = read_pages(&described(6, named), &time(1)).unwrap();
    assert_eq!((firsts(&loaded), loaded.header.n_times), (vec![3.0, 4.0, 5.0], 2));
    let named = r#"{"shape": [3, 2, 1, 2], "axes": "ZCYX"}"#;
    assert_eq!(firsts(&read_pages(&described(6, named), &channel(1)).unwrap()), [1.0, 3.0, 5.0]);
    let nameless = r#"{"shape": [2, 3, 1, 2]}"#;
    let loaded = read_pages(&described(6, nameless), &ReadOptions::default()).unwrap();
    assert_eq!(firsts(&loaded), [0.0, 1.0, 2.0]);
    assert!(says(&loaded, "T 2, Z 3 was assumed"), "{:?}", loaded.header.warnings);
    // Pictures appended one by one are a stack, stacks appended are told apart.
    let mut pages = numbered(3);
    pages.iter_mut().for_each(|page| *page = page.clone().described(r#"{"shape": [1, 2]}"#));
    assert_eq!(firsts(&read_pages(&pages, &ReadOptions::default()).unwrap()), [0.0, 1.0, 2.0]);
    let loaded = read_pages(&described(5, r#"{"shape": [2, 1, 2]}"#), &ReadOptions::default()).unwrap();
    assert_eq!(firsts(&loaded), [0.0, 1.0]);
    assert!(says(&loaded, "3 further ones"), "{:?}", loaded.header.warnings);
}

/// Two pages of 2 × 3 numbers, 0 to 11, described by `text`.
fn twelve(text: &'static str) -> Result<Loaded, IoError> {
    let pages = [0u8, 6].map(|first| page(2, 3, 8, (first..first + 6).collect()).described(text));
    read_pages(&pages, &ReadOptions::default())
}

#[test]
fn arrays_whose_rows_and_columns_are_not_last_are_turned_or_refused() {
    // Stored as x, y, z: the value of (z, y, x) is 6 x + 3 y + z.
    let loaded = twelve(r#"{"shape": [2, 2, 3], "axes": "XYZ"}"#).unwrap();
    assert_eq!(loaded.array.shape(), [3, 2, 2]);
    assert_eq!(values(&loaded), [0, 6, 3, 9, 1, 7, 4, 10, 2, 8, 5, 11].map(f64::from));
    assert!(says(&loaded, "the axes lie as XYZ"), "{:?}", loaded.header.warnings);
    let loaded = twelve(r#"{"shape": [2, 2, 3], "axes": "ZXY"}"#).unwrap();
    assert_eq!(values(&loaded), [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11].map(f64::from));
    let loaded = twelve(r#"{"shape": [2, 2, 3], "axes": "YXZ"}"#).unwrap();
    assert_eq!(loaded.array.shape(), [3, 2, 2]);
    assert_eq!(values(&loaded)[..4], [0.0, 3.0, 6.0, 9.0]);
    for text in [
        r#"{"shape": [2, 2, 3], "axes": "YXC"}"#,
        r#"{"shape": [2, 1, 2, 3], "axes": "ZYXC"}"#,
        r#"{"shape": [2, 1, 2, 3], "axes": "CZXY"}"#,
    ] {
        let said = twelve(text).map(|loaded| loaded.array.shape()).unwrap_err().to_string();
        assert!(said.contains("Y and X last"), "{text}: {said}");
    }
}

#[test]
fn sides_of_1_behind_rows_and_columns_lose_no_planes() {
    for text in [
        r#"{"shape": [2, 2, 3, 1]}"#,
        r#"{"shape": [2, 2, 3, 1], "axes": "ZYXC"}"#,
        r#"{"shape": [2, 1, 2, 3, 1], "axes": "ZCYXS"}"#,
        r#"{"shape": [1, 2, 2, 3, 1]}"#,
    ] {
        let loaded = twelve(text).unwrap();
        assert_eq!(firsts(&loaded), [0.0, 6.0], "{text}");
        assert_eq!(loaded.header.warnings, Vec::<String>::new(), "{text}");
    }
    let loaded = twelve(r#"{"shape": [2, 2, 3], "axes": "AYX"}"#).unwrap();
    assert!(says(&loaded, "the axes A of the file were taken as Z 2"), "{:?}", loaded.header.warnings);
    let loaded = twelve(r#"{"shape": [7, 9]}"#).unwrap();
    assert_eq!(firsts(&loaded), [0.0, 6.0]);
    assert!(says(&loaded, "shape [7, 9], the pages are 2 × 3"), "{:?}", loaded.header.warnings);
    let loaded = twelve(r#"{"shape": [2, 2, 3], "axes": "ZYX", "spacing": 5, "unit": "nm"}"#).unwrap();
    assert!(says(&loaded, "a size along z alone (0.005 µm)"), "{:?}", loaded.header.warnings);
}

#[test]
fn planes_behind_one_directory_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tif");
    for big_endian in [false, true] {
        for n in [3u16, 4] {
            // The values of the page are the last thing of the file, and more follow.
            let text = if n == 3 {
                "ImageJ=1.53\nimages=3\nslices=3\n"
            } else {
                "ImageJ=1.53\nimages=4\nslices=4\n"
            };
            let mut bytes = file_of(big_endian, &[page(2, 2, 16, vec![0; 8]).described(text)]);
            let at = bytes.len() as u32;
            let order = |v: u32| if big_endian { v.to_be_bytes() } else { v.to_le_bytes() };
            // The place of the strip stands behind tag, kind and count.
            let short = |v: u16| if big_endian { v.to_be_bytes() } else { v.to_le_bytes() };
            let entry = [&short(273)[..], &short(4), &order(1), &order(8)].concat();
            let field = bytes.windows(12).position(|w| w == entry).unwrap() + 8;
            bytes[field..field + 4].copy_from_slice(&order(at));
            bytes.extend((0..12u16).flat_map(|v| if big_endian { v.to_be_bytes() } else { v.to_le_bytes() }));
            std::fs::write(&path, &bytes).unwrap();
            let loaded = read(&path);
            assert_eq!(loaded.array, any_u16((3, 2, 2), (0..12).collect()), "{big_endian} {n}");
            assert_eq!(says(&loaded, "promises 4 pictures"), n == 4, "{:?}", loaded.header.warnings);
        }
    }
}

#[test]
fn smaller_copies_are_left_out_and_said() {
    let mut pages = numbered(2);
    pages.push(page(1, 1, 8, vec![9]).with(254, Tag::Long(vec![1])));
    let loaded = read_pages(&pages, &ReadOptions::default()).unwrap();
    assert_eq!(firsts(&loaded), [0.0, 1.0]);
    assert!(says(&loaded, "1 smaller copies"), "{:?}", loaded.header.warnings);
    // A preview before the stack.
    let mut pages = vec![page(1, 1, 8, vec![9])];
    pages.extend(numbered(3));
    let loaded = read_pages(&pages, &ReadOptions::default()).unwrap();
    assert_eq!(firsts(&loaded), [0.0, 1.0, 2.0]);
    assert!(says(&loaded, "another size"), "{:?}", loaded.header.warnings);
}

#[test]
fn sizes_of_pixels_are_those_of_a_microscope() {
    let sized = |text: &'static str, unit: u16, n: u32, d: u32| {
        let page = page(1, 2, 8, vec![1, 2])
            .described(text)
            .with(282, Tag::Ratio(n, d))
            .with(283, Tag::Ratio(n, d))
            .with(296, Tag::Short(vec![unit]));
        read_pages(&[page], &ReadOptions::default()).unwrap().header.voxel_um.map(|voxel| voxel[2])
    };
    assert_eq!(sized("ImageJ=1.53\nunit=\\u00B5m\n", 1, 20, 1), Some(0.05));
    assert_eq!(sized("ImageJ=1.53\nunit=µm\n", 1, 20, 1), Some(0.05));
    assert_eq!(sized("ImageJ=1.53\nunit=nm\n", 1, 1, 50), Some(0.05));
    assert_eq!(sized("ImageJ=1.53\nunit=inch\n", 1, 508_000, 1), Some(0.05));
    assert_eq!(sized("ImageJ=1.53\nunit=pixel\n", 1, 1, 1), None);
    assert_eq!(sized("", 3, 200_000, 1), Some(0.05));
    assert_eq!(sized("", 2, 508_000, 1), Some(0.05));
    // Paper, not a sample.
    assert_eq!((sized("", 2, 72, 1), sized("", 2, 300, 1), sized("", 1, 1, 1)), (None, None, None));
    // Latin-1, as old versions of ImageJ wrote it.
    let latin = page(1, 2, 8, vec![1, 2])
        .with(270, Tag::Bytes(b"ImageJ=1.43\nunit=\xb5m\nspacing=0.2\n\0".to_vec()))
        .with(282, Tag::Ratio(20, 1));
    let voxel = read_pages(&[latin], &ReadOptions::default()).unwrap().header.voxel_um;
    assert_eq!(voxel, Some([0.2, 0.05, 0.05]));
}

#[test]
fn edges_without_a_unit_are_kept_as_ratios_and_other_units_of_y_and_z_are_heeded() {
    let header = |text: &'static str, y: u32, unit: u16| {
        let mut pages = described(2, text);
        let tags = [(282, Tag::Ratio(20, 1)), (283, Tag::Ratio(y, 1)), (296, Tag::Short(vec![unit]))];
        tags.into_iter().for_each(|(tag, value)| pages[0] = pages[0].clone().with(tag, value));
        read_pages(&pages, &ReadOptions::default()).unwrap().header
    };
    let said = |header: &crate::io::Header, part: &str| header.warnings.iter().any(|w| w.contains(part));
    for (text, unit, ratios) in [
        ("", 1, [2.0, 1.0, 2.0]),
        ("ImageJ=1.53\nimages=2\nslices=2\nspacing=0.1\n", 1, [4.0, 1.0, 2.0]),
        ("ImageJ=1.53\nimages=2\nslices=2\nunit=pixel\nspacing=0.1\n", 1, [4.0, 1.0, 2.0]),
        ("ImageJ=1.53\nimages=2\nslices=2\nunit=furlong\nspacing=0.1\n", 3, [4.0, 1.0, 2.0]),
        (r#"{"shape": [2, 1, 2], "axes": "ZYX", "spacing": 0.1}"#, 1, [4.0, 1.0, 2.0]),
    ] {
        let header = header(text, 40, unit);
        assert_eq!((header.voxel_um, header.ratios), (None, Some(ratios)), "{text}");
        assert!(said(&header, "edges are kept as"), "{text}: {:?}", header.warnings);
    }
    let cubes = header("", 20, 1);
    assert_eq!((cubes.voxel_um, cubes.ratios, cubes.warnings), (None, None, Vec::new()));
    // A spacing alone counts in pixels.
    let alone = read_pages(&described(2, "ImageJ=1.53\nimages=2\nspacing=5\n"), &ReadOptions::default());
    assert_eq!(alone.unwrap().header.ratios, Some([5.0, 1.0, 1.0]));
    // Units of their own along y and z.
    let text = "ImageJ=1.53\nimages=2\nunit=um\nyunit=nm\nzunit=nm\nspacing=200\n";
    let [z, y, x] = header(text, 40, 1).voxel_um.unwrap();
    assert!((z - 0.2).abs() < 1e-12 && (y - 2.5e-5).abs() < 1e-12 && (x - 0.05).abs() < 1e-12);
    let text = "ImageJ=1.53\nimages=2\nunit=um\nyunit=pixel\nzunit=sec\nspacing=3\n";
    let odd = header(text, 40, 1);
    assert_eq!(odd.voxel_um, Some([0.05; 3]));
    assert!(said(&odd, "along y is in pixel") && said(&odd, "3 sec"), "{:?}", odd.warnings);
    assert!(said(&odd, "no size along y in the file, 0.05 µm"), "{:?}", odd.warnings);
    let odd = header("ImageJ=1.53\nimages=2\nspacing=3\n", 200_000, 3);
    assert!(odd.voxel_um.is_none() && odd.ratios.is_some(), "{:?}", odd.warnings);
}

#[test]
fn labels_of_slices_name_the_channels() {
    let labels: Vec<u8> = ["c:1/2 - DAPI", "c:2/2 - GFP"]
        .iter()
        .flat_map(|l| l.encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    let head =
        [b"JIJI".to_vec(), 0x6c61_626c_u32.to_le_bytes().to_vec(), 2u32.to_le_bytes().to_vec()].concat();
    let mut pages = described(2, "ImageJ=1.53\nimages=2\nchannels=2\n");
    pages[0] = pages[0]
        .clone()
        .with(50838, Tag::Long(vec![12, 24, 22]))
        .with(50839, Tag::Bytes([head, labels].concat()));
    let header = read_pages(&pages, &ReadOptions::default()).unwrap().header;
    assert_eq!(header.channel_names, ["c:1/2 - DAPI", "c:2/2 - GFP"]);
}

#[test]
fn stacks_of_microscopes_are_recognised() {
    // Zeiss LSM: three planes, each with a thumbnail behind it.
    let mut info = vec![0u8; 200];
    for (at, value) in [(0, 0x0400_494cu32), (16, 3), (20, 1), (24, 1)] {
        info[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    for (at, metres) in [(40, 5e-8f64), (48, 5e-8), (56, 2e-7)] {
        info[at..at + 8].copy_from_slice(&metres.to_le_bytes());
    }
    let mut pages = Vec::new();
    for page_of in numbered(3) {
        pages.extend([page_of, page(1, 1, 8, vec![9]).with(254, Tag::Long(vec![1]))]);
    }
    pages[0] = pages[0].clone().with(34412, Tag::Bytes(info));
    let loaded = read_pages(&pages, &ReadOptions::default()).unwrap();
    assert_eq!(firsts(&loaded), [0.0, 1.0, 2.0]);
    let voxel = loaded.header.voxel_um.unwrap();
    assert!((voxel[0] - 0.2).abs() < 1e-9 && (voxel[2] - 0.05).abs() < 1e-9, "{voxel:?}");
    // FEI and Zeiss electron microscopes.
    let fei = page(1, 2, 8, vec![1, 2])
        .with(34682, Tag::Bytes(b"[Scan]\r\nPixelWidth=2.5e-09\r\nPixelHeight=2.5e-09\r\n".to_vec()));
    let voxel = read_pages(&[fei], &ReadOptions::default()).unwrap().header.voxel_um.unwrap();
    assert!((voxel[2] - 0.0025).abs() < 1e-12, "{voxel:?}");
    let zeiss = page(1, 2, 8, vec![1, 2])
        .with(34118, Tag::Bytes(b"AP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = 4.000 nm\r\n".to_vec()));
    let voxel = read_pages(&[zeiss], &ReadOptions::default()).unwrap().header.voxel_um.unwrap();
    assert!((voxel[2] - 0.004).abs() < 1e-12, "{voxel:?}");
}
