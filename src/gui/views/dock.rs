//! The views side by side: rows, columns, a grid and tabs whose edges can be dragged; a view is dragged by its title.
//!
//! In the first layout YZ lies right of XY and shares its y; XZ lies below XY and shares its x.

use std::collections::BTreeMap;

use egui_tiles::{
    Behavior, Container, EditAction, Grid, GridLayout, Linear, LinearDir, Tabs, Tile, TileId, Tiles, Tree,
    UiResponse,
};

use super::super::draw::Drawer;
use super::super::frame::Cx;
use super::super::layouts::{self, Layout, MOST_VIEWS, Preset, Stored, ViewSpec};
use super::super::panes::{Panes, ViewId};
use super::super::state::ViewState;
use super::super::theme;

/// Below this width the views lie under each other, points.
const NARROW: f32 = 460.0;

/// On which side of a view a new one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Right of it.
    Right,
    /// Below it.
    Below,
    /// Over it, with a tab for each.
    Tab,
}

/// What is done with the layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ViewAct {
    /// A second view of the same kind beside this one.
    Split(ViewId, Side),
    /// It goes.
    Close(ViewId),
    /// A layout of the program.
    Arrange(Preset),
    /// A layout that was named.
    Use(String),
    /// The present layout gets a name.
    Keep(String),
    /// A named layout is forgotten.
    Forget(String),
}

/// The layout of the views.
pub(crate) struct Dock {
    tree: Tree<ViewId>,
    /// The preset that is shown, where nothing in it was moved.
    preset: Option<Preset>,
    /// It was laid out for a narrow place.
    narrow: bool,
    named: BTreeMap<String, Layout>,
    /// What is to be laid out before the next frame.
    due: Option<Layout>,
    /// Views keep slabs, links and directions when that is laid out: only the room has changed.
    reflows: bool,
}

impl Default for Dock {
    fn default() -> Self {
        let preset = Preset::default();
        Self {
            tree: Tree::empty(egui::Id::unique("views")),
            preset: Some(preset),
            narrow: false,
            named: BTreeMap::new(),
            due: Some(preset.layout(false)),
            reflows: false,
        }
    }
}

impl Dock {
    /// As it was when the window was closed.
    pub(crate) fn restored(stored: Stored) -> Self {
        let Stored { preset, layout, named, .. } = stored;
        Self { preset, named, due: Some(layout), ..Self::default() }
    }

    /// What is to be kept for the next start.
    pub(crate) fn stored(&self, view: &ViewState) -> Stored {
        let preset = self.preset(view);
        let wide = preset.filter(|_| self.narrow).map(|preset| preset.layout(false));
        let layout = wide.or_else(|| self.due.clone()).or_else(|| self.layout(view));
        Stored::new(preset, layout.unwrap_or_else(|| Preset::default().layout(false)), self.named.clone())
    }

    /// The preset that is shown, where nothing in it was moved or shows something else.
    fn preset(&self, view: &ViewState) -> Option<Preset> {
        let preset = self.preset?;
        let now = self.due.clone().or_else(|| self.layout(view))?;
        (now.kinds() == preset.layout(self.narrow).kinds()).then_some(preset)
    }

    /// What the menus offer: the preset that is shown, and the names of the user's layouts.
    pub(crate) fn choices(&self, view: &ViewState) -> (Option<Preset>, Vec<String>) {
        (self.preset(view), self.named.keys().cloned().collect())
    }

    /// Draws all views, or the one that has all the room.
    pub(crate) fn show(&mut self, ui: &mut egui::Ui, cx: &mut Cx<'_>, drawer: Option<&mut Drawer>) {
        self.prepare(ui.available_width() < NARROW, cx.view);
        cx.view.views.layouts = self.choices(cx.view);
        if let Some(id) = cx.view.maximised {
            super::view(ui, id, cx, drawer);
            return;
        }
        let mut behavior = Views { cx, drawer, edited: false };
        self.tree.ui(&mut behavior, ui);
        if behavior.edited {
            self.preset = None;
        }
    }

