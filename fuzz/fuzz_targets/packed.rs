//! Any bytes under the name of a packed file: an array or an error, never a panic, never more than the budget on the disk.
#![no_main]

use libfuzzer_sys::fuzz_target;
use waterwindow::base::{MemoryBudget, Progress};
use waterwindow::io::read_array;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("fuzz.mrc.gz");
    std::fs::write(&path, bytes).expect("a temporary file");
    drop(read_array(&path, &Progress::new(), MemoryBudget::from_gib(0.02)));
});
