//! The same bits: for any number of threads, and for a range of rows as in the whole.

use std::path::Path;

use super::{SIZE, VIEWS, bits, command, demo, done, refused, scribbles, text, values, volume};

/// Runs a command with one and with two threads into `out1.EXT` and `out2.EXT` and compares the files.
fn same_for_threads(line: &str, inputs: &[&Path], extension: &str) {
    let folder = tempfile::tempdir().unwrap();
    let outputs = [1, 2].map(|threads| {
        let out = folder.path().join(format!("out{threads}.{extension}"));
        let mut paths = inputs.to_vec();
        paths.push(&out);
        done(&format!("{line} --threads {threads}"), &paths);
        std::fs::read(out).unwrap()
    });
    assert!(outputs[0] == outputs[1], "{line}: one thread and two give other bytes");
}

#[test]
fn one_thread_and_two_give_the_same_bytes() {
    let projections = demo().join("projections.mrc");
    same_for_threads("reconstruct {} --align none -o {}", &[&projections], "npy");
    same_for_threads(
        "reconstruct {} --align none --method sirt --iterations 3 -o {}",
        &[&projections],
        "npy",
    );
    same_for_threads("align {} --method projection -o {}", &[&projections], "json");
    same_for_threads("align {} --method axis -o {}", &[&projections], "json");
    same_for_threads("segment {} --scribbles {} -o {}", &[volume(), scribbles()], "npy");
}

#[test]
fn the_environment_sets_the_threads_too() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("one.npy");
    let run = command("reconstruct {} --align none -o {}", &[&demo().join("projections.mrc"), &out])
        .env("RAYON_NUM_THREADS", "1")
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", text(&run.stderr));
    assert_eq!(bits(&out), bits(volume()));
}

#[test]
fn rows_are_those_of_the_whole_and_many_processes_fill_one_volume() {
    let projections = demo().join("projections.mrc");
    let folder = tempfile::tempdir().unwrap();
    for method in [
        "--method fbp",
        "--method sirt --iterations 2 --thickness 20 --mask capillary",
        "--method cgls --iterations 3 --thickness 20",
        "--method tv --iterations 2 --thickness 20 --mask slab:1.5",
        "--bin 2",
    ] {
        let line = format!("reconstruct {{}} --align none {method}");
        let whole = folder.path().join("whole.npy");
        done(&format!("{line} -o {{}}"), &[&projections, &whole]);
        let whole = values(&whole);
        let n_rows = whole.dim().1;
        let few = folder.path().join("few.mrc");
        let result = done(&format!("{line} --rows 5..19 -o {{}}"), &[&projections, &few]);
        assert_eq!(values(&few), whole.slice(ndarray::s![.., 5..19, ..]), "{method}");
        assert_eq!(result["provenance"]["params"]["first_row"], 5);
        assert_eq!(result["provenance"]["params"]["end_row"], 19);
        // Ranges that share a shard, at the same time, in one volume.
        let shared = folder.path().join("shared.zarr");
        let ends = [0, 3, 11, n_rows];
        let children: Vec<_> = ends
            .windows(2)
            .map(|pair| {
                let rows = format!("{line} --rows {}..{} -o {{}} --quiet", pair[0], pair[1]);
                command(&rows, &[&projections, &shared]).spawn().unwrap()
            })
            .collect();
        for mut child in children {
            assert!(child.wait().unwrap().success(), "{method}");
        }
        assert_eq!(values(&shared), whole, "{method}");
        std::fs::remove_dir_all(&shared).unwrap();
    }
}

