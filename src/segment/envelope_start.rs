//! Where the surface of a cell begins when nobody has drawn a start: the largest object above a threshold, found inside what
//! holds the sample.
//!
//! A capillary or a slab of ice parts from the vacuum around it at least as clearly as the cell parts from the ice, so
//! that one threshold (Otsu 1979, doi:10.1109/TSMC.1979.4310076) finds the mount. A mount gives itself away: it goes on
//! from one end of the volume to the other with a cross-section that hardly changes. Then the threshold is taken anew
//! among the values inside it, away from its surface, until the object found is none. Memory: 13 bytes a voxel.

use ndarray::{Array3, ArrayView3, Axis};

use super::SegmentError;
use super::envelope::bounds;
use super::mixture::otsu;
use crate::base::Progress;
use crate::kernels::components::{Connectivity, components};
use crate::kernels::distance::distance_to;
use crate::kernels::smooth::gaussian;
use crate::volume::Histogram;

/// Standard deviation of the Gaussian that objects are looked for in, voxels: noise makes no bridges.
const SMOOTHED: f32 = 1.2;
/// Bins of the histogram.
const BINS: usize = 256;
/// Variation of the cross-section of a mount, at most: standard deviation over mean.
const EVEN: f64 = 0.15;
/// Voxels from the surface of a mount that are left out, where its values are those of its edge.
const RIM: f32 = 3.0;
/// Mounts within mounts, at most: glass, ice.
const MOST_MOUNTS: usize = 3;

/// What the surface begins with.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundStart {
    /// Values above this are of an object.
    pub above: f64,
    /// Voxels of the object.
    pub voxels: u64,
    /// Voxels of the next largest one.
    pub next_voxels: u64,
    /// Thresholds of the mounts that were left aside, the outermost first.
    pub mounts_above: Vec<f64>,
    /// Whether the object itself goes from one end of the volume to the other, along z, y, x.
    pub spans_zyx: [bool; 3],
    /// Where the object was asked for, if it was: voxel as z, y, x.
    pub at_zyx: Option<[usize; 3]>,
}

/// How the start is to be found.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Wish {
    /// The threshold; found where not given.
    pub(super) above: Option<f64>,
    /// A voxel of the object; the largest object where not given.
    pub(super) at: Option<[usize; 3]>,
}

/// Finds the object that the surface begins with among the voxels that may move.
///
/// # Errors
/// [`SegmentError::At`] where nothing at the voxel asked for is above the threshold; values that do not part; cancel.
pub(super) fn find_start(
    progress: &Progress,
    smooth: &Array3<f32>,
    may_move: &[bool],
    wish: Wish,
) -> Result<(Vec<bool>, FoundStart), SegmentError> {
    let values = gaussian(progress, smooth.view(), [SMOOTHED; 3])?;
    let mut domain = may_move.to_vec();
    let mut mounts_above = Vec::new();
    loop {
        let above = match wish.above {
            Some(above) => above,
            None => threshold(&values, &domain)?,
        };
        let (object, mut found) = object_above(progress, &values, &domain, above, wish.at)?;
        let Ok(view) = ArrayView3::from_shape(values.dim(), &object) else {
            return Err(SegmentError::EmptyMask);
        };
        found.spans_zyx = std::array::from_fn(|axis| spans(&view, axis));
        let is_mount = (0..3).any(|axis| found.spans_zyx[axis] && is_even(&view, axis));
        if wish.above.is_none() && is_mount && mounts_above.len() < MOST_MOUNTS {
            let depth = distance_to(progress, &view, |inside| !inside, [1.0; 3])?;
            let inner: Vec<bool> = depth.iter().map(|depth| *depth > RIM).collect();
            if inner.contains(&true) && threshold(&values, &inner).is_ok() {
                mounts_above.push(above);
                domain = inner;
                continue;
            }
        }
        found.mounts_above = mounts_above;
        return Ok((object, found));
    }
}

/// Otsu's threshold of the values in a domain.
fn threshold(values: &Array3<f32>, domain: &[bool]) -> Result<f64, SegmentError> {
    let own: Vec<f32> = values.iter().zip(domain).filter(|(_, own)| **own).map(|(v, _)| *v).collect();
    let [low, high] = bounds(&own);
    Ok(f64::from(otsu(&Histogram::of(&own, low, high, BINS), 2)?.thresholds[0] as f32))
}

