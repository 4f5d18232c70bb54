//! Wheel, touch pad, fingers and pen as they come, before egui makes scrolling or zooming of them.

use egui::{Event, Modifiers, MouseWheelSource, MouseWheelUnit, TouchPhase, Ui, Vec2};

/// A turn of the wheel, or a drag of two fingers on a touch pad.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Turn {
    /// What is held.
    pub(crate) modifiers: Modifiers,
    /// Lines, up is positive; a touch pad gives small parts of one.
    pub(crate) lines: f32,
    /// How far two fingers went sideways, points; 0 for a wheel.
    pub(crate) aside: f32,
    /// It came from a touch pad.
    pub(crate) smooth: bool,
}

/// Turns of the wheel in this frame.
pub(crate) fn wheel(ui: &Ui) -> Vec<Turn> {
    ui.input(|input| input.events.iter().filter_map(turn_of).collect())
}

fn turn_of(event: &Event) -> Option<Turn> {
    let Event::MouseWheel { unit, delta, modifiers, source, .. } = event else { return None };
    let smooth = match source {
        MouseWheelSource::Trackpad => true,
        MouseWheelSource::Wheel => false,
        // Not every system tells; only touch pads count in points.
        _ => *unit == MouseWheelUnit::Point,
    };
    // Two fingers go up and down, or to the side, not both.
    let aside = if smooth && modifiers.is_none() && delta.x.abs() > delta.y.abs() { delta.x } else { 0.0 };
    // Some systems turn the wheel sideways while Shift is held.
    let amount = match (aside, modifiers.shift || !smooth) {
        (0.0, true) => delta.x + delta.y,
        (0.0, false) => delta.y,
        _ => 0.0,
    };
    let lines = match unit {
        MouseWheelUnit::Point => amount / 40.0,
        MouseWheelUnit::Line => amount,
        MouseWheelUnit::Page => amount * 10.0,
    };
    (lines != 0.0 || aside != 0.0).then_some(Turn { modifiers: *modifiers, lines, aside, smooth })
}

/// Whole slices of a turn: a wheel moves one at least, a touch pad as many as its parts add up to, so that none is
/// skipped and none is shown too often. `rest` keeps what is left of them.
pub(crate) fn slices(turn: Turn, rest: &mut f32) -> i32 {
    if !turn.smooth {
        *rest = 0.0;
        return if turn.lines.abs() < 1.0 { turn.lines.signum() as i32 } else { turn.lines.round() as i32 };
    }
    if rest.signum() != turn.lines.signum() {
        *rest = 0.0;
    }
    *rest += turn.lines;
    let whole = rest.trunc();
    *rest -= whole;
    whole as i32
}

/// What two fingers on a screen do: how far they move, points, and by what factor they spread.
pub(crate) fn fingers(ui: &Ui) -> Option<(Vec2, f32)> {
    let touch = ui.input(egui::InputState::multi_touch)?;
    Some((touch.translation_delta, touch.zoom_delta))
}

/// How hard a pen presses in this frame, 0 to 1; `None` where there is no pen that tells.
pub(crate) fn pressure(ui: &Ui) -> Option<f32> {
    ui.input(|input| {
        input.events.iter().rev().find_map(|event| match event {
            Event::Touch { phase: TouchPhase::Start | TouchPhase::Move, force, .. } => *force,
            _ => None,
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(unit: MouseWheelUnit, delta: Vec2, modifiers: Modifiers) -> Option<Turn> {
        let (phase, source) = (TouchPhase::Move, MouseWheelSource::Unknown);
        turn_of(&Event::MouseWheel { unit, delta, modifiers, phase, source })
    }

    #[test]
    fn a_touch_pad_moves_as_many_slices_as_its_parts_add_up_to() {
        let mut rest = 0.0;
        let part = turn(MouseWheelUnit::Point, Vec2::new(0.0, 13.0), Modifiers::NONE).unwrap();
        let steps: Vec<i32> = (0..40).map(|_| slices(part, &mut rest)).collect();
        // 520 points are 13 slices; the last part may be lost to rounding.
        assert!((12..=13).contains(&steps.iter().sum::<i32>()), "{steps:?}");
        assert!(steps.iter().all(|n| *n <= 1), "none is skipped");
        let back = turn(MouseWheelUnit::Point, Vec2::new(0.0, -40.0), Modifiers::NONE).unwrap();
        assert_eq!(slices(back, &mut rest), -1, "the other way at once");
    }

    #[test]
    fn a_notch_of_a_wheel_is_a_slice_also_where_it_turns_sideways() {
        let mut rest = 0.7;
        let notch = turn(MouseWheelUnit::Line, Vec2::new(0.0, 1.0), Modifiers::NONE).unwrap();
        assert_eq!(slices(notch, &mut rest), 1);
        let sideways = turn(MouseWheelUnit::Line, Vec2::new(-2.0, 0.0), Modifiers::SHIFT).unwrap();
        assert_eq!((sideways.lines, sideways.aside), (-2.0, 0.0));
    }

    #[test]
    fn two_fingers_to_the_side_move_the_picture_and_no_slice() {
        let aside = turn(MouseWheelUnit::Point, Vec2::new(9.0, 2.0), Modifiers::NONE).unwrap();
        assert_eq!((aside.lines, aside.aside), (0.0, 9.0));
        assert_eq!(turn(MouseWheelUnit::Point, Vec2::ZERO, Modifiers::NONE), None);
    }
}
