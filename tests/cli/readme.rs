//! The commands of README.md, as they stand, top to bottom, in an empty folder.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use super::{command, text};

/// Edge of the demo cell in place of that of the README.
const SMALL: &str = "--size 48";

/// The lines of the code blocks that run the program, without their comments.
fn lines() -> Vec<String> {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let blocks = readme.split("```").skip(1).step_by(2);
    let code =
        blocks.flat_map(|block| block.lines().skip(1)).map(|line| line.split(" #").next().unwrap().trim());
    code.filter(|line| line.starts_with("waterwindow ")).map(str::to_owned).collect()
}

#[test]
fn every_command_of_the_readme_runs_in_an_empty_folder() {
    let folder = tempfile::tempdir().unwrap();
    let lines = lines();
    assert!(lines.len() >= 20, "{lines:?}");
    let size = lines[0].split_whitespace().skip_while(|word| *word != "--size").nth(1).unwrap();
    let mut took = BTreeMap::new();
    for line in &lines {
        let small =
            line.replace(&format!("--size {size}"), SMALL).replace("--turntable 8", "--turntable 0.5");
        let started = Instant::now();
        let arguments = small.strip_prefix("waterwindow ").unwrap();
        let output = command(arguments, &[]).current_dir(folder.path()).output().unwrap();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{small}\n{out}\n{err}");
        for raw in ["{\"", "[{", "null", "beside it"] {
            assert!(!out.contains(raw) && !err.contains(raw), "{small} says {raw}:\n{out}\n{err}");
        }
        took.insert(started.elapsed(), small);
    }
    for (time, line) in &took {
        println!("{:6.1} s  {line}", time.as_secs_f64());
    }
    for made in
        ["film.mp4", "picture.png", "volumes/demo_scan_03_reconstruct_volume.mrc", "today", "table.csv"]
    {
        assert!(folder.path().join(made).exists(), "{made} was not made");
    }
}
