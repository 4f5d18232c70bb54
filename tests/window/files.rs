//! Files that hold several things ask which is meant; a layer tells of its file for as long as it lives.

use std::path::{Path, PathBuf};

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use waterwindow::gui::App;
use waterwindow::project::Layer;
use waterwindow::session::{Command, Session, Settings};

use crate::support::{click, look, settle, window};

/// An Imaris file of two channels (DAPI, GFP) at two times, which Imaris' own layout names; 4 × 6 × 5 voxels.
fn two_channels() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/hdf5/imaris.ims")
}

/// Writes two channels of 2 × 8 × 8 voxels without names as .npy: 1 everywhere in the first, 2 in the second.
fn unnamed_channels(folder: &Path) -> PathBuf {
    let file = folder.join("stack.npy");
    let mut bytes = b"\x93NUMPY\x01\x00\x46\x00".to_vec();
    bytes.extend(
        format!("{:<69}\n", "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2, 8, 8), }").into_bytes(),
    );
    bytes.extend([1; 128]);
    bytes.extend([2; 128]);
    std::fs::write(&file, bytes).unwrap();
    file
}

/// Writes an HDF5 file that does not say which of two arrays is meant: 3 × 4 × 5 voxels of 7 and, in a group, 3 × 4 × 4
/// voxels of 9; and some words about them.
fn two_arrays(folder: &Path) -> PathBuf {
    use hdf5_pure::{AttrValue, FileBuilder};
    let path = folder.join("arrays.h5");
    let mut file = FileBuilder::new();
    file.create_dataset("large").with_data(&[7u16; 60]).with_shape(&[3, 4, 5]);
    let mut group = file.create_group("other");
    group.create_dataset("small").with_data(&[9u16; 48]).with_shape(&[3, 4, 4]);
    group.set_attr("beamline", AttrValue::String("B24".to_owned()));
    group.set_attr("sample", AttrValue::String("yeast 7".to_owned()));
    file.add_group(group.finish());
    file.write(&path).unwrap();
    path
}

/// Writes an HDF5 file with four axes of which it does not say what they are: 2 × 3 × 8 × 8.
fn untold_axes(folder: &Path) -> PathBuf {
    let path = folder.join("four.h5");
    let mut file = hdf5_pure::FileBuilder::new();
    file.create_dataset("data").with_data(&[5u16; 384]).with_shape(&[2, 3, 8, 8]);
    file.write(&path).unwrap();
    path
}

/// A window after a file was opened in it.
fn opened(file: &Path) -> Harness<'static, App> {
    let mut harness = window([1280.0, 800.0], Session::new(Settings::default()));
    open(&mut harness, file);
    harness
}

fn open(harness: &mut Harness<'_, App>, file: &Path) {
    harness.state_mut().session_mut().apply(Command::Open(file.to_owned()));
    settle(harness);
    // What the file holds is looked at while the dialog is open.
    settle(harness);
}

fn layers<'a>(harness: &'a Harness<'_, App>) -> &'a [Layer] {
    &harness.state().session().project().layers
}

fn names(harness: &Harness<'_, App>) -> Vec<String> {
    layers(harness).iter().map(|layer| layer.name.clone()).collect()
}

/// The first voxel of the newest layer.
fn first_voxel(harness: &Harness<'_, App>) -> f32 {
    layers(harness).last().unwrap().volume().unwrap().data[[0, 0, 0]]
}

fn is_there(harness: &Harness<'_, App>, part: &str) -> bool {
    harness.query_all_by_label_contains(part).next().is_some()
}

/// Chooses in a list that opens.
fn choose(harness: &mut Harness<'_, App>, list: &str, choice: &str) {
    harness.get_by_role_and_label(egui::accesskit::Role::ComboBox, list).click();
    harness.step();
    harness.step();
    harness.get_all_by_label(choice).last().unwrap().click();
    harness.step();
    settle(harness);
}

#[test]
fn a_file_of_two_channels_asks_which_and_enter_opens_the_first() {
    let mut harness = opened(&two_channels());
    look(&mut harness, "choose_channel");
    assert!(layers(&harness).is_empty(), "nothing is opened before the answer");
    harness.get_by_label_contains("2 channels and 2 times in imaris.ims: choose which is opened");
    harness.key_press(egui::Key::Enter);
    harness.step();
    settle(&mut harness);
    assert_eq!(names(&harness), ["imaris channel 0 DAPI time 0"]);
    assert_eq!(first_voxel(&harness), 0.0);
}

