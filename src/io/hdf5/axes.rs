//! What the axes of an array are, where the file says so, and which three of them are read.
//!
//! ilastik and vigra say it in `axistags` (JSON), others in `DIMENSION_LABELS`, `axes` or `AXES`
//! ("t:c:z:y:x", "zyx", or a list). The letters: t time, c channel, and z, y, x.

use super::frames::Frames;
use super::scales::{self, Tagged};
use super::store::{Dataset, Group};
use crate::io::choice::{AxisOrder, ReadOptions};
use crate::io::lengths::um_per;

/// One axis of an array.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AxisTag {
    /// t, c, z, y or x.
    pub(super) key: char,
    /// Distance of its places in µm.
    pub(super) step_um: Option<f64>,
    /// The lowest of its places in µm.
    pub(super) first_um: Option<f64>,
    /// Distance of its places where these have no unit.
    pub(super) step: Option<f64>,
    /// Whether its places count down.
    pub(super) backwards: bool,
    /// Whether its places are views.
    pub(super) turns: bool,
}

impl AxisTag {
    /// An axis of which nothing else is known.
    pub(super) fn new(key: char) -> Self {
        Self { key, step_um: None, first_um: None, step: None, backwards: false, turns: false }
    }
}

/// An array as it is to be read: three axes, the order they lie in, and how many channels and times there are.
pub(super) struct Laid {
    pub(super) frames: Frames,
    /// What the three axes that are read are.
    pub(super) order: AxisOrder,
    pub(super) voxel_um: Option<[f64; 3]>,
    pub(super) ratios: Option<[f64; 3]>,
    pub(super) origin_um: Option<[f64; 3]>,
    /// Tilt angles in degrees, where one of the axes counts views.
    pub(super) angles_deg: Vec<f64>,
    pub(super) n_channels: usize,
    pub(super) n_times: usize,
    pub(super) warnings: Vec<String>,
}

impl Laid {
    /// Frames as z, y, x.
    pub(super) fn plain(frames: Frames) -> Self {
        Self {
            frames,
            order: AxisOrder::ZYX,
            voxel_um: None,
            ratios: None,
            origin_um: None,
            angles_deg: Vec::new(),
            n_channels: 1,
            n_times: 1,
            warnings: Vec::new(),
        }
    }
}

/// What a dataset says of its axes; `None` where it says nothing that is understood.
pub(super) fn tags(dataset: &Dataset) -> Option<Vec<AxisTag>> {
    let n = dataset.ndim();
    let json = dataset.attr_text("axistags");
    let plain = |keys: Vec<char>| {
        let known = keys.iter().all(|key| "tczyx".contains(*key)) && keys.len() == n;
        let once = keys.iter().all(|key| keys.iter().filter(|other| *other == key).count() == 1);
        (known && once).then(|| keys.into_iter().map(AxisTag::new).collect())
    };
    let lists = ["DIMENSION_LABELS", "axes", "AXES", "axis_order"].map(|name| {
        let texts = dataset.attr_texts(name);
        if texts.is_empty() { vec![dataset.attr_text(name)] } else { texts }
    });
    vigra(&json, n).or_else(|| lists.into_iter().find_map(|texts| plain(letters(&texts))))
}

/// Letters of a list of names: one text of several letters, names between colons or commas, or names one by one.
fn letters(texts: &[String]) -> Vec<char> {
    let names: Vec<String> = match texts {
        [one] if one.contains([':', ',', ' ']) => one
            .trim_matches(['[', ']'])
            .split([':', ',', ' '])
            .map(str::to_owned)
            .filter(|n| !n.is_empty())
            .collect(),
        [one] if one.chars().all(|c| "tczyxTCZYX".contains(c)) => one.chars().map(String::from).collect(),
        names => names.to_vec(),
    };
    names.iter().map(|name| scales::letter(name).unwrap_or('?')).collect()
}

