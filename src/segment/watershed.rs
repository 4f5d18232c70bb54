//! The watershed of a volume: basins of its gradient, its values or the distance from a border.
//!
//! Heights are the gradient magnitude of the values smoothed by a Gaussian (a scale in nm stays the
//! same on any grid), the smoothed values themselves, or minus the depth inside a mask. From markers,
//! labels that were painted, they are flooded in order of height; without markers every basin deep enough
//! becomes a region of its own (see [`crate::kernels::flood`]). Linear in the voxels; one thread floods.
//! Memory: 20 bytes a voxel.

use ndarray::{Array3, ArrayView3};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{SegmentError, check_inputs, spread};
use crate::base::{Cancelled, Progress};
use crate::kernels::distance::distance_to;
use crate::kernels::flood::{basins, flood, levels};
use crate::kernels::smooth::gaussian;
use crate::volume::Volume;

/// What is flooded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WatershedOn {
    /// The gradient magnitude: borders lie where values change.
    #[default]
    Gradient,
    /// The values: regions are dark, borders bright.
    Intensity,
    /// The depth inside the mask: regions are its parts, borders its necks.
    Distance,
}

/// Parameters of [`watershed`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WatershedParams {
    /// What is flooded.
    pub on: WatershedOn,
    /// Standard deviation of the Gaussian, 0 to 50 voxels.
    pub scale: f64,
    /// The same in nm, which goes before; needs the voxel size.
    pub scale_nm: Option<f64>,
    /// Whether regions are bright and borders dark (of the values).
    pub bright: bool,
    /// Least depth of a basin below its lowest pass, in standard deviations of the heights, 0 to 100.
    pub depth: f64,
    /// Basins of fewer voxels go to their neighbours, 0 to 1 000 000 000.
    pub min_voxels: u64,
}

impl Default for WatershedParams {
    fn default() -> Self {
        Self {
            on: WatershedOn::Gradient,
            scale: 1.0,
            scale_nm: None,
            bright: false,
            depth: 0.2,
            min_voxels: 30,
        }
    }
}

/// What [`watershed`] gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watershed {
    /// Class of the marker, or number of the basin in scan order; 0 outside the mask and where no marker reaches.
    pub labels: Array3<u16>,
    /// Regions: classes of markers, or basins.
    pub n: u32,
    /// Whether markers were flooded from.
    pub from_markers: bool,
}

/// Floods a volume within `mask`, from `markers` (0 unmarked) where there are any.
///
/// # Errors
/// Values that are no numbers inside the mask, arrays of another shape, a distance without a mask, a scale in nm
/// without a voxel size, more basins than 65 535; cancel.
pub fn watershed(
    progress: &Progress,
    volume: &Volume<f32>,
    markers: Option<ArrayView3<'_, u16>>,
    mask: Option<ArrayView3<'_, bool>>,
    params: &WatershedParams,
) -> Result<Watershed, SegmentError> {
    let inside = check_inputs(progress, volume, mask)?;
    let shape = volume.shape();
    let dim = (shape[0], shape[1], shape[2]);
    let takes_part = |i: usize| inside.as_deref().is_none_or(|m| m[i]);
    let mut ids: Option<Vec<u32>> = None;
    if let Some(markers) = &markers {
        let (z, y, x) = markers.dim();
        if [z, y, x] != shape {
            let (expected, found) = (shape, [z, y, x]);
            return Err(SegmentError::ShapeMismatch { what: "the map of markers", expected, found });
        }
        let own = markers.iter().enumerate().map(|(i, id)| if takes_part(i) { u32::from(*id) } else { 0 });
        ids = Some(own.collect()).filter(|ids: &Vec<u32>| ids.iter().any(|id| *id != 0));
        if ids.is_none() {
            return Err(SegmentError::NoScribbles);
        }
    }
    let heights = heights(progress, volume, inside.as_deref(), params)?;
    let from_markers = ids.is_some();
    let (ids, n) = match ids {
        Some(mut ids) => {
            flood(progress, &levels(&heights, takes_part), shape, &mut ids, takes_part)?;
            let mut seen: Vec<u32> = ids.iter().copied().filter(|id| *id != 0).collect();
            seen.sort_unstable();
            seen.dedup();
            (ids, seen.len() as u32)
        }
        None => automatic(progress, &heights, inside.as_deref(), shape, params)?,
    };
    if !from_markers && n > u32::from(u16::MAX) {
        return Err(SegmentError::TooManyBasins { n });
    }
    let labels = ids.into_iter().map(|id| id as u16).collect();
    let labels = Array3::from_shape_vec(dim, labels).unwrap_or_else(|_| Array3::zeros(dim));
    Ok(Watershed { labels, n, from_markers })
}