#[test]
fn the_channel_and_the_time_that_are_chosen_are_read() {
    let mut harness = opened(&two_channels());
    choose(&mut harness, "Channel", "1 GFP");
    click(&mut harness, "Open file");
    settle(&mut harness);
    // The fixture adds 1000 for the channel.
    assert_eq!(first_voxel(&harness), 1000.0);
    assert_eq!(names(&harness), ["imaris channel 1 GFP time 0"]);
    let read = &layers(&harness)[0].source.as_ref().unwrap().options.read;
    assert_eq!((read.channel, read.time), (Some(1), Some(0)), "it is kept with the layer");

    // The other one beside it is told apart.
    open(&mut harness, &two_channels());
    click(&mut harness, "Open file");
    settle(&mut harness);
    assert_eq!(names(&harness), ["imaris channel 1 GFP time 0", "imaris channel 0 DAPI time 0"]);
}

#[test]
fn two_files_that_ask_are_asked_about_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let stack = unnamed_channels(folder.path());
    let mut harness = window([1280.0, 800.0], Session::new(Settings::default()));
    harness.state_mut().session_mut().apply(Command::Open(stack));
    open(&mut harness, &two_channels());
    harness.get_by_label_contains("2 channels in stack.npy");
    choose(&mut harness, "Channel", "1");
    click(&mut harness, "Open file");
    settle(&mut harness);
    assert_eq!((names(&harness), first_voxel(&harness)), (vec!["stack channel 1".to_owned()], 2.0));
    harness.get_by_label_contains("2 channels and 2 times in imaris.ims");
    click(&mut harness, "Cancel");
    assert_eq!(layers(&harness).len(), 1);
}

#[test]
fn an_array_is_chosen_by_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let file = two_arrays(folder.path());
    let mut harness = opened(&file);
    look(&mut harness, "choose_array");
    harness.get_by_label_contains("2 arrays in arrays.h5");
    harness.get_by_label("Array /large");
    click(&mut harness, "Array /other/small");
    settle(&mut harness);
    assert!(is_there(&harness, "3 × 4 × 4 · uint16"), "the one that is chosen is described");
    click(&mut harness, "Open file");
    settle(&mut harness);
    assert_eq!((names(&harness), first_voxel(&harness)), (vec!["arrays /other/small".to_owned()], 9.0));
}

#[test]
fn a_path_that_is_typed_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let file = two_arrays(folder.path());
    let mut harness = window([1280.0, 800.0], Session::new(Settings::default()));
    click(&mut harness, "Open scan or tomogram…");
    harness.get_by_label("Path").type_text(&file.display().to_string());
    for _ in 0..10 {
        harness.step();
        settle(&mut harness);
    }
    harness.get_by_label("Array /other/small");
    let axes = harness.get_by_role_and_label(egui::accesskit::Role::TextInput, "Axes");
    axes.focus();
    axes.type_text("yzx");
    harness.step();
    settle(&mut harness);
    click(&mut harness, "Open file");
    settle(&mut harness);
    assert_eq!(layers(&harness)[0].content.shape(), Some([4, 3, 5]), "the axes that were typed");
}

/// A layer of the larger of two arrays, with the section about its file open.
fn about(folder: &Path) -> Harness<'static, App> {
    let mut harness = opened(&two_arrays(folder));
    click(&mut harness, "Open file");
    settle(&mut harness);
    click(&mut harness, "Layer arrays /large");
    click(&mut harness, "Menu of arrays /large");
    click(&mut harness, "About the file");
    // It is looked at, opened and scrolled to.
    (0..4).for_each(|_| settle(&mut harness));
    harness
}

#[test]
fn the_inspector_tells_what_the_file_says_and_searches_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = about(folder.path());
    look(&mut harness, "about_the_file");
    for said in ["arrays.h5", "HDF5", "3 × 4 × 5", "uint16", "other@beamline", "B24", "yeast 7"] {
        assert!(is_there(&harness, said), "{said}");
    }
    harness.get_by_label("Search metadata").focus();
    harness.get_by_label("Search metadata").type_text("YEAST");
    harness.step();
    harness.step();
    assert!(is_there(&harness, "yeast 7") && is_there(&harness, "1 found"));
    assert!(!is_there(&harness, "B24"), "what does not fit is not shown");
    harness.get_by_label_contains("yeast 7").click();
    harness.step();
    let copied = harness
        .output()
        .platform_output
        .commands
        .iter()
        .any(|command| matches!(command, egui::OutputCommand::CopyText(text) if text == "yeast 7"));
    assert!(copied, "a click copies the value");
}

