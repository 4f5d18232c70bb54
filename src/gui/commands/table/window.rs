//! Commands of stages and of the window.

use egui::Key;

use super::super::keys::{alt, ctrl, key, shift};
use super::super::{CommandId as C, Entry, Group as G};
use super::entry;
use crate::gui::icons;
use crate::ops::Stage;

pub(super) static ENTRIES: &[Entry] = &[
    entry(
        C::Measure,
        G::Stage,
        icons::TABLE,
        "Measure classes",
        &[ctrl(Key::M)],
        "Measures volume, surface and LAC of every class",
    )
    .when(|f| f.labels),
    entry(
        C::MeasureDistance,
        G::Stage,
        icons::RULER,
        "Distance",
        &[shift(Key::D)],
        "Measures a distance in a slice; it stays in the project",
    )
    .when(|f| f.volume),
    entry(
        C::MeasureAngle,
        G::Stage,
        icons::ANGLE,
        "Angle",
        &[shift(Key::V)],
        "Measures an angle between three points of a slice",
    )
    .when(|f| f.volume),
    entry(
        C::MeasureArea,
        G::Stage,
        icons::POLYGON,
        "Area",
        &[shift(Key::A)],
        "Measures an area, and mean and standard deviation of the values in it",
    )
    .when(|f| f.volume),
    entry(
        C::MeasureProfile,
        G::Stage,
        icons::CHART_LINE,
        "Line profile",
        &[shift(Key::I)],
        "Shows the values along a line, as wide as is wanted",
    )
    .when(|f| f.volume),
    entry(
        C::MeasurePoint,
        G::Stage,
        icons::PLUS,
        "Set measuring point",
        &[key(Key::Semicolon)],
        "Sets the next point of the measuring tool at the pointer, or at the crosshair",
    )
    .when(|f| f.volume),
    entry(
        C::Stage(Stage::Scan),
        G::Stage,
        icons::SCAN,
        "Scan",
        &[alt(Key::Num1)],
        "The scan as it came from the microscope",
    )
    .when(|f| f.project),
    entry(
        C::Stage(Stage::Align),
        G::Stage,
        icons::ALIGN_CENTER_HORIZONTAL,
        "Align",
        &[alt(Key::Num2)],
        "Finds where each view has moved",
    )
    .when(|f| f.project),
    entry(
        C::Stage(Stage::Reconstruct),
        G::Stage,
        icons::CUBE,
        "Reconstruct",
        &[alt(Key::Num3)],
        "Makes the volume from the views",
    )
    .when(|f| f.project),
    entry(
        C::Stage(Stage::Quality),
        G::Stage,
        icons::CHART_LINE,
        "Quality",
        &[alt(Key::Num4)],
        "Tells resolution and noise of the volume",
    )
    .when(|f| f.project),
    entry(
        C::Stage(Stage::Segment),
        G::Stage,
        icons::SHAPES,
        "Segment",
        &[alt(Key::Num5)],
        "Paints and classifies organelles",
    )
    .when(|f| f.project),
    entry(
        C::Stage(Stage::Measure),
        G::Stage,
        icons::TABLE,
        "Measure",
        &[alt(Key::Num6)],
        "Numbers of every class",
    )
    .when(|f| f.project),
    entry(
        C::Stage(Stage::Correlate),
        G::Stage,
        icons::INTERSECT,
        "Correlate",
        &[alt(Key::Num7)],
        "Places another volume in this one",
    )
    .when(|f| f.project),
    entry(
        C::Stage(Stage::Export),
        G::Stage,
        icons::EXPORT,
        "Export",
        &[alt(Key::Num8)],
        "Writes labels, meshes and pictures",
    )
    .when(|f| f.project),
    entry(
        C::Palette,
        G::Window,
        icons::MAGNIFYING_GLASS,
        "Search commands",
        &[ctrl(Key::K), ctrl(Key::P)],
        "Finds any command by its name",
    ),
    entry(
        C::KeyOverlay,
        G::Window,
        icons::KEYBOARD,
        "Keyboard and mouse",
        &[key(Key::Questionmark), key(Key::F1)],
        "Shows every shortcut",
    ),
    entry(
        C::Tour,
        G::Window,
        icons::SIGNPOST,
        "Tour of one minute",
        &[],
        "Five bubbles show the way: slices, contrast, painting, live classification, 3D",
    ),
    entry(
        C::Theme,
        G::Window,
        icons::CIRCLE_HALF,
        "Dark or light",
        &[],
        "Changes between the dark and the light theme",
    ),
    entry(
        C::LeftPanel,
        G::Window,
        icons::SIDEBAR_SIMPLE,
        "Left panel",
        &[ctrl(Key::B)],
        "Shows or hides tools, layers and histogram",
    )
    .when(|f| f.project),
    entry(
        C::RightPanel,
        G::Window,
        icons::SLIDERS_HORIZONTAL,
        "Inspector",
        &[ctrl(Key::I)],
        "Shows or hides the inspector",
    )
    .when(|f| f.project),
];
