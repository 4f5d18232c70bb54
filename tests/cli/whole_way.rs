//! One demo cell through every command, and what the contract says of each.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::{
    AnyArray, SIZE, VIEWS, array, bits, demo, done, listing, load, scribbles, text, values, volume, write,
};

fn names(folder: &Path) -> BTreeSet<String> {
    listing(folder).iter().map(|p| p.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

#[test]
fn demo_and_info_have_the_fields_of_the_contract() {
    let files = names(demo());
    for name in [
        "projections.mrc",
        "projections.rawtlt",
        "flat.mrc",
        "dark.mrc",
        "scan.h5",
        "truth.mrc",
        "labels.mrc",
    ] {
        assert!(files.contains(name), "{name} of {files:?}");
    }
    let truth: Value =
        serde_json::from_str(&std::fs::read_to_string(demo().join("truth.json")).unwrap()).unwrap();
    for field in ["voxel_um", "classes", "lac", "shifts_yx", "beads_zyx", "seed"] {
        assert!(truth.get(field).is_some(), "{field}");
    }
    assert_eq!(truth["classes"]["6"], "lipid droplets");
    assert_eq!(truth["shifts_yx"].as_array().unwrap().len(), VIEWS);
    for (name, kind, unit) in [
        ("projections.mrc", "scan", "counts"),
        ("truth.mrc", "volume", "1/um"),
        ("labels.mrc", "labels", "label"),
    ] {
        let info = done("info {}", &[&demo().join(name)]);
        let fields = "path, format, kind, shape_zyx, dtype, voxel_um, unit, n_views, angles_deg, energy_ev, min, max, mean, metadata";
        for field in fields.split(", ") {
            assert!(info.get(field).is_some(), "{name}: {field}");
        }
        assert_eq!((&info["kind"], &info["unit"]), (&json!(kind), &json!(unit)), "{name}");
        assert_eq!(info["shape_zyx"][1], SIZE);
    }
    let scan = done("info {}", &[&demo().join("projections.mrc")]);
    assert_eq!((&scan["n_views"], scan["angles_deg"].as_array().unwrap().len()), (&json!(VIEWS), VIEWS));
    // People get lines.
    let run = super::command("info {}", &[&demo().join("truth.mrc")]).output().unwrap();
    assert!(text(&run.stdout).contains("(z, y, x)"), "{}", text(&run.stdout));
}

#[test]
fn normalised_and_aligned_views_reconstruct_like_the_scan() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    let scan = demo().join("projections.mrc");
    let result = done("normalize {} -o {}", &[&scan, &out("a.mrc")]);
    assert_eq!(result["shape_zyx"], json!([VIEWS, SIZE, SIZE]));
    done("reconstruct {} --align none -o {}", &[&out("a.mrc"), &out("from-absorbance.npy")]);
    assert_eq!(bits(&out("from-absorbance.npy")), bits(volume()));

    done("align {} --method axis -o {} --xf {}", &[&scan, &out("ALIGN.json"), &out("a.xf")]);
    let align: Value = serde_json::from_str(&std::fs::read_to_string(out("ALIGN.json")).unwrap()).unwrap();
    assert_eq!(align["waterwindow_alignment"], 1);
    let views = align["views"].as_array().unwrap();
    assert_eq!(views.len(), VIEWS);
    for (index, view) in views.iter().enumerate() {
        assert_eq!(view["index"], index);
        for field in ["angle_deg", "shift_y_px", "shift_x_px"] {
            assert!(view[field].as_f64().unwrap().is_finite(), "{field}");
        }
        assert!(view["used"].is_boolean());
    }
    done("reconstruct {} --align {} -o {}", &[&scan, &out("ALIGN.json"), &out("by-json.npy")]);
    done("reconstruct {} --align {} -o {}", &[&scan, &out("a.xf"), &out("by-xf.npy")]);
    let worst = |a: &Path, b: &Path| {
        let (a, b) = (values(a), values(b));
        a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    // An .xf has three decimals of a pixel, and edges of about 1/µm a pixel.
    assert!(worst(&out("by-json.npy"), &out("by-xf.npy")) < 2e-3);
    // The axis of the demo is at the middle, so finding it changes little.
    assert!(worst(&out("by-json.npy"), volume()) < 0.2);
    let centre = (SIZE as f64 - 1.0) / 2.0;
    done(&format!("reconstruct {{}} --center {centre} -o {{}}"), &[&scan, &out("centre.npy")]);
    assert_eq!(bits(&out("centre.npy")), bits(volume()));
}

#[test]
fn provenance_says_how_a_volume_was_made() {
    let folder = tempfile::tempdir().unwrap();
    let scan = demo().join("projections.mrc");
    for extension in ["mrc", "tif", "h5", "zarr", "npy"] {
        let out = folder.path().join(format!("v.{extension}"));
        let line = "reconstruct {} --align none --half even --rows 8..16 --filter cosine -o {}";
        let result = done(line, &[&scan, &out]);
        let provenance = &result["provenance"];
        assert_eq!(
            (&provenance["op"], &provenance["params"]["filter"]),
            (&json!("reconstruct"), &json!("cosine"))
        );
        let metadata = load(&out).header.metadata;
        let kept = metadata.values().find(|text| text.contains("filter=cosine")).unwrap();
        assert!(kept.contains("half=even") && kept.contains("align=none"), "{extension}: {kept}");
        // The rows of a volume that others fill too are not those of one process.
        assert_eq!(kept.contains("first_row=8"), extension != "zarr", "{extension}: {kept}");
    }
}

/// The rows of a CSV file below its header.
fn csv(path: &Path) -> (String, Vec<Vec<String>>) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let header = lines.next().unwrap().to_owned();
    (header, lines.map(|line| line.split(',').map(str::to_owned).collect()).collect())
}

#[test]
fn strokes_become_labels_objects_numbers_and_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    done("supervoxels {} -o {}", &[volume(), &out("regions.mrc")]);
    assert!(values(&out("regions.mrc")).iter().all(|id| *id >= 1.0));

    let line = "segment {} --scribbles {} -o {} --model-out {} --probabilities {} --uncertainty {}";
    done(
        line,
        &[volume(), scribbles(), &out("labels.mrc"), &out("model.json"), &out("p.npy"), &out("u.npy")],
    );
    let painted: BTreeSet<u16> =
        array(scribbles()).to_label_ids().unwrap().iter().copied().filter(|id| *id != 0).collect();
    let labels = array(&out("labels.mrc")).to_label_ids().unwrap();
    assert_eq!(labels.dim(), (SIZE, SIZE, SIZE));
    assert!(labels.iter().all(|id| painted.contains(id)), "a class that nobody painted");
    let truth = array(&demo().join("labels.mrc")).to_label_ids().unwrap();
    let right = labels.iter().zip(&truth).filter(|(found, truth)| **found == **truth + 1).count();
    // Most of the volume is ice and cytoplasm, which strokes of this density cannot miss.
    assert!(right * 10 > labels.len() * 8, "{right} of {}", labels.len());
    let sum = painted.iter().fold(ndarray::Array3::<f32>::zeros(labels.dim()), |sum, class| {
        sum + values(&out(&format!("p_class{class}.npy")))
    });
    assert!(sum.iter().all(|p| (p - 1.0).abs() < 1e-4), "probabilities add up to 1");
    assert!(values(&out("u.npy")).iter().all(|u| (0.0..=1.0).contains(u)));

    done("predict {} --model {} -o {}", &[volume(), &out("model.json"), &out("predicted.mrc")]);
    let predicted = array(&out("predicted.mrc")).to_label_ids().unwrap();
    let same = predicted.iter().zip(&labels).filter(|(a, b)| a == b).count();
    assert!(same * 100 > labels.len() * 95, "{same} of {}", labels.len());

    // One stroke of one class is added to what it learnt.
    let mut one = ndarray::Array3::<u16>::zeros((SIZE, SIZE, SIZE));
    one.slice_mut(ndarray::s![SIZE / 2, SIZE / 2, ..6]).fill(1);
    write(&out("one.npy"), &AnyArray::U16(one));
    let line = "segment {} --scribbles {} --model {} -o {} --model-out {}";
    done(line, &[volume(), &out("one.npy"), &out("model.json"), &out("refined.mrc"), &out("again.json")]);
    let refined = array(&out("refined.mrc")).to_label_ids().unwrap();
    let same = refined.iter().zip(&labels).filter(|(a, b)| a == b).count();
    assert!(same * 100 > labels.len() * 95, "{same} of {}", labels.len());
    done("predict {} --model {} -o {}", &[volume(), &out("again.json"), &out("once_more.mrc")]);
}

