//! The wheel as it was turned, before egui makes scrolling or zooming of it.

use egui::{Event, Modifiers, MouseWheelUnit, Ui};

/// Steps of the wheel in this frame by what is held: (modifiers, lines), up is positive.
pub(crate) fn wheel(ui: &Ui) -> Vec<(Modifiers, f32)> {
    ui.input(|input| {
        input
            .events
            .iter()
            .filter_map(|event| match event {
                Event::MouseWheel { unit, delta, modifiers, .. } => {
                    // Some systems turn the wheel sideways while Shift is held.
                    let amount = delta.x + delta.y;
                    let lines = match unit {
                        MouseWheelUnit::Point => amount / 40.0,
                        MouseWheelUnit::Line => amount,
                        MouseWheelUnit::Page => amount * 10.0,
                    };
                    (lines != 0.0).then_some((*modifiers, lines))
                }
                _ => None,
            })
            .collect()
    })
}

/// Where the pointer went in this frame, in order: quick strokes keep their curves at few frames a second.
pub(crate) fn pointer_path(ui: &Ui) -> Vec<egui::Pos2> {
    ui.input(|input| {
        input
            .events
            .iter()
            .filter_map(|event| if let Event::PointerMoved(pos) = event { Some(*pos) } else { None })
            .collect()
    })
}

/// Factor of a pinch on a touch pad, which comes as no wheel.
pub(crate) fn pinch(ui: &Ui) -> f32 {
    ui.input(|input| {
        input.events.iter().map(|event| if let Event::Zoom(factor) = event { *factor } else { 1.0 }).product()
    })
}
