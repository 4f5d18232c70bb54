//! Following a folder: watch.

use serde_json::Value;

use super::{command, demo, refused, text};

#[test]
fn a_finished_scan_goes_through_the_recipe_once_and_events_are_lines() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["projections.mrc", "projections.rawtlt", "flat.mrc", "dark.mrc"] {
        std::fs::copy(demo().join(name), folder.path().join(name)).unwrap();
    }
    let recipe = folder.path().join("recipe.json");
    let steps = r#"{"waterwindow_recipe": 1, "steps": [{"op": "normalize"}, {"op": "reconstruct", "params": {"thickness": 16}}]}"#;
    std::fs::write(&recipe, steps).unwrap();
    let out = folder.path().join("volumes");
    let watch = || -> Vec<Value> {
        let line = "watch {} --recipe {} -o {} --settle 0 --poll 0.05 --once --json";
        let output = command(line, &[folder.path(), &recipe, &out]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let events = watch();
    let names: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["finished", "end"], "{events:?}");
    assert!(out.join("projections/02_reconstruct_volume.mrc").is_file());
    let again = watch();
    assert_eq!((again.len(), &again[0]["event"]), (1, &Value::from("end")), "nothing is done twice");
    assert!(
        refused("watch {} --recipe {}", &[&folder.path().join("nowhere"), &recipe]).contains("no folder")
    );
}
