//! The table of commands itself.

use egui::{Key, KeyboardShortcut};

use super::keys::{alt, ctrl, ctrl_shift, key, shift};
use super::{CommandId, Entry, Group};
use crate::gui::icons;
use crate::gui::layouts::Preset;
use crate::ops::Stage;

const fn entry(
    id: CommandId,
    group: Group,
    icon: &'static str,
    label: &'static str,
    keys: &'static [KeyboardShortcut],
    tooltip: &'static str,
) -> Entry {
    Entry { id, label, tooltip, icon, group, keys, asks: false, enabled: |_| true }
}

/// The table.
pub(crate) static COMMANDS: &[Entry] = {
    use CommandId as C;
    use Group as G;
    &[
        entry(
            C::Open,
            G::Project,
            icons::FOLDER_OPEN,
            "Open…",
            &[ctrl(Key::O)],
            "Opens a scan, a tomogram, labels or a project",
        )
        .asks(),
        entry(
            C::DemoYeast,
            G::Project,
            icons::SPARKLE,
            "Open demo yeast",
            &[],
            "Scans a synthetic yeast cell with a simulated microscope",
        ),
        entry(
            C::DemoLymphocyte,
            G::Project,
            icons::SPARKLE,
            "Open demo lymphocyte",
            &[],
            "Scans a synthetic lymphocyte with a simulated microscope",
        ),
        entry(
            C::AddVolume,
            G::Project,
            icons::STACK,
            "Add volume as layer…",
            &[ctrl_shift(Key::O)],
            "Adds another volume, such as a fluorescence channel, to what is open",
        )
        .asks()
        .when(|f| f.project),
        entry(
            C::Save,
            G::Project,
            icons::FLOPPY_DISK,
            "Save",
            &[ctrl(Key::S)],
            "Saves the project; asks for a place the first time",
        )
        .when(|f| f.project),
        entry(
            C::SaveAs,
            G::Project,
            icons::FLOPPY_DISK,
            "Save as…",
            &[ctrl_shift(Key::S)],
            "Saves the project under another name",
        )
        .asks()
        .when(|f| f.project),
        entry(
            C::CloseProject,
            G::Project,
            icons::X,
            "Close project",
            &[ctrl(Key::W)],
            "Goes back to the welcome page; asks where work is not saved",
        )
        .when(|f| f.project),
        entry(
            C::Quit,
            G::Project,
            icons::SIGN_OUT,
            "Quit",
            &[ctrl(Key::Q)],
            "Leaves the program; asks where work is not saved",
        ),
        entry(
            C::Undo,
            G::Edit,
            icons::ARROW_U_UP_LEFT,
            "Undo",
            &[ctrl(Key::Z)],
            "Takes the last change back",
        )
        .when(|f| f.undo),
        entry(
            C::Redo,
            G::Edit,
            icons::ARROW_U_UP_RIGHT,
            "Redo",
            &[ctrl_shift(Key::Z), ctrl(Key::Y)],
            "Makes the change again that was taken back",
        )
        .when(|f| f.redo),
        entry(
            C::CancelJobs,
            G::Edit,
            icons::STOP,
            "Cancel all jobs",
            &[],
            "Stops everything that computes; nothing already done is lost",
        )
        .when(|f| f.jobs),
        entry(
            C::Navigate,
            G::Paint,
            icons::CROSSHAIR,
            "Navigate",
            &[key(Key::N)],
            "A click moves the crosshair, a drag moves the picture",
        )
        .when(|f| f.volume),
        entry(
            C::Brush,
            G::Paint,
            icons::PAINT_BRUSH,
            "Brush",
            &[key(Key::B)],
            "Paints the chosen class; the right button erases",
        )
        .when(|f| f.volume),
        entry(C::Eraser, G::Paint, icons::ERASER, "Eraser", &[key(Key::E)], "Takes labels away")
            .when(|f| f.volume),
        entry(
            C::Fill,
            G::Paint,
            icons::PAINT_BUCKET,
            "Fill",
            &[key(Key::F)],
            "Fills what hangs together under one label, such as the inside of an outline",
        )
        .when(|f| f.volume),
        entry(
            C::Wand,
            G::Paint,
            icons::MAGIC_WAND,
            "Wand",
            &[key(Key::W)],
            "Fills what hangs together and is alike in LAC; a drag to the right widens what is alike",
        )
        .when(|f| f.volume),
        entry(
            C::Regions,
            G::Paint,
            icons::HEXAGON,
            "Supervoxel brush",
            &[key(Key::S)],
            "Paints the whole supervoxels that it touches",
        )
        .when(|f| f.volume),
        entry(
            C::Polygon,
            G::Paint,
            icons::POLYGON,
            "Polygon and lasso",
            &[key(Key::P)],
            "Paints what an outline holds: drag it, or click its corners and close it with Enter",
        )
        .when(|f| f.volume),
        entry(
            C::Object,
            G::Paint,
            icons::SELECTION,
            "Object",
            &[key(Key::O)],
            "Takes connected objects as a whole: another class, another place, a cut",
        )
        .when(|f| f.labels),
        entry(
            C::BallBrush,
            G::Paint,
            icons::SPHERE,
            "Disc or ball",
            &[key(Key::D)],
            "Changes the brush between a disc in the plane and a ball",
        )
        .when(|f| f.volume),
        entry(
            C::SmartBrush,
            G::Paint,
            icons::MAGNET,
            "Brush follows edges",
            &[key(Key::G)],
            "The brush then stays on the side of an edge that the pointer is on",
        )
        .when(|f| f.volume),
        entry(
            C::SmallerBrush,
            G::Paint,
            icons::CIRCLE,
            "Smaller brush",
            &[key(Key::OpenBracket)],
            "Makes the brush one voxel smaller",
        )
        .when(|f| f.volume),
        entry(
            C::LargerBrush,
            G::Paint,
            icons::CIRCLE,
            "Larger brush",
            &[key(Key::CloseBracket)],
            "Makes the brush one voxel larger",
        )
        .when(|f| f.volume),
        entry(
            C::LacLimit,
            G::Paint,
            icons::FUNNEL,
            "Limit brush to LAC range",
            &[key(Key::T)],
            "The brush then only touches voxels whose LAC lies in the range",
        )
        .when(|f| f.volume),
        entry(
            C::SwapClass,
            G::Paint,
            icons::SWAP,
            "Class before",
            &[key(Key::X)],
            "Changes between the last two classes that were chosen",
        )
        .when(|f| f.volume),
        entry(
            C::NextClass,
            G::Paint,
            icons::CARET_DOWN,
            "Next class",
            &[key(Key::Equals)],
            "Paints with the class below in the list",
        )
        .when(|f| f.volume),
        entry(
            C::PreviousClass,
            G::Paint,
            icons::CARET_UP,
            "Class above",
            &[key(Key::Minus)],
            "Paints with the class above in the list",
        )
        .when(|f| f.volume),
        entry(
            C::PickClass,
            G::Paint,
            icons::EYEDROPPER,
            "Pick class under pointer",
            &[key(Key::Y)],
            "Chooses the class that lies under the pointer",
        )
        .when(|f| f.labels),
        entry(
            C::LockClass,
            G::Paint,
            icons::LOCK,
            "Lock class under pointer",
            &[key(Key::K)],
            "Locks or unlocks the class under the pointer: a locked class neither loses nor gains a voxel",
        )
        .when(|f| f.labels),
        entry(
            C::Interpolate,
            G::Paint,
            icons::STACK,
            "Interpolate slices",
            &[key(Key::I)],
            "Fills in what lies between painted slices, into unlabelled voxels only",
        )
        .when(|f| f.labels),
        entry(
            C::NextPlace,
            G::Paint,
            icons::LIGHTBULB,
            "Next place to paint",
            &[key(Key::Tab)],
            "Goes to the place where a stroke would teach the classifier most",
        )
        .when(|f| f.places),
        entry(
            C::PreviousPlace,
            G::Paint,
            icons::LIGHTBULB,
            "Previous place to paint",
            &[shift(Key::Tab)],
            "Goes back to the place before",
        )
        .when(|f| f.places),
        entry(
            C::Proofread,
            G::Paint,
            icons::LIST_CHECKS,
            "Proofread objects",
            &[key(Key::M)],
            "Lists the objects of the labels, the most doubtful first, to accept, remove or change them",
        )
        .when(|f| f.volume && f.labels),
        entry(
            C::NextObject,
            G::Paint,
            icons::CARET_DOWN,
            "Next object",
            &[key(Key::Period)],
            "Goes to the next object of the list",
        )
        .when(|f| f.objects),
        entry(
            C::PreviousObject,
            G::Paint,
            icons::CARET_UP,
            "Previous object",
            &[key(Key::Comma)],
            "Goes to the object before in the list",
        )
        .when(|f| f.objects),
        entry(
            C::AcceptObject,
            G::Paint,
            icons::CHECK,
            "Accept object",
            &[shift(Key::Enter)],
            "Marks the chosen object as looked at and right, and goes to the next",
        )
        .when(|f| f.object),
        entry(
            C::RemoveObject,
            G::Paint,
            icons::TRASH,
            "Remove object",
            &[key(Key::Delete)],
            "Takes the chosen object's labels away and goes to the next",
        )
        .when(|f| f.object),
        entry(
            C::RelabelObject,
            G::Paint,
            icons::SWAP,
            "Give object the chosen class",
            &[shift(Key::R)],
            "The object of the list gets the class that is painted, and the next one is shown",
        )
        .when(|f| f.object),
        entry(
            C::NewClass,
            G::Paint,
            icons::PLUS,
            "New class…",
            &[key(Key::A)],
            "Adds a class from the ontology of cell parts, or one of your own",
        )
        .asks()
        .when(|f| f.volume),
        entry(
            C::Class(1),
            G::Paint,
            icons::CIRCLE,
            "Class 1",
            &[key(Key::Num1)],
            "Paints with the first class of the list",
        )
        .when(|f| f.volume),
        entry(
            C::Class(2),
            G::Paint,
            icons::CIRCLE,
            "Class 2",
            &[key(Key::Num2)],
            "Paints with the second class of the list",
        )
        .when(|f| f.volume),
        entry(
            C::Class(3),
            G::Paint,
            icons::CIRCLE,
            "Class 3",
            &[key(Key::Num3)],
            "Paints with the third class of the list",
        )
        .when(|f| f.volume),
        entry(
            C::Class(4),
            G::Paint,
            icons::CIRCLE,
            "Class 4",
            &[key(Key::Num4)],
            "Paints with the fourth class of the list",
        )
        .when(|f| f.volume),
        entry(
            C::Class(5),
            G::Paint,
            icons::CIRCLE,
            "Class 5",
            &[key(Key::Num5)],
            "Paints with the fifth class of the list",
        )
        .when(|f| f.volume),
        entry(
            C::Class(6),
            G::Paint,
            icons::CIRCLE,
            "Class 6",
            &[key(Key::Num6)],
            "Paints with the sixth class of the list",
        )
        .when(|f| f.volume),
        entry(
            C::Class(7),
            G::Paint,
            icons::CIRCLE,
            "Class 7",
            &[key(Key::Num7)],
            "Paints with the seventh class of the list",
        )
        .when(|f| f.volume),
        entry(
            C::Class(8),
            G::Paint,
            icons::CIRCLE,
            "Class 8",
            &[key(Key::Num8)],
            "Paints with the eighth class of the list",
        )
        .when(|f| f.volume),
        entry(
            C::Class(9),
            G::Paint,
            icons::CIRCLE,
            "Class 9",
            &[key(Key::Num9)],
            "Paints with the ninth class of the list",
        )
        .when(|f| f.volume),
        entry(
            C::Classify,
            G::Paint,
            icons::PLAY,
            "Classify",
            &[ctrl(Key::Enter)],
            "Predicts the whole volume from what is painted",
        )
        .when(|f| f.volume && f.labels),
        entry(
            C::Live,
            G::Paint,
            icons::LIGHTNING,
            "Live classification",
            &[key(Key::L)],
            "Learns from what is painted and predicts the whole volume after each stroke",
        )
        .when(|f| f.volume),
        entry(
            C::AcceptPrediction,
            G::Paint,
            icons::CHECK,
            "Accept prediction",
            &[key(Key::Enter)],
            "Makes the prediction a layer of labels; what is painted stays for the next training",
        )
        .when(|f| f.prediction),
        entry(
            C::DiscardPrediction,
            G::Paint,
            icons::TRASH,
            "Discard prediction",
            &[],
            "Throws the prediction away; what is painted stays",
        )
        .when(|f| f.prediction),
        entry(
            C::KeepClassifier,
            G::Paint,
            icons::FLOPPY_DISK,
            "Keep classifier",
            &[],
            "Keeps what was learnt as a layer, to apply it to other volumes or to write it to a file",
        )
        .when(|f| f.prediction),
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
    ]
};
