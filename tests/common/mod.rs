//! What the tests of the session and of the window share.

use std::path::{Path, PathBuf};

/// Writes eight views of four by four as .npy: a header and zeros, with no angles and no unit.
pub(crate) fn bare_views(folder: &Path) -> PathBuf {
    let file = folder.join("views.npy");
    let mut bytes = b"\x93NUMPY\x01\x00\x46\x00".to_vec();
    bytes.extend(
        format!("{:<69}\n", "{'descr': '<f4', 'fortran_order': False, 'shape': (8, 4, 4), }").into_bytes(),
    );
    bytes.extend(vec![0; 8 * 16 * 4]);
    std::fs::write(&file, bytes).unwrap();
    file
}