#[test]
fn every_file_says_how_far_its_absorption_can_be_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let (projections, angles) = (demo().join("projections.mrc"), folder.path().join("tilted.tlt"));
    let n = VIEWS as f64;
    let tilted: Vec<String> =
        (0..VIEWS).map(|i| format!("{:.3}", -60.0 + 120.0 * i as f64 / (n - 1.0))).collect();
    std::fs::write(&angles, tilted.join("\n")).unwrap();
    let cases = [
        ("--method fbp", false, "quantitative"),
        ("--method sirt --iterations 4", false, "not quantitative: 40 sweeps"),
        ("--method fbp", true, "not quantitative: filtered back-projection, tilts of at most 60"),
        ("--method cgls --thickness 30", true, "approximate: tilts"),
        ("--method cgls", true, "not quantitative: tilts"),
    ];
    for (method, limited, expected) in cases {
        let with = if limited { format!("--angles {}", angles.display()) } else { String::new() };
        for extension in ["mrc", "npy", "tif", "zarr", "h5"] {
            let out = folder.path().join(format!("volume.{extension}"));
            let line = format!("reconstruct {{}} --align none {method} {with} -o {{}}");
            let made = done(&line, &[&projections, &out]);
            let info = done("info {}", &[&out]);
            let said = info["metadata"]["lac_validity"].as_str().unwrap_or_default();
            assert!(said.starts_with(expected), "{extension} {method}: {info}");
            let level = made["details"]["reconstruct"]["lac"]["level"].as_str().unwrap();
            assert_eq!(level.replace('-', " "), expected.split(':').next().unwrap(), "{made}");
            if extension == "zarr" {
                std::fs::remove_dir_all(&out).unwrap();
            }
            if method != "--method fbp" {
                break;
            }
        }
    }
    for mask in ["ball", "slab:-1", "slab:thick", "none:3"] {
        let line = format!("reconstruct {{}} --align none --method sirt --mask {mask} -o {{}}");
        let run = command(&line, &[&projections, &folder.path().join("no.mrc")]).output().unwrap();
        assert_eq!(run.status.code(), Some(2), "{mask}");
    }
}

#[test]
fn a_reconstruction_that_was_killed_goes_on_from_the_rows_it_had() {
    let projections = demo().join("projections.mrc");
    let folder = tempfile::tempdir().unwrap();
    let (out, whole) = (folder.path().join("out.npy"), folder.path().join("whole.npy"));
    let line = "reconstruct {} --align none --method sirt --subsets 1 --iterations 1500 --thickness 24 --threads 1 -o {}";
    let kept = folder.path().join(".out.npy.resume");
    let mut child = command(&format!("{line} --resume --quiet"), &[&projections, &out]).spawn().unwrap();
    let begun = std::time::Instant::now();
    // The record is written after the first slab of rows, with more to come.
    while !kept.join("record.json").exists() {
        assert!(begun.elapsed().as_secs() < 120 && child.try_wait().unwrap().is_none(), "no rows were kept");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!out.exists() && kept.exists());
    let result = done(&format!("{line} --resume"), &[&projections, &out]);
    let resumed = result["details"]["reconstruct"]["resumed_rows"].as_u64().unwrap();
    assert!(resumed >= 16 && resumed < SIZE as u64, "{resumed}");
    assert!(!kept.exists());
    done(line, &[&projections, &whole]);
    assert_eq!(bits(&out), bits(&whole));
    // Other parameters do not go on from these rows.
    let quick = "reconstruct {} --align none --resume -o {}";
    let other = done(quick, &[&projections, &out]);
    assert_eq!(other["details"]["reconstruct"]["resumed_rows"], 0);
    let zarr = folder.path().join("out.zarr");
    done(quick, &[&projections, &zarr]);
    assert_eq!(values(&zarr), values(&out));
}

#[test]
fn the_scale_is_checked_and_only_changed_where_asked() {
    let folder = tempfile::tempdir().unwrap();
    let found = done("calibrate {}", &[volume()]);
    let slope = found["slope"].as_f64().unwrap();
    // The ice of the demo absorbs 0.10 where 0.1033 is tabulated at its 520 eV.
    assert!((0.92..1.02).contains(&slope), "{found}");
    assert_eq!((&found["applied"], &found["energy_ev"]), (&false.into(), &520.0.into()));
    let (out, table) = (folder.path().join("calibrated.mrc"), folder.path().join("numbers.csv"));
    done("calibrate {} -o {} --table {}", &[volume(), &out, &table]);
    let again = done("calibrate {}", &[&out]);
    assert!((again["slope"].as_f64().unwrap() - 1.0).abs() < 1e-3, "{again}");
    let info = done("info {}", &[&out]);
    assert!(info["metadata"]["labels"].as_str().unwrap().contains("calibrate slope="), "{info}");
    assert!(info["metadata"]["lac_validity"].is_string(), "{info}");
    assert!(std::fs::read_to_string(&table).unwrap().starts_with("material,energy_ev,expected_per_um"));
    let sentence = refused("calibrate {} --energy-ev 300 --vacuum-class 1 --quiet", &[volume()]);
    assert!(sentence.contains("no labels"), "{sentence}");
}

