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

/// Writes a volume of 160³ voxels as .npy whose planes lie scattered (Fortran order): no part of it is read without the rest.
pub(crate) fn scattered(folder: &Path) -> PathBuf {
    let file = folder.join("scattered.npy");
    let mut bytes = b"\x93NUMPY\x01\x00\x46\x00".to_vec();
    bytes.extend(
        format!("{:<69}\n", "{'descr': '<f4', 'fortran_order': True, 'shape': (160, 160, 160), }")
            .into_bytes(),
    );
    bytes.extend((0..160 * 160 * 160).flat_map(|i| ((i % 251) as f32).to_le_bytes()));
    std::fs::write(&file, bytes).unwrap();
    file
}

/// Writes a volume of 160³ voxels of 0.02 µm as an OME-Zarr pyramid: a ramp along x with a fine pattern on it.
pub(crate) fn pyramid(folder: &Path) -> PathBuf {
    use waterwindow::base::{Progress, Unit};
    use waterwindow::io::{WriteRequest, write_array};
    use waterwindow::volume::Volume;
    let data = ndarray::Array3::from_shape_fn((160, 160, 160), |(z, y, x)| {
        let ball = [z, y, x].map(|i| (i as f32 - 79.5).powi(2)).iter().sum::<f32>().sqrt();
        let fine = if (x + y + z) % 2 == 0 { 0.05 } else { -0.05 };
        fine + if ball < 60.0 { 0.2 + x as f32 / 800.0 } else { 0.1 }
    });
    let volume = Volume::new(data, Some([0.02; 3]), Unit::PerUm);
    let path = folder.join("cell.zarr");
    write_array(&path, &WriteRequest::volume(&volume), &Progress::new()).unwrap();
    path
}
