//! The voxels of a section that contours, lines and points cover.

/// A picture of truth values within a box of a section.
pub(super) struct Mask {
    /// First row and column, and their numbers.
    pub(super) at: [usize; 2],
    pub(super) size: [usize; 2],
    pub(super) values: Vec<bool>,
}

impl Mask {
    /// Nothing, over the rows and columns from `low` to before `high`.
    fn new(low: [usize; 2], high: [usize; 2]) -> Self {
        let size = [high[0].saturating_sub(low[0]), high[1].saturating_sub(low[1])];
        Self { at: low, size, values: vec![false; size[0] * size[1]] }
    }

    fn row(&mut self, row: usize) -> &mut [bool] {
        let (at, n) = (row - self.at[0], self.size[1]);
        &mut self.values[at * n..(at + 1) * n]
    }
}

/// Rows and columns that points cover, within a section of these sides; points are x, y in pixels of IMOD.
fn bounds(
    points: impl Iterator<Item = [f64; 2]>,
    sides: [usize; 2],
    margin: f64,
) -> ([usize; 2], [usize; 2]) {
    let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
    for [x, y] in points {
        for (axis, value) in [y, x].into_iter().enumerate() {
            (low[axis], high[axis]) = (low[axis].min(value), high[axis].max(value));
        }
    }
    // Casts saturate.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the section")]
    let inside = |value: f64, axis: usize| value.clamp(0.0, sides[axis] as f64) as usize;
    let first = std::array::from_fn(|axis| inside((low[axis] - margin).floor(), axis));
    let last = std::array::from_fn(|axis| inside((high[axis] + margin).ceil(), axis));
    (first, last)
}

/// What closed contours of one object enclose: each by its winding, and where one lies within another a hole.
pub(super) fn closed(contours: &[Vec<[f64; 2]>], sides: [usize; 2]) -> Mask {
    let (low, high) = bounds(contours.iter().flatten().copied(), sides, 0.0);
    let mut mask = Mask::new(low, high);
    for contour in contours {
        toggle(contour, &mut mask, high[0]);
    }
    mask
}

/// Turns over what one contour winds around: pixels whose middle lies inside.
fn toggle(contour: &[[f64; 2]], mask: &mut Mask, end: usize) {
    let (first_row, first_column) = (mask.at[0], mask.at[1]);
    let mut crossings: Vec<Vec<(f64, i32)>> = vec![Vec::new(); end.saturating_sub(first_row)];
    let next = contour.iter().cycle().skip(1);
    for ([ax, ay], [bx, by]) in contour.iter().zip(next) {
        for row in rows_between(*ay, *by, first_row, end) {
            let y = row as f64 + 0.5;
            let x = ax + (y - ay) / (by - ay) * (bx - ax);
            crossings[row - first_row].push((x, if by > ay { 1 } else { -1 }));
        }
    }
    for (row, crossings) in (first_row..).zip(&mut crossings) {
        crossings.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut winding, mut from) = (0, 0.0);
        let values = mask.row(row);
        for (x, turn) in crossings.iter() {
            if winding == 0 {
                from = *x;
            }
            winding += turn;
            if winding == 0 {
                turn_over(values, from, *x, first_column);
            }
        }
    }
}

/// Rows whose middle an edge from one y to another crosses: the lower end counts, the upper one does not.
fn rows_between(a: f64, b: f64, first: usize, end: usize) -> std::ops::Range<usize> {
    let (low, high) = (a.min(b), a.max(b));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the rows")]
    let row = |y: f64| (y - 0.5).ceil().clamp(first as f64, end as f64) as usize;
    row(low)..row(high)
}

/// About how many steps it takes to put a contour or a line down in a section of these sides.
pub(super) fn work(points: &[[f64; 2]], sides: [usize; 2]) -> u64 {
    let most = (sides[0] + sides[1]) as f64 * 4.0;
    let next = points.iter().cycle().skip(1);
    let steps = points
        .iter()
        .zip(next)
        .map(|([ax, ay], [bx, by])| 1.0 + (2.0 * (bx - ax).abs().max((by - ay).abs())).min(most));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
    let steps = steps.sum::<f64>() as u64;
    steps
}

