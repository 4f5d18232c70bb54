//! Any bytes as an IMOD model.
#![no_main]

use libfuzzer_sys::fuzz_target;
use waterwindow::io::read_imod;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("fuzz.fid");
    std::fs::write(&path, bytes).expect("a temporary file");
    if let Ok(tracks) = read_imod(&path, 64) {
        assert_eq!(tracks.problem(64), None, "beads that were accepted are in the views");
    }
});
