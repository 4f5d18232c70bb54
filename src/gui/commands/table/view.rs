//! Commands of the views and of what they show.

use egui::Key;

use super::super::keys::{alt, ctrl, key, shift};
use super::super::{CommandId as C, Entry, Group as G};
use super::entry;
use crate::gui::icons;
use crate::gui::layouts::Preset;

pub(super) static ENTRIES: &[Entry] = &[
    entry(
        C::Uncertainty,
        G::View,
        icons::GRADIENT,
        "Uncertainty overlay",
        &[key(Key::U)],
        "Shows where the prediction is unsure",
    )
    .when(|f| f.prediction),
    entry(
        C::ShowMarks,
        G::View,
        icons::FINGERPRINT,
        "Colour labels by origin",
        &[key(Key::J)],
        "Shows which labels were painted, interpolated, accepted, imported or computed",
    )
    .when(|f| f.labels),
    entry(
        C::ToggleLabels,
        G::View,
        icons::EYE,
        "Show labels",
        &[key(Key::V)],
        "Shows or hides labels and prediction over the picture",
    )
    .when(|f| f.labels || f.prediction),
    entry(
        C::FitViews,
        G::View,
        icons::FRAME_CORNERS,
        "Fit views",
        &[key(Key::Home)],
        "Shows the whole volume in every view",
    )
    .when(|f| f.volume),
    entry(
        C::AutoContrast,
        G::View,
        icons::CIRCLE_HALF,
        "Automatic contrast",
        &[key(Key::C)],
        "Sets the window to what occurs in the volume",
    )
    .when(|f| f.volume),
    entry(
        C::AboutFile,
        G::View,
        icons::FILE_TEXT,
        "About the file",
        &[],
        "Everything that the file of the chosen layer says, and what was assumed when it was read",
    )
    .when(|f| f.file),
    entry(
        C::MaximiseView,
        G::View,
        icons::CORNERS_OUT,
        "Maximise view",
        &[key(Key::Q)],
        "Gives the view under the pointer all the room, or takes it back",
    )
    .when(|f| f.volume),
    entry(
        C::Oblique,
        G::View,
        icons::SWAP,
        "Oblique slice",
        &[key(Key::R)],
        "A slice across the axes in the place of the 3D view, or the 3D view again; both can be open, see the menu of a view",
    )
    .when(|f| f.volume),
    entry(
        C::Crosshair,
        G::View,
        icons::CROSSHAIR,
        "Show crosshair",
        &[key(Key::H)],
        "Shows or hides the crosshair",
    )
    .when(|f| f.volume),
    entry(
        C::PlanePoints,
        G::View,
        icons::POLYGON,
        "Oblique slice through three points",
        &[alt(Key::R)],
        "Click three points in any slices: the oblique slice goes through them",
    )
    .when(|f| f.volume),
    entry(
        C::SliceAlong,
        G::View,
        icons::SWAP,
        "Oblique slice along the long axis",
        &[alt(Key::L)],
        "Lays the slice along the object at the crosshair, or the chosen class, by its principal axes",
    )
    .when(|f| f.labels),
    entry(
        C::SliceAcross,
        G::View,
        icons::SWAP,
        "Oblique slice across the long axis",
        &[alt(Key::C)],
        "Lays the slice across the object at the crosshair, or the chosen class, by its principal axes",
    )
    .when(|f| f.labels),
    entry(
        C::Slab,
        G::View,
        icons::STACK,
        "Slab projection",
        &[key(Key::Z)],
        "Mean, maximum, minimum over a thickness, or the plane again, in the view under the pointer",
    )
    .when(|f| f.volume),
    entry(
        C::ThickerSlab,
        G::View,
        icons::STACK,
        "Thicker slab",
        &[alt(Key::CloseBracket)],
        "The next round thickness of slabs",
    )
    .when(|f| f.volume),
    entry(
        C::ThinnerSlab,
        G::View,
        icons::STACK,
        "Thinner slab",
        &[alt(Key::OpenBracket)],
        "The round thickness of slabs before",
    )
    .when(|f| f.volume),
    entry(
        C::Compare,
        G::View,
        icons::CIRCLE_HALF,
        "Compare two layers",
        &[key(Key::Backslash)],
        "Curtain, checkerboard, flicker, or all layers again, in the view under the pointer",
    )
    .when(|f| f.volume),
    entry(
        C::Surfaces,
        G::View,
        icons::POLYGON,
        "Surfaces of labels",
        &[alt(Key::S)],
        "Shows or hides the surfaces of the labels in the 3D view; they are made when they are first seen",
    )
    .when(|f| f.labels || f.prediction),
    entry(
        C::SurfacesAlone,
        G::View,
        icons::POLYGON,
        "Surfaces alone",
        &[],
        "Nothing but surfaces in the 3D view, or the haze again",
    )
    .when(|f| f.labels || f.prediction),
    entry(
        C::ClipBox,
        G::View,
        icons::BOUNDING_BOX,
        "Clip box in 3D",
        &[alt(Key::B)],
        "Only what lies in a box is drawn in 3D; its faces are dragged, or the box goes again",
    )
    .when(|f| f.volume),
    entry(
        C::ClipPlane,
        G::View,
        icons::SCISSORS,
        "Free clip plane in 3D",
        &[alt(Key::P)],
        "A plane through the crosshair takes away what lies before it in 3D; it is dragged and turned, or goes again",
    )
    .when(|f| f.volume),
    entry(
        C::ResetCamera,
        G::View,
        icons::CUBE,
        "Reset 3D camera",
        &[shift(Key::Home)],
        "Looks at the volume from the front again",
    )
    .when(|f| f.volume),
    entry(C::LookFront, G::View, icons::CUBE, "Look from the front", &[], "As the XY slice shows it")
        .when(|f| f.volume),
    entry(C::LookBack, G::View, icons::CUBE, "Look from behind", &[], "The other side of the front")
        .when(|f| f.volume),
    entry(C::LookLeft, G::View, icons::CUBE, "Look from the left", &[], "With z running to the left")
        .when(|f| f.volume),
    entry(C::LookRight, G::View, icons::CUBE, "Look from the right", &[], "As the YZ slice shows it")
        .when(|f| f.volume),
    entry(
        C::LookTop,
        G::View,
        icons::CUBE,
        "Look from above",
        &[],
        "From the end of the rotation axis where y is small",
    )
    .when(|f| f.volume),
    entry(C::LookBottom, G::View, icons::CUBE, "Look from below", &[], "As the XZ slice shows it")
        .when(|f| f.volume),
    entry(
        C::SplitRight,
        G::View,
        icons::SQUARE_SPLIT_HORIZONTAL,
        "Split view to the right",
        &[alt(Key::V)],
        "A second view of the same kind right of this one; its title changes what it shows",
    )
    .when(|f| f.volume),
    entry(
        C::SplitBelow,
        G::View,
        icons::SQUARE_SPLIT_VERTICAL,
        "Split view downwards",
        &[alt(Key::H)],
        "A second view of the same kind below this one; its title changes what it shows",
    )
    .when(|f| f.volume),
    entry(
        C::DuplicateView,
        G::View,
        icons::TABS,
        "Duplicate view in a tab",
        &[alt(Key::T)],
        "A second view of the same kind over this one, with a tab for each",
    )
    .when(|f| f.volume),
    entry(
        C::LinkView,
        G::View,
        icons::LINK,
        "Link or unlink view",
        &[alt(Key::U)],
        "Unlinked, a view has a position, a zoom and a 3D look of its own",
    )
    .when(|f| f.volume),
    entry(
        C::CloseView,
        G::View,
        icons::X,
        "Close view",
        &[alt(Key::W)],
        "Closes the view under the pointer; the others take its room",
    )
    .when(|f| f.volume),
    entry(
        C::Layout(Preset::FourUp),
        G::View,
        icons::LAYOUT,
        "Layout four views",
        &[ctrl(Key::Num1)],
        "Three slices and the volume",
    )
    .when(|f| f.volume),
    entry(
        C::Layout(Preset::Large),
        G::View,
        icons::LAYOUT,
        "Layout large 3D",
        &[ctrl(Key::Num2)],
        "The volume large, the slices beside it",
    )
    .when(|f| f.volume),
    entry(
        C::Layout(Preset::Slices),
        G::View,
        icons::LAYOUT,
        "Layout slices only",
        &[ctrl(Key::Num3)],
        "XY large, the other slices beside it",
    )
    .when(|f| f.volume),
    entry(
        C::Layout(Preset::Volume),
        G::View,
        icons::LAYOUT,
        "Layout 3D only",
        &[ctrl(Key::Num4)],
        "The volume alone",
    )
    .when(|f| f.volume),
    entry(
        C::Layout(Preset::TwoVolumes),
        G::View,
        icons::LAYOUT,
        "Layout two 3D views",
        &[ctrl(Key::Num5)],
        "The volume from two sides, each with its own camera",
    )
    .when(|f| f.volume),
    entry(
        C::Layout(Preset::Compare),
        G::View,
        icons::LAYOUT,
        "Layout compare layers",
        &[ctrl(Key::Num6)],
        "Two layers beside each other in the same slices",
    )
    .when(|f| f.volume),
    entry(
        C::ResetLayout,
        G::View,
        icons::SQUARES_FOUR,
        "Reset layout of views",
        &[],
        "Puts the four views back side by side, linked",
    )
    .when(|f| f.volume),
    entry(
        C::SavePicture,
        G::View,
        icons::CAMERA,
        "Save picture of view…",
        &[ctrl(Key::E)],
        "Writes a view as PNG with its scale bar",
    )
    .asks()
    .when(|f| f.volume),
];
