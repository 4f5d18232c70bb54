//! How good a partition into regions is, where the truth is known: what can be reached with it, what it mixes, and
//! which borders it misses.

use std::collections::BTreeMap;

use ndarray::ArrayView3;

use super::Regions;

/// Voxels that a pair of region and label share, in order of region and label; label 0 and region 0 are left out.
fn overlaps(regions: &Regions, group: Option<&[u32]>, labels: ArrayView3<'_, u32>) -> Vec<(u32, u32, u64)> {
    let of = |id: u32| group.map_or(Some(id - 1), |group| group.get(id as usize - 1).copied());
    let mut keys: Vec<u64> = regions
        .ids
        .iter()
        .zip(labels)
        .filter(|(id, label)| **id > 0 && **label > 0)
        .filter_map(|(id, label)| Some(u64::from(of(*id)?) << 32 | u64::from(*label)))
        .collect();
    keys.sort_unstable();
    keys.chunk_by(|a, b| a == b).map(|run| ((run[0] >> 32) as u32, run[0] as u32, run.len() as u64)).collect()
}

/// Dice of every labelled class if each region (or group of regions) took the class of most of its labelled voxels: what
/// no classifier of these regions can surpass without deciding single voxels. Label 0 is unknown.
pub fn achievable_dice(
    regions: &Regions,
    group: Option<&[u32]>,
    labels: ArrayView3<'_, u16>,
) -> Vec<(u16, f64)> {
    let overlaps = overlaps(regions, group, labels.mapv(u32::from).view());
    // Per class: voxels of it, voxels given to it, both.
    let mut counts: BTreeMap<u32, [u64; 3]> = BTreeMap::new();
    for run in overlaps.chunk_by(|a, b| a.0 == b.0) {
        let all: u64 = run.iter().map(|o| o.2).sum();
        // The lower class among equals.
        let Some(best) = run.iter().max_by(|a, b| a.2.cmp(&b.2).then(b.1.cmp(&a.1))) else { continue };
        for (_, class, n) in run {
            counts.entry(*class).or_default()[0] += n;
        }
        let count = counts.entry(best.1).or_default();
        count[1] += all;
        count[2] += best.2;
    }
    let dice = |[truth, given, both]: [u64; 3]| 2.0 * both as f64 / (truth + given).max(1) as f64;
    counts.into_iter().map(|(class, count)| (class as u16, dice(count))).collect()
}

/// Undersegmentation error (Neubert and Protzel, 2012): the share of voxels that regions put on the wrong side, each
/// region counting for every body it touches the smaller of what lies inside and outside; 0 is best.
pub fn undersegmentation_error(regions: &Regions, bodies: ArrayView3<'_, u32>) -> f64 {
    let overlaps = overlaps(regions, None, bodies);
    let all: u64 = overlaps.iter().map(|o| o.2).sum();
    let wrong: u64 = overlaps
        .chunk_by(|a, b| a.0 == b.0)
        .map(|run| {
            let size: u64 = run.iter().map(|o| o.2).sum();
            run.iter().map(|o| o.2.min(size - o.2)).sum::<u64>()
        })
        .sum();
    wrong as f64 / all.max(1) as f64
}

/// Share of the borders between bodies that have a border between regions within `reach` voxels along each axis.
/// Label 0 is unknown and has no borders.
pub fn boundary_recall(regions: &Regions, bodies: ArrayView3<'_, u32>, reach: usize) -> f64 {
    let [nz, ny, nx] = regions.shape();
    let ids = regions.ids.view();
    let is_border = |at: [usize; 3], of: &ArrayView3<'_, u32>, needs_labels: bool| {
        let own = of[at];
        let [z, y, x] = at;
        let next = [[z + 1, y, x], [z, y + 1, x], [z, y, x + 1]];
        (own > 0 || !needs_labels)
            && next.iter().any(|n| {
                n[0] < nz && n[1] < ny && n[2] < nx && of[*n] != own && (of[*n] > 0 || !needs_labels)
            })
    };
    let (mut found, mut all) = (0u64, 0u64);
    for z in 0..nz {
        for y in 0..ny {
            for x in 0..nx {
                if !is_border([z, y, x], &bodies, true) {
                    continue;
                }
                all += 1;
                let range = |at: usize, n: usize| at.saturating_sub(reach)..(at + reach + 1).min(n);
                let mut near = range(z, nz)
                    .flat_map(|z| range(y, ny).map(move |y| (z, y)))
                    .flat_map(|(z, y)| range(x, nx).map(move |x| [z, y, x]));
                found += u64::from(near.any(|at| is_border(at, &ids, false)));
            }
        }
    }
    found as f64 / all.max(1) as f64
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::base::Progress;

    /// A row of 12 voxels cut into regions every `edge` voxels.
    fn row(edge: usize) -> Regions {
        let labels = Array3::from_shape_fn((1, 1, 12), |(_, _, x)| (x / edge) as u32);
        Regions::from_labels(&Progress::new(), labels, None, 1).unwrap()
    }

    #[test]
    fn figures_of_a_row_are_as_counted_by_hand() {
        let bodies = Array3::from_shape_fn((1, 1, 12), |(_, _, x)| if x < 5 { 1u32 } else { 2 });
        let regions = row(4);
        // The second region has one voxel of body 1 and three of body 2: one voxel wrong for each of the two.
        assert!((undersegmentation_error(&regions, bodies.view()) - 2.0 / 12.0).abs() < 1e-9);
        assert_eq!(undersegmentation_error(&row(1), bodies.view()), 0.0);
        // The border is at 4|5, the nearest of the regions at 3|4.
        assert_eq!(boundary_recall(&regions, bodies.view(), 0), 0.0);
        assert_eq!(boundary_recall(&regions, bodies.view(), 1), 1.0);
        let dice = achievable_dice(&regions, None, bodies.mapv(|b| b as u16).view());
        assert_eq!(dice, vec![(1, 8.0 / 9.0), (2, 14.0 / 15.0)]);
        let all_one = achievable_dice(&regions, Some(&[0, 0, 0]), bodies.mapv(|b| b as u16).view());
        assert_eq!(all_one, vec![(1, 0.0), (2, 14.0 / 19.0)]);
    }

    #[test]
    fn what_is_unknown_does_not_count() {
        let bodies = Array3::from_shape_fn((1, 1, 12), |(_, _, x)| if x < 6 { 0u32 } else { 7 });
        assert_eq!(undersegmentation_error(&row(4), bodies.view()), 0.0);
        assert_eq!(achievable_dice(&row(4), None, bodies.mapv(|b| b as u16).view()), vec![(7, 1.0)]);
    }
}
