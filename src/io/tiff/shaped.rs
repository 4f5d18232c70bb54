//! The line of JSON that tifffile writes: `{"shape": [5, 64, 80], "axes": "ZYX"}`.

use serde::Deserialize;

use super::page::Form;
use super::said::{Axes, Said};

#[derive(Debug, Deserialize)]
struct Shaped {
    shape: Vec<usize>,
    axes: Option<String>,
}

/// Number of frames that such a description speaks of: all but rows, columns and samples.
pub(super) fn n_frames(text: &str, form: Form, is_planar: bool) -> Option<usize> {
    outer(&parsed(text)?, form, is_planar).iter().try_fold(1usize, |n, (side, _)| n.checked_mul(*side))
}

fn parsed(text: &str) -> Option<Shaped> {
    text.starts_with('{').then(|| serde_json::from_str(text.trim_end_matches('\0')).ok())?
}

/// The axes in front of rows and columns, slowest first, with their letters (`?` where unknown); those of length 1 and
/// the samples of a pixel are left out.
fn outer(shaped: &Shaped, form: Form, is_planar: bool) -> Vec<(usize, char)> {
    let letters: Vec<char> = shaped.axes.as_deref().unwrap_or("").to_uppercase().chars().collect();
    let letter = |axis: usize| if letters.len() == shaped.shape.len() { letters[axis] } else { '?' };
    let mut all: Vec<(usize, char)> = shaped.shape.iter().enumerate().map(|(i, n)| (*n, letter(i))).collect();
    if form.n_samples > 1 && !is_planar {
        all.pop();
    }
    all.truncate(all.len().saturating_sub(2));
    if form.n_samples > 1 && is_planar && all.last().is_some_and(|(n, _)| *n == form.n_samples) {
        all.pop();
    }
    all.retain(|(n, _)| *n > 1);
    all
}

/// Parses the line; pages of `form` are there, with their samples in planes of their own where `is_planar`.
pub(super) fn parse(text: &str, form: Form, is_planar: bool) -> Option<Said> {
    let shaped = parsed(text)?;
    let mut said = Said::default();
    let mut axes = outer(&shaped, form, is_planar);
    // A stack of three or four pictures is written like the colours of one.
    let is_stack = shaped.axes.is_none() && shaped.shape.len() == 3;
    if is_planar && axes.is_empty() && is_stack {
        said.samples_are_planes = true;
        return Some(said);
    }
    name_axes(&mut axes, &mut said.warnings);
    let n_of = |name: char| axes.iter().find(|(_, letter)| *letter == name).map_or(1, |(n, _)| *n);
    let mut order: Vec<char> = axes.iter().rev().map(|(_, letter)| *letter).collect();
    order.extend(['C', 'Z', 'T'].iter().filter(|axis| !axes.iter().any(|(_, letter)| letter == *axis)));
    let Ok(order) = <[char; 3]>::try_from(order) else {
        said.warnings
            .push(format!("an array of shape {:?} was read as one stack of its pictures", shaped.shape));
        return Some(said);
    };
    said.axes = Axes::ordered(order, n_of('C'), n_of('Z'), n_of('T'));
    said.n_images = said.axes.and_then(|axes| axes.n_frames());
    Some(said)
}

/// Gives axes without a known letter one that is free: planes first, then times, then channels.
fn name_axes(axes: &mut [(usize, char)], warnings: &mut Vec<String>) {
    let known = |letter: char| matches!(letter, 'C' | 'Z' | 'T');
    let n_unknown = axes.iter().filter(|(_, letter)| !known(*letter)).count();
    if n_unknown == 0 || axes.len() > 3 {
        return;
    }
    // As ImageJ and OME order them: T Z C, of which the innermost of two unknown ones is Z.
    let wanted: &[char] = if axes.len() == 3 { &['C', 'Z', 'T'] } else { &['Z', 'T', 'C'] };
    let mut free: Vec<char> =
        wanted.iter().copied().filter(|name| !axes.iter().any(|(_, letter)| letter == name)).collect();
    for (_, letter) in axes.iter_mut().rev().filter(|(_, letter)| !known(*letter)) {
        if !free.is_empty() {
            *letter = free.remove(0);
        }
    }
    if axes.len() > 1 {
        let named: Vec<String> = axes.iter().map(|(n, letter)| format!("{letter} {n}")).collect();
        warnings.push(format!("the axes have no names in the file; {} was assumed", named.join(", ")));
    }
}