    /// Lays out what is due and brings into sight what is wanted.
    pub(crate) fn prepare(&mut self, narrow: bool, view: &mut ViewState) {
        if self.due.is_none() && narrow != self.narrow {
            self.reflows = true;
            self.due = self.preset(view).map(|preset| preset.layout(narrow));
        } else if narrow && self.due.is_some() {
            self.due = self.preset.map(|preset| preset.layout(true)).or(self.due.take());
        }
        self.narrow = narrow;
        if let Some(layout) = self.due.take() {
            self.lay_out(&layout, view);
        }
        self.reflows = false;
        self.bring(view);
        view.views.shown =
            self.in_order().into_iter().filter(|(_, _, seen)| *seen).map(|(_, id, _)| id).collect();
        view.maximised = view.maximised.filter(|id| view.views.get(*id).is_some());
    }

    /// Does what the menus and commands ask for; a sentence where that cannot be.
    pub(crate) fn act(&mut self, act: ViewAct, view: &mut ViewState) -> Result<(), String> {
        match act {
            ViewAct::Split(id, side) => return self.split(id, side, view),
            ViewAct::Close(id) => return self.close(id, view),
            ViewAct::Arrange(preset) => {
                view.maximised = None;
                self.preset = Some(preset);
                self.due = Some(preset.layout(self.narrow));
            }
            ViewAct::Use(name) => {
                view.maximised = None;
                self.preset = None;
                self.due = self.named.get(&name).cloned();
            }
            ViewAct::Keep(name) => {
                let name = layouts::name_of(&name).ok_or("A layout needs a name")?;
                if !layouts::has_room(&self.named, &name) {
                    return Err("There are too many named layouts: forget one first".to_owned());
                }
                self.named.extend(self.layout(view).map(|layout| (name, layout)));
            }
            ViewAct::Forget(name) => {
                self.named.remove(&name);
            }
        }
        Ok(())
    }

    fn split(&mut self, id: ViewId, side: Side, view: &mut ViewState) -> Result<(), String> {
        if view.views.ids().count() >= MOST_VIEWS {
            return Err(format!("{MOST_VIEWS} views are the most that can be open: close one first"));
        }
        let (Some(tile), Some(pane)) = (self.tree.tiles.find_pane(&id), view.views.get(id).cloned()) else {
            return Ok(());
        };
        let new = view.views.insert(pane);
        copy_look(id, new, view);
        let new = self.tree.tiles.insert_pane(new);
        let parent = self.tree.tiles.parent_of(tile);
        let dir = match side {
            Side::Right => Some(LinearDir::Horizontal),
            Side::Below => Some(LinearDir::Vertical),
            Side::Tab => None,
        };
        self.preset = None;
        view.maximised = None;
        match parent.and_then(|parent| self.tree.tiles.get_mut(parent)) {
            Some(Tile::Container(Container::Linear(linear))) if Some(linear.dir) == dir => {
                let share = linear.shares[tile] / 2.0;
                linear.shares.set_share(tile, share);
                linear.shares.set_share(new, share);
                let at = linear.children.iter().position(|child| *child == tile).unwrap_or(0);
                linear.children.insert(at + 1, new);
            }
            Some(Tile::Container(Container::Tabs(tabs))) if dir.is_none() => {
                let at = tabs.children.iter().position(|child| *child == tile).unwrap_or(0);
                tabs.children.insert(at + 1, new);
                tabs.set_active(new);
            }
            _ => {
                let both = vec![tile, new];
                let container = match dir {
                    Some(dir) => Container::Linear(Linear::new(dir, both)),
                    None => {
                        let mut tabs = Tabs::new(both);
                        tabs.set_active(new);
                        Container::Tabs(tabs)
                    }
                };
                let container = self.tree.tiles.insert_container(container);
                let replaced = match parent.and_then(|parent| self.tree.tiles.get_mut(parent)) {
                    Some(Tile::Container(parent)) => parent.replace_child(tile, container),
                    _ => None,
                };
                if replaced.is_none() {
                    self.tree.root = Some(container);
                }
            }
        }
        Ok(())
    }

    fn close(&mut self, id: ViewId, view: &mut ViewState) -> Result<(), String> {
        if view.views.ids().count() < 2 {
            return Err("This is the only view: one stays open".to_owned());
        }
        let Some(tile) = self.tree.tiles.find_pane(&id) else { return Ok(()) };
        self.tree.remove_recursively(tile);
        self.preset = None;
        view.maximised = view.maximised.filter(|big| *big != id);
        forget_others(self, view);
        Ok(())
    }

