//! The tools, and what the chosen one can be set to.

use super::super::commands::{CommandId, find};
use super::super::frame::Cx;
use super::super::state::{self, ObjectAction, Tool};
use super::super::tools::stays_inside;
use super::super::widgets::{self, Number};

/// Draws it.
pub(crate) fn show(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    ui.horizontal_wrapped(|ui| {
        // Eight in one row of a panel of the usual width.
        ui.spacing_mut().item_spacing = egui::vec2(3.0, 4.0);
        for (tool, id) in [
            (Tool::Navigate, CommandId::Navigate),
            (Tool::Brush, CommandId::Brush),
            (Tool::Eraser, CommandId::Eraser),
            (Tool::Regions, CommandId::Regions),
            (Tool::Polygon, CommandId::Polygon),
            (Tool::Fill, CommandId::Fill),
            (Tool::Wand, CommandId::Wand),
            (Tool::Object, CommandId::Object),
        ] {
            let entry = find(id);
            let on = cx.view.tool == tool;
            if widgets::icon_sized(ui, entry.icon, entry.label, &entry.tooltip_with_key(), on, 25.0).clicked()
            {
                cx.queue.run(id);
            }
        }
    });
    match cx.view.tool {
        Tool::Brush | Tool::Eraser => brush(ui, cx, true),
        Tool::Regions => regions(ui, cx),
        Tool::Polygon => polygon(ui, cx),
        Tool::Fill => fill(ui, cx, false),
        Tool::Wand => fill(ui, cx, true),
        Tool::Object => object(ui, cx),
        Tool::Navigate | Tool::Landmark | Tool::PlanePoints | Tool::Measure(_) => {}
    }
}

fn brush(ui: &mut egui::Ui, cx: &mut Cx<'_>, edges: bool) {
    ui.add_space(2.0);
    let brush = &mut cx.view.brush;
    widgets::row(
        ui,
        "Shape",
        "A disc lies in the plane that is painted, a ball goes through it  (D)",
        |ui, _| {
            widgets::segmented(ui, &mut brush.ball, &[(false, "Disc", ""), (true, "Ball", "")]);
        },
    );
    widgets::row(ui, "Radius", "In voxels; also [ and ], and Shift with the wheel", |ui, _| {
        Number::new(&mut brush.radius, 0.0..=128.0).unit("px").step(0, 0.1).show(ui, "Brush radius");
    });
    if brush.pen_seen {
        let tooltip = "A pen that presses less paints with a smaller radius";
        widgets::switch(ui, &mut brush.pen_pressure, "Pen pressure", tooltip);
    }
    if edges {
        let entry = find(CommandId::SmartBrush);
        widgets::switch(ui, &mut brush.smart, "Follow edges", &entry.tooltip_with_key());
        if brush.smart {
            widgets::row(ui, "Faintest edge", "How faint an edge may be that stops the brush", |ui, _| {
                let mut value = brush.sensitivity as f32;
                if widgets::fraction(ui, &mut value, "Sensitivity to edges", 110.0).changed() {
                    brush.sensitivity = f64::from(value);
                }
            });
        }
    }
    limits(ui, cx);
}

/// The supervoxel brush: also how far supervoxels are joined.
fn regions(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    let session = cx.session;
    let main = state::main_volume(session.project(), cx.view).map(|layer| layer.id);
    let tree = main.and_then(|volume| Some((volume, session.agglomeration(volume)?)));
    if let Some((volume, tree)) = tree {
        let (fewest, all) = (tree.fewest().max(1), tree.n_regions().max(1));
        // Every tenth of the slider joins the same part of what is left.
        let level =
            |joining: f32| (all as f64 * (fewest as f64 / all as f64).powf(f64::from(joining))) as usize;
        let tooltip = "Joins supervoxels that are alike into larger ones";
        widgets::row(ui, "Join", tooltip, |ui, _| {
            let joining = &mut cx.view.brush.joining;
            if widgets::fraction(ui, joining, "How far supervoxels are joined", 110.0).changed() {
                let groups = (*joining > 0.0).then(|| tree.level(level(*joining)).0);
                cx.view.brush.groups = groups.map(|groups| (volume, std::sync::Arc::new(groups)));
            }
        });
        if cx.view.brush.joining > 0.0 {
            widgets::hint(ui, &format!("{} pieces of {all} supervoxels", level(cx.view.brush.joining)));
        }
    }
    brush(ui, cx, false);
}

