//! The Fourier view: what was measured of a volume across its rotation axis, and which wedge was not.

use std::sync::Arc;

use egui::{Color32, Pos2, Rect, Sense, Shape, Stroke, vec2};

use super::super::background::Background;
use super::super::frame::Cx;
use super::super::{theme, widgets};
use crate::base::Progress;
use crate::measure::fsc::{Criterion, Crossing, Curve};
use crate::measure::spectrum::{Spectrum, missing_wedges_deg, spectrum};
use crate::project::{Layer, LayerId};
use crate::volume::Volume;

/// Edge of the picture, at most, in points.
const LARGEST: f32 = 240.0;

type Key = (LayerId, u64);

/// The spectrum of one volume, and its picture.
#[derive(Default)]
pub(crate) struct Fourier {
    found: Background<Key, (Key, Arc<Spectrum>)>,
    texture: Option<(Key, egui::TextureHandle)>,
}

impl Fourier {
    /// The spectrum of a volume and its picture; the last ones until they are there.
    fn get(&mut self, ctx: &egui::Context, layer: &Layer) -> Option<(Arc<Spectrum>, egui::TextureHandle)> {
        let volume: Arc<Volume<f32>> = Arc::clone(layer.volume()?);
        let key = (layer.id, layer.revision);
        let made = self.found.get(&key, false, Some(ctx), move || {
            // Nobody can cancel it, so there always is one; an empty one is drawn as nothing.
            let found = spectrum(&Progress::new(), &volume)
                .unwrap_or(Spectrum { log_power: ndarray::Array2::default((0, 0)), nyquist_zx: [1.0; 2] });
            (key, Arc::new(found))
        });
        let (made_of, found) = made?;
        if let Some((have, texture)) = &self.texture
            && have == made_of
        {
            return Some((Arc::clone(found), texture.clone()));
        }
        let [low, high] = found.window();
        let (rows, cols) = found.log_power.dim();
        let grey: Vec<u8> =
            found.log_power.iter().map(|value| ((value - low) / (high - low) * 255.0) as u8).collect();
        let picture = egui::ColorImage::from_gray([cols, rows], &grey);
        let texture = ctx.load_texture("fourier", picture, egui::TextureOptions::LINEAR);
        self.texture = Some((*made_of, texture.clone()));
        Some((Arc::clone(found), texture))
    }
}

/// Draws it for a reconstruction, with a ring at the resolution of its curve.
pub(crate) fn show(ui: &mut egui::Ui, volume: LayerId, curve: Option<&Curve>, cx: &mut Cx<'_>) {
    let Some(layer) = cx.session.project().layer(volume) else { return };
    widgets::divider(ui);
    widgets::heading(ui, "Fourier view");
    let Some((found, texture)) = cx.derived.fourier.get(ui.ctx(), layer) else {
        widgets::hint(ui, "The spectrum across the rotation axis is on its way.");
        return;
    };
    if found.log_power.is_empty() {
        return;
    }
    let t = theme::of(ui);
    let edge = ui.available_width().min(LARGEST);
    let (outer, response) = ui.allocate_exact_size(vec2(ui.available_width(), edge), Sense::hover());
    let enabled = ui.is_enabled();
    response.widget_info(|| {
        egui::WidgetInfo::labeled(egui::Role::Image, enabled, "Power across the rotation axis")
    });
    let rect = Rect::from_center_size(outer.center(), vec2(edge, edge));
    let painter = ui.painter().with_clip_rect(rect);
    painter.rect_filled(rect, 0, t.canvas);
    egui::Image::new(&texture).paint_at(ui, rect);

    let tilts = cx.session.tilts_of(volume);
    let wedges = tilts.as_deref().map(missing_wedges_deg);
    for wedge in wedges.iter().flatten() {
        paint_wedge(&painter, rect, &found, *wedge, t.accent);
    }
    if let Some(Crossing::At(frequency)) = curve.map(|curve| curve.crossing(Criterion::Seventh)) {
        let ring: Vec<Pos2> = (0..=96)
            .map(|i| {
                let angle = f64::from(i) / 96.0 * std::f64::consts::TAU;
                place(rect, &found, [frequency * angle.sin(), frequency * angle.cos()])
            })
            .collect();
        painter.extend(Shape::dashed_line(&ring, Stroke::new(1.0, t.on_canvas), 4.0, 4.0));
    }
    let ink = t.on_canvas.gamma_multiply(0.8);
    let font = egui::FontId::proportional(11.0);
    let (right, bottom) = (rect.right_center() - vec2(4.0, 8.0), rect.center_bottom() + vec2(8.0, -3.0));
    painter.text(right, egui::Align2::RIGHT_CENTER, "kx", font.clone(), ink);
    painter.text(bottom, egui::Align2::LEFT_BOTTOM, "kz", font, ink);
    widgets::hint(ui, &words(wedges.as_deref(), curve.is_some())).on_hover_text(
        "Power of the sections across the rotation axis, logarithmic, frequency zero in the middle",
    );
}

fn words(wedges: Option<&[[f64; 2]]>, is_judged: bool) -> String {
    let mut said = match wedges {
        None => {
            "The tilts that the volume was made from are not known, so no missing wedge is drawn.".to_owned()
        }
        Some([]) => "The views go all round: no wedge is missing.".to_owned(),
        Some(wedges) => {
            let all: f64 = wedges.iter().map(|[from, to]| to - from).sum();
            format!(
                "Between the lines no view measured anything: {all:.0}° of 180° are missing, and what shows there was made up by the method."
            )
        }
    };
    if is_judged {
        said.push_str(" The ring is the resolution at 0.143.");
    }
    said
}

fn place(rect: Rect, found: &Spectrum, frequency_zx: [f64; 2]) -> Pos2 {
    let [down, right] = found.place(frequency_zx);
    rect.min + vec2(right as f32, down as f32) * rect.size()
}

/// Both halves of a wedge of tilts that no view has, [from, to] in degrees.
fn paint_wedge(painter: &egui::Painter, rect: Rect, found: &Spectrum, wedge: [f64; 2], color: Color32) {
    // Beyond the corners, cut off by the picture.
    let far = 2.0 * found.nyquist_zx[0].hypot(found.nyquist_zx[1]);
    let [from, to] = wedge.map(f64::to_radians);
    for side in [1.0, -1.0] {
        let end = |tilt: f64| place(rect, found, [-side * far * tilt.sin(), side * far * tilt.cos()]);
        let steps = 1 + ((to - from) / 0.2).ceil() as usize;
        let at = |i: usize| from + (to - from) * i as f64 / steps as f64;
        for i in 0..steps {
            let piece = vec![rect.center(), end(at(i)), end(at(i + 1))];
            painter.add(Shape::convex_polygon(piece, color.gamma_multiply(0.16), Stroke::NONE));
        }
        for tilt in [from, to] {
            painter.line_segment([rect.center(), end(tilt)], Stroke::new(1.25, color));
        }
    }
}
