//! The list of annotations: tools to draw them, names, values, the plot along a line, files.

use egui::{Align2, Sense, vec2};
use glam::DVec3;

use super::super::commands::{CommandId, find};
use super::super::frame::Cx;
use super::super::rulers;
use super::super::state::{self, Dialog, Tilt, Tool, ViewKind, ViewState};
use super::super::widgets::plot::{Curve, Plot};
use super::super::widgets::{self, Button, Number};
use super::super::{dialogs, icons, theme};
use crate::measure::ruler::{Profile, RulerKind};
use crate::project::{Annotation, Layer, Project};
use crate::session::Session;

/// Rows of points that are offered as numbers.
const MAX_ROWS: usize = 24;

/// The tools, as the commands that take them.
pub(crate) const TOOLS: [(RulerKind, CommandId); 4] = [
    (RulerKind::Distance, CommandId::MeasureDistance),
    (RulerKind::Angle, CommandId::MeasureAngle),
    (RulerKind::Area, CommandId::MeasureArea),
    (RulerKind::Profile, CommandId::MeasureProfile),
];

/// Draws it.
pub(crate) fn show(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    if !cx.facts.volume {
        return;
    }
    let session = cx.session;
    let project = session.project();
    widgets::divider(ui);
    heading(ui, project, cx);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 3.0;
        for (kind, id) in TOOLS {
            let entry = find(id);
            let on = cx.view.tool == Tool::Measure(kind);
            let tooltip = entry.tooltip_with_key();
            if widgets::icon_sized(ui, entry.icon, entry.label, &tooltip, on, 28.0).clicked() {
                cx.queue.run(id);
            }
        }
    });
    if let Tool::Measure(kind) = cx.view.tool {
        let point = find(CommandId::MeasurePoint).shortcut();
        let how = match kind {
            RulerKind::Distance | RulerKind::Profile => "Drag a line in a slice, or click its ends.",
            RulerKind::Angle => "Click three points; the angle is at the second.",
            RulerKind::Area => "Click corners and close with Enter, or draw freehand.",
        };
        widgets::hint(ui, &format!("{how} {point} sets a point at the pointer or the crosshair."));
    } else if project.annotations.is_empty() {
        widgets::hint(ui, "Distances, angles, areas and line profiles stay in the project.");
    }
    ui.spacing_mut().item_spacing.y = 2.0;
    for one in &project.annotations {
        row(ui, one, project, cx);
        if cx.view.rulers.chosen == Some(one.id) {
            details(ui, one, project, cx);
        }
    }
}

fn heading(ui: &mut egui::Ui, project: &Project, cx: &mut Cx<'_>) {
    widgets::heading_row(ui, "Annotations", |ui| {
        let tooltip = "A CSV file with a row for each: µm, degrees, mean ± sd of the values in areas";
        if !project.annotations.is_empty()
            && widgets::icon_button(ui, icons::TABLE, "Save annotations as CSV", tooltip).clicked()
        {
            cx.view.dialog = Some(Dialog::Write(dialogs::WriteForm {
                what: dialogs::WriteWhat::Annotations,
                title: "Save annotations".to_owned(),
                hint: "A CSV file with a row for each annotation".to_owned(),
                path: super::export::in_documents(&format!("{}_annotations.csv", project.name)),
            }));
        }
    });
}

