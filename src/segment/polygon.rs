//! The polygon and the lasso: everything inside an outline in a plane, in one slice or through several.

use crate::volume::labels::BrickDelta;
use crate::volume::{Labels, Volume};

use super::brush::Plane;
use super::limits::Limits;

/// An outline and what its inside becomes.
#[derive(Debug, Clone, PartialEq)]
pub struct Polygon {
    /// The plane it is drawn in.
    pub plane: Plane,
    /// Corners as fractional voxel indices (z, y, x); the coordinate across the plane does not count. It closes itself.
    pub corners_zyx: Vec<[f64; 3]>,
    /// Slices to either side of that of the first corner that are painted too.
    pub depth: usize,
    /// The class that the inside gets; 0 erases.
    pub class: u16,
    /// What it may touch.
    pub limits: Limits,
}

/// Paints the inside of a polygon; returns the bricks that changed as they were.
///
/// A voxel is inside where its centre is, by the even-odd rule: a loop drawn twice cuts a hole. Corners
/// that are not finite, or fewer than three, paint nothing. `volume` is needed for a limit in LAC.
pub fn paint_polygon(labels: &mut Labels, volume: Option<&Volume<f32>>, polygon: &Polygon) -> BrickDelta {
    let finite = polygon.corners_zyx.iter().flatten().all(|v| v.is_finite());
    if polygon.corners_zyx.len() < 3 || !finite || !polygon.limits.allow(polygon.class) {
        return BrickDelta::new();
    }
    let Some(normal) = polygon.plane.normal_axis() else { return paint_oblique(labels, volume, polygon) };
    let [down, right] = in_plane(polygon.plane);
    let shape = labels.shape();
    let corners: Vec<[f64; 2]> = polygon.corners_zyx.iter().map(|p| [p[down], p[right]]).collect();
    let inside = Inside::of(&corners, [shape[down], shape[right]]);
    let (mut lo, mut hi) = ([0; 3], [0; 3]);
    (lo[down], hi[down]) = (inside.rows.0, inside.rows.1);
    (lo[right], hi[right]) = (inside.columns.0, inside.columns.1);
    // Casts saturate: what lies outside the volume has no slices there.
    let middle = polygon.corners_zyx[0][normal].round();
    let (first, last) = (middle - polygon.depth as f64, middle + polygon.depth as f64);
    (lo[normal], hi[normal]) = (first.max(0.0) as usize, ((last + 1.0).max(0.0) as usize).min(shape[normal]));
    let mut guard = polygon.limits.guard(polygon.class, volume);
    labels.update_box(
        lo,
        hi,
        |zyx, old| {
            if inside.has(zyx[down], zyx[right]) { guard.painted(zyx, old) } else { old }
        },
    )
}

/// The same in a plane across the axes: a voxel is inside where its centre, seen along the plane's normal, is.
fn paint_oblique(labels: &mut Labels, volume: Option<&Volume<f32>>, polygon: &Polygon) -> BrickDelta {
    let Polygon { plane, corners_zyx, depth, .. } = polygon;
    let first = corners_zyx[0];
    let slice = plane.slice(first, *depth);
    let corners: Vec<[f64; 2]> = corners_zyx.iter().map(|at| plane.in_plane(first, *at)).collect();
    let shape = labels.shape();
    // A voxel off the plane is at most as far from the corners' box as the slices are thick.
    let reach = 2.0 * (*depth as f64 + 1.0);
    let bound = |axis: usize, of: fn(f64, f64) -> f64, start: f64| {
        corners_zyx.iter().map(|at| at[axis]).fold(start, of)
    };
    let lo: [usize; 3] = std::array::from_fn(|a| (bound(a, f64::min, f64::MAX) - reach).max(0.0) as usize);
    let hi: [usize; 3] = std::array::from_fn(|a| {
        ((bound(a, f64::max, f64::MIN) + reach + 1.0).max(0.0) as usize).min(shape[a])
    });
    let mut guard = polygon.limits.guard(polygon.class, volume);
    labels.update_box(lo, hi, |zyx, old| {
        let is_in = slice.has(zyx) && is_inside(&corners, plane.in_plane(first, zyx.map(|i| i as f64)));
        if is_in { guard.painted(zyx, old) } else { old }
    })
}

