//! What the mouse does.

/// What the mouse does in the views: for the overlay and the docs.
pub(crate) const MOUSE: &[(&str, &str)] = &[
    ("Wheel", "Next or previous slice"),
    ("Alt+wheel", "Ten slices"),
    ("Ctrl+wheel", "Zoom at the pointer"),
    ("Middle drag, Space+drag", "Move the picture"),
    ("Shift+move", "Crosshair follows in all views"),
    ("Left drag", "Paint, or move the crosshair"),
    ("Right drag", "Erase while painting, window and level otherwise"),
    ("Shift+wheel", "Size of the brush"),
    ("Double-click on a title", "Maximise the view"),
    ("Left drag in 3D", "Turn"),
    ("Wheel in 3D", "Zoom"),
    ("Middle or right drag in 3D", "Move"),
];