fn row(ui: &mut egui::Ui, one: &Annotation, project: &Project, cx: &mut Cx<'_>) {
    let t = theme::of(ui);
    let layer = state::main_volume(project, cx.view);
    let (unit, value_unit) = (state::length_unit(layer), layer.map_or("", state::value_unit));
    let text = rulers::value_text(one.kind, cx.view.rulers.measured(one, layer), unit, value_unit);
    // The mean of an area stands below, where there is room.
    let short = text.split("  ·  ").next().unwrap_or_default().to_owned();
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 28.0), Sense::click());
    let chosen = cx.view.rulers.chosen == Some(one.id);
    response.widget_info(|| {
        let says = format!("Annotation {}, {text}", one.name);
        egui::WidgetInfo::selected(egui::Role::ListItem, true, chosen, says)
    });
    if chosen || ui.rect_contains_pointer(rect) {
        let fill = if chosen { t.accent_soft } else { t.raised };
        ui.painter().rect_filled(rect, theme::RADIUS, fill);
    }
    let mut inner = ui.new_child(
        egui::UiBuilder::new()
            .max_rect(rect.shrink2(vec2(2.0, 2.0)))
            .layout(egui::Layout::left_to_right(egui::Align::Center)),
    );
    let icon = if one.visible { icons::EYE } else { icons::EYE_SLASH };
    let name = format!("{} {}", if one.visible { "Hide" } else { "Show" }, one.name);
    if widgets::icon_sized(&mut inner, icon, &name, "Drawn in the views or not", false, 22.0).clicked() {
        rulers::change(one.id, &name, project, cx.queue, |one| one.visible = !one.visible);
    }
    let mut end = ui.new_child(
        egui::UiBuilder::new()
            .max_rect(rect.shrink2(vec2(2.0, 2.0)))
            .layout(egui::Layout::right_to_left(egui::Align::Center)),
    );
    end.spacing_mut().item_spacing.x = 0.0;
    let remove = format!("Remove {}", one.name);
    if widgets::icon_sized(&mut end, icons::TRASH, &remove, "Takes it out of the project", false, 22.0)
        .clicked()
    {
        rulers::remove(one.id, project, cx.queue);
    }
    let go = format!("Go to {}", one.name);
    if widgets::icon_sized(&mut end, icons::TARGET, &go, "Brings its plane into the views", false, 22.0)
        .clicked()
    {
        go_to(one, project, cx.view);
    }
    let painter = ui.painter().with_clip_rect(rect);
    let strength = if one.visible { 1.0 } else { 0.5 };
    let font = egui::FontId::proportional(12.0);
    let right = egui::pos2(rect.right() - 52.0, rect.center().y);
    let value = painter.text(right, Align2::RIGHT_CENTER, short, font, t.text_weak.gamma_multiply(strength));
    let room = egui::Rect::from_x_y_ranges(rect.left() + 28.0..=value.left() - 6.0, rect.y_range());
    let color = t.text.gamma_multiply(strength);
    let galley = egui::WidgetText::from(egui::RichText::new(&one.name).color(color)).into_galley(
        ui,
        Some(egui::TextWrapMode::Truncate),
        room.width().max(10.0),
        egui::TextStyle::Body,
    );
    painter.galley(egui::pos2(room.left(), room.center().y - galley.size().y / 2.0), galley, color);
    if response.clicked() {
        cx.view.rulers.chosen = (!chosen).then_some(one.id);
        if !chosen {
            go_to(one, project, cx.view);
        }
    }
    response.on_hover_text(text);
}

/// Brings the plane of an annotation into the views, its middle into their middle.
fn go_to(one: &Annotation, project: &Project, view: &mut ViewState) {
    let Some(layer) = state::main_volume(project, view) else { return };
    let middle = one.middle_um();
    let normal = one.normal();
    let along = ViewKind::ALONG_AXES.into_iter().find(|kind| kind.normal().dot(normal).abs() > 1.0 - 1e-9);
    view.center_um = middle;
    // In its own plane exactly; what lies along the axes goes through the voxels.
    view.cursor_um = if along.is_some() { super::super::views::snap(layer, middle) } else { middle };
    if along.is_none() {
        let (right, down) = one.frame();
        view.tilt = Tilt { right, down };
    }
    let kind = along.unwrap_or(ViewKind::Oblique);
    let in_sight = view.maximised.is_none() && view.views.shows(kind);
    if !in_sight {
        view.want(kind);
    }
}

/// Name, plot, width and points of the chosen one.
fn details(ui: &mut egui::Ui, one: &Annotation, project: &Project, cx: &mut Cx<'_>) {
    egui::Frame::new().inner_margin(egui::Margin { left: 10, right: 2, top: 4, bottom: 8 }).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 4.0;
        rename(ui, one, project, cx);
        let layer = state::main_volume(project, cx.view);
        match one.kind {
            RulerKind::Area => area(ui, one, layer, cx),
            RulerKind::Profile => profile(ui, one, project, cx),
            RulerKind::Distance | RulerKind::Angle => {}
        }
        widgets::fold(ui, "annotation-points", "Points", false, |ui| points(ui, one, project, cx));
    });
}

