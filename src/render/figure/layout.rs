//! Where scale bar, colour bar, title and legend of a figure go.

use image::RgbaImage;
use serde::{Deserialize, Serialize};

use super::super::overlay::{length_label, round_length_um};
use super::{Anchor, Mark, Weight, text};

/// Light or dark lettering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Ink {
    /// By what lies beneath each mark.
    #[default]
    Auto,
    /// Light letters with a dark halo.
    White,
    /// Dark letters with a light halo.
    Black,
}

/// World length of a pixel and what it is called.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// World length of a pixel.
    pub um_per_px: f64,
}

/// A colour bar.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueBar {
    /// What the values are, with their unit: "LAC (1/µm)".
    pub label: String,
    /// Values at the lower and the upper end.
    pub range: [f64; 2],
    /// Colours, the lowest first.
    pub colors: Vec<[u8; 3]>,
}

/// What is laid over a picture.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FigureStyle {
    /// A scale bar at the lower right, where the scale is known.
    pub scale: Option<Scale>,
    /// A colour bar at the upper right.
    pub values: Option<ValueBar>,
    /// A title at the upper left.
    pub title: Option<String>,
    /// Below the title: where a slice lies, for example.
    pub note: Option<String>,
    /// Names and colours of classes, at the lower left.
    pub legend: Vec<(String, [u8; 3])>,
    /// Light or dark lettering.
    pub ink: Ink,
}

/// The step of all lengths of a figure: whole pixels, so that bars have crisp edges.
pub(super) fn unit(size: [u32; 2]) -> f64 {
    f64::from((size[0].min(size[1]) / 240).clamp(1, 40))
}

/// Size of letters.
pub(super) fn letters(unit: f64) -> f64 {
    7.5 * unit + 4.0
}

const LIGHT: [u8; 3] = [255; 3];
const DARK: [u8; 3] = [18, 18, 20];

/// Colours of letters and halo for a part of the picture.
pub(super) fn inks(ink: Ink, picture: &RgbaImage, at: [f64; 2], size: [f64; 2]) -> [[u8; 3]; 2] {
    let is_dark = match ink {
        Ink::White => true,
        Ink::Black => false,
        Ink::Auto => {
            let (w, h) = picture.dimensions();
            let clip = |v: f64, n: u32| v.clamp(0.0, f64::from(n)) as u32;
            let (mut sum, mut count) = (0.0, 0.0f64);
            for y in clip(at[1], h)..clip(at[1] + size[1], h) {
                for x in clip(at[0], w)..clip(at[0] + size[0], w) {
                    let [r, g, b, a] = picture.get_pixel(x, y).0.map(f64::from);
                    // What is clear lies on white paper.
                    sum += (0.2126 * r + 0.7152 * g + 0.0722 * b) * a / 255.0 + 255.0 - a;
                    count += 1.0;
                }
            }
            sum / count.max(1.0) < 140.0
        }
    };
    if is_dark { [LIGHT, DARK] } else { [DARK, LIGHT] }
}

/// The marks of a figure. Auto ink looks at the picture as it is before anything is laid over it.
pub fn layout(picture: &RgbaImage, style: &FigureStyle) -> Vec<Mark> {
    let (width, height) = picture.dimensions();
    let place = Place { picture, style, unit: unit([width, height]), size: [width, height].map(f64::from) };
    let mut marks = Vec::new();
    place.heading(&mut marks);
    if let Some(scale) = style.scale {
        place.scale_bar(&mut marks, scale);
    }
    if let Some(values) = &style.values {
        place.value_bar(&mut marks, values);
    }
    place.legend(&mut marks);
    marks
}

struct Place<'a> {
    picture: &'a RgbaImage,
    style: &'a FigureStyle,
    unit: f64,
    size: [f64; 2],
}