/// Whether a point lies inside an outline, by the even-odd rule.
fn is_inside(corners: &[[f64; 2]], [x, y]: [f64; 2]) -> bool {
    let crossings = corners.iter().zip(corners.iter().cycle().skip(1)).filter(|(a, b)| {
        (a[1] <= y) != (b[1] <= y) && a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]) <= x
    });
    crossings.count() % 2 == 1
}

/// The axes that run down and right in a plane along the axes.
fn in_plane(plane: Plane) -> [usize; 2] {
    match plane {
        Plane::Xy | Plane::Oblique { .. } => [1, 2],
        Plane::Xz => [0, 2],
        Plane::Yz => [1, 0],
    }
}

/// The pixels inside an outline: for each row where the outline crosses it.
struct Inside {
    /// Rows that it touches, half open.
    rows: (usize, usize),
    /// Columns that it touches, half open.
    columns: (usize, usize),
    /// Crossings of each row, in order.
    crossings: Vec<Vec<f64>>,
}

impl Inside {
    fn of(corners: &[[f64; 2]], [n_rows, n_columns]: [usize; 2]) -> Self {
        let range = |axis: usize, n: usize| {
            let low = corners.iter().map(|c| c[axis]).fold(f64::INFINITY, f64::min);
            let high = corners.iter().map(|c| c[axis]).fold(f64::NEG_INFINITY, f64::max);
            // Casts saturate: what lies outside the volume ends at its border.
            let low = (low.ceil().max(0.0) as usize).min(n);
            let high = if high < 0.0 { 0 } else { (high.floor() as usize).saturating_add(1).min(n) };
            (low, high.max(low))
        };
        let (rows, columns) = (range(0, n_rows), range(1, n_columns));
        let crossings = (rows.0..rows.1)
            .map(|row| {
                let at = row as f64;
                let mut crossed: Vec<f64> = corners
                    .iter()
                    .zip(corners.iter().cycle().skip(1))
                    // Half open, so that a corner on the row counts once.
                    .filter(|(a, b)| (a[0] <= at) != (b[0] <= at))
                    .map(|(a, b)| a[1] + (at - a[0]) / (b[0] - a[0]) * (b[1] - a[1]))
                    .collect();
                crossed.sort_unstable_by(f64::total_cmp);
                crossed
            })
            .collect();
        Self { rows, columns, crossings }
    }