#[test]
fn what_was_assumed_stays_with_the_layer_and_is_said_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = opened(&untold_axes(folder.path()));
    click(&mut harness, "Open file");
    settle(&mut harness);
    let name = layers(&harness)[0].name.clone();
    click(&mut harness, &format!("Layer {name}"));
    click(&mut harness, "What the file says");
    settle(&mut harness);
    // Long enough for every message to have gone.
    (0..100).for_each(|_| harness.step());
    let said = harness.query_all_by_label_contains("does not say what its 4 axes are").count();
    assert_eq!(said, 1, "of {:?}", layers(&harness)[0].provenance.notes);
}

#[test]
fn a_file_that_is_gone_is_said_to_be_gone() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = about(folder.path());
    assert!(!is_there(&harness, "The file is gone"));
    std::fs::remove_file(folder.path().join("arrays.h5")).unwrap();
    click(&mut harness, "Look at the file again");
    settle(&mut harness);
    settle(&mut harness);
    harness.get_by_label_contains("The file is gone");
    assert_eq!(first_voxel(&harness), 7.0, "what was read of it is still there");
}

/// Types into a field by its label, in place of what stands there, and presses Enter.
fn type_into(harness: &mut Harness<'_, App>, label: &str, text: &str) {
    let field = |harness: &Harness<'_, App>| {
        harness.get_all_by_role_and_label(egui::accesskit::Role::TextInput, label).last().unwrap().rect()
    };
    let at = field(harness).center();
    harness.hover_at(at);
    harness.get_all_by_role_and_label(egui::accesskit::Role::TextInput, label).last().unwrap().focus();
    harness.step();
    harness.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
    harness.step();
    harness
        .get_all_by_role_and_label(egui::accesskit::Role::TextInput, label)
        .last()
        .unwrap()
        .type_text(text);
    harness.step();
    harness.key_press(egui::Key::Enter);
    harness.step();
    settle(harness);
}

#[test]
fn a_voxel_size_is_set_right_in_layers_and_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cell.npy");
    let array = ndarray::Array3::<f32>::from_shape_fn((6, 8, 8), |(z, y, x)| (z + y + x) as f32);
    let request = waterwindow::io::WriteRequest::new(&array);
    waterwindow::io::write_array(&file, &request, &waterwindow::base::Progress::new()).unwrap();
    let mut harness = opened(&file);
    let volume = |harness: &Harness<'_, App>| {
        let volume = layers(harness)[0].volume().unwrap();
        (volume.voxel_um, volume.unit)
    };
    assert_eq!(volume(&harness).0, None);
    look(&mut harness, "voxel_size_unknown");
    harness.get_by_label("Layer cell").click();
    harness.step();
    settle(&mut harness);
    type_into(&mut harness, "Voxel size", "30 x 20 x 10 nm");
    assert_eq!(volume(&harness).0, Some([0.03, 0.02, 0.01]));
    choose(&mut harness, "Values are", "absorption, 1/µm");
    assert_eq!(volume(&harness).1, waterwindow::base::Unit::PerUm);
    look(&mut harness, "voxel_size");
    // The same voxel is looked at, at its new place.
    assert!(is_there(&harness, "0.09 µm"), "the crosshair and the views went along");
    let read = layers(&harness)[0].source.as_ref().unwrap().options.read.clone();
    assert_eq!(
        read.voxel_um.map(waterwindow::io::VoxelSize::um),
        Some([0.03, 0.02, 0.01]),
        "it is read so again"
    );
    type_into(&mut harness, "Voxel size", "0");
    assert!(is_there(&harness, "The voxel size is one number above 0"));
    assert_eq!(volume(&harness).0, Some([0.03, 0.02, 0.01]));
    for _ in 0..2 {
        harness.state_mut().session_mut().apply(Command::Undo);
        settle(&mut harness);
    }
    assert_eq!(volume(&harness), (None, waterwindow::base::Unit::Arbitrary));
}

#[test]
fn a_voxel_size_is_typed_where_a_file_is_opened() {
    let mut harness = opened(&two_channels());
    type_into(&mut harness, "Voxel size", "0,05");
    look(&mut harness, "open_voxel_size");
    if !layers(&harness).is_empty() {
        // Enter in the field opens, as in every field of the dialog.
        let voxel = layers(&harness)[0].volume().unwrap().voxel_um;
        assert_eq!(voxel, Some([0.05; 3]));
        return;
    }
    click(&mut harness, "Open file");
    settle(&mut harness);
    assert_eq!(layers(&harness)[0].volume().unwrap().voxel_um, Some([0.05; 3]));
}
