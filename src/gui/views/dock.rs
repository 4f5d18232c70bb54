//! The views side by side in a grid whose rows and columns can be dragged.
//!
//! YZ lies right of XY and shares its y; XZ lies below XY and shares its x.

use egui_tiles::{Behavior, Container, Grid, GridLayout, Tile, TileId, Tiles, Tree, UiResponse};

use super::super::draw::Drawer;
use super::super::frame::Cx;
use super::super::state::ViewKind;
use super::super::theme;

/// The layout of the views.
pub(crate) struct Dock {
    tree: Tree<ViewKind>,
}

impl Default for Dock {
    fn default() -> Self {
        let mut tiles = Tiles::default();
        let panes: Vec<TileId> = ViewKind::FIRST.into_iter().map(|kind| tiles.insert_pane(kind)).collect();
        let mut grid = Grid::new(panes);
        grid.layout = GridLayout::Columns(2);
        let root = tiles.insert_new(Tile::Container(Container::Grid(grid)));
        Self { tree: Tree::new(egui::Id::unique("views"), root, tiles) }
    }
}

impl Dock {
    /// Draws all views.
    pub(crate) fn show(&mut self, ui: &mut egui::Ui, cx: &mut Cx<'_>, drawer: Option<&mut Drawer>) {
        let mut behavior = Views { cx, drawer };
        self.tree.ui(&mut behavior, ui);
    }
}

struct Views<'a, 'b> {
    cx: &'a mut Cx<'b>,
    drawer: Option<&'a mut Drawer>,
}

impl Behavior<ViewKind> for Views<'_, '_> {
    fn pane_ui(&mut self, ui: &mut egui::Ui, _tile_id: TileId, kind: &mut ViewKind) -> UiResponse {
        // The fourth place shows the volume or the oblique slice.
        let is_oblique = *kind == ViewKind::Volume && self.cx.view.show_oblique;
        let kind = if is_oblique { ViewKind::Oblique } else { *kind };
        super::view(ui, kind, self.cx, self.drawer.as_deref_mut());
        UiResponse::None
    }

    fn tab_title_for_pane(&mut self, kind: &ViewKind) -> egui::WidgetText {
        kind.label().into()
    }

    fn gap_width(&self, _style: &egui::Style) -> f32 {
        2.0
    }

    fn min_size(&self) -> f32 {
        120.0
    }

    fn resize_stroke(&self, style: &egui::Style, state: egui_tiles::ResizeState) -> egui::Stroke {
        let t = theme::of_visuals(&style.visuals);
        match state {
            egui_tiles::ResizeState::Idle => egui::Stroke::NONE,
            _ => egui::Stroke::new(2.0, t.accent),
        }
    }
}