impl Place<'_> {
    fn margin(&self) -> f64 {
        10.0 * self.unit
    }

    fn inks(&self, at: [f64; 2], size: [f64; 2]) -> [[u8; 3]; 2] {
        inks(self.style.ink, self.picture, at, size)
    }

    fn heading(&self, marks: &mut Vec<Mark>) {
        let px = letters(self.unit);
        let mut y = self.margin() + px * 0.75;
        let lines = [
            (self.style.title.as_ref(), px * 1.12, Weight::SemiBold),
            (self.style.note.as_ref(), px, Weight::Medium),
        ];
        for (line, px, weight) in lines {
            let Some(line) = line.filter(|line| !line.is_empty()) else { continue };
            let at = [self.margin(), y];
            let room = [text::width(line, px, weight), px];
            let [rgb, halo] = self.inks([at[0], at[1] - px * 0.8], room);
            marks.push(Mark::Text { at, anchor: Anchor::Start, px, weight, text: line.clone(), rgb, halo });
            y += px * 1.4;
        }
    }

    fn scale_bar(&self, marks: &mut Vec<Mark>, scale: Scale) {
        let length_um = scale_length_um(self.size[0] as u32, scale.um_per_px);
        let bar = (length_um / scale.um_per_px).round();
        let (right, bottom) = (self.size[0] - self.margin(), self.size[1] - self.margin());
        let (at, size) = ([right - bar, bottom - 2.0 * self.unit], [bar, 2.0 * self.unit]);
        let px = letters(self.unit);
        let ground = [at[0], at[1] - 1.3 * px];
        let [rgb, halo] = self.inks(ground, [bar, 1.3 * px + size[1]]);
        let rim = Some((halo, (self.unit * 0.5).round().max(1.0)));
        marks.push(Mark::Box { at, size, rgb, rim });
        marks.push(Mark::Text {
            at: [right - bar / 2.0, at[1] - 0.38 * px],
            anchor: Anchor::Middle,
            px,
            weight: Weight::Medium,
            text: length_label(length_um),
            rgb,
            halo,
        });
    }

    fn value_bar(&self, marks: &mut Vec<Mark>, values: &ValueBar) {
        let px = letters(self.unit);
        let (wide, high) = ((6.0 * self.unit).round(), (self.size[1] * 0.34).round());
        let right = self.size[0] - self.margin();
        let top = (self.margin() + px * 1.75).round();
        let at = [right - wide, top];
        let ticks = nice_ticks(values.range, 4);
        let longest =
            ticks.iter().map(|(_, label)| text::width(label, px, Weight::Medium)).fold(0.0, f64::max);
        let room = (longest + 5.0 * self.unit).max(text::width(&values.label, px, Weight::Medium) - wide);
        let [rgb, halo] = self.inks([at[0] - room, self.margin()], [room, top - self.margin() + high]);
        let words = |at: [f64; 2], text: String| Mark::Text {
            at,
            anchor: Anchor::End,
            px,
            weight: Weight::Medium,
            text,
            rgb,
            halo,
        };
        marks.push(words([right, self.margin() + px * 0.75], values.label.clone()));
        let line = (self.unit * 0.5).round().max(1.0);
        marks.push(Mark::Box { at, size: [wide, high], rgb: halo, rim: Some((rgb, line)) });
        marks.push(Mark::Ramp { at, size: [wide, high], colors: values.colors.clone() });
        let [low, upper] = values.range;
        for (value, label) in ticks {
            let y = top + high * (1.0 - (value - low) / (upper - low));
            let tick = 2.5 * self.unit;
            let place = [at[0] - line - tick, (y - line / 2.0).round()];
            marks.push(Mark::Box { at: place, size: [tick, line], rgb, rim: None });
            marks.push(words([place[0] - 1.5 * self.unit, y + px * 0.36], label));
        }
    }

    fn legend(&self, marks: &mut Vec<Mark>) {
        let px = letters(self.unit);
        let (swatch, step) = ((0.78 * px).round(), px * 1.36);
        let bottom = self.size[1] - self.margin();
        let n = self.style.legend.len();
        for (i, (name, color)) in self.style.legend.iter().enumerate() {
            let y = (bottom - swatch - (n - 1 - i) as f64 * step).round();
            let at = [self.margin(), y];
            let words = [self.margin() + swatch + 0.5 * px, y + swatch * 0.5 + px * 0.36];
            let room = [words[0] - at[0] + text::width(name, px, Weight::Medium), step];
            let [rgb, halo] = self.inks(at, room);
            let rim = Some((halo, (self.unit * 0.5).round().max(1.0)));
            marks.push(Mark::Box { at, size: [swatch; 2], rgb: *color, rim });
            marks.push(Mark::Text {
                at: words,
                anchor: Anchor::Start,
                px,
                weight: Weight::Medium,
                text: name.clone(),
                rgb,
                halo,
            });
        }
    }
}

/// Length of the scale bar of a picture of this width: round, at most a quarter of it.
pub(crate) fn scale_length_um(width: u32, um_per_px: f64) -> f64 {
    round_length_um(f64::from(width) * um_per_px / 4.0)
}

