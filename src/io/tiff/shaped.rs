//! The line of JSON that tifffile writes: `{"shape": [5, 64, 80], "axes": "ZYX"}`.

use serde::Deserialize;

use super::page::Form;
use super::said::{Axes, Said};
use crate::io::choice::AxisOrder;
use crate::io::lengths::um_per;

#[derive(Debug, Deserialize)]
struct Shaped {
    shape: Vec<usize>,
    axes: Option<String>,
    /// Distance of the planes, and its unit.
    spacing: Option<f64>,
    unit: Option<String>,
}

/// A side of the array with its letter, `?` where it has none.
type Side = (usize, char);

/// The array of a description, told apart into what lies in a page and what in front of it; sides of 1 are left out.
struct Sides {
    outer: Vec<Side>,
    /// Rows and columns, without the samples of a pixel.
    inner: Vec<Side>,
}

/// Number of frames that such a description speaks of: all but rows, columns and samples.
pub(super) fn n_frames(text: &str, form: Form, is_planar: bool) -> Option<usize> {
    let sides = parsed(text)?.sides(form, is_planar)?;
    sides.outer.iter().try_fold(1usize, |n, (side, _)| n.checked_mul(*side))
}

fn parsed(text: &str) -> Option<Shaped> {
    text.starts_with('{').then(|| serde_json::from_str(text.trim_end_matches('\0')).ok())?
}

impl Shaped {
    fn letters(&self) -> Vec<Side> {
        let letters: Vec<char> = self.axes.as_deref().unwrap_or("").to_uppercase().chars().collect();
        let letter = |axis: usize| if letters.len() == self.shape.len() { letters[axis] } else { '?' };
        self.shape.iter().enumerate().map(|(i, n)| (*n, letter(i))).collect()
    }

    /// The last sides that fill a page are what lies in it; `None` where none do.
    fn sides(&self, form: Form, is_planar: bool) -> Option<Sides> {
        let [_, rows, cols] = form.shape;
        let page = [rows, cols, form.n_samples].iter().try_fold(1usize, |n, side| n.checked_mul(*side))?;
        let mut all = self.letters();
        let filled = |from: &usize| {
            let sides = self.shape[*from..].iter();
            sides.copied().try_fold(1usize, usize::checked_mul) == Some(page)
        };
        let mut inner = all.split_off((0..=self.shape.len()).rev().find(filled)?);
        let is_longer = |(n, _): &Side| *n > 1;
        inner.retain(is_longer);
        all.retain(is_longer);
        if form.n_samples > 1 {
            // The samples of a pixel are its last side, or the first where they lie in planes of their own.
            let sample = if is_planar { inner.first() } else { inner.last() }.map(|(n, _)| *n);
            if sample == Some(form.n_samples) {
                inner.remove(if is_planar { 0 } else { inner.len() - 1 });
            }
        }
        Some(Sides { outer: all, inner })
    }

    /// How the stored planes, rows and columns are to be turned where the letters say that pages are not rows and columns.
    fn order(&self, sides: &Sides) -> Result<Option<AxisOrder>, String> {
        let inside: Vec<char> = sides.inner.iter().map(|(_, letter)| *letter).collect();
        let is_in_plane = |letter: &char| matches!(letter, 'Y' | 'X');
        let all = self.letters();
        let is_outside = sides.outer.iter().any(|(_, letter)| is_in_plane(letter));
        let is_named = all.iter().any(|(_, letter)| is_in_plane(letter));
        let is_usual = matches!(inside.as_slice(), [] | ['Y' | 'X'] | ['Y', 'X']);
        if !is_named || is_usual && !is_outside {
            return Ok(None);
        }
        let place = |letter: char| ['Z', 'Y', 'X'].iter().position(|axis| *axis == letter);
        let mut of_space: Vec<Option<usize>> = all
            .into_iter()
            .filter(|(n, letter)| *n > 1 || place(*letter).is_some())
            .map(|(_, letter)| place(letter))
            .collect();
        if of_space == [Some(2), Some(1)] {
            of_space.insert(0, Some(0));
        }
        let axes: Option<Vec<usize>> = of_space.into_iter().collect();
        let order = axes.and_then(|axes| AxisOrder::from_axes(axes.try_into().ok()?));
        order.filter(|_| sides.outer.len() <= 1).map(Some).ok_or_else(|| {
            format!(
                "an array of shape {:?} with the axes {}, whose pages are not rows (Y) and columns (X); save it with Y and X last",
                self.shape,
                self.axes.as_deref().unwrap_or_default()
            )
        })
    }
}

