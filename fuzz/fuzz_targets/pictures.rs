//! Any bytes as a picture, and any text as the name of one in a folder.
#![no_main]

use libfuzzer_sys::fuzz_target;
use waterwindow::base::{MemoryBudget, Progress};
use waterwindow::io::read_array;

fuzz_target!(|input: (&[u8], [&str; 3])| {
    let (bytes, names) = input;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let budget = MemoryBudget::from_gib(0.05);
    for extension in ["png", "bmp", "jpg"] {
        let path = folder.path().join(format!("fuzz.{extension}"));
        std::fs::write(&path, bytes).expect("a temporary file");
        drop(read_array(&path, &Progress::new(), budget));
    }
    let stack = folder.path().join("stack");
    std::fs::create_dir(&stack).expect("a temporary folder");
    for name in names {
        let name: String = name.chars().filter(|c| !c.is_control() && *c != '/').take(80).collect();
        // A name that the system does not take is no case.
        drop(std::fs::write(stack.join(format!("{name}.png")), bytes));
    }
    drop(read_array(&stack, &Progress::new(), budget));
});
