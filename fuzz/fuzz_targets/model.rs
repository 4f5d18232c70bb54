//! Any text as a classifier: one that can be used or an error, never a panic, never a loop without end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use waterwindow::io::read_model;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("fuzz.json");
    std::fs::write(&path, bytes).expect("a temporary file");
    drop(read_model(&path));
});