fn rename(ui: &mut egui::Ui, one: &Annotation, project: &Project, cx: &mut Cx<'_>) {
    let mut text = match &cx.view.rulers.name_edit {
        Some((id, text)) if *id == one.id => text.clone(),
        _ => one.name.clone(),
    };
    let width = ui.available_width() - 16.0;
    let response = dialogs::text_field(ui, &mut text, "Annotation name", "", width);
    if response.has_focus() {
        cx.view.rulers.name_edit = Some((one.id, text));
    } else if response.lost_focus() {
        cx.view.rulers.name_edit = None;
        let name = text.trim().to_owned();
        if !name.is_empty() && !ui.input(|i| i.key_pressed(egui::Key::Escape)) {
            rulers::change(one.id, "Rename annotation", project, cx.queue, |one| one.name = name);
        }
    }
}

fn area(ui: &mut egui::Ui, one: &Annotation, layer: Option<&Layer>, cx: &mut Cx<'_>) {
    let unit = state::length_unit(layer);
    let (name, value_unit) = layer.map_or(("", ""), |l| (state::value_name(l), state::value_unit(l)));
    let measured = cx.view.rulers.measured(one, layer).clone();
    super::operation::fact(ui, "Around", &rulers::length_text(measured.length_um, unit));
    if let Some(values) = measured.values {
        let text = format!("{:.4} ± {:.4} {value_unit}", values.mean, values.sd);
        super::operation::fact(ui, name, &text);
        super::operation::fact(ui, "Samples", &values.n.to_string());
    }
}

fn profile(ui: &mut egui::Ui, one: &Annotation, project: &Project, cx: &mut Cx<'_>) {
    let layer = state::main_volume(project, cx.view);
    let found = cx.view.rulers.measured(one, layer).profile.clone();
    if let Some(found) = found.filter(|found| !found.distance_um.is_empty()) {
        plot(ui, &found, layer);
    }
    widgets::row(ui, "Width", "Lines beside each other whose mean is taken, a voxel edge apart", |ui, _| {
        let mut width = f64::from(one.width_px);
        let shown =
            Number::new(&mut width, 1.0..=1000.0).unit("px").step(0, 0.1).show(ui, "Width of profile");
        if shown.changed() {
            let width = width as u32;
            rulers::change(one.id, "Width of profile", project, cx.queue, |one| one.width_px = width);
        }
    });
    if Button::new("Save as CSV…").icon(icons::TABLE).name("Save profile as CSV").show(ui).clicked() {
        cx.view.dialog = Some(Dialog::Write(dialogs::WriteForm {
            what: dialogs::WriteWhat::Profile(one.id),
            title: format!("Save {}", one.name),
            hint: "A CSV file: distance, mean and standard deviation across the width".to_owned(),
            path: super::export::in_documents(&format!("{}.csv", one.name)),
        }));
    }
}

fn plot(ui: &mut egui::Ui, found: &Profile, layer: Option<&Layer>) {
    let t = theme::of(ui);
    let unit = state::length_unit(layer);
    let value_unit = layer.map_or("", state::value_unit);
    let ends = |sign: f64| {
        let of = |(mean, sd): (&f64, &f64)| mean + if sd.is_finite() { sign * sd } else { 0.0 };
        found.mean.iter().zip(&found.sd).map(of).collect::<Vec<f64>>()
    };
    let (low, high) = (ends(-1.0), ends(1.0));
    let finite = |values: &[f64]| values.iter().copied().filter(|v| v.is_finite()).collect::<Vec<_>>();
    let least = finite(&low).into_iter().reduce(f64::min).unwrap_or(0.0);
    let most = finite(&high).into_iter().reduce(f64::max).unwrap_or(1.0);
    let room = ((most - least) * 0.08).max(1e-6);
    let line =
        |values: &[f64]| found.distance_um.iter().zip(values).map(|(x, y)| [*x, *y]).collect::<Vec<_>>();
    let edge = |values: &[f64]| Curve { width: 1.0, ..Curve::line(line(values), t.text_weak) };
    let mut curves = Vec::new();
    if found.sd.iter().any(|sd| sd.is_finite()) {
        curves.extend([edge(&low), edge(&high)]);
    }
    curves.push(Curve::line(line(&found.mean), t.accent));
    let last = found.distance_um.last().copied().unwrap_or(1.0);
    let plot = Plot {
        name: "Values along the line",
        height: 120.0,
        ranges: [[0.0, last], [least - room, most + room]],
        x_text: &|x| rulers::length_text(x, unit),
        // The unit stands once, at the upper end.
        y_text: &|y| {
            if y < most { format!("{y:.2}") } else { format!("{y:.2} {value_unit}").trim_end().to_owned() }
        },
        curves: &curves,
    };
    plot.show(ui, |x| {
        let near = found.distance_um.partition_point(|d| *d < x).min(found.mean.len().saturating_sub(1));
        let value = found.mean.get(near).copied().unwrap_or(f64::NAN);
        format!("{}: {value:.3} {value_unit}", rulers::length_text(x, unit))
    });
}

