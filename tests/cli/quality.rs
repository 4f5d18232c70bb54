//! How good and how costly: fsc, noise, dose.

use super::{demo, done, refused, values};

#[test]
fn halves_and_a_scan_give_the_same_curve() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let scan = demo().join("projections.mrc");
    let options = "--align none --thickness 32";
    done(&format!("reconstruct {{}} {options} --half both -o {{}}"), &[&scan, &at("cell.mrc")]);
    let of_files = done(
        "fsc {} {} -o {} --plot {}",
        &[&at("cell_even.mrc"), &at("cell_odd.mrc"), &at("files.csv"), &at("fsc.svg")],
    );
    let of_scan = done(&format!("fsc {{}} -o {{}} {options}"), &[&scan, &at("scan.csv")]);
    let (files, scan) =
        ["files.csv", "scan.csv"].map(|name| std::fs::read_to_string(at(name)).unwrap()).into();
    assert_eq!(files, scan, "files keep exact values");
    assert!(files.starts_with("spatial_frequency_per_nm,fsc,half_bit"), "{}", &files[..60]);
    for criterion in ["0.25", "0.143", "half_bit"] {
        let nm = of_files["resolution_nm"][criterion].as_f64().unwrap();
        assert!(nm > 0.0 && nm < 2000.0, "{criterion}: {nm}");
        assert_eq!(of_scan["resolution_nm"][criterion].as_f64(), Some(nm));
    }
    let svg = std::fs::read_to_string(at("fsc.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.matches("<polyline").count() >= 4);

    let noise = done("noise {} {} -o {}", &[&at("cell_even.mrc"), &at("cell_odd.mrc"), &at("noise.mrc")]);
    assert!(noise["noise_mean"].as_f64().unwrap() > 0.0 && noise["unit"] == "1/um");
    assert_eq!(values(&at("noise.mrc")).dim().0, 32);

    let (even, plot) = (at("cell_even.mrc"), at("fsc.png"));
    assert!(refused("fsc {} {} -o x.csv", &[&even, &even]).contains("the same"));
    let other = demo().join("truth.mrc");
    assert!(refused("fsc {} {} -o x.csv", &[&even, &other]).contains("different grids"));
    let wrong = super::command("fsc {} {} -o x.csv --plot {}", &[&even, &even, &plot]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn dose_is_that_of_the_worked_case_and_of_a_scan() {
    let dose = done("dose --energy-ev 520 --fluence 6.7e7 --views 131", &[]);
    let number = |name: &str| dose[name].as_f64().unwrap();
    assert!((76.0..=78.0).contains(&number("dose_mgy")), "{dose}");
    assert!((41.0..=43.0).contains(&number("absorbed_mgy")), "{dose}");
    assert!((number("fluence_photons_per_um2") / 0.88e10 - 1.0).abs() < 0.005);

    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("dose.csv");
    let scan = demo().join("scan.h5");
    let found =
        done("dose {} --resolution-nm 50 --thickness-um 5 --efficiency 0.1 --table {}", &[&scan, &table]);
    assert_eq!(found["views"], super::VIEWS);
    assert!(found["dose_mgy"].as_f64().unwrap() > 0.0 && found["plan"]["needed_mgy"].as_f64().unwrap() > 0.0);
    assert!(std::fs::read_to_string(&table).unwrap().contains("MGy"));
    assert!(refused("dose", &[]).contains("--fluence"));
    let wrong = super::command("dose --fluence -3", &[]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn a_view_that_jumped_stands_out_of_the_residuals() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let scan = demo().join("projections.mrc");
    done("reconstruct {} --align none --method sirt --iterations 10 -o {}", &[&scan, &at("cell.mrc")]);
    done("align {} --method none -o {}", &[&scan, &at("align.json")]);
    let mut alignment: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(at("align.json")).unwrap()).unwrap();
    alignment["views"][31]["shift_x_px"] = 3.0.into();
    std::fs::write(at("align.json"), alignment.to_string()).unwrap();
    let line = "residual {} {} --align {} -o {} --views {}";
    let found =
        done(line, &[&scan, &at("cell.mrc"), &at("align.json"), &at("residuals.csv"), &at("left.mrc")]);
    assert_eq!(found["worst_view"], 31, "{found}");
    assert!(found["correlation"].as_f64().unwrap() > 0.9);
    assert_eq!(std::fs::read_to_string(at("residuals.csv")).unwrap().lines().count(), super::VIEWS + 1);
    assert_eq!(values(&at("left.mrc")).dim().0, super::VIEWS);
}

#[test]
fn overlapping_parts_are_stitched_and_two_scans_of_one_axis_are_no_dual_axis() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let scan = demo().join("projections.mrc");
    for (rows, name) in [("0..30", "upper.mrc"), ("20..48", "lower.mrc")] {
        done(&format!("reconstruct {{}} --align none --rows {rows} -o {{}}"), &[&scan, &at(name)]);
    }
    done("reconstruct {} --align none -o {}", &[&scan, &at("whole.mrc")]);
    let made =
        done("stitch {} {} -o {} --register=off", &[&at("upper.mrc"), &at("lower.mrc"), &at("stitched.mrc")]);
    let (whole, stitched) = (values(&at("whole.mrc")), values(&at("stitched.mrc")));
    assert_eq!(whole.dim(), stitched.dim(), "{made}");
    let worst = whole.iter().zip(&stitched).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-4, "{worst}");
    let found = done("stitch {} {} -o {}", &[&at("upper.mrc"), &at("lower.mrc"), &at("registered.mrc")]);
    assert!(found["stitch"]["overlaps"][0]["correlation"].as_f64().unwrap() > 0.99, "{found}");
}