    /// Lays out views; those that are open already are taken where they fit, so that they stay where they look.
    fn lay_out(&mut self, layout: &Layout, view: &mut ViewState) {
        let mut free: Vec<ViewId> = view.views.ids().collect();
        let mut tiles = Tiles::default();
        let root = build(layout, &mut tiles, &mut free, self.reflows, view);
        self.tree = Tree::new(egui::Id::unique("views"), root, tiles);
        forget_others(self, view);
    }

    /// The present layout; `None` before the first one is laid out.
    fn layout(&self, view: &ViewState) -> Option<Layout> {
        self.layout_of(self.tree.root()?, view)
    }

    fn layout_of(&self, tile: TileId, view: &ViewState) -> Option<Layout> {
        let container = match self.tree.tiles.get(tile)? {
            Tile::Pane(id) => return Some(Layout::View(spec_of(*id, view))),
            Tile::Container(container) => container,
        };
        let parts = |ids: &[TileId]| -> Vec<Layout> {
            ids.iter().filter_map(|id| self.layout_of(*id, view)).collect()
        };
        Some(match container {
            Container::Linear(linear) => {
                let shares = linear.children.iter().map(|child| linear.shares[*child]);
                let parts = shares.zip(parts(&linear.children)).collect();
                match linear.dir {
                    LinearDir::Horizontal => Layout::Row(parts),
                    LinearDir::Vertical => Layout::Column(parts),
                }
            }
            Container::Grid(grid) => Layout::Grid {
                columns: grid.col_shares.clone(),
                rows: grid.row_shares.clone(),
                cells: parts(&container.children_vec()),
            },
            Container::Tabs(tabs) => Layout::Tabs {
                open: tabs.children.iter().position(|child| tabs.is_active(*child)).unwrap_or(0),
                views: parts(&tabs.children),
            },
        })
    }

    /// Every view in reading order, with its tile and whether it is seen.
    fn in_order(&self) -> Vec<(TileId, ViewId, bool)> {
        let mut found = Vec::new();
        if let Some(root) = self.tree.root() {
            self.collect(root, true, &mut found);
        }
        found
    }

    fn collect(&self, tile: TileId, seen: bool, found: &mut Vec<(TileId, ViewId, bool)>) {
        match self.tree.tiles.get(tile) {
            Some(Tile::Pane(id)) => found.push((tile, *id, seen)),
            Some(Tile::Container(container)) => {
                for child in container.children() {
                    let open = match container {
                        Container::Tabs(tabs) => tabs.is_active(*child),
                        _ => true,
                    };
                    self.collect(*child, seen && open, found);
                }
            }
            None => {}
        }
    }

    /// Brings a view of the wanted kind into sight; where there is none it takes the place of the 3D view.
    fn bring(&mut self, view: &mut ViewState) {
        let Some(kind) = view.views.wanted.take() else { return };
        let all = self.in_order();
        let has = |(_, id, _): &&(TileId, ViewId, bool)| view.kind(*id) == kind;
        let known = all.iter().filter(has).max_by_key(|(_, _, seen)| *seen).map(|(_, id, _)| *id);
        let Some(id) = known.or_else(|| view.volume_at_hand()).or_else(|| view.at_hand()) else { return };
        if let Some(pane) = view.views.get_mut(id) {
            pane.kind = kind;
        }
        if view.maximised.is_some() {
            view.maximised = Some(id);
        }
        self.tree.make_active(|_, tile| matches!(tile, Tile::Pane(pane) if *pane == id));
    }
}

/// Forgets views that are in no place of the layout.
fn forget_others(dock: &Dock, view: &mut ViewState) {
    let kept: Vec<ViewId> = dock.in_order().into_iter().map(|(_, id, _)| id).collect();
    view.views.retain(&kept);
    view.scenes.retain(|id, _| kept.contains(id));
    view.slices.retain(&kept);
}

/// Slab and comparison of a view go with its copy.
fn copy_look(from: ViewId, to: ViewId, view: &mut ViewState) {
    let (slab, compare) = (view.slices.slabs.get(&from).copied(), view.slices.compared.get(&from).copied());
    view.slices.slabs.extend(slab.map(|slab| (to, slab)));
    view.slices.compared.extend(compare.map(|compare| (to, compare)));
}

