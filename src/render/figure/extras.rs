//! From scenes to whole figures: the same for the window and for the command line.

use glam::DVec3;
use image::RgbaImage;

use super::super::film::{Film, Shot};
use super::super::scene::{Plane, SliceLayer, VolumeMode};
use super::layout::scale_length_um;
use super::{
    Area, Artist, DrawError, FigureRuler, FigureStyle, Ink, Mark, Montage, Scale, Scene, ValueBar, compose,
    layout, paint, rulers,
};
use crate::base::Progress;

/// What a figure shows beside its scene.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Extras {
    /// A scale bar.
    pub scale_bar: bool,
    /// A colour bar, where colours stand for values.
    pub color_bar: bool,
    /// What the values are, with their unit.
    pub value_label: String,
    /// A title.
    pub title: Option<String>,
    /// Names and colours of classes.
    pub legend: Vec<(String, [u8; 3])>,
    /// Rulers where they lie.
    pub rulers: Vec<FigureRuler>,
    /// Light or dark lettering.
    pub ink: Ink,
}

/// Number of colours of a colour bar.
const N_COLORS: usize = 64;

/// The colour bar of a scene; `None` where colours stand for no values.
pub fn value_bar(scene: &Scene, label: &str) -> Option<ValueBar> {
    let steps = |color: &dyn Fn(f64) -> [f64; 3]| -> Vec<[u8; 3]> {
        let at = |i: usize| color(i as f64 / (N_COLORS - 1) as f64);
        (0..N_COLORS).map(|i| at(i).map(|c| (c.clamp(0.0, 1.0) * 255.0).round() as u8)).collect()
    };
    if let Scene::Volume(scene) = scene
        && let Some(layer) = scene.drawn_surfaces().filter(|layer| layer.shows_values())
    {
        let colors = steps(&|t| {
            let [r, g, b, _] = layer.color_map.at(t);
            [r, g, b]
        });
        let label = layer.value_label.clone();
        return Some(ValueBar { label, range: layer.range.map(f64::from), colors });
    }
    let (map, window) = match scene {
        Scene::Slice(scene) => scene.layers.iter().find_map(|layer| match layer {
            SliceLayer::Image(image) => Some((image.color_map, image.window)),
            SliceLayer::Labels(_) => None,
        })?,
        Scene::Volume(scene) => match scene.mode {
            VolumeMode::Mip | VolumeMode::MinIp | VolumeMode::Mean => (scene.color_map, scene.window),
            VolumeMode::Composite => {
                let (low, high) = scene.transfer.range();
                let colors = steps(&|t| {
                    let [r, g, b, _] = scene.transfer.at(low + (high - low) * t as f32).map(f64::from);
                    [r, g, b]
                });
                let range = [f64::from(low), f64::from(high)];
                return Some(ValueBar { label: label.to_owned(), range, colors });
            }
            VolumeMode::Iso | VolumeMode::Labels | VolumeMode::Surfaces => return None,
        },
    };
    let colors = steps(&|t| {
        let [r, g, b, _] = map.at(t);
        [r, g, b]
    });
    Some(ValueBar { label: label.to_owned(), range: window.map(f64::from), colors })
}

impl Extras {
    /// What is laid over a picture of a scene.
    pub fn style(&self, scene: &Scene) -> FigureStyle {
        FigureStyle {
            scale: self.scale_bar.then(|| Scale { um_per_px: scene.um_per_px() }),
            values: self.color_bar.then(|| value_bar(scene, &self.value_label)).flatten(),
            title: self.title.clone(),
            note: None,
            legend: self.legend.clone(),
            ink: self.ink,
        }
    }

    /// Length of the scale bar of a scene, µm; `None` without one.
    pub fn scale_bar_um(&self, scene: &Scene) -> Option<f64> {
        self.scale_bar.then(|| scale_length_um(scene.size_px()[0], scene.um_per_px()))
    }

    /// The same with lettering that does not change while a film runs.
    #[must_use]
    pub fn for_film(&self, scene: &Scene) -> Self {
        let ink = match self.ink {
            Ink::Auto => {
                let [r, g, b, a] = scene.background();
                let bright = (0.2126 * r + 0.7152 * g + 0.0722 * b) * a + 1.0 - a;
                if bright < 0.55 { Ink::White } else { Ink::Black }
            }
            ink => ink,
        };
        Self { ink, ..self.clone() }
    }
}