/// The axes of vigra's JSON; a resolution of 0 means nothing.
fn vigra(json: &str, n: usize) -> Option<Vec<AxisTag>> {
    let parsed: serde_json::Value = serde_json::from_str(json).ok()?;
    let axes = parsed.get("axes")?.as_array()?;
    let tag = |axis: &serde_json::Value| {
        let key = axis.get("key")?.as_str()?.chars().next()?.to_ascii_lowercase();
        let step =
            axis.get("resolution").and_then(serde_json::Value::as_f64).filter(|r| r.is_finite() && *r > 0.0);
        let unit = ["unit", "description"].iter().find_map(|k| um_per(axis.get(k)?.as_str()?));
        let step_um = step.zip(unit).map(|(step, unit)| step * unit);
        "tczyx".contains(key).then_some(AxisTag { step_um, ..AxisTag::new(key) })
    };
    let tags: Vec<AxisTag> = axes.iter().map(tag).collect::<Option<_>>()?;
    (tags.len() == n).then_some(tags)
}

/// Lays an array out: by what it and lists beside it say of its axes, or by their number.
pub(super) fn lay(root: &Group, dataset: Dataset, options: &ReadOptions) -> Result<Laid, String> {
    let shape = dataset.shape()?;
    let mut warnings = Vec::new();
    let listed = scales::tags(root, &dataset, &mut warnings);
    let mut laid = match (tags(&dataset), listed) {
        // Its own words on what its axes are, and the positions of the lists.
        (Some(own), Some(mut listed)) => {
            listed.axes.iter_mut().zip(&own).for_each(|(axis, own)| {
                axis.key = own.key;
                axis.step_um = axis.step_um.or(own.step_um);
            });
            by_lists(dataset, listed, options)?
        }
        (Some(own), None) => by_tags(dataset, &own, &shape, options)?,
        (None, Some(listed)) if listed.is_named || shape.len() <= 3 => by_lists(dataset, listed, options)?,
        (None, _) => by_number(dataset, &shape, options)?,
    };
    laid.warnings.append(&mut warnings);
    Ok(laid)
}

/// Lays an array out by lists of the positions along its axes.
pub(super) fn by_lists(dataset: Dataset, listed: Tagged, options: &ReadOptions) -> Result<Laid, String> {
    let shape = dataset.shape()?;
    let laid = by_tags(dataset, &listed.axes, &shape, options)?;
    Ok(Laid { angles_deg: listed.angles_deg, ..laid })
}