    fn has(&self, row: usize, column: usize) -> bool {
        let Some(crossed) = row.checked_sub(self.rows.0).and_then(|i| self.crossings.get(i)) else {
            return false;
        };
        crossed.partition_point(|at| *at <= column as f64) % 2 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::super::limits::PaintOver;
    use super::*;
    use crate::base::Unit;
    use ndarray::Array3;
    use proptest::prelude::*;

    fn polygon(plane: Plane, corners: &[[f64; 3]]) -> Polygon {
        Polygon { plane, corners_zyx: corners.to_vec(), depth: 0, class: 1, limits: Limits::default() }
    }

    fn count(labels: &Labels) -> usize {
        labels.to_dense().iter().filter(|id| **id != 0).count()
    }

    #[test]
    fn a_rectangle_fills_the_voxels_whose_centres_it_holds_in_every_plane() {
        for plane in [Plane::Xy, Plane::Xz, Plane::Yz] {
            let [down, right] = in_plane(plane);
            let corner = |d: f64, r: f64| {
                let mut p = [3.0; 3];
                p[down] = d;
                p[right] = r;
                p
            };
            let corners = [corner(1.5, 2.5), corner(1.5, 6.5), corner(4.5, 6.5), corner(4.5, 2.5)];
            let mut labels = Labels::new([9, 10, 11]);
            let delta = paint_polygon(&mut labels, None, &polygon(plane, &corners));
            assert_eq!(count(&labels), 3 * 4, "{plane:?}");
            labels.swap_bricks(delta);
            assert_eq!(count(&labels), 0);
            let deep = Polygon { depth: 2, ..polygon(plane, &corners) };
            paint_polygon(&mut labels, None, &deep);
            assert_eq!(count(&labels), 3 * 4 * 5, "{plane:?}");
        }
    }

    #[test]
    fn an_outline_across_the_axes_fills_its_plane() {
        let half = std::f64::consts::FRAC_1_SQRT_2;
        let plane = Plane::Oblique { right_zyx: [half, 0.0, half], down_zyx: [0.0, 1.0, 0.0] };
        let corner = |right: f64, down: f64| [20.0 + half * right, 20.0 + down, 20.0 + half * right];
        let corners = [corner(-14.0, -8.5), corner(14.0, -8.5), corner(14.0, 8.5), corner(-14.0, 8.5)];
        let mut labels = Labels::new([41; 3]);
        let delta = paint_polygon(&mut labels, None, &polygon(plane, &corners));
        let dense = labels.to_dense();
        for ((z, y, x), id) in dense.indexed_iter() {
            let along = (z as f64 + x as f64 - 40.0) * half;
            let is_in = z == x && y.abs_diff(20) <= 8 && along.abs() <= 14.0;
            assert_eq!(*id == 1, is_in, "{z} {y} {x}");
        }
        let thick = Polygon { depth: 2, ..polygon(plane, &corners) };
        labels.swap_bricks(delta);
        paint_polygon(&mut labels, None, &thick);
        assert!(labels.get([22, 20, 18]) == 1 && labels.get([24, 20, 16]) == 0);
        let far = corners.map(|at| at.map(|v| v - 500.0));
        assert!(paint_polygon(&mut labels, None, &polygon(plane, &far)).is_empty());
    }

    #[test]
    fn limits_hold_and_nonsense_paints_nothing() {
        let square = [[0.0, -5.0, -5.0], [0.0, -5.0, 50.0], [0.0, 50.0, 50.0], [0.0, 50.0, -5.0]];
        let mut labels = Labels::new([5, 8, 8]);
        labels.update_box([0; 3], [5, 8, 4], |_, _| 7);
        let volume = Volume::new(Array3::from_shape_fn((5, 8, 8), |(_, y, _)| y as f32), None, Unit::PerUm);
        let limits = Limits { locked: vec![7], lac: Some([2.0, 3.0]), ..Limits::default() };
        paint_polygon(&mut labels, Some(&volume), &Polygon { limits, ..polygon(Plane::Xy, &square) });
        assert_eq!(labels.to_dense().iter().filter(|id| **id == 1).count(), 2 * 4);
        let inside = Limits { inside: Some(vec![1]), over: PaintOver::All, ..Limits::default() };
        let child = Polygon { class: 2, limits: inside, ..polygon(Plane::Xy, &square) };
        paint_polygon(&mut labels, None, &child);
        assert_eq!(labels.to_dense().iter().filter(|id| **id == 2).count(), 2 * 4);
        let before = labels.clone();
        for bad in [f64::NAN, f64::INFINITY] {
            let corners = [[3.0, 0.0, 0.0], [3.0, bad, 4.0], [3.0, 4.0, 4.0]];
            assert!(paint_polygon(&mut labels, None, &polygon(Plane::Xy, &corners)).is_empty());
        }
        assert!(paint_polygon(&mut labels, None, &polygon(Plane::Xy, &square[..2])).is_empty());
        let far = [[3.0, 100.0, 100.0], [3.0, 120.0, 100.0], [3.0, 120.0, 130.0]];
        assert!(paint_polygon(&mut labels, None, &polygon(Plane::Xy, &far)).is_empty());
        assert_eq!(labels, before);
    }

    proptest! {
        #[test]
        fn the_inside_is_what_the_winding_of_every_edge_says(
            corners in prop::collection::vec([-4.0f64..20.0, -4.0f64..20.0], 3..9),
        ) {
            let points: Vec<_> = corners.iter().map(|c| [3.0, c[0], c[1]]).collect();
            let mut labels = Labels::new([5, 16, 17]);
            paint_polygon(&mut labels, None, &polygon(Plane::Xy, &points));
            for y in 0..16 {
                for x in 0..17 {
                    // An independent ray, along y this time.
                    let mut crossings = 0;
                    for i in 0..corners.len() {
                        let (a, b) = (corners[i], corners[(i + 1) % corners.len()]);
                        let at = x as f64;
                        if (a[1] <= at) != (b[1] <= at) {
                            let row = a[0] + (at - a[1]) / (b[1] - a[1]) * (b[0] - a[0]);
                            crossings += usize::from(row > y as f64);
                        }
                    }
                    prop_assert_eq!(labels.get([3, y, x]) == 1, crossings % 2 == 1);
                }
            }
        }
    }
}
