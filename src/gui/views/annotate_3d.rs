//! Annotations in the 3D view: lines where they lie in space, fainter where something that is seen hides them.

use std::collections::BTreeMap;

use egui::{Color32, Painter, Pos2, Rect, Shape, Stroke, pos2};
use glam::{DVec2, DVec3};

use super::super::frame::Cx;
use super::super::state::{self, ViewId};
use super::super::theme::Tokens;
use super::super::{draw, rulers};
use super::annotate;
use crate::measure::ruler::RulerKind;
use crate::render::cpu;
use crate::render::figure::{FigureRuler, HIDDEN_OPACITY, Scene, pieces, runs, ticks};
use crate::render::scene::VolumeScene;

/// Radius of the arc of an angle, points.
const ARC_PT: f64 = 28.0;

/// What of the annotations is hidden in a view, found once it rests.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hidden {
    scene: VolumeScene,
    lines: Vec<Vec<[DVec3; 2]>>,
    hidden: Vec<Vec<bool>>,
}

/// Everything of a view that places on the screen need.
struct Screen<'a> {
    rect: Rect,
    scene: &'a VolumeScene,
}

impl Screen<'_> {
    fn at(&self, world_um: DVec3) -> Option<Pos2> {
        let uv = self.scene.camera.project(world_um, self.scene.aspect())?;
        let size = self.rect.size();
        Some(self.rect.min + egui::vec2(uv.x as f32 * size.x, uv.y as f32 * size.y))
    }
}

/// Draws those that are visible.
pub(super) fn paint(
    painter: &Painter,
    (rect, bar): (Rect, Option<Rect>),
    id: ViewId,
    cx: &mut Cx<'_>,
    t: &Tokens,
) {
    let session = cx.session;
    let project = session.project();
    let seen = project.annotations.iter().filter(|one| one.visible && cx.view.look.annotations);
    let shown: Vec<_> = seen.map(|one| annotate::as_dragged(one, cx.view).clone()).collect();
    let Some(Scene::Volume(scene)) = cx.view.scenes.get(&id).filter(|_| !shown.is_empty()).cloned() else {
        return;
    };
    let layer = state::main_volume(project, cx.view);
    let drawn: Vec<FigureRuler> =
        shown.iter().map(|one| rulers::drawn(one, layer, &mut cx.view.rulers)).collect();
    let arc_um = ARC_PT * scene.camera.um_per_px(f64::from(rect.height()));
    let parts: Vec<Vec<_>> = drawn
        .iter()
        .map(|ruler| ruler.lines(arc_um).into_iter().map(|line| (pieces(&line), line.dashed)).collect())
        .collect();
    let lines = parts.iter().flatten().map(|(pieces, _)| pieces.clone()).collect();
    let hidden = hidden(id, &scene, lines, cx);
    let screen = Screen { rect, scene: &scene };
    let chosen = cx.view.rulers.chosen.filter(|_| cx.view.picture.is_none());
    let mut hidden = hidden.into_iter();
    let mut words = annotate::Words::default();
    for ((one, ruler), lines) in shown.iter().zip(&drawn).zip(&parts) {
        let color = if chosen == Some(one.id) { t.accent } else { t.warning };
        for (pieces, dashed) in lines {
            let hidden = hidden.next().unwrap_or_default();
            for (points, is_hidden) in runs(pieces, &hidden) {
                stroke(painter, &screen, &points, (*dashed, is_hidden), color, t);
            }
        }
        let places: Option<Vec<Pos2>> = ruler.points_um.iter().map(|p| screen.at(*p)).collect();
        let Some(places) = places else { continue };
        if let (RulerKind::Distance, [a, b]) = (one.kind, places.as_slice()) {
            let ends = [a, b].map(|p| DVec2::new(f64::from(p.x), f64::from(p.y)));
            for tick in ticks(ends, 5.0) {
                let ends = tick.map(|p| pos2(p.x as f32, p.y as f32));
                painter.line_segment(ends, Stroke::new(3.5, t.canvas_halo));
                painter.line_segment(ends, Stroke::new(1.5, color));
            }
        }
        words.add(painter, &places, one.kind, &ruler.label, t);
    }
    words.write(painter, rect, bar, t);
}

fn stroke(
    painter: &Painter,
    screen: &Screen<'_>,
    points: &[DVec3],
    (dashed, is_hidden): (bool, bool),
    color: Color32,
    t: &Tokens,
) {
    let Some(places) = points.iter().map(|p| screen.at(*p)).collect::<Option<Vec<Pos2>>>() else { return };
    let color = if is_hidden { color.gamma_multiply(HIDDEN_OPACITY as f32) } else { color };
    if dashed {
        painter.extend(Shape::dashed_line(&places, Stroke::new(1.0, color), 3.0, 3.0));
        return;
    }
    if !is_hidden {
        painter.line(places.clone(), Stroke::new(3.5, t.canvas_halo));
    }
    painter.line(places, Stroke::new(1.5, color));
}

/// What is hidden: found anew while the view rests, as it was last while it moves.
fn hidden(id: ViewId, scene: &VolumeScene, lines: Vec<Vec<[DVec3; 2]>>, cx: &mut Cx<'_>) -> Vec<Vec<bool>> {
    let known: &mut BTreeMap<ViewId, (VolumeScene, Option<Hidden>)> = &mut cx.view.rulers.hidden;
    let rests = known.get(&id).is_some_and(|(last, _)| last == scene);
    let mut found = known.remove(&id).and_then(|(_, found)| found);
    let is_known = found.as_ref().is_some_and(|found| (&found.scene, &found.lines) == (scene, &lines));
    if rests && !is_known {
        let whole = Scene::Volume(scene.clone());
        let sources = draw::sources_of(&whole, cx.session, cx.view, cx.derived);
        let middles: Vec<DVec3> = lines.iter().flatten().map(|[a, b]| (*a + *b) * 0.5).collect();
        let mut all = cpu::hidden(&sources, scene, &middles).into_iter();
        let hidden = lines.iter().map(|pieces| all.by_ref().take(pieces.len()).collect()).collect();
        found = Some(Hidden { scene: scene.clone(), lines, hidden });
    } else if !rests {
        // What is hidden is looked for in the frame after the last movement.
        cx.derived.ctx.iter().for_each(egui::Context::request_repaint);
    }
    let hidden = found.as_ref().map_or_else(Vec::new, |found| found.hidden.clone());
    cx.view.rulers.hidden.insert(id, (scene.clone(), found));
    hidden
}