/// Basins deep and large enough; what is left of the others goes to them.
fn automatic(
    progress: &Progress,
    heights: &[f32],
    inside: Option<&[bool]>,
    shape: [usize; 3],
    params: &WatershedParams,
) -> Result<(Vec<u32>, u32), SegmentError> {
    let groups: Vec<u16> = match inside {
        Some(mask) => mask.iter().map(|m| u16::from(*m)).collect(),
        None => vec![1; heights.len()],
    };
    let least = params.depth as f32 * spread(heights, inside);
    let found = basins(progress, heights, &groups, shape, |_, p| p.pass - p.bottom < least)?;
    let mut sizes = vec![0u64; found.n as usize + 1];
    found.ids.iter().for_each(|id| sizes[*id as usize] += 1);
    let is_small = |id: u32| id != 0 && sizes[id as usize] < params.min_voxels;
    let n_small = (1..=found.n).filter(|id| is_small(*id)).count() as u32;
    let mut ids = found.ids;
    // With nothing large there is nothing that could take the small ones in.
    if n_small > 0 && n_small < found.n {
        ids.iter_mut().filter(|id| is_small(**id)).for_each(|id| *id = 0);
        let takes_part = |i: usize| groups[i] != 0;
        flood(progress, &levels(heights, takes_part), shape, &mut ids, takes_part)?;
        // A small basin on an island of the mask is reached by none and keeps to itself no longer.
    }
    let mut numbers = vec![0u32; found.n as usize + 1];
    let mut n = 0;
    for id in ids.iter_mut().filter(|id| **id != 0) {
        let number = &mut numbers[*id as usize];
        if *number == 0 {
            n += 1;
            *number = n;
        }
        *id = *number;
    }
    Ok((ids, n))
}

/// What is flooded, low values first.
fn heights(
    progress: &Progress,
    volume: &Volume<f32>,
    inside: Option<&[bool]>,
    params: &WatershedParams,
) -> Result<Vec<f32>, SegmentError> {
    let shape = volume.shape();
    let um = volume.voxel_um_or_one();
    let smallest = um.iter().copied().fold(f64::INFINITY, f64::min);
    let spacing = um.map(|v| v / smallest);
    let sigma: [f32; 3] = match (params.scale_nm, volume.voxel_um) {
        (Some(nm), Some(um)) => um.map(|um| (nm / 1000.0 / um) as f32),
        (Some(_), None) => return Err(SegmentError::VoxelSize),
        (None, _) => [params.scale as f32; 3],
    };
    if params.on == WatershedOn::Distance {
        let mask = inside.ok_or(SegmentError::NoMask)?;
        let Ok(array) = ArrayView3::from_shape(shape, mask) else { return Err(SegmentError::EmptyMask) };
        let depth = distance_to(progress, &array, |m| !m, spacing)?;
        return Ok(depth.into_iter().map(|d| -d).collect());
    }
    // What lies outside the mask may be no number and must not spread.
    let filled = inside.map(|mask| {
        let mut data = volume.data.clone();
        data.iter_mut().zip(mask).filter(|(v, m)| !**m && !v.is_finite()).for_each(|(v, _)| *v = 0.0);
        data
    });
    let data = filled.as_ref().map_or(volume.data.view(), |data| data.view());
    let smooth = gaussian(progress, data, sigma)?;
    drop(filled);
    if params.on == WatershedOn::Gradient {
        return Ok(gradient(progress, &smooth, spacing)?);
    }
    let sign = if params.bright { -1.0 } else { 1.0 };
    Ok(smooth.into_iter().map(|v| sign * v).collect())
}