/// Turns over the pixels of a row whose middle lies from `from` to before `to`.
fn turn_over(values: &mut [bool], from: f64, to: f64, first_column: usize) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the row")]
    let place = |x: f64| ((x - 0.5).ceil() - first_column as f64).clamp(0.0, values.len() as f64) as usize;
    let (from, to) = (place(from), place(to));
    values[from..to.max(from)].iter_mut().for_each(|value| *value = !*value);
}

/// Pixels that a line through points passes.
pub(super) fn line(points: &[[f64; 2]], sides: [usize; 2]) -> Mask {
    let (low, high) = bounds(points.iter().copied(), sides, 1.0);
    let mut mask = Mask::new(low, high);
    let mut put = |x: f64, y: f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "looked at before")]
        if x >= low[1] as f64 && y >= low[0] as f64 && x < high[1] as f64 && y < high[0] as f64 {
            mask.row(y as usize)[x as usize - low[1]] = true;
        }
    };
    let ends = points.iter().zip(points.iter().skip(1).chain(points.last()));
    for ([ax, ay], [bx, by]) in ends {
        // Half a pixel a step; a line that leaves the section is followed within it only.
        let reach = (sides[0] + sides[1]) as f64 * 4.0;
        let n = (2.0 * (bx - ax).abs().max((by - ay).abs())).ceil().clamp(1.0, reach);
        let mut at = 0.0;
        while at <= n {
            put(ax + (bx - ax) * at / n, ay + (by - ay) * at / n);
            at += 1.0;
        }
    }
    mask
}

/// Pixels whose middle is no further than `radius` from a place, at least the pixel of the place itself.
pub(super) fn disc([x, y]: [f64; 2], radius: f64, sides: [usize; 2]) -> Mask {
    let (low, high) = bounds(std::iter::once([x, y]), sides, radius.max(1.0));
    let mut mask = Mask::new(low, high);
    for row in low[0]..high[0] {
        for column in low[1]..high[1] {
            let (dx, dy) = (column as f64 + 0.5 - x, row as f64 + 0.5 - y);
            let is_own = dx.abs() <= 0.5 && dy.abs() <= 0.5;
            mask.row(row)[column - low[1]] = is_own || dx * dx + dy * dy <= radius * radius;
        }
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(mask: &Mask) -> Vec<[usize; 2]> {
        let [_, columns] = mask.size;
        let at = |i: usize| [mask.at[0] + i / columns, mask.at[1] + i % columns];
        (0..mask.values.len()).filter(|i| mask.values[*i]).map(at).collect()
    }

    #[test]
    fn a_pixel_is_inside_where_its_middle_is_and_inner_contours_are_holes() {
        let square = |low: f64, high: f64| vec![[low, low], [high, low], [high, high], [low, high]];
        let full = closed(&[square(1.0, 4.0)], [8, 8]);
        assert_eq!(pixels(&full).len(), 9);
        let ring = closed(&[square(1.0, 4.0), square(2.0, 3.0)], [8, 8]);
        assert_eq!(pixels(&ring).len(), 8);
        assert!(!pixels(&ring).contains(&[2, 2]));
        assert_eq!(pixels(&closed(&[square(1.4, 1.6)], [8, 8])), [[1, 1]]);
        // Both loops of an eight are inside.
        let eight = vec![[0.0, 0.0], [4.0, 4.0], [4.0, 0.0], [0.0, 4.0]];
        assert!(pixels(&closed(&[eight], [8, 8])).len() >= 4);
    }

    #[test]
    fn what_reaches_beyond_the_section_is_cut() {
        let wide = vec![[-100.0, -1e9], [1e9, -1e9], [1e9, 1e9], [-100.0, 1e9]];
        assert_eq!(pixels(&closed(&[wide], [3, 4])).len(), 12);
        assert_eq!(pixels(&line(&[[-1e9, 1.5], [1e9, 1.5]], [3, 4])).iter().filter(|p| p[0] != 1).count(), 0);
        assert!(pixels(&disc([-50.0, -50.0], 3.0, [3, 4])).is_empty());
    }

    #[test]
    fn discs_have_their_radius() {
        let n = pixels(&disc([16.0, 16.0], 8.0, [32, 32])).len() as f64;
        assert!((n / (std::f64::consts::PI * 64.0) - 1.0).abs() < 0.05, "{n}");
        assert_eq!(pixels(&disc([2.3, 2.7], 0.0, [5, 5])), [[2, 2]]);
    }
}
