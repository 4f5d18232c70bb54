//! Commands of classes and tools.

use egui::Key;

use super::super::keys::{ctrl, key, shift};
use super::super::{CommandId as C, Entry, Group as G};
use super::entry;
use crate::gui::icons;

pub(super) static ENTRIES: &[Entry] = &[
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
];
