//! Slices side by side: which ones, where they lie, how large the picture is.

use glam::{DAffine3, DVec3};
use image::{Rgba, RgbaImage};

use super::super::scene::{Plane, SliceScene, bounds_um};
use super::axis_name;
use crate::base::{position_text, position_unit};

/// The slices of a volume.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slices {
    /// World µm from voxel index.
    pub world_from_voxel: DAffine3,
    /// Its shape (z, y, x).
    pub shape: [usize; 3],
    /// Whether the size of a voxel is known.
    pub known: bool,
}

/// Which slices are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// Rows and columns.
    pub rows_cols: [u32; 2],
    /// How many at most; the last places stay empty.
    pub most: usize,
    /// The first slice and the last one.
    pub range: [usize; 2],
    /// Slices from one to the next; evenly spread where `None`.
    pub step: Option<usize>,
}

/// A montage that can be drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Montage {
    /// Rows and columns.
    pub grid: MontageGrid,
    /// Size of the picture.
    pub size: [u32; 2],
    /// The scene of one slice, as large as a tile.
    pub tile: SliceScene,
    /// Number of each slice, from 0.
    pub slices: Vec<usize>,
    /// Place of each along its axis, µm, and what it is called.
    pub places: Vec<(f64, String)>,
}

impl Slices {
    /// Which axis (z, y, x) slices of a plane are counted along; `None` across the axes.
    pub fn axis(plane: Plane) -> Option<usize> {
        match plane {
            Plane::Xy => Some(0),
            Plane::Xz => Some(1),
            Plane::Yz => Some(2),
            Plane::Oblique { .. } => None,
        }
    }

    /// Number of slices of a plane.
    pub fn count(&self, plane: Plane) -> usize {
        Self::axis(plane).map_or(0, |axis| self.shape[axis])
    }

    fn middle(&self, axis: usize, slice: usize) -> DVec3 {
        let mut middle = self.shape.map(|n| (n as f64 - 1.0) / 2.0);
        middle[axis] = slice as f64;
        let [z, y, x] = middle;
        self.world_from_voxel.transform_point3(DVec3::new(x, y, z))
    }

    /// Height of a picture in which tiles have the shape of the slices.
    pub fn suiting_height(&self, width: u32, plane: Plane, [rows, cols]: [u32; 2]) -> u32 {
        let (right, down) = plane.right_down();
        let (low, high) = bounds_um(self.world_from_voxel, self.shape);
        let tall = (high - low).dot(down.abs()) / (high - low).dot(right.abs()).max(1e-12);
        let height = f64::from(width) / f64::from(cols.max(1)) * tall * f64::from(rows);
        (height.round() as u32).clamp(1, 16_384)
    }

    /// Whole slices side by side, drawn as a scene of one of them is; `None` across the axes.
    pub fn montage(&self, scene: &SliceScene, choice: &Choice, size: [u32; 2]) -> Option<Montage> {
        let axis = Self::axis(scene.plane)?;
        let last = self.shape[axis].saturating_sub(1);
        let [first, last] = choice.range.map(|slice| slice.min(last));
        let [rows, cols] = choice.rows_cols;
        let grid = MontageGrid::new(rows, cols, size);
        let count = choice.most.min(grid.n_tiles());
        let slices = match choice.step {
            Some(step) => stepped(first, last, step, count),
            None => evenly(first, last, count),
        };
        let bounds = bounds_um(self.world_from_voxel, self.shape);
        let fitted = SliceScene::fitted(scene.plane, bounds, grid.tile(size));
        let tile = SliceScene {
            size_px: fitted.size_px,
            um_per_px: fitted.um_per_px,
            center_um: self.middle(axis, first),
            ..scene.clone()
        };
        let name = axis_name(scene.plane);
        let at = |slice: usize| self.middle(axis, slice).dot(scene.plane.axis());
        let place = |slice: &usize| {
            let position = at(*slice);
            let voxel_um = (at(1) - at(0)).abs();
            let said = position_text(position, voxel_um) + " " + position_unit(voxel_um);
            let words = if self.known { format!("{name} = {said}") } else { format!("{name} = {slice}") };
            (position, words)
        };
        Some(Montage { grid, size, tile, places: slices.iter().map(place).collect(), slices })
    }
}

/// Rows and columns of a montage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MontageGrid {
    /// Rows.
    pub rows: u32,
    /// Columns.
    pub cols: u32,
    /// Pixels between tiles.
    pub gap: u32,
}

impl MontageGrid {
    /// A grid with gaps that suit a picture of this size.
    pub fn new(rows: u32, cols: u32, [width, height]: [u32; 2]) -> Self {
        Self { rows: rows.max(1), cols: cols.max(1), gap: (width.min(height) / 250).max(1) }
    }

    /// Number of tiles.
    pub fn n_tiles(self) -> usize {
        self.rows as usize * self.cols as usize
    }

