//! Any metadata of a Zarr hierarchy, or a zip file: the first byte says which file the rest is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use waterwindow::base::{MemoryBudget, Progress};
use waterwindow::io::read_array;

fuzz_target!(|bytes: &[u8]| {
    let Some((which, rest)) = bytes.split_first() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    if which % 5 == 4 {
        let path = folder.path().join("fuzz.ozx");
        std::fs::write(&path, rest).expect("a temporary file");
        drop(read_array(&path, &Progress::new(), MemoryBudget::from_gib(0.05)));
        return;
    }
    let path = folder.path().join("fuzz.zarr");
    std::fs::create_dir(&path).expect("a temporary folder");
    let name = ["zarr.json", ".zarray", ".zgroup", ".zattrs"][usize::from(which % 5)];
    if name == ".zattrs" {
        std::fs::write(path.join(".zgroup"), r#"{"zarr_format":2}"#).expect("a temporary file");
    }
    std::fs::write(path.join(name), rest).expect("a temporary file");
    drop(read_array(&path, &Progress::new(), MemoryBudget::from_gib(0.05)));
});
