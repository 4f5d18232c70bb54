//! The scale bar of a figure: a round length, a bar, its label, drawn into pixels.
//!
//! The label is set in a small bitmap font of its own, so that a figure needs no font file and is the same everywhere.

use image::{Rgba, RgbaImage};

/// Glyphs of 5 × 7 pixels, rows from the top, the highest of five bits on the left.
const GLYPHS: [(char, [u8; 7]); 14] = [
    ('0', [0x0e, 0x11, 0x13, 0x15, 0x19, 0x11, 0x0e]),
    ('1', [0x04, 0x0c, 0x04, 0x04, 0x04, 0x04, 0x0e]),
    ('2', [0x0e, 0x11, 0x01, 0x02, 0x04, 0x08, 0x1f]),
    ('3', [0x1f, 0x02, 0x04, 0x02, 0x01, 0x11, 0x0e]),
    ('4', [0x02, 0x06, 0x0a, 0x12, 0x1f, 0x02, 0x02]),
    ('5', [0x1f, 0x10, 0x1e, 0x01, 0x01, 0x11, 0x0e]),
    ('6', [0x06, 0x08, 0x10, 0x1e, 0x11, 0x11, 0x0e]),
    ('7', [0x1f, 0x01, 0x02, 0x04, 0x08, 0x08, 0x08]),
    ('8', [0x0e, 0x11, 0x11, 0x0e, 0x11, 0x11, 0x0e]),
    ('9', [0x0e, 0x11, 0x11, 0x0f, 0x01, 0x02, 0x0c]),
    ('m', [0x00, 0x00, 0x1a, 0x15, 0x15, 0x15, 0x15]),
    ('n', [0x00, 0x00, 0x16, 0x19, 0x11, 0x11, 0x11]),
    ('µ', [0x00, 0x00, 0x11, 0x11, 0x13, 0x1d, 0x10]),
    (' ', [0; 7]),
];

/// The round length (1, 2 or 5 times a power of ten, µm) of a bar of at most `most_um`.
pub fn round_length_um(most_um: f64) -> f64 {
    if !(most_um > 0.0 && most_um.is_finite()) {
        return 1.0;
    }
    let decade = 10f64.powf(most_um.log10().floor());
    [5.0, 2.0, 1.0].into_iter().map(|step| step * decade).find(|length| *length <= most_um).unwrap_or(decade)
}

/// A length as a figure says it: "500 nm", "2 µm", "1 mm".
pub fn length_label(length_um: f64) -> String {
    let (value, unit) = match length_um {
        um if um < 0.9999 => (um * 1000.0, "nm"),
        um if um < 999.9 => (um, "µm"),
        um => (um / 1000.0, "mm"),
    };
    format!("{} {unit}", value.round())
}

/// Draws a bar of a round length, at most a quarter of the width, with its label, at the lower right. Returns its length in µm.
pub fn draw_scale_bar(picture: &mut RgbaImage, um_per_px: f64) -> f64 {
    let (width, height) = picture.dimensions();
    let length_um = round_length_um(f64::from(width) * um_per_px / 4.0);
    let bar = (length_um / um_per_px).round() as u32;
    let scale = (height / 240).clamp(1, 12);
    let margin = 10 * scale;
    let (right, bottom) = (width.saturating_sub(margin), height.saturating_sub(margin));
    let left = right.saturating_sub(bar);
    fill(picture, [left, bottom.saturating_sub(2 * scale)], [right, bottom], scale);
    let label = length_label(length_um);
    let text_width = label.chars().count() as u32 * 6 * scale;
    let x = (left + bar / 2).saturating_sub(text_width / 2);
    write(picture, &label, [x, bottom.saturating_sub(13 * scale)], scale);
    length_um
}

/// A white box with a dark rim, so that it is seen on any ground.
fn fill(picture: &mut RgbaImage, low: [u32; 2], high: [u32; 2], rim: u32) {
    let (width, height) = picture.dimensions();
    for y in low[1].saturating_sub(rim)..(high[1] + rim).min(height) {
        for x in low[0].saturating_sub(rim)..(high[0] + rim).min(width) {
            let inside = (low[0]..high[0]).contains(&x) && (low[1]..high[1]).contains(&y);
            let shade = if inside { 255 } else { 0 };
            picture.put_pixel(x, y, Rgba([shade, shade, shade, 255]));
        }
    }
}

fn write(picture: &mut RgbaImage, text: &str, at: [u32; 2], scale: u32) {
    let cells = |shift: u32| {
        text.chars().enumerate().flat_map(move |(i, c)| {
            let rows = GLYPHS.iter().find(|(glyph, _)| *glyph == c).map_or([0; 7], |(_, rows)| *rows);
            (0..35u32)
                .filter(move |k| rows[(k / 5) as usize] >> (4 - k % 5) & 1 == 1)
                .map(move |k| [at[0] + (i as u32 * 6 + k % 5) * scale + shift, at[1] + k / 5 * scale + shift])
        })
    };
    let (width, height) = picture.dimensions();
    for (shift, shade) in [(scale.div_ceil(2), 0), (0, 255)] {
        for [x, y] in cells(shift) {
            for (dy, dx) in (0..scale).flat_map(|dy| (0..scale).map(move |dx| (dy, dx))) {
                if x + dx < width && y + dy < height {
                    picture.put_pixel(x + dx, y + dy, Rgba([shade, shade, shade, 255]));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_round_and_labelled() {
        for (most, length, label) in
            [(2.6, 2.0, "2 µm"), (0.74, 0.5, "500 nm"), (13.0, 10.0, "10 µm"), (1.0, 1.0, "1 µm")]
        {
            assert!((round_length_um(most) - length).abs() < 1e-9, "{most}");
            assert_eq!(length_label(length), label);
        }
        assert_eq!(round_length_um(f64::NAN), 1.0);
    }

    #[test]
    fn the_bar_is_as_long_as_it_says() {
        let mut picture = RgbaImage::from_pixel(400, 300, Rgba([90, 90, 90, 255]));
        let length_um = draw_scale_bar(&mut picture, 0.02);
        assert_eq!(length_um, 2.0);
        let y = 300 - 10 - 1;
        let white = (0..400).filter(|x| picture.get_pixel(*x, y).0[0] == 255).count();
        assert_eq!(white, 100);
    }
}
