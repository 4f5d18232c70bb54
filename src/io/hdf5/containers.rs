//! Volumes in the layouts of other programs: EMD (tomviz, Prismatic), BigDataViewer, Imaris, ilastik.
//!
//! EMD: a group with `emd_group_type` 1 holds `data` and `dim1` … `dimN`, one for each axis as stored, each with the
//! positions of its places and their units. BigDataViewer: `t00000/s00/0/cells` in the order z, y, x, the first of
//! several resolutions, voxel sizes in the XML beside. Imaris 5.5: `DataSet/ResolutionLevel 0/TimePoint 0/Channel
//! 0/Data`, z, y, x, padded to whole chunks; sizes and extents are attributes, written letter by letter.

use std::path::Path;

use super::axes::{Laid, lay};
use super::frames::Frames;
use super::store::{Dataset, Group};
use super::tree::{numbers, search, units_of};
use super::values::degrees;
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
    /// Tilt angles in degrees, where one of the axes counts views.
    pub(super) angles_deg: Vec<f64>,
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
            angles_deg: Vec::new(),
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
    let size = |axis: char| letters(&channel, &format!("ImageSize{axis}")).trim().parse::<usize>().ok();
    let frames = Frames::all(data)?;
    let padded = frames.shape();
    let sides = [size('Z'), size('Y'), size('X')];
    let sides: [usize; 3] =
        std::array::from_fn(|axis| sides[axis].filter(|n| *n > 0).unwrap_or(padded[axis]));
    let frames = frames.cropped(sides);
    let shape = frames.shape();
    let mut found = Found::plain("Imaris", frames);
    (found.laid.n_channels, found.laid.n_times) = (n_channels, n_times);
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

/// The volume of an EMD file.
pub(super) fn emd(root: &Group, options: &ReadOptions) -> Result<Option<Found>, String> {
    let group = search(root, |group| {
        let is_array = group.attributes().iter().any(|a| a.name == "emd_group_type");
        (is_array && group.dataset("data").is_some_and(|d| d.ndim() >= 3)).then(|| group.clone())
    });
    let Some(group) = group else { return Ok(None) };
    let Some(data) = group.dataset("data") else { return Ok(None) };
    let dims: Vec<Option<Dataset>> = (1..=data.ndim()).map(|n| group.dataset(&format!("dim{n}"))).collect();
    let named =
        |dim: &Option<Dataset>| dim.as_ref().map(|d| d.attr_text("name").to_lowercase()).unwrap_or_default();
    let names: Vec<String> = dims.iter().map(named).collect();
    let mut found = Found { name: Some("EMD"), ..Found::of(lay(data, options)?) };
    if found.laid.order != AxisOrder::ZYX || names.len() != 3 {
        return Ok(Some(found));
    }
    let is_angle = |name: &String| name.contains("angle") || name.contains("tilt");
    let letter = |name: &String| {
        // Views take the place of the first axis.
        let known = ["z", "y", "x"].iter().position(|axis| name.trim() == *axis);
        if is_angle(name) { Some(0) } else { known }
    };
    let is: Vec<Option<usize>> = names.iter().map(letter).collect();
    if let [Some(a), Some(b), Some(c)] = is.as_slice()
        && let Some(order) = AxisOrder::from_axes([*a, *b, *c])
    {
        found.laid.order = order;
        if order != AxisOrder::ZYX {
            found.warnings.push(format!(
                "the file calls its axes {order}, as tomviz writes volumes; they were brought into the order zyx (--axes says otherwise)"
            ));
        }
    }
    if let Some(dim) = names.iter().position(is_angle).and_then(|at| dims[at].as_ref()) {
        found.angles_deg = degrees(dim, &mut found.warnings);
    }
    let along: Vec<Option<(f64, f64)>> = dims.iter().map(|dim| step_um(dim.as_ref()?)).collect();
    if let [Some(a), Some(b), Some(c)] = along.as_slice() {
        let order = found.laid.order;
        found.voxel_um = Some(order.turned([a.0, b.0, c.0]));
        found.origin_um = Some(order.turned([a.1, b.1, c.1]));
    }
    Ok(Some(found))
}

/// Distance between places, and the first place, in µm.
fn step_um(dim: &Dataset) -> Option<(f64, f64)> {
    let scale = um_per(units_of(dim).trim())?;
    let places = numbers(dim);
    let step =
        (places.last()? - places.first()?) / (places.len().checked_sub(1).filter(|n| *n > 0)? as f64) * scale;
    let step: f64 = format!("{step:.7e}").parse().ok()?;
    (step.is_finite() && step > 0.0).then(|| (step, places[0] * scale))
}
