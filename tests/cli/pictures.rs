//! Figures and films of the command line: formats, positions, clear ground, refusals.

use serde_json::json;

use super::{command, demo, done, refused, text, volume};

#[test]
fn a_figure_has_its_bars_as_vectors_or_as_pixels() {
    let folder = tempfile::tempdir().unwrap();
    let (svg, png) = (folder.path().join("a.svg"), folder.path().join("a.png"));
    let line = "render {} {} -o {} --size 320x240 --color-bar --title Yeast --legend";
    let labels = demo().join("labels.mrc");
    done(line, &[volume(), &labels, &svg]);
    let result = done(line, &[volume(), &labels, &png]);
    let drawing = std::fs::read_to_string(&svg).unwrap();
    for part in
        [">Yeast</text>", "LAC (1/µm)</text>", "mitochondria</text>", "data:image/png;base64,", "<rect"]
    {
        assert!(drawing.contains(part), "{part}");
    }
    let length = result["scale_bar_um"].as_f64().unwrap();
    let label =
        if length < 1.0 { format!(">{:.0} nm<", length * 1000.0) } else { format!(">{length:.0} µm<") };
    assert!(drawing.contains(&label), "{label}");
    let plain = folder.path().join("b.png");
    done("render {} {} -o {} --size 320x240 --no-scale-bar", &[volume(), &labels, &plain]);
    assert!(std::fs::read(&png).unwrap() != std::fs::read(&plain).unwrap());
    let again = folder.path().join("c.png");
    done(&format!("{line} --threads 3"), &[volume(), &labels, &again]);
    assert!(std::fs::read(&png).unwrap() == std::fs::read(&again).unwrap(), "the same bits");
}

#[test]
fn a_transparent_picture_has_nothing_behind_the_cell() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.png");
    done("render {} -o {} --view 3d --size 120x90 --transparent --no-scale-bar", &[volume(), &file]);
    let picture = image::open(&file).unwrap().to_rgba8();
    assert_eq!(picture.get_pixel(0, 0).0[3], 0);
    assert!(picture.pixels().any(|p| p.0[3] > 200), "the cell is there");
    for (background, grey) in [("white", 255), ("black", 6)] {
        let line =
            format!("render {{}} -o {{}} --view 3d --size 120x90 --background {background} --no-scale-bar");
        done(&line, &[volume(), &file]);
        let picture = image::open(&file).unwrap().to_rgba8();
        assert_eq!(picture.get_pixel(0, 0).0, [grey, grey, grey, 255], "{background}");
    }
}

#[test]
fn a_montage_says_where_its_slices_lie() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("m.png");
    let line = "render {} -o {} --montage 2x3 --first 4 --last 44";
    let result = done(line, &[volume(), &file]);
    let slices: Vec<u64> =
        result["slices"].as_array().unwrap().iter().map(|s| s["slice"].as_u64().unwrap()).collect();
    assert_eq!(slices, [4, 12, 20, 28, 36, 44]);
    let step = |i: usize| result["slices"][i]["position_um"].as_f64().unwrap();
    let spacing = (step(1) - step(0)) / 8.0;
    assert!((step(5) - step(0) - 40.0 * spacing).abs() < 1e-6 && spacing > 0.0, "{result}");
    let stepped =
        done("render {} -o {} --montage 1x9 --step 20 --view xz --size 900x120", &[volume(), &file]);
    assert_eq!(stepped["slices"].as_array().unwrap().len(), 3);
    assert_eq!(image::open(&file).unwrap().to_rgb8().dimensions(), (900, 120));
}

