//! The report of a reconstruction: one HTML page with pictures, curves and numbers, complete in itself.

use std::fmt::Write as _;
use std::io::Cursor;

use base64::Engine as _;
use image::{GrayImage, ImageFormat, Luma};
use ndarray::{ArrayView2, Axis};

use super::chart::{Chart, ChartLine, fsc_chart};
use super::text::escaped;
use crate::measure::fsc::{Criterion, Curve};
use crate::volume::{Alignment, Histogram, TiltSeries, Volume};

/// Pictures are not made larger than this many pixels along a side.
const LARGEST: usize = 640;

/// What a report is made of; what is missing is left out of the page.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// What stands above it.
    pub title: &'a str,
    /// What was done and with what, as name and value.
    pub facts: &'a [(String, String)],
    /// The reconstruction.
    pub volume: &'a Volume<f32>,
    /// The views it was made from.
    pub series: Option<&'a TiltSeries>,
    /// Where they were.
    pub alignment: Option<&'a Alignment>,
    /// The Fourier shell correlation of its halves.
    pub curve: Option<&'a Curve>,
    /// Standard deviation of the noise around every voxel.
    pub noise: Option<&'a Volume<f32>>,
    /// Sentences that the work left: assumptions, warnings.
    pub notes: &'a [String],
}