fn by_tags(dataset: Dataset, tags: &[AxisTag], shape: &[u64], options: &ReadOptions) -> Result<Laid, String> {
    let axis_of = |key: char| tags.iter().position(|tag| tag.key == key);
    let side = |key: char| axis_of(key).map_or(1, |axis| shape[axis] as usize);
    let mut at = vec![0; shape.len()];
    for (key, chosen) in [('c', options.channel), ('t', options.time)] {
        if let (Some(axis), Some(chosen)) = (axis_of(key), chosen) {
            at[axis] = (chosen as u64).min(shape[axis].saturating_sub(1));
        }
    }
    let mut stored: Vec<(usize, usize)> = ['z', 'y', 'x']
        .into_iter()
        .enumerate()
        .filter_map(|(is, key)| axis_of(key).map(|axis| (axis, is)))
        .collect();
    stored.sort_unstable();
    let mut is: Vec<usize> = stored.iter().map(|(_, is)| *is).collect();
    let mut axes: Vec<Option<usize>> = stored.iter().map(|(axis, _)| Some(*axis)).collect();
    for missing in 0..3 {
        if !is.contains(&missing) {
            is.insert(0, missing);
            axes.insert(0, None);
        }
    }
    let wrong = || format!("{}: axes that are no picture", dataset.path());
    let (axes, is): ([Option<usize>; 3], [usize; 3]) =
        (axes.try_into().map_err(|_v| wrong())?, is.try_into().map_err(|_v| wrong())?);
    let runs = |axis: &Option<usize>| axis.is_some_and(|axis| tags[axis].backwards);
    let order = AxisOrder::from_axes(is).ok_or_else(wrong)?.running(axes.each_ref().map(runs));
    let mut warnings = Vec::new();
    let has_planes = axis_of('z').is_some_and(|axis| shape[axis] > 1 && !tags[axis].turns);
    let voxel_um = edges(|key| tags[axis_of(key)?].step_um, has_planes, &mut warnings);
    let ratios = match voxel_um {
        Some(_) => None,
        None => edges(|key| tags[axis_of(key)?].step, has_planes, &mut warnings),
    };
    let ratios =
        ratios.map(|edges| edges.map(|edge| edge / edges.iter().copied().fold(f64::INFINITY, f64::min)));
    let first = |key: char| axis_of(key).map_or(Some(0.0), |axis| tags[axis].first_um);
    let origin_um = match (first('z'), first('y'), first('x')) {
        (z, Some(y), Some(x)) if voxel_um.is_some() => Some([z.unwrap_or(0.0), y, x]),
        _ => None,
    };
    if order != AxisOrder::ZYX {
        warnings
            .push(format!(
                "the file says that its axes are {order}; they were brought into the order zyx (--axes turns them further)"
            ));
    }
    let (n_channels, n_times) = (side('c'), side('t'));
    let frames = Frames::of_axes(dataset, axes, at)?;
    let angles_deg = Vec::new();
    Ok(Laid { frames, order, voxel_um, ratios, origin_um, angles_deg, n_channels, n_times, warnings })
}

/// Edges as z, y, x where those in the pictures are known; without one along z it is that of x.
fn edges(
    step: impl Fn(char) -> Option<f64>,
    has_planes: bool,
    warnings: &mut Vec<String>,
) -> Option<[f64; 3]> {
    let (y, x) = (step('y')?, step('x')?);
    let z = step('z').unwrap_or_else(|| {
        if has_planes {
            warnings.push(format!(
                "the file gives no distance between planes: that between columns, {x}, was taken"
            ));
        }
        x
    });
    Some([z, y, x])
}

/// Without a word on axes: the last three are z, y, x; one before them counts channels, two times and channels.
///
/// A short axis at the end is one of channels, as pictures in colour have it.
fn by_number(dataset: Dataset, shape: &[u64], options: &ReadOptions) -> Result<Laid, String> {
    let long = shape.iter().filter(|n| **n != 1).count();
    if shape.len() <= 3 || long <= 3 {
        return Frames::all(dataset).map(Laid::plain);
    }
    let n = shape.len();
    let rank = if long == 4 { 4 } else { 5 };
    // Axes of length 1 in front are passed over.
    let first = n.checked_sub(rank).filter(|first| shape[..*first].iter().all(|n| *n == 1));
    let first = first.ok_or_else(|| {
        format!(
            "{}: shape {shape:?}, of which three axes cannot be told; write it with fewer axes",
            dataset.path()
        )
    })?;
    let keys = match rank {
        4 if shape[n - 1] <= 16 && shape[n - 1] < shape[first] => "zyxc",
        4 => "czyx",
        _ if shape[n - 1] <= 16 && shape[n - 1] < shape[n - 2] => "tzyxc",
        _ => "tczyx",
    };
    let ones = (0..first).map(|_| AxisTag::new('1'));
    let tags: Vec<AxisTag> = ones.chain(keys.chars().map(AxisTag::new)).collect();
    let mut laid = by_tags(dataset, &tags, shape, options)?;
    let spelled: Vec<String> = keys.chars().map(String::from).collect();
    laid.warnings = vec![format!(
        "{}: the file does not say what its {rank} axes are; {} was assumed (--channel, --time and --axes choose)",
        laid.frames.dataset.path(),
        spelled.join(", ")
    )];
    Ok(laid)
}
