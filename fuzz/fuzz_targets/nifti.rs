//! Any bytes under the extension .nii: an array or an error, never a panic, never more memory than allowed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use waterwindow::base::{MemoryBudget, Progress};
use waterwindow::io::read_array;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("fuzz.nii");
    std::fs::write(&path, bytes).expect("a temporary file");
    let budget = MemoryBudget::from_gib(0.05);
    drop(read_array(&path, &Progress::new(), budget));
});