/// A drawn scene and what is laid over it, not yet laid.
///
/// # Errors
/// [`DrawError`] of the drawing.
pub fn figure(
    progress: &Progress,
    artist: &mut Artist,
    scene: &Scene,
    extras: &Extras,
) -> Result<(RgbaImage, Vec<Mark>), DrawError> {
    let picture = artist.draw(progress, scene)?;
    let marks = all_marks(artist, &picture, scene, extras, &extras.style(scene));
    Ok((picture, marks))
}

/// Rulers, and over them bars and letters.
fn all_marks(
    artist: &Artist,
    picture: &RgbaImage,
    scene: &Scene,
    extras: &Extras,
    style: &FigureStyle,
) -> Vec<Mark> {
    let hidden = |points: &[DVec3]| artist.hidden(scene, points);
    let bars = layout(picture, style);
    let taken: Vec<Area> = bars.iter().filter_map(Mark::room).collect();
    let mut marks = rulers::marks(picture, scene, (&extras.rulers, &taken), extras.ink, hidden);
    marks.extend(bars);
    marks
}

/// A frame of a film with what is laid over it.
///
/// # Errors
/// [`DrawError`] of the drawing.
pub fn film_frame(
    progress: &Progress,
    artist: &mut Artist,
    film: &Film,
    i: usize,
    extras: &Extras,
) -> Result<RgbaImage, DrawError> {
    shot_picture(progress, artist, &film.frame(i), &extras.for_film(film.scene()))
}

/// The picture of a shot with what is laid over it.
fn shot_picture(
    progress: &Progress,
    artist: &mut Artist,
    shot: &Shot,
    extras: &Extras,
) -> Result<RgbaImage, DrawError> {
    let mut picture = shot.draw(progress, artist)?;
    let marks = all_marks(artist, &picture, shot.main(), extras, &extras.style(shot.main()));
    paint(&mut picture, &marks);
    Ok(picture)
}

/// Name of the axis that slices of a plane are counted along.
pub fn axis_name(plane: Plane) -> &'static str {
    match plane {
        Plane::Xy => "z",
        Plane::Xz => "y",
        Plane::Yz => "x",
        Plane::Oblique { .. } => "n",
    }
}

/// Slices side by side, each with what its position is called. The last one has the bars.
///
/// # Errors
/// [`DrawError`] of the drawing.
pub fn montage(
    progress: &Progress,
    artist: &mut Artist,
    montage: &Montage,
    extras: &Extras,
) -> Result<(RgbaImage, Vec<Mark>), DrawError> {
    let Montage { grid, size, tile, places, .. } = montage;
    let (grid, size) = (*grid, *size);
    progress.phase("Drawing", places.len() as u64);
    let mut tiles = Vec::new();
    let mut marks = Vec::new();
    for (i, (position_um, name)) in places.iter().enumerate().take(grid.n_tiles()) {
        progress.check()?;
        let mut one = Scene::Slice(tile.clone());
        one.move_slice(*position_um);
        let picture = artist.draw(&progress.part(), &one)?;
        let is_last = i + 1 == places.len().min(grid.n_tiles());
        let own = Extras {
            scale_bar: extras.scale_bar && is_last,
            color_bar: extras.color_bar && is_last,
            title: extras.title.clone().filter(|_| i == 0),
            legend: if i == 0 { extras.legend.clone() } else { Vec::new() },
            ..extras.clone()
        };
        let style = FigureStyle { note: Some(name.clone()), ..own.style(&one) };
        let corner = grid.corner(i, size).map(f64::from);
        let own = all_marks(artist, &picture, &one, extras, &style);
        marks.extend(own.into_iter().map(|mark| mark.moved(corner)));
        tiles.push(picture);
        progress.advance(1);
    }
    let [r, g, b, a] = tile.background;
    let ground = if a < 1.0 { [0; 4] } else { [r, g, b, a].map(|c| (c * 255.0).round() as u8) };
    Ok((compose(grid, size, &tiles, ground), marks))
}
