//! Any bytes as the .mdoc beside a stack: the stack opens, whatever stands there.
#![no_main]

use libfuzzer_sys::fuzz_target;
use waterwindow::base::{MemoryBudget, Progress};
use waterwindow::io::{ScanInput, ScanOptions, ViewOrder, WriteRequest, read_array, read_scan, write_array};

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("fuzz.mrc");
    let array = waterwindow::volume::AnyArray::I16(ndarray::Array3::zeros((3, 2, 2)));
    write_array(&path, &WriteRequest::new(&array), &Progress::new()).expect("a small stack");
    std::fs::write(folder.path().join("fuzz.mrc.mdoc"), bytes).expect("a temporary file");
    let budget = MemoryBudget::from_gib(0.05);
    read_array(&path, &Progress::new(), budget).expect("a stack");
    let input = Some(ScanInput::Absorbance);
    let options = ScanOptions { input, order: ViewOrder::Date, ..ScanOptions::default() };
    drop(read_scan(&path, &options, &Progress::new(), budget));
});
