//! What someone meets on the first day: quiet drivers, words and units, several inputs, scans that do not belong together.

use std::path::Path;

use serde_json::json;

use super::{command, demo, done, refused, text, values, volume};

#[test]
fn a_headless_command_writes_nothing_of_a_driver() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    let (scan, volume) = (demo().join("projections.mrc"), volume().to_owned());
    let lines: [(&str, Vec<&Path>); 5] = [
        ("info {}", vec![&scan]),
        ("reconstruct {} --align none -o {}", vec![&scan, &folder.path().join("a.mrc")]),
        ("render {} -o {} --size 64x48", vec![&volume, &folder.path().join("a.png")]),
        ("render {} -o {} --view 3d --size 64x48 --device gpu", vec![&volume, &folder.path().join("b.png")]),
        (
            "render {} -o {} --view 3d --size 64x48 --turntable 0.2",
            vec![&volume, &folder.path().join("a.gif")],
        ),
    ]
    .map(|(line, paths)| {
        (line, paths.into_iter().map(|path| Box::leak(path.to_owned().into_boxed_path()) as &Path).collect())
    });
    for (line, paths) in lines {
        let output = command(line, &paths).arg("--quiet").env_remove("XDG_RUNTIME_DIR").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{line}: {}", text(&output.stderr));
        assert_eq!(text(&output.stderr), "", "{line}");
        assert_eq!(text(&output.stdout), "", "{line}");
    }
    assert!(out("a.png").exists() && out("b.png").exists());
}

/// What a command says to a person: stdout and stderr.
fn said(line: &str, paths: &[&Path]) -> String {
    let output = command(line, paths).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{line}: {}", text(&output.stderr));
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn people_read_words_and_units_and_no_json() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    let (scan, labels) = (demo().join("scan.h5"), demo().join("labels.mrc"));
    let dose = said("dose {} --efficiency 0.05 --resolution-nm 50 --thickness-um 8", &[&scan]);
    assert!(dose.contains("photons/µm²") && dose.contains("MGy") && dose.contains("520 eV"), "{dose}");
    let info = said("info {}", &[&demo().join("truth.mrc")]);
    assert!(
        info.contains("48 × 48 × 48 (z, y, x)") && info.contains("µm") && info.contains("1/µm"),
        "{info}"
    );
    let normalized = said("normalize {} -o {}", &[&scan, &out("a.mrc")]);
    assert!(normalized.contains("a.rawtlt") && !normalized.contains("beside it"), "{normalized}");
    let made = said("reconstruct {} --align none -o {}", &[&scan, &out("v.mrc")]);
    let threshold = said("threshold {} -o {} --method otsu", &[volume(), &out("t.mrc")]);
    let mesh = said("mesh {} -o {}", &[&labels, &out("meshes")]);
    for text in [&dose, &info, &normalized, &made, &threshold, &mesh] {
        for line in text.lines() {
            assert!(!line.contains(['{', '}', '"']), "{line}");
            for word in line.split([' ', ',', '(', ')']) {
                let significant = word.trim_start_matches(['-', '0', '.']);
                let digits = significant.chars().filter(char::is_ascii_digit).count();
                let is_number = word.parse::<f64>().is_ok();
                assert!(!is_number || !word.contains('.') || digits <= 6, "{word} in {line}");
            }
        }
    }
}

#[test]
fn a_recipe_is_run_for_each_of_several_inputs_and_says_which_failed() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    let recipe =
        json!({ "waterwindow_recipe": 1, "steps": [{ "op": "normalize" }, { "op": "reconstruct" }] });
    std::fs::write(out("recipe.json"), recipe.to_string()).unwrap();
    std::fs::write(out("broken.mrc"), b"this is no stack of views").unwrap();
    let (first, second) = (demo().join("projections.mrc"), demo().join("second").join("scan.h5"));
    let result = done("run {} {} {} -o {}", &[&out("recipe.json"), &first, &second, &out("results")]);
    assert_eq!(result["runs"].as_array().unwrap().len(), 2, "{result}");
    let made = out("results").join("projections_02_reconstruct_volume.mrc");
    assert_eq!(values(&made), values(volume()));
    assert!(out("results").join("scan_02_reconstruct_volume.mrc").exists());

    let output =
        command("run {} {} {} -o {}", &[&out("recipe.json"), &out("broken.mrc"), &second, &out("more")])
            .output()
            .unwrap();
    let (told, problem) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{told}{problem}");
    assert!(told.contains("failed") && told.contains("done"), "{told}");
    assert!(problem.contains("1 of 2 inputs failed") && problem.contains("broken.mrc"), "{problem}");
    assert!(out("more").join("scan_02_reconstruct_volume.mrc").exists());

    // What no step takes is not left aside in silence.
    let output = command("run {} {} {} -o {}", &[&out("recipe.json"), &first, volume(), &out("none")])
        .output()
        .unwrap();
    let problem = text(&output.stderr);
    assert!(output.status.code() == Some(2) && problem.contains("volume.npy is a volume"), "{problem}");
    assert!(!out("none").exists());
}

#[test]
fn one_series_is_no_two_axes() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("dual.mrc");
    let (stack, scan) = (demo().join("projections.mrc"), demo().join("scan.h5"));
    let sentence = refused("dual {} {} -o {}", &[&stack, &stack, &target]);
    assert!(sentence.contains("quarter"), "{sentence}");
    // The same counts in another file.
    let none = folder.path().join("none.json");
    done("align {} --method none -o {}", &[&stack, &none]);
    let line = "dual {} {} -o {} --align {} --align-second {}";
    let sentence = refused(line, &[&stack, &scan, &target, &none, &none]);
    assert!(sentence.contains("same") || sentence.contains("one axis"), "{sentence}");
    assert!(!target.exists());
}

#[test]
fn the_surface_of_the_demo_is_that_of_the_cell() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    let truth = values(&demo().join("labels.mrc"));
    // By iterations the capillary stands out as clearly as the cell.
    let line = "reconstruct {} --align none --method sirt --iterations 30 -o {}";
    done(line, &[&demo().join("projections.mrc"), &out("sirt.mrc")]);
    for (file, in_mount) in [(volume().to_owned(), false), (out("sirt.mrc"), true)] {
        let told = said("surface {} -o {}", &[&file, &out("cell.mrc")]);
        assert!(told.contains("Began with the largest object above") && told.contains("--at"), "{told}");
        assert!(!in_mount || told.contains("inside what holds the sample"), "{told}");
        let found = values(&out("cell.mrc"));
        let both = found.iter().zip(&truth).filter(|(a, b)| **a > 0.0 && **b > 0.0).count() as f64;
        let all = found.iter().filter(|v| **v > 0.0).count() + truth.iter().filter(|v| **v > 0.0).count();
        let dice = 2.0 * both / all as f64;
        assert!(dice > 0.95, "Dice {dice}: {told}");
    }
    // Nothing of the cell is in the corner.
    let refused = refused("surface {} --at 0,0,0 -o {}", &[&out("sirt.mrc"), &out("corner.mrc")]);
    assert!(refused.contains("0, 0, 0"), "{refused}");
}

#[test]
fn a_film_without_a_graphics_card_is_small_enough_to_wait_for() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("film.gif");
    let line = "render {} -o {} --view 3d --mode mip --turntable 0.25 --device cpu";
    let output = command(line, &[volume(), &target]).arg("--json").output().unwrap();
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&result["size_px"], &result["fps"]), (&json!([480, 384]), &json!(12.0)), "{result}");
    assert!(text(&output.stderr).contains("--size"), "{}", text(&output.stderr));
}
