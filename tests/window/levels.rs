//! A volume larger than memory, as it is looked at: which level is shown, which voxels are read out, what can be loaded.

use std::sync::{Mutex, PoisonError};

use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use waterwindow::gui::App;
use waterwindow::session::{Command, Session, Settings, Theme};

use crate::support::{click, has_adapter, look, settle, window};

/// Blocks are kept under one budget for the process: one test at a time.
static BUDGET: Mutex<()> = Mutex::new(());

/// A window on a pyramid of 160³ voxels in 54 MB of memory.
fn opened(folder: &std::path::Path, theme: Theme) -> Harness<'static, App> {
    let file = crate::common::pyramid(folder);
    let settings = Settings { memory_gib: Some(0.05), theme, ..Settings::default() };
    let mut harness = window([1280.0, 800.0], Session::new(settings));
    harness.state_mut().session_mut().apply(Command::Open(file));
    settle(&mut harness);
    blocks_come(&mut harness);
    harness
}

/// Runs frames until blocks that are wanted have had time to come.
fn blocks_come(harness: &mut Harness<'_, App>) {
    for _ in 0..40 {
        harness.step();
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn finer_voxels_are_counted_read_out_and_loaded_though_a_coarser_level_is_in_memory() {
    let _alone = BUDGET.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    for theme in [Theme::Dark, Theme::Light] {
        let mut harness = opened(folder.path(), theme);
        // The title counts the finest sections, and the crosshair stands on one.
        harness.get_by_label_contains("z 81/160");
        // A corner of the pattern: its two values are 0.1 apart, the level in memory knows only their mean.
        let view = harness.get_by_label("Slice XY").rect();
        harness.hover_at(view.center());
        blocks_come(&mut harness);
        let readout = harness.get_by_label_contains("µm, LAC ").accesskit_node();
        let said = readout.label().or_else(|| readout.value()).unwrap();
        assert!(!said.contains('≈'), "{said}");
        let value: f32 = said.split("LAC ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        let distance = |offset: f32| (value - 0.3 - offset).abs();
        assert!(distance(0.05).min(distance(-0.05)) < 0.02, "{said}: not a finest voxel");
        look(&mut harness, &format!("levels_{theme:?}"));
        if !has_adapter() {
            continue;
        }
        // The title of the 3D view says at which level it is drawn, unless that is the finest.
        let is_coarse = |harness: &Harness<'_, App>| harness.query_by_label_contains("drawn at").is_some();
        for _ in 0..40 {
            if is_coarse(&harness) {
                blocks_come(&mut harness);
            }
        }
        assert!(!is_coarse(&harness), "a voxel is longer than a pixel, so the finest level is shown");
        // What is seen is loaded from the finest level.
        click(&mut harness, "Layer cell level 1");
        click(&mut harness, "Levels of cell level 1");
        look(&mut harness, &format!("levels_menu_{theme:?}"));
        harness.get_by_label_contains("What the slices show, 1/1").click();
        harness.step();
        settle(&mut harness);
        let project = harness.state().session().project();
        assert_eq!(project.layers.len(), 2);
        let fine = project.layers.iter().find(|layer| layer.pyramid.is_none()).unwrap();
        assert_eq!(fine.volume().unwrap().voxel_um, Some([0.02; 3]));
    }
}

#[test]
fn a_file_that_is_too_large_asks_where_to_put_its_pyramid() {
    let _alone = BUDGET.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let flat = crate::common::scattered(folder.path());
    let mut session = Session::new(Settings { memory_gib: Some(0.0142), ..Settings::default() });
    session.apply(Command::Open(flat));
    let mut harness = window([1280.0, 720.0], session);
    settle(&mut harness);
    harness.get_by_label("Too large to be read whole dialog");
    look(&mut harness, "levels_too_large");
    let settings = Settings { memory_gib: Some(0.06), ..Settings::default() };
    harness.state_mut().session_mut().apply(Command::SetSettings(Box::new(settings)));
    click(&mut harness, "Save file");
    settle(&mut harness);
    assert!(harness.state().session().project().layers[0].pyramid.is_some());
}