#[test]
fn rows_that_nobody_made_are_nan_and_another_shape_is_refused() {
    let projections = demo().join("projections.mrc");
    let folder = tempfile::tempdir().unwrap();
    let shared = folder.path().join("shared.zarr");
    done("reconstruct {} --align none --rows 8..16 -o {}", &[&projections, &shared]);
    let found = values(&shared);
    assert_eq!(found.dim(), (SIZE, SIZE, SIZE));
    for (row, plane) in found.axis_iter(ndarray::Axis(1)).enumerate() {
        assert_eq!(plane.iter().all(|v| v.is_nan()), !(8..16).contains(&row), "{row}");
    }
    let sentence = refused(
        "reconstruct {} --align none --rows 16..24 --thickness 30 -o {} --quiet",
        &[&projections, &shared],
    );
    assert!(sentence.contains("choose another name"), "{sentence}");
    let sentence =
        refused("reconstruct {} --align none --rows 40..60 -o {} --quiet", &[&projections, &shared]);
    assert!(sentence.contains("40..60") && sentence.contains("0..48"), "{sentence}");
    for rows in ["9..9", "9..3", "a..b", "7"] {
        let line = format!("reconstruct {{}} --rows {rows} -o {{}}");
        let run = command(&line, &[&projections, &shared]).output().unwrap();
        assert_eq!(run.status.code(), Some(2), "{rows}");
    }
}

#[test]
fn halves_come_from_every_other_view_and_average_to_the_whole() {
    let projections = demo().join("projections.mrc");
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("half.npy");
    let result = done("reconstruct {} --align none --half both -o {}", &[&projections, &out]);
    let outputs = result["outputs"].as_array().unwrap();
    assert_eq!(outputs.len(), 2);
    for (half, made) in ["even", "odd"].iter().zip(outputs) {
        assert_eq!(made["provenance"]["params"]["half"], *half);
        assert_eq!(made["details"]["reconstruct"]["views_used"], VIEWS / 2);
    }
    assert!(!out.exists());
    let [even, odd] = ["even", "odd"].map(|half| values(&folder.path().join(format!("half_{half}.npy"))));
    let whole = values(volume());
    // Filtered back-projection is linear in the views and these are evenly spaced: f32 rounding only.
    for ((even, odd), whole) in even.iter().zip(&odd).zip(&whole) {
        assert!(((even + odd) / 2.0 - whole).abs() < 1e-4, "{even} {odd} {whole}");
    }
    assert!(even != odd);
    let alone = folder.path().join("alone.npy");
    done("reconstruct {} --align none --half odd -o {}", &[&projections, &alone]);
    assert_eq!(values(&alone), odd);
}

#[test]
fn a_volume_over_the_budget_goes_to_zarr_slab_by_slab_with_the_same_bits() {
    let projections = demo().join("projections.mrc");
    let folder = tempfile::tempdir().unwrap();
    // 2000 × 48 × 48 voxels take 17.6 MiB, sixteen rows of them 5.9 MiB.
    let line = "reconstruct {} --align none --thickness 2000 -o {}";
    let whole = folder.path().join("whole.npy");
    done(line, &[&projections, &whole]);
    let slabs = folder.path().join("slabs.zarr");
    let result = done(&format!("{line} --memory 0.013"), &[&projections, &slabs]);
    assert_eq!(result["shape_zyx"], serde_json::json!([2000, SIZE, SIZE]));
    assert!(!slabs.join("1").exists(), "it was not made slab by slab");
    assert_eq!(bits(&slabs), bits(&whole));
    let sentence = refused(&format!("{line} --memory 0.013"), &[&projections, &folder.path().join("no.mrc")]);
    assert!(sentence.contains("MiB") || sentence.contains("GiB"), "{sentence}");
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "{names:?}"); // whole.npy, its sidecar, slabs.zarr
}
