//! Layouts of the views as data: the presets, those that a user names, and what is kept from one start to the next.

use std::collections::BTreeMap;

use glam::DQuat;
use serde::{Deserialize, Serialize};

use super::panes::ViewKind;
use super::views::look::CompareMode;
use crate::render::camera::{OrbitCamera, Projection, StandardView};
use crate::render::scene::SlabMode;

/// Most views in a layout.
pub(crate) const MOST_VIEWS: usize = 12;
/// How deep rows, columns and tabs may be nested in what is read back.
const DEEPEST: usize = 8;
/// Most letters in the name of a layout.
pub(crate) const LONGEST_NAME: usize = 40;
/// Most named layouts.
const MOST_NAMED: usize = 24;

/// One view of a layout, with what belongs to it whatever the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ViewSpec {
    /// What it shows.
    pub(crate) kind: ViewKind,
    /// It has a place of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) unlinked: bool,
    /// Where its camera looks from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) direction: Option<(DQuat, Projection)>,
    /// Its slab.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) slab: Option<SlabMode>,
    /// Its comparison.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) compare: Option<CompareMode>,
}

impl ViewSpec {
    /// A linked view without anything special.
    pub(crate) fn new(kind: ViewKind) -> Self {
        Self { kind, unlinked: false, direction: None, slab: None, compare: None }
    }
}

/// Views side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Layout {
    /// One view.
    View(ViewSpec),
    /// From left to right, with the share of the width that each has.
    Row(Vec<(f32, Self)>),
    /// From top to bottom, with the share of the height that each has.
    Column(Vec<(f32, Self)>),
    /// Row by row, with the shares of columns and rows: edges meet in a cross.
    Grid {
        /// Shares of the columns.
        columns: Vec<f32>,
        /// Shares of the rows.
        rows: Vec<f32>,
        /// What is in the cells.
        cells: Vec<Self>,
    },
    /// One over the other, with a tab for each.
    Tabs {
        /// Which is seen.
        open: usize,
        /// All of them.
        views: Vec<Self>,
    },
}

impl Layout {
    fn view(kind: ViewKind) -> Self {
        Self::View(ViewSpec::new(kind))
    }

    /// What its views show, in reading order.
    pub(crate) fn kinds(&self) -> Vec<ViewKind> {
        match self {
            Self::View(spec) => vec![spec.kind],
            Self::Row(parts) | Self::Column(parts) => parts.iter().flat_map(|(_, p)| p.kinds()).collect(),
            Self::Grid { cells: views, .. } | Self::Tabs { views, .. } => {
                views.iter().flat_map(Self::kinds).collect()
            }
        }
    }

    /// How many views it has.
    pub(crate) fn n_views(&self) -> usize {
        self.kinds().len()
    }

    /// Whether it can be drawn: it may come from a file that someone wrote by hand.
    pub(crate) fn is_sound(&self) -> bool {
        self.is_sound_at(0) && (1..=MOST_VIEWS).contains(&self.n_views())
    }

    fn is_sound_at(&self, depth: usize) -> bool {
        let shares = |shares: &[f32]| shares.iter().all(|share| share.is_finite() && *share > 0.0);
        let parts = |parts: &[&Self]| !parts.is_empty() && parts.iter().all(|p| p.is_sound_at(depth + 1));
        depth < DEEPEST
            && match self {
                Self::View(spec) => spec.direction.is_none_or(|(turn, _)| turn.is_normalized()),
                Self::Row(all) | Self::Column(all) => {
                    all.iter().all(|(share, _)| shares(&[*share]))
                        && parts(&all.iter().map(|(_, part)| part).collect::<Vec<_>>())
                }
                Self::Grid { columns, rows, cells } => {
                    shares(columns)
                        && shares(rows)
                        && !columns.is_empty()
                        && parts(&cells.iter().collect::<Vec<_>>())
                }
                Self::Tabs { views, .. } => parts(&views.iter().collect::<Vec<_>>()),
            }
    }
}

/// Layouts that the program brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Preset {
    /// Three slices and the volume.
    #[default]
    FourUp,
    /// The volume large, the slices beside it.
    Large,
    /// XY large, the other slices beside it.
    Slices,
    /// The volume alone.
    Volume,
    /// The volume from two sides.
    TwoVolumes,
    /// Two layers beside each other in the same slices.
    Compare,
}

impl Preset {
    /// All of them.
    pub(crate) const ALL: [Self; 6] =
        [Self::FourUp, Self::Large, Self::Slices, Self::Volume, Self::TwoVolumes, Self::Compare];