/// A view as a layout keeps it.
fn spec_of(id: ViewId, view: &ViewState) -> ViewSpec {
    ViewSpec {
        kind: view.kind(id),
        unlinked: !view.views.is_linked(id),
        direction: view.views.direction(id),
        slab: view.slices.slabs.get(&id).copied(),
        compare: view.slices.compared.get(&id).copied(),
    }
}

/// The first of the views that are not taken yet that shows the same, else a new one.
fn take(spec: &ViewSpec, free: &mut Vec<ViewId>, panes: &mut Panes) -> ViewId {
    match free.iter().position(|id| panes.kind(*id) == spec.kind) {
        Some(at) => free.remove(at),
        None => panes.open(spec.kind),
    }
}

fn build(
    layout: &Layout,
    tiles: &mut Tiles<ViewId>,
    free: &mut Vec<ViewId>,
    reflows: bool,
    view: &mut ViewState,
) -> TileId {
    let mut all = |parts: Vec<&Layout>, tiles: &mut Tiles<ViewId>| -> Vec<TileId> {
        parts.into_iter().map(|part| build(part, tiles, free, reflows, view)).collect()
    };
    let container = match layout {
        Layout::View(spec) => {
            let id = take(spec, free, &mut view.views);
            if reflows {
                return tiles.insert_pane(id);
            }
            view.set_linked(id, !spec.unlinked);
            if let (Some((rotation, projection)), Some(pane)) = (spec.direction, view.views.get_mut(id)) {
                (pane.camera.rotation, pane.camera.projection) = (rotation, projection);
            }
            super::look::set(&mut view.slices.slabs, id, spec.slab);
            super::look::set(&mut view.slices.compared, id, spec.compare);
            return tiles.insert_pane(id);
        }
        Layout::Row(parts) | Layout::Column(parts) => {
            let is_row = matches!(layout, Layout::Row(_));
            let children = all(parts.iter().map(|(_, part)| part).collect(), tiles);
            let dir = if is_row { LinearDir::Horizontal } else { LinearDir::Vertical };
            let mut linear = Linear::new(dir, children.clone());
            for (child, (share, _)) in children.into_iter().zip(parts) {
                linear.shares.set_share(child, *share);
            }
            Container::Linear(linear)
        }
        Layout::Grid { columns, rows, cells } => {
            let mut grid = Grid::new(all(cells.iter().collect(), tiles));
            grid.layout = GridLayout::Columns(columns.len());
            (grid.col_shares, grid.row_shares) = (columns.clone(), rows.clone());
            Container::Grid(grid)
        }
        Layout::Tabs { open, views } => {
            let children = all(views.iter().collect(), tiles);
            let mut tabs = Tabs::new(children.clone());
            children.get(*open).into_iter().for_each(|child| tabs.set_active(*child));
            Container::Tabs(tabs)
        }
    };
    tiles.insert_container(container)
}

struct Views<'a, 'b> {
    cx: &'a mut Cx<'b>,
    drawer: Option<&'a mut Drawer>,
    edited: bool,
}

impl Behavior<ViewId> for Views<'_, '_> {
    fn pane_ui(&mut self, ui: &mut egui::Ui, _tile_id: TileId, id: &mut ViewId) -> UiResponse {
        if super::view(ui, *id, self.cx, self.drawer.as_deref_mut()) {
            UiResponse::DragStarted
        } else {
            UiResponse::None
        }
    }

    fn tab_title_for_pane(&mut self, id: &ViewId) -> egui::WidgetText {
        self.cx.view.label(*id).into()
    }

    fn gap_width(&self, _style: &egui::Style) -> f32 {
        2.0
    }

    fn min_size(&self) -> f32 {
        120.0
    }

    fn on_edit(&mut self, _action: EditAction) {
        self.edited = true;
    }

    fn simplification_options(&self) -> egui_tiles::SimplificationOptions {
        egui_tiles::SimplificationOptions { all_panes_must_have_tabs: false, ..Default::default() }
    }

    fn resize_stroke(&self, style: &egui::Style, state: egui_tiles::ResizeState) -> egui::Stroke {
        let t = theme::of_visuals(&style.visuals);
        match state {
            egui_tiles::ResizeState::Idle => egui::Stroke::NONE,
            _ => egui::Stroke::new(2.0, t.accent),
        }
    }

    fn tab_bar_height(&self, _style: &egui::Style) -> f32 {
        theme::VIEW_TITLE
    }