#[test]
fn films_are_written_in_every_format_and_on_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    let line = "render {} -o {} --view 3d --mode mip --size 64x48 --turntable 0.4 --fps 10";
    let result = done(line, &[volume(), &out("a.mp4")]);
    assert_eq!((result["frames"].as_u64(), result["seconds"].as_f64()), (Some(4), Some(0.4)));
    done(&format!("{line} --threads 1"), &[volume(), &out("b.mp4")]);
    done(&format!("{line} --threads 3"), &[volume(), &out("c.mp4")]);
    let bytes = |name: &str| std::fs::read(out(name)).unwrap();
    assert!(bytes("b.mp4") == bytes("c.mp4"));
    assert_eq!(&bytes("a.mp4")[4..12], b"ftypisom");
    done(line, &[volume(), &out("a.gif")]);
    assert_eq!(&bytes("a.gif")[..6], b"GIF89a");
    done(&format!("{line} --transparent"), &[volume(), &out("frames")]);
    let last = image::open(out("frames").join("frame_00004.png")).unwrap().to_rgba8();
    assert_eq!((last.dimensions(), last.get_pixel(0, 0).0[3]), ((64, 48), 0));
}

#[test]
fn keyframes_move_slices_and_a_bad_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    let keyframes = json!({ "keyframes": [
        { "seconds": 0.0, "slice_um": 0.2, "ease": "linear" },
        { "seconds": 0.5, "slice_um": 1.0, "zoom": 2.0 },
    ]});
    std::fs::write(out("k.json"), keyframes.to_string()).unwrap();
    let line = "render {} -o {} --keyframes {} --fps 10 --size 64x48 --no-scale-bar";
    let result = done(line, &[volume(), &out("k"), &out("k.json")]);
    assert_eq!(result["frames"].as_u64(), Some(6));
    let frame = |n: usize| std::fs::read(out("k").join(format!("frame_{n:05}.png"))).unwrap();
    assert!(frame(1) != frame(3) && frame(3) != frame(6), "it moves");
    for (content, said) in
        [("{}", "keyframes"), ("{\"keyframes\": [{\"seconds\": 2}, {\"seconds\": 1}]}", "keyframe 2")]
    {
        std::fs::write(out("bad.json"), content).unwrap();
        let sentence = refused(line, &[volume(), &out("bad"), &out("bad.json")]);
        assert!(sentence.contains(said) && sentence.contains("bad.json"), "{sentence}");
    }
    assert!(!out("bad").exists());
}

#[test]
fn what_does_not_go_together_is_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    for (options, name, said) in [
        ("--turntable 1", "a.mp4", "--view 3d"),
        ("--view 3d --turntable 1", "a.png", ".mp4"),
        ("", "a.mp4", "--turntable"),
        ("--view 3d --turntable 1 --transparent", "a.mp4", "PNG"),
        ("--view 3d --turntable 1 --size 8x8", "a.mp4", "16"),
        ("--view 3d --turntable 1000", "a.mp4", "600 s"),
        ("--view 3d --montage 2x2", "a.png", "xy"),
        ("--montage 2", "a.png", "3x4"),
        ("--montage 2x2 --first 99", "a.png", "0 to 47"),
        ("--scale-bar --no-scale-bar", "a.png", "cannot be used"),
        ("--view 3d --mode labels", "a.png", "label file"),
    ] {
        let output =
            command(&format!("render {{}} -o {{}} {options}"), &[volume(), &out(name)]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{options}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(said), "{options}: {}", text(&output.stderr));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
}

#[test]
fn surfaces_are_drawn_without_a_window_and_tell_their_error() {
    let folder = tempfile::tempdir().unwrap();
    let labels = demo().join("labels.mrc");
    let draw = |name: &str, options: &str| {
        let file = folder.path().join(name);
        let line = format!("render {{}} {{}} -o {{}} --view 3d --size 160x120 --surfaces {options}");
        let result = done(&line, &[volume(), &labels, &file]);
        (image::open(&file).unwrap().to_rgba8(), result)
    };
    let (alone, result) = draw("a.png", "--mode surfaces --transparent --no-scale-bar");
    assert_eq!(alone.get_pixel(0, 0).0[3], 0, "nothing lies behind surfaces");
    assert!(alone.pixels().any(|p| p.0[3] == 255));
    let told = result["surfaces"].as_array().unwrap();
    assert!(told.len() >= 3, "{told:?}");
    // Organelles of a demo of 48 voxels are two voxels wide; what is larger keeps its volume.
    let is_off = |class: &serde_json::Value| class["volume_error"].as_f64().unwrap().abs() > 0.01;
    let large = |class: &&serde_json::Value| class["name"] == "cytoplasm" || class["name"] == "vacuoles";
    assert!(!told.iter().filter(large).any(is_off), "{told:?}");
    let by_value = "--mode surfaces --no-scale-bar --surface-color mean-curvature --surface-opacity 1";
    let (curved, _) = draw("b.png", by_value);
    let (range, _) = draw("c.png", &format!("{by_value} --surface-range -9:9"));
    assert_ne!(curved, range, "another range, other colours");
    let (hazy, _) = draw("d.png", "--no-scale-bar");
    let (objects, result) = draw("e.png", "--no-scale-bar --surface-color object");
    assert_ne!(hazy, objects);
    assert!(result["surfaces"].as_array().unwrap().len() > told.len());
    let bars = folder.path().join("f.svg");
    let line = "render {} {} -o {} --view 3d --size 160x120 --surfaces --surface-color thickness --color-bar";
    done(line, &[volume(), &labels, &bars]);
    assert!(std::fs::read_to_string(&bars).unwrap().contains("Thickness (µm)</text>"));
}

