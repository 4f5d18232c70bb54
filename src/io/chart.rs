//! Line charts as SVG: what a curve looks like in a report or a paper.

use std::fmt::Write as _;

use super::text::escaped;
use crate::measure::fsc::{Curve, Shell};

/// A curve of a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct ChartLine {
    /// What it is called in the legend.
    pub name: String,
    /// Points (x, y) from left to right; where one is not finite the line is broken.
    pub points: Vec<[f64; 2]>,
    /// Colour, red, green, blue.
    pub color: [u8; 3],
    /// Whether it is drawn in dashes, as thresholds are.
    pub dashed: bool,
}

/// A chart of curves over one axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// What stands above it.
    pub title: String,
    /// What runs to the right, with its unit.
    pub x_label: String,
    /// What runs up, with its unit.
    pub y_label: String,
    /// Ends of the axis that runs up; from the values where not given.
    pub y_range: Option<[f64; 2]>,
    /// The curves, drawn in this order.
    pub lines: Vec<ChartLine>,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 36.0;
const BOTTOM: f64 = 52.0;

/// Round numbers from `low` to `high`, about `n` of them.
fn ticks([low, high]: [f64; 2], n: usize) -> Vec<f64> {
    let span = high - low;
    if !span.is_finite() || span <= 0.0 {
        return vec![low];
    }
    let rough = span / n as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|step| *step >= rough).unwrap_or(rough);
    let last = (high / step + 1e-9).floor();
    let next = |i: &f64| (*i < last).then_some(i + 1.0);
    let first = Some((low / step - 1e-9).ceil()).filter(|first| *first <= last);
    std::iter::successors(first, next).take(50).map(|i| i * step).collect()
}

/// A tick with as many digits as its neighbours need.
fn tick_text(value: f64, step: f64) -> String {
    let finer = |scale: &f64| (scale * step.abs() < 0.999 && *scale < 1e9).then_some(scale * 10.0);
    let digits = std::iter::successors(Some(1.0), finer).count() - 1;
    let text = format!("{value:.digits$}");
    if text.trim_start_matches(['-', '0', '.']).is_empty() { text.replace('-', "") } else { text }
}

fn range(values: impl Iterator<Item = f64>) -> [f64; 2] {
    let [low, high] = values
        .filter(|v| v.is_finite())
        .fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], v| [low.min(v), high.max(v)]);
    if low > high {
        [0.0, 1.0]
    } else if low == high {
        [low - 0.5, high + 0.5]
    } else {
        [low, high]
    }
}

impl Chart {
    /// The chart as a picture that any browser and drawing program opens; black on white.
    pub fn svg(&self) -> String {
        let all = || self.lines.iter().flat_map(|line| &line.points);
        let xs = range(all().map(|p| p[0]));
        let ys = self.y_range.unwrap_or_else(|| range(all().map(|p| p[1])));
        let x_at = |x: f64| LEFT + (x - xs[0]) / (xs[1] - xs[0]) * (WIDTH - LEFT - RIGHT);
        let y_at = |y: f64| HEIGHT - BOTTOM - (y - ys[0]) / (ys[1] - ys[0]) * (HEIGHT - TOP - BOTTOM);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
             font-family=\"Inter, Helvetica, Arial, sans-serif\" font-size=\"12\" fill=\"#222\">\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n"
        );
        let title = escaped(&self.title);
        let _ =
            writeln!(svg, "<text x=\"{LEFT}\" y=\"22\" font-size=\"14\" font-weight=\"600\">{title}</text>");
        self.axes(&mut svg, xs, ys, &x_at, &y_at);
        for line in &self.lines {
            let [r, g, b] = line.color;
            let dash = if line.dashed { " stroke-dasharray=\"5 4\"" } else { "" };
            for piece in line.points.split(|p| !p[0].is_finite() || !p[1].is_finite()).filter(|p| p.len() > 1)
            {
                let _ = write!(
                    svg,
                    "<polyline fill=\"none\" stroke=\"#{r:02x}{g:02x}{b:02x}\" stroke-width=\"1.6\"{dash} points=\""
                );
                for [x, y] in piece {
                    let _ = write!(svg, "{:.1},{:.1} ", x_at(*x), y_at(y.clamp(ys[0], ys[1])));
                }
                svg.push_str("\"/>\n");
            }
        }
        self.legend(&mut svg);
        svg.push_str("</svg>\n");
        svg
    }

    fn axes(
        &self,
        svg: &mut String,
        xs: [f64; 2],
        ys: [f64; 2],
        x_at: &dyn Fn(f64) -> f64,
        y_at: &dyn Fn(f64) -> f64,
    ) {
        let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        let (x_ticks, y_ticks) = (ticks(xs, 6), ticks(ys, 5));
        let step = |ticks: &[f64]| if let [a, b, ..] = ticks { b - a } else { 1.0 };
        for x in &x_ticks {
            let (at, text) = (x_at(*x), tick_text(*x, step(&x_ticks)));
            let _ = writeln!(
                svg,
                "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{bottom}\" stroke=\"#e6e6e6\"/><text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>",
                bottom + 18.0
            );
        }
        for y in &y_ticks {
            let (at, text) = (y_at(*y), tick_text(*y, step(&y_ticks)));
            let _ = writeln!(
                svg,
                "<line x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#e6e6e6\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
                LEFT - 8.0,
                at + 4.0
            );
        }
        let _ = writeln!(svg, "<path d=\"M{LEFT} {TOP}V{bottom}H{right}\" fill=\"none\" stroke=\"#444\"/>");
        let (x_label, y_label) = (escaped(&self.x_label), escaped(&self.y_label));
        let (middle_x, middle_y) = (f64::midpoint(LEFT, right), f64::midpoint(TOP, bottom));
        let _ = writeln!(
            svg,
            "<text x=\"{middle_x}\" y=\"{:.1}\" text-anchor=\"middle\">{x_label}</text>",
            HEIGHT - 14.0
        );
        let _ = writeln!(
            svg,
            "<text transform=\"translate(16 {middle_y}) rotate(-90)\" text-anchor=\"middle\">{y_label}</text>"
        );
    }

    fn legend(&self, svg: &mut String) {
        if self.lines.len() < 2 {
            return;
        }
        for (i, line) in self.lines.iter().enumerate() {
            let (y, x) = (TOP + 14.0 + 17.0 * i as f64, WIDTH - RIGHT - 132.0);
            let ([r, g, b], name) = (line.color, escaped(&line.name));
            let dash = if line.dashed { " stroke-dasharray=\"5 4\"" } else { "" };
            let _ = writeln!(
                svg,
                "<line x1=\"{x}\" x2=\"{:.1}\" y1=\"{y}\" y2=\"{y}\" stroke=\"#{r:02x}{g:02x}{b:02x}\" stroke-width=\"2\"{dash}/><text x=\"{:.1}\" y=\"{:.1}\">{name}</text>",
                x + 22.0,
                x + 28.0,
                y + 4.0
            );
        }
    }
}

