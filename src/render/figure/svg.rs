//! A figure as SVG: the picture inside, bars and letters as vectors that can still be edited.

use std::fmt::Write as _;
use std::io::Cursor;

use base64::Engine as _;
use image::{ImageFormat, RgbaImage};

use super::{Anchor, HALO_OPACITY, Mark, halo_px};

fn hex([r, g, b]: [u8; 3]) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The figure; an error of the picture's coder as a sentence.
///
/// # Errors
/// Where the picture cannot be coded as PNG.
pub fn svg(picture: &RgbaImage, marks: &[Mark], title: &str) -> Result<String, String> {
    let mut png = Cursor::new(Vec::new());
    picture
        .write_to(&mut png, ImageFormat::Png)
        .map_err(|e| format!("the picture could not be coded: {e}"))?;
    let (width, height) = picture.dimensions();
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n<title>{}</title>\n<image width=\"{width}\" height=\"{height}\" href=\"data:image/png;base64,{}\"/>\n",
        escaped(title),
        base64::engine::general_purpose::STANDARD.encode(png.into_inner())
    );
    for (i, mark) in marks.iter().enumerate() {
        write_mark(&mut out, i, mark);
    }
    out.push_str("</svg>\n");
    Ok(out)
}

/// Adds a mark; writing to a string does not fail.
fn write_mark(out: &mut String, i: usize, mark: &Mark) {
    let done = match mark {
        Mark::Box { at: [x, y], size: [w, h], rgb, rim } => {
            // The rim lies outside the box.
            let rim =
                rim.map(|(color, width)| (x - width, y - width, w + 2.0 * width, h + 2.0 * width, color));
            rim.into_iter().chain([(*x, *y, *w, *h, *rgb)]).try_for_each(|(x, y, w, h, color)| {
                writeln!(
                    out,
                    "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" fill=\"{}\"/>",
                    hex(color)
                )
            })
        }
        Mark::Ramp { at: [x, y], size: [w, h], colors } => {
            let last = colors.len().saturating_sub(1).max(1) as f64;
            let stop = |(k, color): (usize, &[u8; 3])| {
                format!("<stop offset=\"{:.4}\" stop-color=\"{}\"/>", k as f64 / last, hex(*color))
            };
            let stops: String = colors.iter().enumerate().map(stop).collect();
            writeln!(
                out,
                "<linearGradient id=\"ramp{i}\" x1=\"0\" y1=\"1\" x2=\"0\" y2=\"0\">{stops}</linearGradient>\n<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" fill=\"url(#ramp{i})\"/>"
            )
        }
        Mark::Line { points, width, rgb, halo, opacity, dash } => {
            let places: Vec<String> = points.iter().map(|[x, y]| format!("{x:.2},{y:.2}")).collect();
            let dash = dash.map_or_else(String::new, |dash| format!(" stroke-dasharray=\"{dash:.2}\""));
            let mut stroke = |color: [u8; 3], width: f64, opacity: f64| {
                writeln!(
                    out,
                    "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{width:.2}\" stroke-opacity=\"{opacity:.3}\" stroke-linecap=\"round\" stroke-linejoin=\"round\"{dash}/>",
                    places.join(" "),
                    hex(color)
                )
            };
            halo.map_or(Ok(()), |(color, around)| {
                stroke(color, width + 2.0 * around, opacity * f64::from(HALO_OPACITY))
            })
            .and_then(|()| stroke(*rgb, *width, *opacity))
        }
        Mark::Text { at: [x, y], anchor, px, weight, text, rgb, halo } => {
            let anchor = match anchor {
                Anchor::Start => "start",
                Anchor::Middle => "middle",
                Anchor::End => "end",
            };
            // The halo is a text of its own below: not every program knows an order of painting.
            let halo = format!(
                " stroke=\"{}\" stroke-opacity=\"{HALO_OPACITY}\" stroke-width=\"{:.2}\" stroke-linejoin=\"round\"",
                hex(*halo),
                2.0 * halo_px(*px)
            );
            [("none".to_owned(), halo), (hex(*rgb), String::new())].into_iter().try_for_each(|(fill, stroke)| {
                writeln!(
                    out,
                    "<text x=\"{x:.2}\" y=\"{y:.2}\" font-family=\"Inter, Helvetica, Arial, sans-serif\" font-size=\"{px:.2}\" font-weight=\"{}\" text-anchor=\"{anchor}\" fill=\"{fill}\"{stroke}>{}</text>",
                    weight.number(),
                    escaped(text)
                )
            })
        }
    };
    debug_assert!(done.is_ok(), "a string takes everything");
}

#[cfg(test)]
mod tests {
    use super::super::{FigureStyle, Scale, ValueBar, layout};
    use super::*;

    #[test]
    fn letters_and_bars_are_vectors_over_the_picture() {
        let picture = RgbaImage::from_pixel(300, 200, image::Rgba([40, 40, 40, 255]));
        let style = FigureStyle {
            scale: Some(Scale { um_per_px: 0.02 }),
            values: Some(ValueBar {
                label: "LAC (1/µm)".to_owned(),
                range: [0.0, 1.0],
                colors: vec![[0; 3], [255, 0, 0]],
            }),
            title: Some("A & <B>".to_owned()),
            ..FigureStyle::default()
        };
        let text = svg(&picture, &layout(&picture, &style), "A & <B>").unwrap();
        for part in [
            ">1 µm</text>",
            "LAC (1/µm)</text>",
            "A &amp; &lt;B&gt;</text>",
            "<linearGradient",
            "href=\"data:image/png;base64,",
        ] {
            assert!(text.contains(part), "{part}");
        }
        assert_eq!(text.matches("<text").count(), text.matches("</text>").count());
        let inside = text.split("base64,").nth(1).unwrap().split('"').next().unwrap();
        let png = base64::engine::general_purpose::STANDARD.decode(inside).unwrap();
        assert_eq!(image::load_from_memory(&png).unwrap().to_rgba8(), picture);
    }
}