    fn tab_bar_color(&self, visuals: &egui::Visuals) -> egui::Color32 {
        theme::of_visuals(visuals).ground
    }

    fn tab_bg_color(
        &self,
        visuals: &egui::Visuals,
        _tiles: &Tiles<ViewId>,
        _tile_id: TileId,
        state: &egui_tiles::TabState,
    ) -> egui::Color32 {
        let t = theme::of_visuals(visuals);
        if state.active { t.panel } else { t.ground }
    }

    fn tab_outline_stroke(
        &self,
        _visuals: &egui::Visuals,
        _tiles: &Tiles<ViewId>,
        _tile_id: TileId,
        _state: &egui_tiles::TabState,
    ) -> egui::Stroke {
        egui::Stroke::NONE
    }

    fn tab_bar_hline_stroke(&self, _visuals: &egui::Visuals) -> egui::Stroke {
        egui::Stroke::NONE
    }

    fn tab_text_color(
        &self,
        visuals: &egui::Visuals,
        _tiles: &Tiles<ViewId>,
        _tile_id: TileId,
        state: &egui_tiles::TabState,
    ) -> egui::Color32 {
        let t = theme::of_visuals(visuals);
        if state.active { t.text_strong } else { t.text_weak }
    }

    fn dragged_overlay_color(&self, visuals: &egui::Visuals) -> egui::Color32 {
        theme::of_visuals(visuals).ground.gamma_multiply(0.5)
    }

    fn drag_preview_stroke(&self, visuals: &egui::Visuals) -> egui::Stroke {
        egui::Stroke::new(1.5, theme::of_visuals(visuals).accent)
    }