#[test]
fn objects_have_the_numbers_of_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    let labels = demo().join("labels.mrc");
    let truth = demo().join("truth.mrc");
    let made = done("components {} -o {} --table {}", &[&labels, &out("objects.npy"), &out("objects.csv")]);
    let ids = values(&out("objects.npy"));
    let (header, objects) = csv(&out("objects.csv"));
    assert_eq!(header, "object,class,name,voxels");
    assert_eq!(made["objects"], objects.len());
    done("measure {} {} --instances -o {}", &[&truth, &labels, &out("each.csv")]);
    let (header, each) = csv(&out("each.csv"));
    let promised = "class,name,object,voxels,volume_um3,surface_um2,sphericity,lac_mean_per_um,lac_sd_per_um,centroid_x_um,centroid_y_um,centroid_z_um";
    assert!(header.starts_with(promised), "{header}");
    let key = |row: &[String], at: [usize; 3]| at.map(|at| row[at].clone());
    let found: BTreeSet<_> = objects.iter().map(|row| key(row, [0, 1, 3])).collect();
    let measured: BTreeSet<_> = each.iter().map(|row| key(row, [2, 0, 3])).collect();
    assert_eq!(found, measured);
    for row in &objects {
        let id: f32 = row[0].parse().unwrap();
        assert_eq!(ids.iter().filter(|v| **v == id).count().to_string(), row[3]);
    }
    let few = done("components {} --class 6 --min-voxels 5 -o {}", &[&labels, &out("few.npy")]);
    let droplets = objects.iter().filter(|row| row[1] == "6" && row[3].parse::<u64>().unwrap() >= 5).count();
    assert_eq!(few["objects"], droplets);

    done("measure {} {} --contacts --distances -o {}", &[&truth, &labels, &out("classes.csv")]);
    let (_, classes) = csv(&out("classes.csv"));
    let dense = array(&labels).to_label_ids().unwrap();
    for row in &classes {
        let id: u16 = row[0].parse().unwrap();
        assert_eq!(dense.iter().filter(|v| **v == id).count().to_string(), row[3], "{}", row[1]);
    }
}

