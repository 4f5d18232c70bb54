//! Label volumes into one: where they overlap the earlier one keeps what it labels, and nothing is blended.

use ndarray::{Array3, ArrayView3, s};

use super::stitch::StitchError;
use crate::base::{Cancelled, Progress};

/// Label volume to be put into a whole.
#[derive(Debug, Clone, Copy)]
pub struct LabelPart<'a> {
    /// Class ids, shape (z, y, x).
    pub ids: ArrayView3<'a, u16>,
    /// Voxel size in µm as z, y, x; `None` where unknown.
    pub voxel_um: Option<[f64; 3]>,
    /// World position of voxel (0, 0, 0) in µm as z, y, x.
    pub origin_um: [f64; 3],
}

/// Puts label volumes where their origins say, to the nearest whole voxel of the first; gives the ids and their origin.
///
/// # Errors
/// [`StitchError`] for fewer than two, for voxels that differ, and on cancel.
pub fn stitch_labels(
    progress: &Progress,
    parts: &[LabelPart<'_>],
) -> Result<(Array3<u16>, [f64; 3]), StitchError> {
    let [first, _, ..] = parts else { return Err(StitchError::Few(parts.len())) };
    let voxel = first.voxel_um.unwrap_or([1.0; 3]);
    for (index, part) in parts.iter().enumerate() {
        let other = part.voxel_um.unwrap_or([1.0; 3]);
        let same = (0..3).all(|axis| (voxel[axis] / other[axis] - 1.0).abs() < 1e-3);
        if !same || part.voxel_um.is_some() != first.voxel_um.is_some() {
            let (found_unit, first_unit) = ("label", "label");
            let (found, first) = (part.voxel_um, first.voxel_um);
            return Err(StitchError::Voxels { index, found, found_unit, first, first_unit });
        }
    }
    let places: Vec<[i64; 3]> = parts
        .iter()
        .map(|part| {
            std::array::from_fn(|a| ((part.origin_um[a] - first.origin_um[a]) / voxel[a]).round() as i64)
        })
        .collect();
    let size = |part: &LabelPart<'_>| {
        let (z, y, x) = part.ids.dim();
        [z as i64, y as i64, x as i64]
    };
    let low: [i64; 3] = std::array::from_fn(|a| places.iter().map(|at| at[a]).min().unwrap_or(0));
    let high =
        |a: usize| parts.iter().zip(&places).map(|(part, at)| at[a] + size(part)[a]).max().unwrap_or(0);
    let shape: [usize; 3] = std::array::from_fn(|a| (high(a) - low[a]).max(0) as usize);
    let mut whole = Array3::<u16>::zeros(shape);
    progress.phase("Putting labels together", parts.len() as u64);
    for (part, at) in parts.iter().zip(&places) {
        progress.check().map_err(|Cancelled| StitchError::Cancelled(Cancelled))?;
        let [z, y, x]: [usize; 3] = std::array::from_fn(|a| (at[a] - low[a]) as usize);
        let (nz, ny, nx) = part.ids.dim();
        let target = whole.slice_mut(s![z..z + nz, y..y + ny, x..x + nx]);
        ndarray::Zip::from(target).and(part.ids).for_each(|id, new| {
            if *id == 0 {
                *id = *new;
            }
        });
        progress.advance(1);
    }
    Ok((whole, std::array::from_fn(|a| first.origin_um[a] + low[a] as f64 * voxel[a])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_lie_where_their_origins_say_and_are_never_mixed() {
        let left = Array3::from_elem((2, 3, 6), 4u16);
        let mut right = Array3::from_elem((2, 3, 6), 9u16);
        right[[0, 0, 5]] = 0;
        let um = Some([0.03, 0.02, 0.01]);
        let parts = [
            LabelPart { ids: left.view(), voxel_um: um, origin_um: [1.0, 2.0, 3.0] },
            // Four voxels to the left and one row up.
            LabelPart { ids: right.view(), voxel_um: um, origin_um: [1.0, 1.98, 2.96] },
        ];
        let (whole, origin) = stitch_labels(&Progress::new(), &parts).unwrap();
        assert_eq!(whole.dim(), (2, 4, 10));
        assert!((origin[1] - 1.98).abs() < 1e-9 && (origin[2] - 2.96).abs() < 1e-9, "{origin:?}");
        assert_eq!([whole[[0, 0, 0]], whole[[0, 0, 5]], whole[[0, 1, 3]], whole[[0, 1, 4]]], [9, 0, 9, 4]);
        assert_eq!([whole[[0, 3, 9]], whole[[0, 3, 3]]], [4, 0]);
        let other = LabelPart { voxel_um: Some([0.03; 3]), ..parts[1] };
        assert!(stitch_labels(&Progress::new(), &[parts[0], other]).is_err());
        assert!(stitch_labels(&Progress::new(), &parts[..1]).is_err());
    }
}