impl Report<'_> {
    /// The page.
    pub fn html(&self) -> String {
        let title = escaped(self.title);
        let mut page = format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n<style>\n\
             body{{font:15px/1.5 Inter,Helvetica,Arial,sans-serif;color:#222;background:#fff;max-width:1000px;margin:32px auto;padding:0 20px}}\n\
             h1{{font-size:24px;margin:0 0 8px}}h2{{font-size:17px;margin:32px 0 8px;border-bottom:1px solid #ddd;padding-bottom:4px}}\n\
             table{{border-collapse:collapse}}td{{padding:2px 16px 2px 0;vertical-align:top}}td:first-child{{color:#666;white-space:nowrap}}\n\
             .row{{display:flex;flex-wrap:wrap;gap:16px}}figure{{margin:0;max-width:320px}}figure svg{{width:100%;height:auto;background:#000}}\n\
             figcaption{{font-size:13px;color:#666}}.note{{background:#fff7e0;border-left:3px solid #d9a400;padding:6px 12px;margin:6px 0}}\n\
             .chart svg{{max-width:100%;height:auto}}\n</style></head><body>\n<h1>{title}</h1>\n"
        );
        for note in self.notes {
            let _ = writeln!(page, "<p class=\"note\">{}</p>", escaped(note));
        }
        self.facts(&mut page);
        self.slices(&mut page);
        self.resolution(&mut page);
        self.values(&mut page);
        self.views(&mut page);
        let version = env!("CARGO_PKG_VERSION");
        let _ = write!(
            page,
            "<p style=\"color:#888;margin-top:40px\">Made by Waterwindow {version}.</p>\n</body></html>\n"
        );
        page
    }

    fn facts(&self, page: &mut String) {
        let shape = self.volume.shape();
        let mut rows = vec![(
            "Volume".to_owned(),
            format!(
                "{} × {} × {} voxels (z, y, x), in {}",
                shape[0],
                shape[1],
                shape[2],
                self.volume.unit.ascii()
            ),
        )];
        rows.push((
            "Voxel".to_owned(),
            self.volume.voxel_um.map_or_else(
                || "size unknown".to_owned(),
                |um| format!("{:.1} × {:.1} × {:.1} nm", um[0] * 1e3, um[1] * 1e3, um[2] * 1e3),
            ),
        ));
        if let Some(series) = self.series {
            let ends = series
                .angles_deg
                .iter()
                .fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], a| [low.min(*a), high.max(*a)]);
            let out = self.alignment.map_or(0, |a| a.views.iter().filter(|view| !view.used).count());
            let out = if out > 0 { format!(", {out} left out") } else { String::new() };
            rows.push((
                "Views".to_owned(),
                format!("{} from {:.1}° to {:.1}°{out}", series.n_views(), ends[0], ends[1]),
            ));
            rows.extend(series.energy_ev.map(|ev| ("Photon energy".to_owned(), format!("{ev:.1} eV"))));
        }
        rows.extend_from_slice(self.facts);
        table(page, &rows);
    }

    fn slices(&self, page: &mut String) {
        page.push_str("<h2>Slices through the middle</h2>\n<div class=\"row\">\n");
        pictures(page, self.volume, "");
        page.push_str("</div>\n");
    }

    fn resolution(&self, page: &mut String) {
        let Some(curve) = self.curve else { return };
        page.push_str("<h2>Resolution</h2>\n<div class=\"chart\">");
        page.push_str(&fsc_chart(curve).svg());
        page.push_str("</div>\n");
        let text = |crossing| curve.crossing_text(crossing);
        let mut rows: Vec<_> = Criterion::ALL
            .into_iter()
            .map(|criterion| {
                (format!("At {}", criterion.name().replace('_', "-")), text(curve.crossing(criterion)))
            })
            .collect();
        for (axis, name) in ["z", "y", "x"].into_iter().enumerate() {
            rows.push((
                format!("Along {name}, at 0.143"),
                text(curve.cone_crossing(axis, Criterion::Seventh)),
            ));
        }
        table(page, &rows);
        page.push_str(
            "<p>Full periods; the half pitch is half of each. Even and odd views share the alignment.</p>\n",
        );
        if let Some(noise) = self.noise {
            page.push_str("<h2>Noise</h2>\n<div class=\"row\">\n");
            pictures(page, noise, "noise, ");
            page.push_str("</div>\n");
        }
    }

    fn values(&self, page: &mut String) {
        let [low, high] = window(self.volume.values());
        let span = (high - low) * 0.3;
        let histogram = Histogram::of(self.volume.values(), low - span, high + span, 200);
        let points = histogram.counts.iter().enumerate();
        let points = points.map(|(bin, n)| [f64::from(histogram.center(bin)), *n as f64]).collect();
        let chart = Chart {
            title: "Histogram".to_owned(),
            x_label: format!("Value ({})", self.volume.unit.ascii()),
            y_label: "Voxels".to_owned(),
            y_range: None,
            lines: vec![ChartLine {
                name: "all voxels".to_owned(),
                points,
                color: [20, 90, 170],
                dashed: false,
            }],
        };
        let _ = writeln!(page, "<h2>Values</h2>\n<div class=\"chart\">{}</div>", chart.svg());
    }

    fn views(&self, page: &mut String) {
        if self.series.is_none() && self.alignment.is_none() {
            return;
        }
        page.push_str("<h2>Views and alignment</h2>\n");
        if let Some(alignment) = self.alignment {
            let line = |name: &str, color, value: &dyn Fn(&crate::volume::ViewShift) -> f64| ChartLine {
                name: name.to_owned(),
                points: alignment
                    .views
                    .iter()
                    .enumerate()
                    .map(|(i, view)| [i as f64, if view.used { value(view) } else { f64::NAN }])
                    .collect(),
                color,
                dashed: false,
            };
            let chart = Chart {
                title: "Shifts of the views".to_owned(),
                x_label: "View".to_owned(),
                y_label: "Shift (px)".to_owned(),
                y_range: None,
                lines: vec![
                    line("x", [200, 70, 60], &|view| view.shift_x_px),
                    line("y", [70, 140, 70], &|view| view.shift_y_px),
                ],
            };
            let _ = writeln!(page, "<div class=\"chart\">{}</div>", chart.svg());
            let mut rows = vec![("Method".to_owned(), alignment.method.clone())];
            rows.extend(alignment.score.map(|score| ("Score".to_owned(), format!("{score:.3}"))));
            table(page, &rows);
        }
        if let Some(series) = self.series.filter(|series| !series.data.is_empty()) {
            page.push_str("<div class=\"row\">\n");
            let nearest = series.angles_deg.iter().enumerate();
            let nearest = nearest.min_by(|a, b| a.1.abs().total_cmp(&b.1.abs())).map_or(0, |(view, _)| view);
            let view = series.data.index_axis(Axis(0), nearest);
            let caption = format!(
                "view {} at {:.1}°",
                nearest + 1,
                series.angles_deg.get(nearest).copied().unwrap_or(0.0)
            );
            picture(page, view, [1.0; 2], series.pixel_um, &caption);
            let row = series.n_rows() / 2;
            picture(
                page,
                series.data.index_axis(Axis(1), row),
                [1.0; 2],
                None,
                &format!("sinogram of row {row}"),
            );
            page.push_str("</div>\n");
        }
    }
}

fn table(page: &mut String, rows: &[(String, String)]) {
    page.push_str("<table>\n");
    for (name, value) in rows {
        let _ = writeln!(page, "<tr><td>{}</td><td>{}</td></tr>", escaped(name), escaped(value));
    }
    page.push_str("</table>\n");
}

/// The three slices through the middle of a volume.
fn pictures(page: &mut String, volume: &Volume<f32>, what: &str) {
    let shape = volume.shape();
    if shape.contains(&0) {
        return;
    }
    let voxel = volume.voxel_um_or_one();
    for (axis, name) in [(0, "xy"), (1, "xz"), (2, "zy")] {
        let slice = volume.data.index_axis(Axis(axis), shape[axis] / 2);
        // Rows of a picture run down, columns to the right; the plane across x shows z to the right.
        let (slice, edges) = match axis {
            0 => (slice, [voxel[1], voxel[2]]),
            1 => (slice, [voxel[0], voxel[2]]),
            _ => (slice.reversed_axes(), [voxel[1], voxel[0]]),
        };
        let um = volume.voxel_um.map(|_| edges[1]);
        picture(
            page,
            slice,
            [edges[0] / edges[1], 1.0],
            um,
            &format!("{what}{name}, slice {}", shape[axis] / 2),
        );
    }
}

/// Values that the first and the last grey stand for: all but the outermost half per cent.
fn window(values: &[f32]) -> [f32; 2] {
    let step = (values.len() / 200_000).max(1);
    let mut sample: Vec<f32> = values.iter().step_by(step).copied().filter(|v| v.is_finite()).collect();
    if sample.is_empty() {
        return [0.0, 1.0];
    }
    sample.sort_unstable_by(f32::total_cmp);
    let at = |per_mille: usize| sample[(sample.len() - 1) * per_mille / 1000];
    let (low, high) = (at(5), at(995));
    if high > low { [low, high] } else { [low - 0.5, low + 0.5] }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255, and a NaN becomes 0")]
fn grey(part: f32) -> u8 {
    (part * 255.0).round() as u8
}

/// A slice as a picture with a scale bar; `stretch` are the edges of a pixel, down and right, in those to the right.
fn picture(
    page: &mut String,
    slice: ArrayView2<'_, f32>,
    stretch: [f64; 2],
    pixel_um: Option<f64>,
    caption: &str,
) {
    let (rows, cols) = slice.dim();
    if rows == 0 || cols == 0 {
        return;
    }
    let step = rows.max(cols).div_ceil(LARGEST);
    let values: Vec<f32> = slice.iter().copied().collect();
    let [low, high] = window(&values);
    let (height, width) = (rows.div_ceil(step), cols.div_ceil(step));
    let (Ok(w), Ok(h)) = (u32::try_from(width), u32::try_from(height)) else { return };
    let gray = GrayImage::from_fn(w, h, |x, y| {
        let value = slice.get((y as usize * step, x as usize * step)).copied().unwrap_or(low);
        let part = ((value - low) / (high - low)).clamp(0.0, 1.0);
        Luma([grey(part)])
    });
    let mut png = Cursor::new(Vec::new());
    if gray.write_to(&mut png, ImageFormat::Png).is_err() {
        return;
    }
    let data = base64::engine::general_purpose::STANDARD.encode(png.into_inner());
    let (box_width, box_height) = (cols as f64, rows as f64 * stretch[0] / stretch[1]);
    let _ = write!(
        page,
        "<figure><svg viewBox=\"0 0 {box_width:.1} {box_height:.1}\"><image width=\"{box_width:.1}\" height=\"{box_height:.1}\" preserveAspectRatio=\"none\" href=\"data:image/png;base64,{data}\"/>"
    );
    let mut told = format!("{caption}; grey from {low:.3} to {high:.3}");
    if let Some(um) = pixel_um.filter(|um| *um > 0.0) {
        // The longest round length that takes a quarter of the width at most.
        let most = box_width * um / 4.0;
        let power = 10f64.powf(most.log10().floor());
        let length = [5.0, 2.0, 1.0].into_iter().map(|m| m * power).find(|l| *l <= most).unwrap_or(power);
        let (margin, bar) = (box_width * 0.03, length / um);
        let (y, thick) = (box_height - margin - box_width * 0.012, box_width * 0.012);
        let _ = write!(
            page,
            "<rect x=\"{margin:.1}\" y=\"{y:.1}\" width=\"{bar:.1}\" height=\"{thick:.1}\" fill=\"#fff\"/>"
        );
        let unit = if length < 1.0 { format!("{:.0} nm", length * 1e3) } else { format!("{length:.0} µm") };
        let _ = write!(told, "; bar {unit}");
    }
    let _ = writeln!(page, "</svg><figcaption>{}</figcaption></figure>", escaped(&told));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Unit;
    use ndarray::Array3;

    #[test]
    fn a_report_holds_what_is_there_and_no_stranger_s_markup() {
        let mut data = Array3::from_shape_fn((8, 12, 20), |(z, y, x)| (z + y + x) as f32 * 0.01);
        data[[4, 6, 10]] = f32::NAN;
        let volume = Volume::new(data, Some([0.02, 0.01, 0.01]), Unit::PerUm);
        let alignment = Alignment::identity(&[-1.0, 0.0, 1.0]);
        let facts = [("Method".to_owned(), "<script>alert(1)</script>".to_owned())];
        let report = Report {
            title: "cell & <b>co</b>",
            facts: &facts,
            volume: &volume,
            series: None,
            alignment: Some(&alignment),
            curve: None,
            noise: None,
            notes: &["a warning".to_owned()],
        };
        let page = report.html();
        assert!(page.starts_with("<!DOCTYPE html>") && page.trim_end().ends_with("</html>"));
        assert!(!page.contains("<script>") && page.contains("&lt;script&gt;") && page.contains("a warning"));
        assert_eq!(page.matches("data:image/png;base64,").count(), 3, "three slices");
        assert!(page.contains("Shifts of the views") && !page.contains("Resolution"));
        // The plane across the rows is as deep as it is in the world: 8 voxels of 20 nm over 20 of 10 nm.
        assert!(page.contains("viewBox=\"0 0 20.0 16.0\""));
        let empty = Volume::new(Array3::<f32>::zeros((0, 4, 4)), None, Unit::PerVoxel);
        assert!(Report { volume: &empty, alignment: None, ..report }.html().contains("size unknown"));
    }
}