/// The points as numbers, to be typed.
fn points(ui: &mut egui::Ui, one: &Annotation, project: &Project, cx: &mut Cx<'_>) {
    for (i, point) in one.points_um.iter().take(MAX_ROWS).enumerate() {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 4.0;
            for (axis, name) in ["x", "y", "z"].into_iter().enumerate() {
                let mut value = point[axis];
                let label = format!("Point {} {name}", i + 1);
                let number = Number::new(&mut value, -1e6..=1e6).step(3, 0.005).width(68.0);
                if number.show(ui, &label).changed() {
                    let moved = |one: &mut Annotation| {
                        if let Some(coordinate) = one.points_um.get_mut(i).and_then(|p| p.get_mut(axis)) {
                            *coordinate = value;
                        }
                        lay(one);
                    };
                    rulers::change(one.id, "Move point", project, cx.queue, moved);
                }
            }
        });
    }
    if one.points_um.len() > MAX_ROWS {
        widgets::hint(ui, &format!("and {} more points", one.points_um.len() - MAX_ROWS));
    }
}

/// Lays the plane of an annotation through its points, where they have left it.
fn lay(one: &mut Annotation) {
    let points = one.points();
    let (right, normal) = (DVec3::from_array(one.right), one.normal());
    let leaves = |p: &DVec3| (*p - points[0]).dot(normal).abs() > 1e-9;
    let span = match points.as_slice() {
        [a, b] => (*b - *a).cross(normal).cross(*b - *a),
        [a, b, c, ..] => (*b - *a).cross(*c - *a),
        _ => return,
    };
    let Some(span) = span.try_normalize().filter(|_| points.iter().any(leaves)) else { return };
    let across = if span.dot(normal) < 0.0 { -span } else { span };
    let right =
        (right - across * right.dot(across)).try_normalize().unwrap_or(across.any_orthonormal_vector());
    (one.right, one.down) = (right.to_array(), across.cross(right).to_array());
}

/// Writes all annotations, or the values along one, as CSV.
pub(crate) fn write(
    session: &Session,
    view: &mut ViewState,
    profile: Option<u64>,
    path: &std::path::Path,
) -> Result<(), String> {
    let project = session.project();
    let layer = state::main_volume(project, view);
    let table = match profile {
        None => rulers::table(project, layer, &mut view.rulers),
        Some(id) => {
            let one = project.annotations.iter().find(|one| one.id == id);
            let found = one.and_then(|one| view.rulers.measured(one, layer).profile.clone());
            rulers::profile_table(&found.ok_or("the line or its volume is gone")?, layer)
        }
    };
    rulers::write_csv(&table, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_that_leaves_the_plane_takes_the_plane_along() {
        let mut one = Annotation {
            id: 1,
            name: String::new(),
            kind: RulerKind::Distance,
            points_um: vec![[0.0; 3], [1.0, 0.0, 1.0]],
            right: [1.0, 0.0, 0.0],
            down: [0.0, 1.0, 0.0],
            width_px: 1,
            visible: true,
        };
        lay(&mut one);
        assert_eq!(one.problem(), None);
        let normal = one.normal();
        assert!(normal.dot(DVec3::new(1.0, 0.0, 1.0)).abs() < 1e-12, "{normal}");
        one.kind = RulerKind::Angle;
        one.points_um.push([0.0, 2.0, 5.0]);
        lay(&mut one);
        assert_eq!(one.problem(), None);
        let normal = one.normal();
        for p in one.points() {
            assert!(p.dot(normal).abs() < 1e-12);
        }
    }
}