/// The curve of a Fourier shell correlation with its thresholds, and those along the axes.
pub fn fsc_chart(curve: &Curve) -> Chart {
    let scale = if curve.in_um { 1e-3 } else { 1.0 };
    let line = |name: &str, color, dashed, value: &dyn Fn(&Shell) -> f64| ChartLine {
        name: name.to_owned(),
        points: curve.shells.iter().map(|shell| [shell.frequency * scale, value(shell)]).collect(),
        color,
        dashed,
    };
    let cone = |axis: usize| move |shell: &Shell| shell.cones_zyx[axis].unwrap_or(f64::NAN);
    Chart {
        title: "Fourier shell correlation".to_owned(),
        x_label: format!("Spatial frequency (1/{})", if curve.in_um { "nm" } else { "voxel" }),
        y_label: "Correlation".to_owned(),
        y_range: Some([-0.1, 1.0]),
        lines: vec![
            line("along z", [214, 120, 60], false, &cone(0)),
            line("along y", [96, 160, 90], false, &cone(1)),
            line("along x", [120, 130, 200], false, &cone(2)),
            line("0.25", [150, 150, 150], true, &|_| 0.25),
            line("0.143", [110, 110, 110], true, &|_| 0.143),
            line("half-bit", [180, 120, 160], true, &|shell| shell.half_bit),
            line("all directions", [20, 90, 170], false, &|shell| shell.fsc),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks([0.0, 1.0], 5), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!(ticks([-3.0, 12.0], 5), [0.0, 5.0, 10.0]);
        assert_eq!(ticks([2.0, 2.0], 5), [2.0]);
        assert_eq!(tick_text(-0.0, 0.2), "0.0");
        assert_eq!(tick_text(0.025, 0.005), "0.025");
    }

    #[test]
    fn a_chart_is_well_formed_whatever_it_is_called_and_holds() {
        let line = |name: &str, points| ChartLine {
            name: name.to_owned(),
            points,
            color: [10, 20, 30],
            dashed: true,
        };
        let chart = Chart {
            title: "a < b & \"c\"".to_owned(),
            x_label: "1/nm".to_owned(),
            y_label: "FSC".to_owned(),
            y_range: Some([0.0, 1.0]),
            lines: vec![
                line("curve", vec![[0.0, 1.0], [1.0, 0.5], [2.0, f64::NAN], [3.0, 0.2], [4.0, -7.0]]),
                line("nothing", Vec::new()),
            ],
        };
        let svg = chart.svg();
        assert!(svg.contains("a &lt; b &amp; &quot;c&quot;") && !svg.contains("NaN"));
        assert_eq!(svg.matches("<polyline").count(), 2, "the line is broken where it is not known");
        let empty = Chart { lines: Vec::new(), ..chart };
        assert!(empty.svg().ends_with("</svg>\n"));
    }
}
