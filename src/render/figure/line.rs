//! Lines of figures, with round ends and exact edges.

use glam::DVec2;
use image::{Rgba, RgbaImage};

/// A line cut into dashes.
pub(super) fn dashed(points: &[[f64; 2]], dash: Option<f64>) -> Vec<[DVec2; 2]> {
    let pieces = points.windows(2).map(|pair| [DVec2::from(pair[0]), DVec2::from(pair[1])]);
    let Some(dash) = dash.filter(|dash| *dash > 0.0) else { return pieces.collect() };
    pieces
        .flat_map(|[from, to]| {
            let length = from.distance(to);
            let n = ((length / (2.0 * dash)).ceil().clamp(1.0, 10_000.0)) as u32;
            let at = move |along: f64| from.lerp(to, (along / length.max(1e-12)).min(1.0));
            (0..n).map(move |i| {
                let start = f64::from(i) * 2.0 * dash;
                [at(start), at(start + dash)]
            })
        })
        .collect()
}

/// Paints lines of a width as one: where they overlap nothing becomes darker.
pub(super) fn paint(picture: &mut RgbaImage, lines: &[[DVec2; 2]], width: f64, rgb: [u8; 3], opacity: f64) {
    let (w, h) = picture.dimensions();
    let reach = width * 0.5 + 1.0;
    let all = lines.iter().flatten();
    let low = all.clone().fold(DVec2::INFINITY, |low, p| low.min(*p)) - reach;
    let high = all.fold(DVec2::NEG_INFINITY, |high, p| high.max(*p)) + reach;
    let span = |k: usize, n: u32| {
        let end = |v: f64| v.clamp(0.0, f64::from(n)) as u32;
        end(low[k].floor())..end(high[k].ceil())
    };
    let (columns, rows) = (span(0, w), span(1, h));
    if columns.is_empty() || rows.is_empty() {
        return;
    }
    let wide = columns.len();
    let mut share = vec![0.0f32; wide * rows.len()];
    for [a, b] in lines {
        let (low, high) = (a.min(*b) - reach, a.max(*b) + reach);
        let clip = |v: f64, range: &std::ops::Range<u32>| {
            v.clamp(f64::from(range.start), f64::from(range.end)) as u32
        };
        for y in clip(low.y.floor(), &rows)..clip(high.y.ceil(), &rows) {
            for x in clip(low.x.floor(), &columns)..clip(high.x.ceil(), &columns) {
                let p = DVec2::new(f64::from(x) + 0.5, f64::from(y) + 0.5);
                let along = *b - *a;
                let t = ((p - *a).dot(along) / along.length_squared().max(1e-12)).clamp(0.0, 1.0);
                let covered =
                    (width * 0.5 + 0.5 - p.distance(*a + along * t)).clamp(0.0, width.min(1.0)) as f32;
                let at = (y - rows.start) as usize * wide + (x - columns.start) as usize;
                share[at] = share[at].max(covered);
            }
        }
    }
    for (i, share) in share.into_iter().enumerate().filter(|(_, share)| *share > 0.0) {
        let (x, y) = (columns.start + (i % wide) as u32, rows.start + (i / wide) as u32);
        let below = picture.get_pixel(x, y).0.map(|c| f64::from(c) / 255.0);
        let cover = f64::from(share) * opacity;
        let alpha = cover + below[3] * (1.0 - cover);
        let mix = |c: usize| {
            let color = f64::from(rgb[c]) / 255.0;
            ((color * cover + below[c] * below[3] * (1.0 - cover)) / alpha.max(1e-9) * 255.0).round() as u8
        };
        picture.put_pixel(x, y, Rgba([mix(0), mix(1), mix(2), (alpha * 255.0).round() as u8]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_covers_its_length_times_its_width_on_any_ground() {
        let covered = |ground: [u8; 4], lines: &[[DVec2; 2]]| {
            let mut picture = RgbaImage::from_pixel(60, 40, Rgba(ground));
            paint(&mut picture, lines, 3.0, [255; 3], 1.0);
            let part = |p: &Rgba<u8>| f64::from(p.0[0]) * f64::from(p.0[3]) / 65_025.0;
            picture.pixels().map(part).sum::<f64>()
        };
        let line = [DVec2::new(10.0, 10.0), DVec2::new(50.0, 30.0)];
        // With a half disc at either end.
        let area = line[0].distance(line[1]) * 3.0 + std::f64::consts::PI * 2.25;
        for ground in [[0, 0, 0, 255], [0; 4]] {
            let found = covered(ground, &[line]);
            assert!((found / area - 1.0).abs() < 0.03, "{found} of {area}");
            assert_eq!(covered(ground, &[line, line]), found, "twice is as once");
        }
        assert!(covered([0; 4], &[[DVec2::splat(-90.0), DVec2::splat(-50.0)]]) == 0.0);
    }

    #[test]
    fn dashes_leave_as_much_as_they_draw() {
        let dashes = dashed(&[[0.0, 0.0], [40.0, 0.0]], Some(5.0));
        let length: f64 = dashes.iter().map(|[a, b]| a.distance(*b)).sum();
        assert_eq!((dashes.len(), length), (4, 20.0));
        assert_eq!(dashed(&[[0.0, 0.0], [40.0, 0.0]], None).len(), 1);
    }
}