fn polygon(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    ui.add_space(2.0);
    let brush = &mut cx.view.brush;
    widgets::row(ui, "Depth", "Slices before and behind this one that are painted as well", |ui, _| {
        let mut depth = brush.depth as f64;
        if Number::new(&mut depth, 0.0..=4096.0)
            .unit(" slices")
            .step(0, 0.1)
            .show(ui, "Depth of outline")
            .changed()
        {
            brush.depth = depth as usize;
        }
    });
    limits(ui, cx);
}

fn object(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    ui.add_space(2.0);
    let hint = match cx.view.brush.object {
        ObjectAction::Relabel => "A click gives the object the chosen class; a right click takes it away.",
        ObjectAction::Move => "Drag an object to another place; a right click takes it away.",
        ObjectAction::Cut => {
            "Draw a line across: the part on its left gets the chosen class, or a gap parts the two."
        }
    };
    widgets::segmented(
        ui,
        &mut cx.view.brush.object,
        &[
            (ObjectAction::Relabel, "Class", "Another class for a whole object"),
            (ObjectAction::Move, "Move", "Another place for a whole object"),
            (ObjectAction::Cut, "Cut", "Cuts an object along a line, straight through the volume"),
        ],
    );
    widgets::hint(ui, hint);
}

/// What every tool that paints may touch.
fn limits(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    let session = cx.session;
    let project = session.project();
    widgets::switch(
        ui,
        &mut cx.view.brush.unlabelled_only,
        "Only unlabelled voxels",
        "What has a class already keeps it",
    );
    let parent = project.classes.get(cx.view.class).and_then(|class| project.classes.get(class.parent?));
    if let (Some(parent), Some(layer)) = (parent, state::paint_layer(project, cx.view)) {
        let mut inside = stays_inside(layer, cx.view);
        let label = format!("Only inside {}", parent.name);
        let tooltip = "Only voxels of the parent class, or of what lies inside it, are touched";
        if widgets::switch(ui, &mut inside, &label, tooltip).changed() {
            cx.view.brush.inside_parent = Some(inside);
        }
    }
    let limited = &mut cx.view.brush.limited;
    widgets::switch(
        ui,
        limited,
        "Limit to LAC range",
        "Only voxels whose LAC lies in the range are touched  (T)",
    );
    if !cx.view.brush.limited {
        return;
    }
    ui.horizontal(|ui| {
        let [low, high] = cx.view.brush.limit.map(f64::from);
        let (mut new_low, mut new_high) = (low, high);
        Number::new(&mut new_low, -1e6..=1e6).step(3, 0.002).width(70.0).show(ui, "Lowest LAC of the brush");
        ui.label("to");
        Number::new(&mut new_high, -1e6..=1e6)
            .step(3, 0.002)
            .width(70.0)
            .show(ui, "Highest LAC of the brush");
        if (new_low, new_high) != (low, high) {
            cx.view.brush.limit = [new_low.min(new_high) as f32, new_low.max(new_high) as f32];
            cx.view.lit = Some(cx.view.brush.limit);
        }
    });
}

fn fill(ui: &mut egui::Ui, cx: &mut Cx<'_>, by_lac: bool) {
    ui.add_space(2.0);
    let brush = &mut cx.view.brush;
    widgets::row(ui, "Within", "The plane that is clicked, or the whole volume", |ui, _| {
        widgets::segmented(ui, &mut brush.fill_in_plane, &[(true, "Plane", ""), (false, "Volume", "")]);
    });
    if by_lac {
        let tooltip = "How far the LAC may be from that under the pointer; a drag to the right widens it";
        widgets::row(ui, "Tolerance", tooltip, |ui, _| {
            let mut tolerance = f64::from(brush.tolerance);
            if Number::new(&mut tolerance, 0.0..=1e6).step(3, 0.001).show(ui, "Wand tolerance").changed() {
                brush.tolerance = tolerance as f32;
            }
        });
    }
    limits(ui, cx);
}