    fn drag_preview_color(&self, visuals: &egui::Visuals) -> egui::Color32 {
        theme::of_visuals(visuals).accent.gamma_multiply(0.18)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::panes::ViewKind;
    use super::*;

    fn laid_out(preset: Preset) -> (Dock, ViewState) {
        let (mut dock, mut view) = (Dock::default(), ViewState::default());
        dock.act(ViewAct::Arrange(preset), &mut view).unwrap();
        dock.prepare(false, &mut view);
        (dock, view)
    }

    fn labels(dock: &Dock, view: &ViewState) -> Vec<String> {
        dock.in_order().into_iter().map(|(_, id, _)| view.label(id)).collect()
    }

    #[test]
    fn layouts_are_laid_out_as_they_are_written_and_read_back_the_same() {
        for preset in Preset::ALL {
            let (dock, view) = laid_out(preset);
            let back = dock.layout(&view).unwrap();
            let mut again = Dock::restored(Stored::new(None, back.clone(), BTreeMap::new()));
            let mut other = ViewState::default();
            again.prepare(false, &mut other);
            assert_eq!(again.layout(&other), Some(back), "{preset:?}");
            assert_eq!(labels(&again, &other), labels(&dock, &view));
        }
    }

    #[test]
    fn views_are_split_closed_and_put_behind_tabs() {
        let (mut dock, mut view) = laid_out(Preset::FourUp);
        let [xy, volume] = [ViewKind::Xy, ViewKind::Volume].map(|kind| view.views.first(kind).unwrap());
        view.slices.next_slab(xy);
        dock.act(ViewAct::Split(xy, Side::Right), &mut view).unwrap();
        dock.act(ViewAct::Split(xy, Side::Right), &mut view).unwrap();
        dock.act(ViewAct::Split(volume, Side::Tab), &mut view).unwrap();
        dock.prepare(false, &mut view);
        assert_eq!(labels(&dock, &view), ["XY", "XY 3", "XY 2", "YZ", "XZ", "3D", "3D 2"]);
        assert_eq!(view.views.shown.len(), 6, "the first of two tabs is not seen");
        assert_eq!(view.slices.slabs.len(), 3, "a copy has the slab of its original");
        assert!(dock.choices(&view).0.is_none());

        let third = view.views.shown[1];
        dock.act(ViewAct::Close(third), &mut view).unwrap();
        dock.act(ViewAct::Close(volume), &mut view).unwrap();
        dock.prepare(false, &mut view);
        assert_eq!(labels(&dock, &view), ["XY", "XY 2", "YZ", "XZ", "3D"]);
        assert_eq!(view.slices.slabs.len(), 2);
        while dock.act(ViewAct::Close(view.at_hand().unwrap()), &mut view).is_ok() {
            dock.prepare(false, &mut view);
        }
        assert_eq!(view.views.ids().count(), 1, "one stays");
        let one = view.at_hand().unwrap();
        while dock.act(ViewAct::Split(one, Side::Below), &mut view).is_ok() {}
        assert_eq!(view.views.ids().count(), MOST_VIEWS);
    }

    #[test]
    fn cameras_stay_where_they_look_when_the_layout_changes() {
        let (mut dock, mut view) = laid_out(Preset::FourUp);
        let volume = view.views.first(ViewKind::Volume).unwrap();
        view.set_camera(volume, |camera| camera.roll(1.0));
        let camera = view.camera(volume);
        for preset in [Preset::Large, Preset::TwoVolumes, Preset::Volume] {
            dock.act(ViewAct::Arrange(preset), &mut view).unwrap();
            dock.prepare(false, &mut view);
            assert_eq!(view.camera(volume), camera, "{preset:?}");
        }
        view.views.fit_cameras((glam::DVec3::ZERO, glam::DVec3::splat(7.0)));
        dock.act(ViewAct::Arrange(Preset::Slices), &mut view).unwrap();
        dock.prepare(false, &mut view);
        assert!(view.views.first(ViewKind::Volume).is_none());
        dock.act(ViewAct::Arrange(Preset::Volume), &mut view).unwrap();
        dock.prepare(false, &mut view);
        let again = view.views.first(ViewKind::Volume).unwrap();
        assert_eq!(view.camera(again).target_um, glam::DVec3::splat(3.5), "a new one sees the volume");
    }

    #[test]
    fn in_a_narrow_place_the_volume_falls_under_the_slices() {
        let (mut dock, mut view) = laid_out(Preset::Large);
        assert!(matches!(dock.layout(&view), Some(Layout::Row(_))));
        dock.prepare(true, &mut view);
        assert!(matches!(dock.layout(&view), Some(Layout::Column(_))));
        let last = view.views.shown.last().copied().unwrap();
        assert_eq!(view.kind(last), ViewKind::Volume);
        dock.prepare(false, &mut view);
        assert!(matches!(dock.layout(&view), Some(Layout::Row(_))), "and comes back");
    }

    #[test]
    fn a_wanted_slice_takes_the_place_of_the_volume_or_comes_from_behind_a_tab() {
        let (mut dock, mut view) = laid_out(Preset::FourUp);
        view.want(ViewKind::Oblique);
        dock.prepare(false, &mut view);
        assert_eq!(labels(&dock, &view), ["XY", "YZ", "XZ", "Oblique"]);
        let oblique = view.views.first(ViewKind::Oblique).unwrap();
        dock.act(ViewAct::Split(oblique, Side::Tab), &mut view).unwrap();
        dock.prepare(false, &mut view);
        let front = view.views.shown[3];
        view.views.get_mut(front).unwrap().kind = ViewKind::Volume;
        view.want(ViewKind::Oblique);
        dock.prepare(false, &mut view);
        assert!(view.views.shown.contains(&oblique) && !view.views.shown.contains(&front));
    }

    #[test]
    fn a_named_layout_comes_back_and_can_be_forgotten() {
        let (mut dock, mut view) = laid_out(Preset::TwoVolumes);
        let id = view.views.shown[0];
        view.set_linked(id, false);
        dock.act(ViewAct::Keep("  both ".to_owned()), &mut view).unwrap();
        assert!(dock.act(ViewAct::Keep(" ".to_owned()), &mut view).is_err());
        dock.act(ViewAct::Arrange(Preset::FourUp), &mut view).unwrap();
        dock.prepare(false, &mut view);
        assert!(view.views.is_linked(view.views.first(ViewKind::Volume).unwrap()), "as the preset says");
        let mut dock = Dock::restored(dock.stored(&view));
        assert_eq!(dock.choices(&view), (Some(Preset::FourUp), vec!["both".to_owned()]));
        dock.act(ViewAct::Use("both".to_owned()), &mut view).unwrap();
        dock.prepare(false, &mut view);
        assert_eq!(labels(&dock, &view), ["3D", "3D 2"]);
        assert!(!view.views.is_linked(view.views.shown[0]));
        dock.act(ViewAct::Forget("both".to_owned()), &mut view).unwrap();
        assert!(dock.choices(&view).1.is_empty());
    }
}