/// Gradient magnitude by central differences, one-sided at the faces; per smallest edge.
pub(super) fn gradient(
    progress: &Progress,
    array: &Array3<f32>,
    spacing: [f64; 3],
) -> Result<Vec<f32>, Cancelled> {
    let (nz, ny, nx) = array.dim();
    let values = array.as_slice().unwrap_or(&[]);
    let slice = ny * nx;
    let mut out = vec![0.0f32; values.len()];
    let scale = spacing.map(|v| 1.0 / v as f32);
    let step = |at: usize, n: usize| (at.saturating_sub(1), (at + 1).min(n.saturating_sub(1)));
    out.par_chunks_mut(slice.max(1)).enumerate().try_for_each(|(z, out)| {
        progress.check()?;
        let (z0, z1) = step(z, nz);
        for y in 0..ny {
            let (y0, y1) = step(y, ny);
            let row = |z: usize, y: usize| &values[z * slice + y * nx..][..nx];
            let rows = [row(z0, y), row(z1, y), row(z, y0), row(z, y1), row(z, y)];
            for x in 0..nx {
                let (x0, x1) = step(x, nx);
                let part = |a: f32, b: f32, n: usize, scale: f32| (b - a) * scale / (n.max(1) as f32);
                let dz = part(rows[0][x], rows[1][x], z1 - z0, scale[0]);
                let dy = part(rows[2][x], rows[3][x], y1 - y0, scale[1]);
                let dx = part(rows[4][x0], rows[4][x1], x1 - x0, scale[2]);
                out[y * nx + x] = (dz * dz + dy * dy + dx * dx).sqrt();
            }
        }
        Ok::<(), Cancelled>(())
    })?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Unit;
    use crate::segment::test_data::{balls, noisy_balls};

    fn run(volume: &Volume<f32>, markers: Option<&Array3<u16>>, params: &WatershedParams) -> Watershed {
        watershed(&Progress::new(), volume, markers.map(|m| m.view()), None, params).unwrap()
    }

    #[test]
    fn a_ball_is_found_from_one_stroke_inside_and_one_outside() {
        let truth = Array3::from_shape_fn((40, 40, 40), |(z, y, x)| {
            let d2: f64 = [z, y, x].iter().map(|i| (*i as f64 - 19.5).powi(2)).sum();
            u16::from(d2 < 144.0)
        });
        let mut state = 5u32;
        let data = truth.mapv(|id| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            0.1 + 0.2 * f32::from(id) + 0.04 * ((state >> 8) as f32 / 16_777_216.0 - 0.5)
        });
        let mut markers = Array3::<u16>::zeros((40, 40, 40));
        markers.slice_mut(ndarray::s![20, 17..23, 17..23]).fill(7);
        markers.slice_mut(ndarray::s![20, 2, 2..38]).fill(3);
        let found = run(
            &Volume::new(data, Some([0.02; 3]), Unit::PerUm),
            Some(&markers),
            &WatershedParams::default(),
        );
        assert!(found.from_markers && found.n == 2);
        let (mut both, mut all) = (0.0, 0.0);
        for (a, b) in truth.iter().zip(&found.labels) {
            both += f64::from(u8::from(*a == 1 && *b == 7));
            all += f64::from(u8::from(*a == 1)) + f64::from(u8::from(*b == 7));
        }
        assert!(2.0 * both / all > 0.97, "{}", 2.0 * both / all);
        assert!(found.labels.iter().all(|id| *id == 7 || *id == 3));
    }

    #[test]
    fn without_markers_deep_basins_become_regions_and_shallow_ones_do_not() {
        let volume = noisy_balls([36, 40, 44], 2);
        let smooth = WatershedParams { scale: 2.0, ..WatershedParams::default() };
        let many = run(&volume, None, &WatershedParams { depth: 0.0, min_voxels: 0, ..smooth.clone() }).n;
        let some = run(&volume, None, &smooth);
        let few = run(&volume, None, &WatershedParams { depth: 2.0, ..smooth.clone() }).n;
        assert!(many > some.n && some.n > few && few >= 1, "{many} {} {few}", some.n);
        let mut sizes = vec![0u64; some.n as usize + 1];
        some.labels.iter().for_each(|id| sizes[usize::from(*id)] += 1);
        assert!(sizes[0] == 0 && sizes[1..].iter().all(|n| *n >= smooth.min_voxels));
        // Regions hardly cross the borders of the large ball.
        let truth = balls([36, 40, 44]);
        let mut inside = vec![0u64; some.n as usize + 1];
        some.labels
            .iter()
            .zip(&truth)
            .filter(|(_, t)| **t != 0)
            .for_each(|(id, _)| inside[usize::from(*id)] += 1);
        let wrong: u64 = inside.iter().zip(&sizes).map(|(a, n)| (*a).min(n - a)).sum();
        assert!(wrong < truth.len() as u64 / 30, "{wrong}");
    }

    #[test]
    fn values_and_distances_are_flooded_too() {
        // Two bright bumps on a line, one brighter.
        let data = Array3::from_shape_fn((5, 9, 30), |(_, y, x)| {
            let bump =
                |c: f32, h: f32| h * (-((x as f32 - c).powi(2) + (y as f32 - 4.0).powi(2)) / 8.0).exp();
            bump(8.0, 1.0) + bump(20.0, 0.7)
        });
        let volume = Volume::new(data, None, Unit::PerUm);
        let bright =
            WatershedParams { on: WatershedOn::Intensity, bright: true, ..WatershedParams::default() };
        let found = run(&volume, None, &bright);
        assert_eq!((found.n, found.labels[[2, 4, 8]], found.labels[[2, 4, 20]]), (2, 1, 2));
        // A mask of two discs with a neck.
        let mask = Array3::from_shape_fn((5, 9, 30), |(_, y, x)| {
            let disc = |c: f64| (x as f64 - c).hypot(y as f64 - 4.0) <= 4.0;
            disc(8.0) || disc(15.0)
        });
        let on = WatershedParams { on: WatershedOn::Distance, ..WatershedParams::default() };
        let found = watershed(&Progress::new(), &volume, None, Some(mask.view()), &on).unwrap();
        assert_eq!(found.n, 2);
        assert!(found.labels.iter().zip(&mask).all(|(id, m)| (*id != 0) == *m));
        let missing = watershed(&Progress::new(), &volume, None, None, &on).unwrap_err();
        assert!(missing.to_string().contains("mask"), "{missing}");
    }

    #[test]
    fn gradients_are_those_of_the_definition_on_unequal_edges() {
        let array =
            Array3::from_shape_fn((4, 5, 6), |(z, y, x)| 6.0 * z as f32 + 2.0 * y as f32 - 3.0 * x as f32);
        let found = gradient(&Progress::new(), &array, [2.0, 1.0, 1.0]).unwrap();
        let want = (9.0f32 + 4.0 + 9.0).sqrt();
        assert!(found.iter().all(|g| (g - want).abs() < 1e-5));
        assert_eq!(gradient(&Progress::new(), &Array3::zeros((1, 1, 1)), [1.0; 3]).unwrap(), [0.0]);
    }

    #[test]
    fn numbers_scale_units_cancel_and_threads() {
        let mut volume = noisy_balls([12, 14, 16], 1);
        let params = WatershedParams::default();
        let with = |n| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
            pool.install(|| run(&volume, None, &params))
        };
        assert_eq!(with(1), with(3));
        // 20 nm voxels: 20 nm are one voxel.
        let nm = WatershedParams { scale: 9.0, scale_nm: Some(20.0), ..params.clone() };
        assert_eq!(run(&volume, None, &nm), run(&volume, None, &params));
        let progress = Progress::new();
        progress.cancel();
        let cancelled = watershed(&progress, &volume, None, None, &params);
        assert_eq!(cancelled, Err(SegmentError::Cancelled(Cancelled)));
        let none = Array3::<u16>::zeros((12, 14, 16));
        let unmarked = watershed(&Progress::new(), &volume, Some(none.view()), None, &params);
        assert_eq!(unmarked, Err(SegmentError::NoScribbles));
        volume.values_mut()[77] = f32::NAN;
        assert!(matches!(
            watershed(&Progress::new(), &volume, None, None, &params),
            Err(SegmentError::NonFinite { n: 1, .. })
        ));
        // Left out by the mask it does no harm.
        let mask = volume.data.mapv(f32::is_finite);
        assert!(watershed(&Progress::new(), &volume, None, Some(mask.view()), &params).is_ok());
        volume.voxel_um = None;
        volume.values_mut()[77] = 0.1;
        assert_eq!(watershed(&Progress::new(), &volume, None, None, &nm), Err(SegmentError::VoxelSize));
        let empty = Volume::new(Array3::zeros((0, 2, 2)), None, Unit::PerUm);
        assert!(matches!(
            watershed(&Progress::new(), &empty, None, None, &params),
            Err(SegmentError::EmptyVolume { .. })
        ));
    }
}