/// The largest object above a threshold, or the one at a voxel.
fn object_above(
    progress: &Progress,
    values: &Array3<f32>,
    domain: &[bool],
    above: f64,
    at: Option<[usize; 3]>,
) -> Result<(Vec<bool>, FoundStart), SegmentError> {
    let inside: Vec<bool> = values.iter().zip(domain).map(|(v, own)| *own && f64::from(*v) > above).collect();
    let Ok(inside) = Array3::from_shape_vec(values.dim(), inside) else {
        return Err(SegmentError::EmptyMask);
    };
    let parts = components(progress, &inside.view(), Connectivity::Faces)?;
    let largest = (0..parts.len()).rev().max_by_key(|k| parts.sizes[*k]).map_or(0, |k| k as u32 + 1);
    let chosen = match at {
        None => largest,
        Some(at) => match parts.map.get(at) {
            Some(0) => return Err(SegmentError::At { at, value: f64::from(values[at]), above }),
            None => return Err(SegmentError::Beyond { at, shape: values.dim().into() }),
            Some(part) => *part,
        },
    };
    let voxels = |part: u32| (part as usize).checked_sub(1).map_or(0, |k| parts.sizes[k]);
    let next = (1..=parts.len() as u32).filter(|part| *part != chosen).map(voxels).max();
    let found = FoundStart {
        above,
        voxels: voxels(chosen),
        next_voxels: next.unwrap_or(0),
        mounts_above: Vec::new(),
        spans_zyx: [false; 3],
        at_zyx: at,
    };
    Ok((parts.map.iter().map(|part| *part == chosen && chosen != 0).collect(), found))
}

/// Whether an object reaches both ends of the volume along an axis.
fn spans(object: &ArrayView3<'_, bool>, axis: usize) -> bool {
    let n = object.len_of(Axis(axis));
    let reaches = |i: usize| object.index_axis(Axis(axis), i).iter().any(|inside| *inside);
    n > 1 && reaches(0) && reaches(n - 1)
}

/// Whether the cross-section of an object hardly changes along an axis.
fn is_even(object: &ArrayView3<'_, bool>, axis: usize) -> bool {
    let area = |plane: ndarray::ArrayView2<'_, bool>| plane.iter().filter(|inside| **inside).count() as f64;
    let areas: Vec<f64> = object.axis_iter(Axis(axis)).map(area).collect();
    let n = areas.len().max(1) as f64;
    let mean = areas.iter().sum::<f64>() / n;
    let variance = areas.iter().map(|area| (area - mean).powi(2)).sum::<f64>() / n;
    variance.sqrt() <= EVEN * mean
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: usize = 40;

    /// Vacuum 0, what `mount` holds 0.1, a ball in it 0.25, a droplet in the ball 0.6.
    fn scene(mount: impl Fn(f64, f64, f64) -> bool) -> Array3<f32> {
        let c = N as f64 / 2.0;
        Array3::from_shape_fn((N, N, N), |(z, y, x)| {
            let [z, y, x] = [z, y, x].map(|v| v as f64 + 0.5 - c);
            match (x * x + y * y + z * z).sqrt() {
                r if r < 3.0 => 0.6,
                r if r < 9.0 => 0.25,
                _ if mount(z, y, x) => 0.1,
                _ => 0.0,
            }
        })
    }

    fn found(values: &Array3<f32>, wish: Wish) -> FoundStart {
        find_start(&Progress::new(), values, &vec![true; values.len()], wish).unwrap().1
    }

    #[test]
    fn the_cell_is_found_inside_what_holds_it() {
        let ball = 4.0 / 3.0 * std::f64::consts::PI * 9f64.powi(3);
        let mounts: [(&str, fn(f64, f64, f64) -> bool, usize); 3] = [
            ("capillary", |z, _, x| z.hypot(x) < 18.0, 1),
            ("slab", |z, _, _| z.abs() < 12.0, 1),
            ("nothing but ice", |_, _, _| true, 0),
        ];
        for (name, mount, n_mounts) in mounts {
            let found = found(&scene(mount), Wish::default());
            assert_eq!(found.mounts_above.len(), n_mounts, "{name}: {found:?}");
            assert!((found.voxels as f64 / ball - 1.0).abs() < 0.2, "{name}: {found:?}");
            assert_eq!(found.spans_zyx, [false; 3], "{name}");
        }
    }

    #[test]
    fn thresholds_and_voxels_that_are_asked_for_are_taken() {
        let mut values = scene(|_, _, _| true);
        values.slice_mut(ndarray::s![2..7, 2..7, 2..7]).fill(0.4);
        let small = found(&values, Wish { at: Some([4, 4, 4]), ..Wish::default() });
        assert!(small.voxels < 400 && small.next_voxels > 1000, "{small:?}");
        let droplet = found(&values, Wish { above: Some(0.45), ..Wish::default() });
        assert!(droplet.voxels < 200 && (droplet.above - 0.45).abs() < 1e-9, "{droplet:?}");
        let ask = |at| {
            let wish = Wish { at: Some(at), ..Wish::default() };
            find_start(&Progress::new(), &values, &vec![true; values.len()], wish).unwrap_err().to_string()
        };
        assert!(ask([20, 4, 35]).contains("20, 4, 35") && ask([0, 0, 40]).contains("40"));
    }
}