#[test]
fn meshes_come_in_every_format_with_the_same_triangles() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    let labels = demo().join("labels.mrc");
    let made = done("mesh {} -o {}", &[&labels, &out("all.ply")]);
    let meshes = made["meshes"].as_array().unwrap();
    let n: u64 = meshes.iter().map(|mesh| mesh["triangles"].as_u64().unwrap()).sum();
    let read = |name: &str| std::fs::read(out(name)).unwrap();
    assert!(text(&read("all.ply")[..400]).contains(&format!("element face {n}\n")));
    for name in ["all.stl", "all.obj", "all.glb"] {
        done("mesh {} -o {}", &[&labels, &out(name)]);
    }
    assert_eq!(read("all.stl").len() as u64, 84 + 50 * n);
    let obj = text(&read("all.obj"));
    assert_eq!(obj.lines().filter(|line| line.starts_with("f ")).count() as u64, n);
    // Vertices are in µm: inside the field of the demo.
    let field = SIZE as f64 * load(&labels).header.voxel_um.unwrap()[0];
    for line in obj.lines().filter(|line| line.starts_with("v ")) {
        let first: f64 = line.split(' ').nth(1).unwrap().parse().unwrap();
        assert!((-field..2.0 * field).contains(&first), "{line}");
    }
    assert_eq!(&read("all.glb")[..4], b"glTF");
    done("mesh {} -o {}", &[&labels, &out("folder")]);
    assert_eq!(names(&out("folder")).len(), meshes.len());
    assert!(names(&out("folder")).contains("lipid_droplets.ply"));
    done("mesh {} -o {} --format glb", &[&labels, &out("other")]);
    assert!(names(&out("other")).iter().all(|name| name.rsplit_once('.').is_some_and(|(_, e)| e == "glb")));
}

const HEADER: &str = "name,moving_x_um,moving_y_um,moving_z_um,fixed_x_um,fixed_y_um,fixed_z_um,used";

