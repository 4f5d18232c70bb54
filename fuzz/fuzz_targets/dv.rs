//! Any bytes with DeltaVision's mark: an array or an error, never a panic, never more memory than allowed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use waterwindow::base::{MemoryBudget, Progress};
use waterwindow::io::{ReadOptions, read_array_of};

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    if let Some(mark) = bytes.get_mut(96..98) {
        mark.copy_from_slice(&[0xa0, 0xc0]);
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("fuzz.dv");
    std::fs::write(&path, bytes).expect("a temporary file");
    let options = ReadOptions { channel: Some(1), ..ReadOptions::default() };
    drop(read_array_of(&path, &options, &Progress::new(), MemoryBudget::from_gib(0.05)));
});
