//! Any bytes as an angle file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use waterwindow::io::read_angles;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("fuzz.rawtlt");
    std::fs::write(&path, bytes).expect("a temporary file");
    if let Ok(angles) = read_angles(&path) {
        assert!(angles.iter().all(|angle| angle.is_finite()), "angles that were accepted are finite");
    }
});