#[test]
fn landmark_pairs_bring_a_volume_over() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    let truth = demo().join("truth.mrc");
    let voxel = load(&truth).header.voxel_um.unwrap()[0];
    let pairs = |n: usize, change: &dyn Fn(usize, [f64; 3]) -> [f64; 3]| {
        let corners = [[0., 0., 0.], [5., 0., 1.], [0., 6., 0.], [0., 1., 7.], [4., 5., 6.], [2., 7., 3.]];
        let mut text = format!("{HEADER}\n");
        for (i, [x, y, z]) in corners.into_iter().take(n).enumerate() {
            let [u, v, w] = change(i, [x, y, z]);
            text += &format!("L{i},{x},{y},{z},{u},{v},{w},true\n");
        }
        std::fs::write(out("pairs.csv"), text).unwrap();
    };
    // Three voxels along x and one against y.
    pairs(6, &|_, [x, y, z]| [x + 3.0 * voxel, y - voxel, z]);
    let line = "correlate {} {} --landmarks {} --model rigid -o {} --apply {} --residuals {}";
    let result =
        done(line, &[&truth, &truth, &out("pairs.csv"), &out("t.json"), &out("moved.npy"), &out("r.csv")]);
    assert!(result["fre_um"].as_f64().unwrap() < 1e-9 && result["tre_um"].as_f64().unwrap() < 1e-9);
    assert_eq!(result["landmarks"].as_array().unwrap().len(), 6);
    let transform: Value = serde_json::from_str(&std::fs::read_to_string(out("t.json")).unwrap()).unwrap();
    assert_eq!((&transform["waterwindow_transform"], &transform["model"]), (&json!(1), &json!("rigid")));
    assert!((transform["fixed_from_moving"][0][3].as_f64().unwrap() - 3.0 * voxel).abs() < 1e-9);
    assert_eq!(csv(&out("r.csv")).1.len(), 6);
    let (moved, truth_values) = (values(&out("moved.npy")), values(&truth));
    for ((z, y, x), value) in moved.indexed_iter() {
        let wanted = if x >= 3 && y + 1 < SIZE { truth_values[[z, y + 1, x - 3]] } else { 0.0 };
        // Trilinear weights at whole voxels, rounded in f64 and f32.
        assert!((value - wanted).abs() < 1e-4, "{z} {y} {x}: {value} {wanted}");
    }

    let refuse = |model: &str| {
        let line = format!("correlate {{}} {{}} --landmarks {{}} --model {model} -o {{}} --quiet");
        super::refused(&line, &[&truth, &truth, &out("pairs.csv"), &out("no.json")])
    };
    pairs(2, &|_, p| p);
    assert!(refuse("rigid").contains("2 landmark pairs"));
    pairs(4, &|_, p| p);
    assert!(refuse("affine").contains("at least 5"));
    let text = (0..6).fold(format!("{HEADER}\n"), |text, i| text + &format!("a,{i},{i},{i},{i},{i},{i},1\n"));
    std::fs::write(out("pairs.csv"), text).unwrap();
    assert!(refuse("similarity").contains("on one line"));
    assert!(!out("no.json").exists());
    pairs(6, &|_, [x, y, z]| [x, y, -z]);
    let line = "correlate {} {} --landmarks {} --model rigid -o {}";
    let mirrored = done(line, &[&truth, &truth, &out("pairs.csv"), &out("t.json")]);
    assert!(mirrored["warnings"].to_string().contains("flipped"), "{}", mirrored["warnings"]);
}

#[test]
fn pictures_have_the_size_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let labels = demo().join("labels.mrc");
    for view in ["xy", "xz", "yz", "3d"] {
        let out = folder.path().join(format!("{view}.png"));
        let line = format!("render {{}} {{}} -o {{}} --view {view} --size 120x90");
        done(&line, &[volume(), &labels, &out]);
        let picture = image::open(&out).unwrap().to_rgb8();
        assert_eq!(picture.dimensions(), (120, 90), "{view}");
        let tones: BTreeSet<[u8; 3]> = picture.pixels().map(|p| p.0).collect();
        assert!(tones.len() > 20, "{view} has {} tones", tones.len());
    }
}

#[test]
fn a_recipe_gives_the_bits_of_the_commands() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    let recipe = json!({ "waterwindow_recipe": 1, "steps": [
        { "op": "normalize" },
        { "op": "reconstruct", "params": { "filter": "hann" } },
        { "op": "supervoxels", "params": { "size_voxels": 5.0 } },
    ]});
    std::fs::write(out("recipe.json"), recipe.to_string()).unwrap();
    let result =
        done("run {} {} -o {}", &[&out("recipe.json"), &demo().join("projections.mrc"), &out("results")]);
    let outputs: Vec<_> = result["outputs"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect();
    let made = |part: &str| Path::new(outputs.iter().find(|name| name.contains(part)).unwrap()).to_owned();
    assert_eq!(bits(&made("reconstruct_volume")), bits(volume()));
    done("supervoxels {} --size 5 -o {}", &[volume(), &out("regions.mrc")]);
    assert_eq!(bits(&made("supervoxels_regions")), bits(&out("regions.mrc")));
    // Labels and volumes as inputs of a recipe.
    let recipe = json!({ "waterwindow_recipe": 1, "steps": [
        { "op": "components" }, { "op": "measure", "params": { "instances": true } }, { "op": "mesh" },
    ]});
    std::fs::write(out("recipe.json"), recipe.to_string()).unwrap();
    let (truth, labels) = (demo().join("truth.mrc"), demo().join("labels.mrc"));
    done("run {} {} {} -o {}", &[&out("recipe.json"), &truth, &labels, &out("numbers")]);
    done("measure {} {} --instances -o {}", &[&truth, &labels, &out("each.csv")]);
    let table = std::fs::read_to_string(out("numbers").join("02_measure_measurements.csv")).unwrap();
    assert_eq!(table, std::fs::read_to_string(out("each.csv")).unwrap());
    assert!(names(&out("numbers")).contains("03_mesh_meshes.ply"));
}
