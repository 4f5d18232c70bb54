//! Volumes in the layouts of other programs: EMD (tomviz, Prismatic, Velox), BigDataViewer, Imaris.
//!
//! EMD: a group with `emd_group_type` 1 holds `data` and `dim1` … `dimN`, one for each axis as stored, each with the
//! positions of its places and their units; Velox has files of the same name and another layout. BigDataViewer: `t00000/s00/0/cells` in the order z, y, x, the first of
//! several resolutions, voxel sizes in the XML beside. Imaris 5.5: `DataSet/ResolutionLevel 0/TimePoint 0/Channel
//! 0/Data`, z, y, x, padded to whole chunks; sizes and extents are attributes, written letter by letter.

use std::path::Path;

use super::axes::{Laid, lay};
use super::frames::Frames;
use super::store::{Area, Dataset, Group};
use super::tree::{read_values, search};
use crate::io::choice::{AxisOrder, ReadOptions};
use crate::io::lengths::um_per;

/// An array that was found, with what its layout says of it.
pub(super) struct Found {
    /// Name of the layout.
    pub(super) name: Option<&'static str>,
    pub(super) laid: Laid,
    pub(super) voxel_um: Option<[f64; 3]>,
    pub(super) origin_um: Option<[f64; 3]>,
    pub(super) channel_names: Vec<String>,
    /// Path of the array where it was taken as the first of several.
    pub(super) guessed: Option<String>,
    pub(super) warnings: Vec<String>,
}

impl Found {
    /// An array of which no layout says anything.
    pub(super) fn of(laid: Laid) -> Self {
        Self {
            name: None,
            laid,
            voxel_um: None,
            origin_um: None,
            channel_names: Vec::new(),
            guessed: None,
            warnings: Vec::new(),
        }
    }

    /// Frames as z, y, x.
    fn plain(name: &'static str, frames: Frames) -> Self {
        Self { name: Some(name), ..Self::of(Laid::plain(frames)) }
    }
}

/// The volume of a file of Imaris or BigDataViewer.
pub(super) fn find(root: &Group, path: &Path, options: &ReadOptions) -> Result<Option<Found>, String> {
    if let Some(found) = imaris(root, options)? {
        return Ok(Some(found));
    }
    big_data_viewer(root, path, options)
}

/// Number at the end of a name such as "Channel 12" or "s03".
fn counted(name: &str, before: &str) -> Option<usize> {
    name.strip_prefix(before)?.trim().parse().ok()
}

/// The children whose names count up, in the order of their numbers.
fn in_order(group: &Group, before: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> =
        group.names().into_iter().filter_map(|name| Some((counted(&name, before)?, name))).collect();
    found.sort();
    found
}

/// The child that is chosen, or the first; its number and how many there are.
fn choose(group: &Group, before: &str, chosen: Option<usize>) -> Option<(Group, usize)> {
    let all = in_order(group, before);
    // A number beyond the last is refused by the caller, who is told how many there are.
    let (_, name) = all.get(chosen.unwrap_or(0)).or(all.first())?;
    Some((group.group(name)?, all.len()))
}

fn imaris(root: &Group, options: &ReadOptions) -> Result<Option<Found>, String> {
    let Some(level) = root.group("DataSet/ResolutionLevel 0") else { return Ok(None) };
    let Some((time, n_times)) = choose(&level, "TimePoint ", options.time) else { return Ok(None) };
    let Some((channel, n_channels)) = choose(&time, "Channel ", options.channel) else { return Ok(None) };
    let Some(data) = channel.dataset("Data") else { return Ok(None) };
    let image = root.group("DataSetInfo/Image");
    let size = |axis: char| {
        let own = letters(&channel, &format!("ImageSize{axis}")).trim().parse::<usize>();
        own.ok().or_else(|| letters(image.as_ref()?, &axis.to_string()).trim().parse().ok())
    };
    let chunks = data.chunks().unwrap_or_default();
    let frames = Frames::all(data)?;
    let padded = frames.shape();
    let sides = [size('Z'), size('Y'), size('X')];
    let may_be_padded = (0..3).any(|axis| {
        let whole =
            chunks.get(axis).is_some_and(|side| *side > 1 && padded[axis].is_multiple_of(*side as usize));
        sides[axis].is_none() && whole
    });
    let sides: [usize; 3] =
        std::array::from_fn(|axis| sides[axis].filter(|n| *n > 0).unwrap_or(padded[axis]));
    let frames = frames.cropped(sides);
    let shape = frames.shape();
    let mut found = Found::plain("Imaris", frames);
    (found.laid.n_channels, found.laid.n_times) = (n_channels, n_times);
    if may_be_padded {
        found.warnings.push(format!(
            "the file does not say how large its image is: {} × {} × {} (z × y × x) were read, of which the last planes, rows and columns may be padding",
            shape[0], shape[1], shape[2]
        ));
    }
    if let Some(info) = root.group("DataSetInfo") {
        found.channel_names = (0..n_channels)
            .map(|n| info.group(&format!("Channel {n}")).map(|g| letters(&g, "Name")).unwrap_or_default())
            .collect();
        if let Some(image) = info.group("Image") {
            extents(&mut found, &image, shape);
        }
    }
    Ok(Some(found))
}

