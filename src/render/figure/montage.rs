//! Slices side by side.

use image::{Rgba, RgbaImage};

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