/// Round values within a range, about `n` steps of them, each with as many digits as its neighbours need.
pub fn nice_ticks([low, high]: [f64; 2], n: usize) -> Vec<(f64, String)> {
    let span = high - low;
    if !span.is_finite() || span <= 0.0 || n == 0 {
        return Vec::new();
    }
    let rough = span / n as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0].into_iter().map(|m| m * power).find(|step| *step >= rough * 0.999);
    let step = step.unwrap_or(10.0 * power);
    let digits = (-step.log10().floor()).max(0.0) as usize;
    let (first, last) = ((low / step - 1e-6).ceil(), (high / step + 1e-6).floor());
    let count = (last - first).max(0.0) as usize;
    (0..=count)
        .map(|i| (first + i as f64) * step)
        .filter(|value| *value <= high + 1e-6 * span)
        .map(|value| {
            let value = if value.abs() < step * 1e-6 { 0.0 } else { value };
            (value, format!("{value:.digits$}").replace('-', "−"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        let labels = |range| nice_ticks(range, 4).into_iter().map(|(_, label)| label).collect::<Vec<_>>();
        assert_eq!(labels([0.13, 0.58]), ["0.2", "0.4"]);
        assert_eq!(labels([0.0, 1.0]), ["0.0", "0.5", "1.0"]);
        assert_eq!(labels([-10.0, 30.0]), ["−10", "0", "10", "20", "30"]);
        assert_eq!(labels([1.0, 1.0]), [""; 0]);
        assert_eq!(labels([f64::NAN, 1.0]), [""; 0]);
    }

    #[test]
    fn lettering_is_light_on_dark_and_dark_on_paper() {
        let style = FigureStyle { scale: Some(Scale { um_per_px: 0.01 }), ..FigureStyle::default() };
        let bar_of = |ground: [u8; 4], ink: Ink| {
            let picture = RgbaImage::from_pixel(300, 200, image::Rgba(ground));
            match layout(&picture, &FigureStyle { ink, ..style.clone() }).first() {
                Some(Mark::Box { rgb, .. }) => rgb[0] > 128,
                other => panic!("{other:?}"),
            }
        };
        assert!(bar_of([20, 20, 20, 255], Ink::Auto));
        assert!(!bar_of([230, 230, 230, 255], Ink::Auto));
        assert!(!bar_of([0, 0, 0, 0], Ink::Auto), "clear is paper");
        assert!(bar_of([230, 230, 230, 255], Ink::White));
        assert!(!bar_of([20, 20, 20, 255], Ink::Black));
    }

    #[test]
    fn everything_lies_within_the_picture() {
        let style = FigureStyle {
            scale: Some(Scale { um_per_px: 0.01 }),
            values: Some(ValueBar {
                label: "LAC (1/µm)".to_owned(),
                range: [0.1, 0.7],
                colors: vec![[0; 3], [255; 3]],
            }),
            title: Some("Yeast, G1".to_owned()),
            note: Some("z = 1.25 µm".to_owned()),
            legend: vec![("nucleus".to_owned(), [9, 9, 200]), ("vacuole".to_owned(), [200, 9, 9])],
            ink: Ink::Auto,
        };
        for (w, h) in [(200, 160), (640, 480), (480, 1200), (3000, 2000)] {
            let picture = RgbaImage::from_pixel(w, h, image::Rgba([60, 60, 60, 255]));
            for mark in layout(&picture, &style) {
                let (low, high) = match &mark {
                    Mark::Box { at, size, .. } | Mark::Ramp { at, size, .. } => {
                        (*at, [at[0] + size[0], at[1] + size[1]])
                    }
                    Mark::Line { .. } => continue,
                    Mark::Text { at, anchor, px, weight, text, .. } => {
                        let width = text::width(text, *px, *weight);
                        let left = at[0]
                            - match anchor {
                                Anchor::Start => 0.0,
                                Anchor::Middle => width / 2.0,
                                Anchor::End => width,
                            };
                        ([left, at[1] - px * 0.8], [left + width, at[1]])
                    }
                };
                let inside =
                    low[0] >= 0.0 && low[1] >= 0.0 && high[0] <= f64::from(w) && high[1] <= f64::from(h);
                assert!(inside, "{w} × {h}: {mark:?}");
            }
        }
    }
}