/// A text attribute that may be written letter by letter.
fn letters(group: &Group, name: &str) -> String {
    let found = group.attributes().into_iter().find(|a| a.name == name);
    let texts = found.and_then(|a| a.read_strings().ok()).unwrap_or_default();
    if texts.is_empty() { group.attr_text(name) } else { texts.concat() }
}

/// Voxel size and origin of an Imaris image from its extents.
fn extents(found: &mut Found, image: &Group, shape: [usize; 3]) {
    let value = |name: String| letters(image, &name).trim().parse::<f64>().ok();
    let unit = letters(image, "Unit");
    let Some(scale) = um_per(unit.trim()) else { return };
    // Imaris counts axes 0, 1, 2 as x, y, z.
    let box_of = |axis: usize| Some((value(format!("ExtMin{axis}"))?, value(format!("ExtMax{axis}"))?));
    let (Some(x), Some(y), Some(z)) = (box_of(0), box_of(1), box_of(2)) else { return };
    let bounds = [z, y, x];
    let voxel: [f64; 3] = std::array::from_fn(|a| (bounds[a].1 - bounds[a].0) / shape[a] as f64 * scale);
    if voxel.iter().all(|v| v.is_finite() && *v > 0.0) {
        found.voxel_um = Some(voxel);
        // Extents are those of corners, the origin is the centre of the first voxel.
        found.origin_um = Some(std::array::from_fn(|a| bounds[a].0 * scale + voxel[a] / 2.0));
    }
}

fn big_data_viewer(root: &Group, path: &Path, options: &ReadOptions) -> Result<Option<Found>, String> {
    let times = in_order(root, "t");
    let Some((_, first)) = times.first().filter(|(_, name)| name.len() >= 6) else { return Ok(None) };
    let name = times.get(options.time.unwrap_or(0)).map_or(first, |(_, name)| name);
    let Some(time) = root.group(name) else { return Ok(None) };
    let setups = in_order(&time, "s");
    let Some((setup, _)) = setups.get(options.channel.unwrap_or(0)).or(setups.first()) else {
        return Ok(None);
    };
    let Some(data) = time.dataset(&format!("s{setup:02}/0/cells")) else { return Ok(None) };
    let mut found = Found::plain("BigDataViewer", Frames::all(data)?);
    (found.laid.n_channels, found.laid.n_times) = (setups.len(), times.len());
    found.laid.frames.unsigned();
    match xml_beside(path, *setup) {
        Some((voxel, _)) => {
            found.voxel_um = Some(voxel);
            found.channel_names = setups
                .iter()
                .map(|(n, _)| xml_beside(path, *n).map_or_else(String::new, |(_, name)| name))
                .collect();
        }
        None => found.warnings.push(format!(
            "no voxel size: {} with it is missing, or names no unit of length",
            path.with_extension("xml").file_name().unwrap_or_default().to_string_lossy()
        )),
    }
    Ok(Some(found))
}

/// Voxel size and name of a setup as the XML beside a BigDataViewer file says.
fn xml_beside(path: &Path, setup: usize) -> Option<([f64; 3], String)> {
    let xml = std::fs::read_to_string(path.with_extension("xml")).ok().filter(|xml| xml.len() < 64 << 20)?;
    let setups = xml.split("<ViewSetup>").skip(1);
    let mine = setups.map(|part| part.split("</ViewSetup>").next().unwrap_or(part));
    let mine =
        mine.into_iter().find(|part| element(part, "id").and_then(|id| id.parse().ok()) == Some(setup))?;
    let size = mine.split("<voxelSize>").nth(1)?;
    let scale = um_per(&element(size, "unit")?)?;
    let values: Vec<f64> = element(size, "size")?.split_whitespace().filter_map(|v| v.parse().ok()).collect();
    let [x, y, z] = values.try_into().ok()?;
    let voxel = [z, y, x].map(|v: f64| v * scale);
    voxel
        .iter()
        .all(|v| v.is_finite() && *v > 0.0)
        .then(|| (voxel, element(mine, "name").unwrap_or_default()))
}

/// The text of the first element of a name.
fn element(xml: &str, name: &str) -> Option<String> {
    let from = xml.split_once(&format!("<{name}>"))?.1;
    Some(from.split_once(&format!("</{name}>"))?.0.trim().to_owned())
}