#[test]
fn surfaces_that_cannot_be_drawn_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.png");
    let labels = demo().join("labels.mrc");
    for (options, word) in [
        ("--view 3d --mode surfaces", "--surfaces"),
        ("--view 3d --surfaces --surface-color distance", "--surface-distance-to"),
        ("--view 3d --surfaces --surface-opacity thick", "--surface-opacity"),
        ("--view 3d --surfaces --surface-range 2:1", "--surface-range"),
    ] {
        let line = format!("render {{}} {{}} -o {{}} {options}");
        let output = command(&line, &[volume(), &labels, &file]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{options}");
        assert!(text(&output.stderr).contains(word), "{options}: {}", text(&output.stderr));
    }
    let output = command("render {} -o {} --view 3d --surfaces", &[volume(), &file]).output().unwrap();
    assert!(output.status.code() == Some(2) && text(&output.stderr).contains("label file"));
    assert!(!file.exists());
}

#[test]
fn annotations_of_a_file_are_drawn_with_what_they_measure_or_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let (list, svg) = (folder.path().join("a.csv"), folder.path().join("a.svg"));
    let info = done("info {}", &[volume()]);
    let shape: Vec<f64> = info["shape_zyx"].as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect();
    let voxel = info["voxel_um"][2].as_f64().unwrap();
    // Ten voxels across in the middle slice, and a line through the slices.
    let [z, y, x] = [shape[0], shape[1], shape[2]].map(|n| (n / 2.0).floor() * voxel);
    let rows = format!(
        "name,kind,plane,points_x_y_z_um\nacross,distance,XY,{x} {y} {z}; {} {y} {z}\nthrough,profile,XZ,{x} {y} 0; {x} {y} {z}\n",
        x + 10.0 * voxel
    );
    std::fs::write(&list, rows).unwrap();
    let drawn = |options: &str| {
        let line = format!("render {{}} -o {{}} --size 320x240 --no-scale-bar {options}");
        let files: [&std::path::Path; 3] = [volume(), &svg, &list];
        done(&line, if options.contains("{}") { &files } else { &files[..2] });
        std::fs::read_to_string(&svg).unwrap()
    };
    let long = 10.0 * voxel;
    let label = if long < 1.0 { format!(">{:.0} nm<", long * 1000.0) } else { format!(">{long:.2} µm<") };
    let slice = drawn("--annotations {}");
    assert!(slice.contains(&label), "{label}");
    // One line with two ticks, each with its halo, and the chip of its label, which has a halo too; the other one does not
    // lie in the slice.
    assert_eq!((slice.matches("<polyline").count(), slice.matches("</text>").count()), (7, 2));
    let cell = drawn("--view 3d --annotations {}");
    assert!(cell.contains(&label) && cell.matches("</text>").count() == 4);
    assert!(!drawn("").contains("<polyline"), "without the option there are none");
    std::fs::write(&list, "name,kind\na,area\n").unwrap();
    let said = refused("render {} -o {} --annotations {}", &[volume(), &svg, &list]);
    assert!(said.contains("points_x_y_z_um"), "{said}");
}
