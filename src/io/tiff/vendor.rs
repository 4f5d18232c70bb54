//! What microscopes write into tags of their own: LSM, MetaMorph, NIH Image, and the pixels of electron microscopes.
//!
//! Sources: the LSM 5 image format (Zeiss); the MetaMorph stack format (Universal Imaging); ij.io.TiffDecoder for NIH
//! Image; metadata of FEI and Zeiss as they stand in their files.

use std::fs::File;

use super::container::{Container, Directory, text_of};
use super::page::Page;
use super::said::{Axes, Said};
use crate::io::lengths::um_per;

const LSM: u16 = 34412;
const UIC1: u16 = 33628;
const UIC2: u16 = 33629;
const NIH: u16 = 43314;
const ZEISS_SEM: u16 = 34118;
const FEI: [u16; 2] = [34680, 34682];

/// What the first page says in such tags; `None` where it has none that tell of the order of the pages.
pub(super) fn parse(container: &Container, file: &File, from: &Directory, page: &Page) -> Option<Said> {
    lsm(container, file, from)
        .or_else(|| stack_of_metamorph(container, file, from, page))
        .or_else(|| nih_image(container, file, from))
}

fn little_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn little_f64(bytes: &[u8], at: usize) -> Option<f64> {
    Some(f64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn lsm(container: &Container, file: &File, from: &Directory) -> Option<Said> {
    let bytes = container.raw(file, from, LSM).ok().flatten()?;
    if !matches!(little_u32(&bytes, 0)?, 0x0300_494c | 0x0400_494c) {
        return None;
    }
    let count = |at| little_u32(&bytes, at).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
    let (n_planes, n_times) = (count(16).unwrap_or(1), count(24).unwrap_or(1));
    let size = |at| little_f64(&bytes, at).map(|m| m * 1e6).filter(|um| um.is_finite() && *um > 0.0);
    let mut said = Said { voxel_um: [size(56), size(48), size(40)], ..Said::default() };
    said.metadata.insert("instrument".to_owned(), "Zeiss LSM".to_owned());
    let scan = bytes.get(88..90).map_or(0, |scan| u16::from_le_bytes([scan[0], scan[1]]));
    if matches!(scan, 0 | 3 | 6) {
        said.axes = Axes::ordered(['C', 'Z', 'T'], 1, n_planes, n_times);
    } else {
        said.warnings
            .push(format!("an LSM scan of kind {scan}; its pictures were read in the order of the file"));
    }
    Some(said)
}

/// MetaMorph's stacks: one directory, planes behind the first.
fn stack_of_metamorph(container: &Container, file: &File, from: &Directory, page: &Page) -> Option<Said> {
    let n_planes = usize::try_from(from.n_values(UIC2)).ok().filter(|n| *n > 0)?;
    let first = page.offsets.first()?;
    let end = page.offsets.last()?.checked_add(*page.counts.last()?)?;
    let mut said = Said {
        axes: Some(Axes::planes(n_planes)),
        n_images: Some(n_planes),
        frame_bytes: end.checked_sub(*first),
        ..Said::default()
    };
    said.metadata.insert("instrument".to_owned(), "MetaMorph".to_owned());
    let um = metamorph_pixel(container, file, from, &mut said);
    // Of each plane six words, the first two of them its distance to the one before.
    let step = container
        .place(from, UIC2)
        .and_then(|at| fraction(container, file, at.checked_add(if n_planes > 1 { 24 } else { 0 })?));
    said.voxel_um[0] = um.zip(step).map(|(um, step)| um * step.abs()).filter(|um| *um > 0.0);
    said.is_without_size = true;
    Some(said)
}

fn fraction(container: &Container, file: &File, at: u64) -> Option<f64> {
    let bytes = container.bytes(file, at, 8).ok()?;
    let (n, d) = (container.number(&bytes[..4]), container.number(&bytes[4..]));
    (d > 0).then(|| n as f64 / d as f64)
}

/// Pixel size of MetaMorph along y and x; gives µm in its unit.
fn metamorph_pixel(container: &Container, file: &File, from: &Directory, said: &mut Said) -> Option<f64> {
    let n = from.n_values(UIC1).min(1000);
    let bytes = container.bytes(file, container.place(from, UIC1)?, n * 8).ok()?;
    let value = |id: u64| {
        let pair = bytes.chunks_exact(8).find(|pair| container.number(&pair[..4]) == id)?;
        Some(container.number(&pair[4..]))
    };
    let at = value(6)?;
    let length = container.number(&container.bytes(file, at, 4).ok()?).min(64);
    let unit = text_of(&container.bytes(file, at.checked_add(4)?, length).ok()?);
    let um = um_per(unit.trim_end_matches('\0'))?;
    for (axis, id) in [(2, 4), (1, 5)] {
        let size = value(id).and_then(|at| fraction(container, file, at)).map(|size| size * um);
        said.voxel_um[axis] = size.filter(|size| value(3) != Some(0) && *size > 0.0);
    }
    Some(um)
}

/// NIH Image: one directory, planes behind the first; its header is big-endian whatever the file is.
fn nih_image(container: &Container, file: &File, from: &Directory) -> Option<Said> {
    let bytes = match container.raw(file, from, NIH).ok().flatten()? {
        short if short.len() < 272 => container.bytes(file, container.place(from, NIH)?, 272).ok()?,
        whole => whole,
    };
    let short = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let n = usize::from(short(260)?);
    let mut said = Said { n_images: (n >= 2).then_some(n), ..Said::default() };
    said.axes = said.n_images.map(Axes::planes);
    said.metadata.insert("instrument".to_owned(), "NIH Image".to_owned());
    let version = short(12)?;
    let per_unit = f64::from_be_bytes(bytes.get(160..168)?.try_into().ok()?);
    let unit = short(172)? + if version <= 153 { 5 } else { 0 };
    let um = match unit {
        5 => 1e-3,
        6 => 1.0,
        7 => 1e3,
        8 => 1e4,
        9 => 1e6,
        11 => 25400.0,
        _ => return Some(said),
    };
    if version > 106 && per_unit.is_finite() && per_unit > 0.0 {
        said.voxel_um[1] = Some(um / per_unit);
        said.voxel_um[2] = Some(um / per_unit);
    }
    Some(said)
}

/// Pixel size (y, x) in µm as electron microscopes of FEI and Zeiss write it.
pub(super) fn electron_pixel_um(container: &Container, file: &File, from: &Directory) -> Option<[f64; 2]> {
    let text = |tag| container.raw(file, from, tag).ok().flatten().map(|bytes| text_of(&bytes));
    let fine = |um: f64| Some(um).filter(|um| um.is_finite() && *um > 0.0);
    for of_fei in FEI.into_iter().filter_map(text) {
        let metres = |key: &str| {
            of_fei
                .lines()
                .find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('=')?.trim().parse::<f64>().ok())
        };
        if let Some(x) = metres("PixelWidth").and_then(|m| fine(m * 1e6)) {
            return Some([metres("PixelHeight").and_then(|m| fine(m * 1e6)).unwrap_or(x), x]);
        }
    }
    let of_zeiss = text(ZEISS_SEM)?;
    let line = of_zeiss.lines().find(|line| line.trim_start().starts_with("Image Pixel Size"))?;
    let mut words = line.split_once('=')?.1.split_whitespace();
    let (size, unit) = (words.next()?.parse::<f64>().ok()?, words.next()?);
    fine(size * um_per(unit)?).map(|um| [um, um])
}