/// Parses the line; pages of `form` are there, with their samples in planes of their own where `is_planar`.
///
/// The error says which axes are not read.
pub(super) fn parse(text: &str, form: Form, is_planar: bool) -> Result<Option<Said>, String> {
    let Some(shaped) = parsed(text) else { return Ok(None) };
    let mut said = Said::default();
    let Some(sides) = shaped.sides(form, is_planar) else {
        let [_, rows, cols] = form.shape;
        said.warnings.push(format!(
            "the description speaks of an array of shape {:?}, the pages are {rows} × {cols}: read as one stack of them",
            shaped.shape
        ));
        return Ok(Some(said));
    };
    said.order = shaped.order(&sides)?;
    let spacing = shaped.spacing.filter(|spacing| spacing.is_finite() && *spacing > 0.0);
    match shaped.unit.as_deref().and_then(um_per) {
        Some(um) => said.voxel_um[0] = spacing.map(|spacing| spacing * um),
        None => said.edges[0] = spacing,
    }
    let mut axes = sides.outer;
    // A stack of three or four pictures is written like the colours of one.
    let is_stack = shaped.axes.is_none() && shaped.shape.len() == 3;
    if is_planar && axes.is_empty() && is_stack {
        said.samples_are_planes = true;
        return Ok(Some(said));
    }
    if said.order.is_some() {
        axes.iter_mut().for_each(|(_, letter)| *letter = 'Z');
        let stored = shaped.axes.as_deref().unwrap_or_default();
        said.warnings.push(format!("the axes lie as {stored} in the file; they were turned to z, y, x"));
    }
    name_axes(&mut axes, &mut said.warnings);
    let n_of = |name: char| axes.iter().find(|(_, letter)| *letter == name).map_or(1, |(n, _)| *n);
    let mut order: Vec<char> = axes.iter().rev().map(|(_, letter)| *letter).collect();
    order.extend(['C', 'Z', 'T'].iter().filter(|axis| !axes.iter().any(|(_, letter)| letter == *axis)));
    let Ok(order) = <[char; 3]>::try_from(order) else {
        said.warnings
            .push(format!("an array of shape {:?} was read as one stack of its pictures", shaped.shape));
        return Ok(Some(said));
    };
    said.axes = Axes::ordered(order, n_of('C'), n_of('Z'), n_of('T'));
    said.n_images = said.axes.and_then(|axes| axes.n_frames());
    Ok(Some(said))
}

/// Gives axes without a known letter one that is free: planes first, then times, then channels.
fn name_axes(axes: &mut [Side], warnings: &mut Vec<String>) {
    let known = |letter: char| matches!(letter, 'C' | 'Z' | 'T');
    let n_unknown = axes.iter().filter(|(_, letter)| !known(*letter)).count();
    if n_unknown == 0 || axes.len() > 3 {
        return;
    }
    let before: String = axes.iter().map(|(_, letter)| *letter).collect();
    // As ImageJ and OME order them: T Z C, of which the innermost of two unknown ones is Z.
    let wanted: &[char] = if axes.len() == 3 { &['C', 'Z', 'T'] } else { &['Z', 'T', 'C'] };
    let mut free: Vec<char> =
        wanted.iter().copied().filter(|name| !axes.iter().any(|(_, letter)| letter == name)).collect();
    for (_, letter) in axes.iter_mut().rev().filter(|(_, letter)| !known(*letter)) {
        if !free.is_empty() {
            *letter = free.remove(0);
        }
    }
    let named: Vec<String> = axes.iter().map(|(n, letter)| format!("{letter} {n}")).collect();
    let named = named.join(", ");
    // I and Q are names for "some sequence".
    if before.chars().any(|letter| letter.is_alphabetic() && !"CZTIQ".contains(letter)) {
        warnings.push(format!("the axes {before} of the file were taken as {named}"));
    } else if axes.len() > 1 {
        warnings.push(format!("the axes have no names in the file; {named} was assumed"));
    }
}