    /// Size of a tile in a picture of this size, at least one pixel.
    pub fn tile(self, [width, height]: [u32; 2]) -> [u32; 2] {
        let share = |whole: u32, n: u32| (whole.saturating_sub(self.gap * (n - 1)) / n).max(1);
        [share(width, self.cols), share(height, self.rows)]
    }

    /// Left upper corner of a tile, by rows.
    pub fn corner(self, i: usize, size: [u32; 2]) -> [u32; 2] {
        let [w, h] = self.tile(size);
        let (row, col) = (i as u32 / self.cols, i as u32 % self.cols);
        // What is left over by the division is shared by both sides.
        let left = |whole: u32, tile: u32, n: u32| whole.saturating_sub(tile * n + self.gap * (n - 1)) / 2;
        [
            left(size[0], w, self.cols) + col * (w + self.gap),
            left(size[1], h, self.rows) + row * (h + self.gap),
        ]
    }
}

/// Slices spread evenly from the first to the last, both included; none twice.
pub fn evenly(first: usize, last: usize, count: usize) -> Vec<usize> {
    let last = last.max(first);
    match count.min(last - first + 1) {
        0 => Vec::new(),
        1 => vec![usize::midpoint(first, last)],
        count => (0..count).map(|i| first + ((last - first) * i + (count - 1) / 2) / (count - 1)).collect(),
    }
}

/// Slices in steps from the first, as many as there are up to the last and no more than `count`.
pub fn stepped(first: usize, last: usize, step: usize, count: usize) -> Vec<usize> {
    (first..=last).step_by(step.max(1)).take(count).collect()
}

/// Puts tiles side by side on a ground.
pub fn compose(grid: MontageGrid, size: [u32; 2], tiles: &[RgbaImage], ground: [u8; 4]) -> RgbaImage {
    let mut picture = RgbaImage::from_pixel(size[0], size[1], Rgba(ground));
    for (i, tile) in tiles.iter().take(grid.n_tiles()).enumerate() {
        let [x, y] = grid.corner(i, size);
        image::imageops::replace(&mut picture, tile, i64::from(x), i64::from(y));
    }
    picture
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_reach_from_first_to_last() {
        assert_eq!(evenly(0, 63, 4), [0, 21, 42, 63]);
        assert_eq!(evenly(10, 12, 3), [10, 11, 12]);
        assert_eq!(evenly(0, 9, 1), [4]);
        assert_eq!(evenly(5, 6, 9), [5, 6]);
        assert_eq!(stepped(2, 20, 5, 9), [2, 7, 12, 17]);
        assert_eq!(stepped(2, 20, 5, 2), [2, 7]);
        assert_eq!(stepped(3, 2, 1, 4), [0usize; 0]);
    }

    #[test]
    fn a_montage_knows_its_slices_and_where_they_lie() {
        let world_from_voxel = DAffine3::from_scale(DVec3::new(0.1, 0.1, 0.2));
        let slices = Slices { world_from_voxel, shape: [11, 20, 30], known: true };
        let scene = SliceScene::fitted(Plane::Xy, (DVec3::ZERO, DVec3::ONE), [10, 10]);
        let choice = Choice { rows_cols: [2, 3], most: 5, range: [0, 99], step: None };
        let made = slices.montage(&scene, &choice, [300, 200]).unwrap();
        assert_eq!(made.slices, [0, 3, 5, 8, 10], "to the last there is");
        assert_eq!(made.places[4], (2.0, "z = 2.00 µm".to_owned()));
        assert_eq!(slices.suiting_height(300, Plane::Xy, [2, 3]), 133);
        let stepped = Choice { step: Some(4), ..choice };
        assert_eq!(slices.montage(&scene, &stepped, [300, 200]).unwrap().slices, [0, 4, 8]);
        let tilted = Plane::Oblique { right: DVec3::X, down: DVec3::Z };
        assert!(slices.montage(&SliceScene { plane: tilted, ..scene }, &choice, [300, 200]).is_none());
    }

    #[test]
    fn tiles_lie_in_reading_order_with_gaps() {
        let grid = MontageGrid { rows: 2, cols: 3, gap: 4 };
        let size = [308, 204];
        assert_eq!(grid.tile(size), [100, 100]);
        let tiles: Vec<RgbaImage> =
            (0..5u8).map(|i| RgbaImage::from_pixel(100, 100, Rgba([i * 40 + 20, 0, 0, 255]))).collect();
        let picture = compose(grid, size, &tiles, [255, 255, 255, 0]);
        for i in 0..5usize {
            let [x, y] = grid.corner(i, size);
            assert_eq!(picture.get_pixel(x, y).0, [i as u8 * 40 + 20, 0, 0, 255], "tile {i}");
            assert_eq!(picture.get_pixel(x + 99, y + 99).0[0], i as u8 * 40 + 20);
        }
        assert_eq!(picture.get_pixel(102, 50).0[3], 0, "the gap is clear");
        assert_eq!(picture.get_pixel(260, 150).0[3], 0, "an empty place is clear");
    }
}