    /// What the menu calls it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::FourUp => "Four views",
            Self::Large => "Large 3D",
            Self::Slices => "Slices only",
            Self::Volume => "3D only",
            Self::TwoVolumes => "Two 3D views",
            Self::Compare => "Compare layers",
        }
    }

    /// Its views; in a narrow place the volume lies under the slices.
    pub(crate) fn layout(self, narrow: bool) -> Layout {
        use ViewKind::{Volume, Xy, Xz, Yz};
        let view = Layout::view;
        let row = |parts: Vec<(f32, Layout)>| Layout::Row(parts);
        let column = |parts: Vec<(f32, Layout)>| Layout::Column(parts);
        let even = |kinds: [ViewKind; 3]| kinds.map(|kind| (1.0, view(kind))).to_vec();
        match (self, narrow) {
            (Self::FourUp, false) => Layout::Grid {
                columns: vec![1.0; 2],
                rows: vec![1.0; 2],
                cells: ViewKind::FIRST.map(view).to_vec(),
            },
            (Self::FourUp, true) => column(vec![
                (1.2, view(Xy)),
                (1.0, row(vec![(1.0, view(Xz)), (1.0, view(Yz))])),
                (1.2, view(Volume)),
            ]),
            (Self::Large, false) => row(vec![(2.2, view(Volume)), (1.0, column(even([Xy, Yz, Xz])))]),
            (Self::Large, true) => column(vec![(1.0, row(even([Xy, Yz, Xz]))), (2.2, view(Volume))]),
            (Self::Slices, false) => {
                row(vec![(1.8, view(Xy)), (1.0, column(vec![(1.0, view(Yz)), (1.0, view(Xz))]))])
            }
            (Self::Slices, true) => column(even([Xy, Yz, Xz])),
            (Self::Volume, _) => view(Volume),
            (Self::TwoVolumes, _) => {
                let mut side = OrbitCamera::default();
                side.look_from(StandardView::Right);
                let second =
                    ViewSpec { direction: Some((side.rotation, side.projection)), ..ViewSpec::new(Volume) };
                let parts = vec![(1.0, view(Volume)), (1.0, Layout::View(second))];
                if narrow { column(parts) } else { row(parts) }
            }
            (Self::Compare, _) => {
                let other = |kind| {
                    Layout::View(ViewSpec { compare: Some(CompareMode::Other), ..ViewSpec::new(kind) })
                };
                Layout::Grid {
                    columns: vec![1.0; 2],
                    rows: vec![1.0; 2],
                    cells: vec![view(Xy), other(Xy), view(Xz), other(Xz)],
                }
            }
        }
    }
}

/// What is kept in the storage of the window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stored {
    /// Version of this form, 1.
    version: u32,
    /// The preset that is shown, where nothing in it was moved.
    pub(crate) preset: Option<Preset>,
    /// What is shown.
    pub(crate) layout: Layout,
    /// Layouts that were named.
    #[serde(default)]
    pub(crate) named: BTreeMap<String, Layout>,
}

impl Stored {
    /// Under which key it lies.
    pub(crate) const KEY: &'static str = "views";

    /// What is to be kept.
    pub(crate) fn new(preset: Option<Preset>, layout: Layout, named: BTreeMap<String, Layout>) -> Self {
        Self { version: 1, preset, layout, named }
    }

    /// As text.
    pub(crate) fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// From text; what cannot be drawn is left out.
    pub(crate) fn of_text(text: &str) -> Option<Self> {
        let mut stored: Self = serde_json::from_str(text).ok()?;
        if stored.version != 1 || !stored.layout.is_sound() {
            return None;
        }
        stored.named.retain(|name, layout| name_of(name).as_deref() == Some(name) && layout.is_sound());
        Some(stored)
    }
}

/// A name as it is kept: without spaces around it, not empty, not too long.
pub(crate) fn name_of(text: &str) -> Option<String> {
    let name: String = text.trim().chars().take(LONGEST_NAME).collect();
    let name = name.trim_end().to_owned();
    (!name.is_empty()).then_some(name)
}

/// Whether another name fits among these.
pub(crate) fn has_room(named: &BTreeMap<String, Layout>, name: &str) -> bool {
    named.contains_key(name) || named.len() < MOST_NAMED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_sound_narrow_and_wide_and_comes_back_from_text() {
        for preset in Preset::ALL {
            for narrow in [false, true] {
                let layout = preset.layout(narrow);
                assert!(layout.is_sound(), "{preset:?}");
                let named = BTreeMap::from([("mine".to_owned(), layout.clone())]);
                let stored = Stored::new(Some(preset), layout, named);
                assert_eq!(Stored::of_text(&stored.to_text()), Some(stored));
            }
            let count = |narrow| preset.layout(narrow).n_views();
            assert_eq!(count(false), count(true), "{preset:?}");
        }
    }

    #[test]
    fn what_was_written_by_hand_and_cannot_be_drawn_is_not_taken() {
        let view = Layout::view(ViewKind::Xy);
        let text = |layout: Layout| Stored::new(None, layout, BTreeMap::new()).to_text();
        assert!(Stored::of_text(&text(view.clone())).is_some());
        let mut deep = view.clone();
        for _ in 0..DEEPEST {
            deep = Layout::Row(vec![(1.0, deep)]);
        }
        let many = Layout::Row(vec![(1.0, view.clone()); MOST_VIEWS + 1]);
        let none = Layout::Row(Vec::new());
        let flat = Layout::Row(vec![(0.0, view.clone())]);
        for layout in [deep, many, none, flat] {
            assert_eq!(Stored::of_text(&text(layout)), None);
        }
        assert_eq!(Stored::of_text(&text(view.clone()).replace("\"version\":1", "\"version\":2")), None);
        assert_eq!(Stored::of_text("{"), None);
        let named = BTreeMap::from([(" ".to_owned(), view.clone()), ("kept".to_owned(), view.clone())]);
        let stored = Stored::of_text(&Stored::new(None, view, named).to_text()).unwrap();
        assert_eq!(stored.named.keys().collect::<Vec<_>>(), ["kept"]);
    }

    #[test]
    fn names_are_trimmed_and_not_too_long() {
        assert_eq!(name_of("  my views "), Some("my views".to_owned()));
        assert_eq!(name_of(" \t"), None);
        assert_eq!(name_of(&"ä".repeat(99)).unwrap().chars().count(), LONGEST_NAME);
    }
}