/// The arrays of an EMD file, in the order of the file.
fn emd_arrays(root: &Group) -> Vec<Dataset> {
    let mut found = Vec::new();
    let stopped: Option<()> = search(root, |group| {
        if group.attributes().iter().any(|a| a.name == "emd_group_type") {
            found.extend(group.dataset("data").filter(|data| data.ndim() >= 3));
        }
        None
    });
    debug_assert!(stopped.is_none(), "the visit never stops the search");
    found
}

/// The volume of an EMD file, or the frames of one of Velox.
pub(super) fn emd(root: &Group, options: &ReadOptions) -> Result<Option<Found>, String> {
    let (mut arrays, name) = (emd_arrays(root), "EMD");
    if arrays.is_empty() {
        arrays = velox_arrays(root);
    }
    let others: Vec<String> = arrays.iter().skip(1).map(|data| data.path().to_owned()).collect();
    let Some(data) = arrays.into_iter().next() else { return Ok(None) };
    let path = data.path().to_owned();
    let mut found = match velox(root, &data)? {
        Some(found) => found,
        None => Found { name: Some(name), ..Found::of(lay(root, data, options)?) },
    };
    if !others.is_empty() {
        let shown = others.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
        found
            .warnings
            .push(format!("{path} was read; the file also holds {shown} (--dataset reads another)"));
        found.guessed = Some(path);
    }
    Ok(Some(found))
}

/// Where Velox keeps its images.
const VELOX: &str = "Data/Image";

fn velox_arrays(root: &Group) -> Vec<Dataset> {
    let Some(images) = root.group(VELOX) else { return Vec::new() };
    let names = images.names().into_iter();
    names.filter_map(|name| root.dataset(&format!("{VELOX}/{name}/Data"))).filter(|d| d.ndim() == 3).collect()
}

/// Frames of Velox, which lie one beside the other along the last axis; `None` for any other dataset.
///
/// Beside them stands a text in JSON for every frame: the pixel in `BinaryResult`, the tilt in `Stage`.
pub(super) fn velox(root: &Group, data: &Dataset) -> Result<Option<Found>, String> {
    let is_velox = data.path().trim_start_matches('/').starts_with(VELOX) && data.ndim() == 3;
    let folder = data.path().trim_end_matches("Data");
    let Some(about) = root.dataset(&format!("{folder}Metadata")).filter(|_| is_velox) else {
        return Ok(None);
    };
    let order = AxisOrder::from_axes([1, 2, 0]).unwrap_or(AxisOrder::ZYX);
    let frames = Frames::of_axes(data.clone(), [Some(0), Some(1), Some(2)], vec![0; 3])?;
    let n = frames.shape()[2];
    let mut found = Found::plain("EMD of Velox", frames);
    found.laid.order = order;
    let texts: Vec<serde_json::Value> =
        (0..n.min(MAX_FRAMES)).map_while(|frame| said_of(&about, frame as u64)).collect();
    let number = |said: &serde_json::Value, place: &str| -> Option<f64> {
        let value = said.pointer(place)?;
        value.as_f64().or_else(|| value.as_str()?.parse().ok()).filter(|v| v.is_finite())
    };
    let edge = |side: &str, unit: &str| {
        let said = texts.first()?;
        let um = um_per(said.pointer(&format!("/BinaryResult/{unit}"))?.as_str()?)?;
        number(said, &format!("/BinaryResult/PixelSize/{side}"))
            .map(|edge| edge * um)
            .filter(|edge| *edge > 0.0)
    };
    if let (Some(x), Some(y)) = (edge("width", "PixelUnitX"), edge("height", "PixelUnitY")) {
        found.voxel_um = Some([x, y, x]);
    }
    let tilts: Vec<f64> = texts.iter().filter_map(|said| number(said, "/Stage/AlphaTilt")).collect();
    let span = crate::volume::series::range_of(&tilts).map_or(0.0, |(low, high)| (high - low).to_degrees());
    if tilts.len() == n && span > LEAST_TILT_DEG {
        found.laid.angles_deg = tilts.into_iter().map(f64::to_degrees).collect();
    }
    Ok(Some(found))
}

/// Frames of Velox whose texts are read, and bytes of one of these, at most.
const MAX_FRAMES: usize = 2000;
const MAX_TEXT: u64 = 1 << 20;
/// Frames of Velox that are tilted by less are frames of one view.
const LEAST_TILT_DEG: f64 = 2.0;

/// What stands beside a frame of Velox: one column of letters.
fn said_of(about: &Dataset, frame: u64) -> Option<serde_json::Value> {
    let n = about.shape().ok()?.first().copied().filter(|n| *n <= MAX_TEXT)?;
    let mut text = vec![0u8; usize::try_from(n).ok()?];
    read_values(about, &Area { start: vec![0, frame], count: vec![n, 1] }, &mut text).ok()?;
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    serde_json::from_slice(&text[..end]).ok()
}
