//! OME-TIFF: which directory of which file holds which plane.

use super::*;

const SPACE: &str = r#"xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06""#;

/// A description as text that lives as long as the test.
fn xml(pixels: &str, inside: &str) -> &'static str {
    Box::leak(
        format!(
            r#"<?xml version="1.0" encoding="UTF-8"?><OME {SPACE} UUID="urn:uuid:own"><Image ID="Image:0"><Pixels ID="Pixels:0" Type="uint8" SizeX="2" SizeY="1" {pixels}>{inside}</Pixels></Image></OME>"#
        )
        .into_boxed_str(),
    )
}

fn ome(n: u8, pixels: &str, inside: &str, options: &ReadOptions) -> Result<Loaded, IoError> {
    read_pages(&described(n, xml(pixels, inside)), options)
}

#[test]
fn every_order_of_the_axes_is_followed() {
    // Two channels, three planes, two times; pages are numbered in the order of the file.
    for (order, [c, z, t]) in [
        ("XYCZT", [1, 2, 6]),
        ("XYCTZ", [1, 4, 2]),
        ("XYZCT", [3, 1, 6]),
        ("XYZTC", [6, 1, 3]),
        ("XYTCZ", [2, 4, 1]),
        ("XYTZC", [6, 2, 1]),
    ] {
        let pixels = format!(r#"DimensionOrder="{order}" SizeC="2" SizeZ="3" SizeT="2""#);
        let options = ReadOptions { channel: Some(1), time: Some(1), ..ReadOptions::default() };
        for inside in ["", "<TiffData/>", r#"<TiffData IFD="0" PlaneCount="12"/>"#] {
            let loaded = ome(12, &pixels, inside, &options).unwrap();
            let wanted: Vec<f64> = (0..3).map(|plane| f64::from(c + t + plane * z)).collect();
            assert_eq!(firsts(&loaded), wanted, "{order} {inside}");
            assert_eq!((loaded.header.n_channels, loaded.header.n_times), (2, 2));
        }
    }
}

#[test]
fn tiff_data_says_where_each_plane_is() {
    let pixels = r#"DimensionOrder="XYZCT" SizeC="1" SizeZ="5" SizeT="1""#;
    let data = [3, 0, 4, 1, 2].iter().enumerate().fold(String::new(), |all, (ifd, plane)| {
        all + &format!(r#"<TiffData FirstZ="{plane}" IFD="{ifd}" PlaneCount="1"/>"#)
    });
    let loaded = ome(5, pixels, &data, &ReadOptions::default()).unwrap();
    assert_eq!(firsts(&loaded), [1.0, 3.0, 4.0, 0.0, 2.0]);
    assert!(loaded.header.warnings.is_empty(), "{:?}", loaded.header.warnings);
    // A directory that is named without a count is one plane.
    let data = r#"<TiffData IFD="4"/><TiffData FirstZ="1" IFD="0" PlaneCount="4"/>"#;
    assert_eq!(firsts(&ome(5, pixels, data, &ReadOptions::default()).unwrap()), [4.0, 0.0, 1.0, 2.0, 3.0]);
    // What is promised and not there: at the end it is said, in between it is refused.
    let loaded = ome(3, pixels, "<TiffData/>", &ReadOptions::default()).unwrap();
    assert_eq!(firsts(&loaded), [0.0, 1.0, 2.0]);
    assert!(says(&loaded, "3 of 5 planes"), "{:?}", loaded.header.warnings);
    let gap = r#"<TiffData IFD="0"/><TiffData FirstZ="2" IFD="1" PlaneCount="3"/>"#;
    let text = ome(5, pixels, gap, &ReadOptions::default()).unwrap_err().to_string();
    assert!(text.contains("1 of 5: 1"), "{text}");
}

#[test]
fn times_of_one_plane_are_planes_and_channels_have_names() {
    let pixels = r#"DimensionOrder="XYCTZ" SizeC="2" SizeZ="1" SizeT="3""#;
    let inside = r#"<Channel ID="Channel:0:0" Name="DAPI" EmissionWavelength="461"/><Channel ID="Channel:0:1" Name="GFP &amp; more"/><TiffData/>"#;
    let loaded = ome(6, pixels, inside, &channel(1)).unwrap();
    assert_eq!(firsts(&loaded), [1.0, 3.0, 5.0]);
    assert!(says(&loaded, "3 times of one plane"), "{:?}", loaded.header.warnings);
    assert_eq!(loaded.header.channel_names, ["DAPI", "GFP & more"]);
    assert_eq!(loaded.header.metadata["channel_0_emissionwavelength"], "461 nm");
}

#[test]
fn physical_sizes_in_every_unit() {
    let size = |inside: &str| {
        let pixels = format!(r#"DimensionOrder="XYZCT" SizeC="1" SizeZ="2" SizeT="1" {inside}"#);
        ome(2, &pixels, "<TiffData/>", &ReadOptions::default()).unwrap().header
    };
    for (unit, x) in [
        ("", "0.065"),
        (r#"PhysicalSizeXUnit="&#181;m""#, "0.065"),
        (r#"PhysicalSizeXUnit="μm""#, "0.065"),
        (r#"PhysicalSizeXUnit="nm""#, "65"),
        (r#"PhysicalSizeXUnit="mm""#, "0.000065"),
        (r#"PhysicalSizeXUnit="Å""#, "650"),
    ] {
        let header = size(&format!(r#"PhysicalSizeX="{x}" {unit} PhysicalSizeY="0.07" PhysicalSizeZ="0.2""#));
        let [z, y, x] = header.voxel_um.unwrap();
        assert!((x - 0.065).abs() < 1e-12 && y == 0.07 && z == 0.2, "{unit}: {x}");
    }
    let header = size(r#"PhysicalSizeX="0.065" PhysicalSizeY="0.065""#);
    assert_eq!(header.voxel_um, Some([0.065; 3]));
    assert!(header.warnings[0].contains("no spacing"), "{:?}", header.warnings);
    let header =
        size(r#"PhysicalSizeX="1" PhysicalSizeXUnit="pixel" PhysicalSizeY="1" PhysicalSizeYUnit="pixel""#);
    assert_eq!(header.voxel_um, None);
    let header = size(r#"PhysicalSizeX="1" PhysicalSizeXUnit="reference frame""#);
    assert!(header.voxel_um.is_none() && header.warnings[0].contains("reference frame"));
    // Edges in a unit that is none are ratios.
    let pixels = |axis: char, n: &str| format!(r#"PhysicalSize{axis}="{n}" PhysicalSize{axis}Unit="pixel" "#);
    let header = size(&(pixels('X', "1") + &pixels('Y', "1") + &pixels('Z', "4")));
    assert_eq!((header.voxel_um, header.ratios), (None, Some([4.0, 1.0, 1.0])));
    // Where only some are lengths those count, and the others are said.
    let header = size(&(pixels('Z', "4") + r#"PhysicalSizeX="0.1" PhysicalSizeY="0.1""#));
    assert_eq!((header.voxel_um, header.ratios), (Some([0.1; 3]), None));
    assert!(header.warnings[0].contains("4 pixel"), "{:?}", header.warnings);
    for value in ["0", "INF", "NaN", "-1", "wide"] {
        let header = size(&format!(r#"PhysicalSizeX="{value}" PhysicalSizeY="0.2" PhysicalSizeZ="0.5""#));
        assert!(header.warnings[0].contains(&format!("PhysicalSizeX is {value}, which is no size")));
        assert_eq!(header.voxel_um, Some([0.5, 0.2, 0.2]));
        assert!(header.warnings[1].contains("no size along x"), "{:?}", header.warnings);
    }
}

#[test]
fn pages_without_a_name_and_planes_without_a_page_are_said() {
    let pixels = r#"DimensionOrder="XYZCT" SizeC="1" SizeZ="3" SizeT="1""#;
    let loaded = ome(5, pixels, "", &ReadOptions::default()).unwrap();
    assert_eq!(firsts(&loaded), [0.0, 1.0, 2.0]);
    assert!(says(&loaded, "2 of 5 pages are not named"), "{:?}", loaded.header.warnings);
    // Nothing is cut short where the description names one page only.
    let loaded = ome(4, pixels, r#"<TiffData IFD="1"/>"#, &ReadOptions::default()).unwrap();
    assert_eq!(firsts(&loaded), [1.0]);
    assert!(says(&loaded, "counts 3 planes and says of 1 where they are: 1 of 3 planes were read"));
    assert!(says(&loaded, "3 of 4 pages are not named") && !says(&loaded, "cut short"));
    let wide = r#"DimensionOrder="XYZCT" SizeC="1" SizeZ="2" SizeT="1""#;
    let text = xml(wide, "<TiffData/>").replace(r#"Type="uint8" SizeX="2""#, r#"Type="int8" SizeX="7""#);
    let loaded = read_pages(&described(2, Box::leak(text.into_boxed_str())), &ReadOptions::default());
    assert!(says(&loaded.unwrap(), "the description says 1 × 7 int8, the pages are 1 × 2 uint8"));
}

#[test]
fn axes_that_hold_two_things_are_said() {
    let pixels = r#"DimensionOrder="XYZCT" SizeC="1" SizeZ="4" SizeT="1""#;
    let more = r#"<StructuredAnnotations><XMLAnnotation ID="Annotation:0"><Value><Modulo><ModuloAlongZ Type="angle" Start="0" Step="15" End="15"/></Modulo></Value></XMLAnnotation></StructuredAnnotations></OME>"#;
    let text = xml(pixels, "<TiffData/>").replace("</OME>", more);
    let loaded =
        read_pages(&described(4, Box::leak(text.into_boxed_str())), &ReadOptions::default()).unwrap();
    assert!(says(&loaded, "along Z lie 2 steps of angle"), "{:?}", loaded.header.warnings);
}

#[test]
fn the_files_of_a_set_are_read_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let pixels = r#"DimensionOrder="XYZCT" SizeC="1" SizeZ="3" SizeT="1""#;
    let inside = ["a", "b", "c"].iter().enumerate().fold(String::new(), |all, (z, name)| {
        all + &format!(r#"<TiffData FirstZ="{z}" IFD="0" PlaneCount="1"><UUID FileName="{name}.ome.tif">urn:uuid:{name}</UUID></TiffData>"#)
    });
    let text = xml(pixels, &inside);
    for (i, name) in ["a", "b", "c"].iter().enumerate() {
        let page = page(1, 2, 8, vec![10 * (i as u8 + 1), 0]).described(text);
        std::fs::write(at(&format!("{name}.ome.tif")), file_of(false, &[page])).unwrap();
    }
    for name in ["a.ome.tif", "c.ome.tif"] {
        assert_eq!(firsts(&read(&at(name))), [10.0, 20.0, 30.0], "{name}");
    }
    // The description may stand in a file of its own, to which the others point.
    std::fs::write(at("set.companion.ome"), text).unwrap();
    assert_eq!(firsts(&read(&at("set.companion.ome"))), [10.0, 20.0, 30.0]);
    let pointer =
        format!(r#"<OME {SPACE}><BinaryOnly MetadataFile="set.companion.ome" UUID="urn:uuid:a"/></OME>"#);
    let pointing = page(1, 2, 8, vec![10, 0]).described(Box::leak(pointer.into_boxed_str()));
    std::fs::write(at("a.ome.tif"), file_of(false, &[pointing])).unwrap();
    assert_eq!(firsts(&read(&at("a.ome.tif"))), [10.0, 20.0, 30.0]);
    // A file of the set is missing.
    std::fs::remove_file(at("c.ome.tif")).unwrap();
    let loaded = read(&at("set.companion.ome"));
    assert_eq!(firsts(&loaded), [10.0, 20.0]);
    assert!(says(&loaded, "c.ome.tif"), "{:?}", loaded.header.warnings);
    std::fs::remove_file(at("set.companion.ome")).unwrap();
    let loaded = read(&at("a.ome.tif"));
    assert!(says(&loaded, "set.companion.ome, which is not beside it"), "{:?}", loaded.header.warnings);
}

#[test]
fn of_several_images_one_is_chosen() {
    let image = |i: usize, ifd: usize| {
        format!(
            r#"<Image ID="Image:{i}" Name="part {i}"><Pixels ID="Pixels:{i}" DimensionOrder="XYZCT" Type="uint8" SizeX="2" SizeY="1" SizeC="1" SizeZ="2" SizeT="1"><TiffData IFD="{ifd}" PlaneCount="2"/></Pixels></Image>"#
        )
    };
    let text = format!("<OME {SPACE}>{}{}</OME>", image(0, 0), image(1, 2));
    let pages = described(4, Box::leak(text.into_boxed_str()));
    let loaded = read_pages(&pages, &ReadOptions::default()).unwrap();
    assert_eq!(firsts(&loaded), [0.0, 1.0]);
    assert!(says(&loaded, "image 0 (part 0) of 2"), "{:?}", loaded.header.warnings);
    for name in ["1", "Image:1", "part 1"] {
        let options = ReadOptions { dataset: Some(name.to_owned()), ..ReadOptions::default() };
        assert_eq!(firsts(&read_pages(&pages, &options).unwrap()), [2.0, 3.0], "{name}");
    }
    let options = ReadOptions { dataset: Some("7".to_owned()), ..ReadOptions::default() };
    assert!(read_pages(&pages, &options).unwrap_err().to_string().contains("Image:1 part 1"));
}

#[test]
fn hostile_descriptions_fall_back_to_the_order_of_the_file() {
    for text in [
        r#"<!DOCTYPE OME [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><OME><Image><Pixels SizeZ="2"/></Image>&b;</OME>"#,
        "<OME",
        "<OME></OME>",
        r#"<OME><Image><Pixels SizeC="99999999" SizeZ="99999999" SizeT="99999999"/></Image></OME>"#,
        r#"<OME><Image><Pixels DimensionOrder="XYQ"/></Image></OME>"#,
    ] {
        let loaded = read_pages(&described(2, text), &ReadOptions::default()).unwrap();
        assert_eq!(firsts(&loaded), [0.0, 1.0], "{text}");
        assert!(says(&loaded, "order of the file"), "{text}: {:?}", loaded.header.warnings);
    }
}
