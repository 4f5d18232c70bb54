//! What the axes of an array are, where the file says so, and which three of them are read.
//!
//! ilastik and vigra say it in `axistags` (JSON), others in `DIMENSION_LABELS`, `axes` or `AXES`
//! ("t:c:z:y:x", "zyx", or a list). The letters: t time, c channel, and z, y, x.

use super::frames::Frames;
use super::store::Dataset;
use crate::io::choice::{AxisOrder, ReadOptions};
use crate::io::lengths::um_per;

/// One axis of an array.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AxisTag {
    /// t, c, z, y or x.
    pub(super) key: char,
    /// Distance of its places in µm.
    pub(super) step_um: Option<f64>,
}

/// An array as it is to be read: three axes, the order they lie in, and how many channels and times there are.
pub(super) struct Laid {
    pub(super) frames: Frames,
    /// What the three axes that are read are.
    pub(super) order: AxisOrder,
    pub(super) voxel_um: Option<[f64; 3]>,
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
        (known && once).then(|| keys.into_iter().map(|key| AxisTag { key, step_um: None }).collect())
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
    let letter = |name: &String| match name.to_lowercase().as_str() {
        "time" | "frame" => 't',
        "channel" | "channels" | "color" | "colour" => 'c',
        one => one.chars().next().filter(|_| one.chars().count() == 1).unwrap_or('?'),
    };
    names.iter().map(letter).collect()
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
        "tczyx".contains(key).then_some(AxisTag { key, step_um })
    };
    let tags: Vec<AxisTag> = axes.iter().map(tag).collect::<Option<_>>()?;
    (tags.len() == n).then_some(tags)
}

/// Lays an array out: by what it says of its axes, or by their number.
pub(super) fn lay(dataset: Dataset, options: &ReadOptions) -> Result<Laid, String> {
    let shape = dataset.shape()?;
    match tags(&dataset) {
        Some(tags) => by_tags(dataset, &tags, &shape, options),
        None => by_number(dataset, &shape, options),
    }
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
    let order = AxisOrder::from_axes(is).ok_or_else(wrong)?;
    let step = |key: char| axis_of(key).and_then(|axis| tags[axis].step_um);
    let voxel_um = match (step('y'), step('x')) {
        (Some(y), Some(x)) => Some([step('z').unwrap_or(x), y, x]),
        _ => None,
    };
    let mut warnings = Vec::new();
    if order != AxisOrder::ZYX {
        warnings
            .push(format!("the file says that its axes are {order}; they were brought into the order zyx"));
    }
    let (n_channels, n_times) = (side('c'), side('t'));
    let frames = Frames::of_axes(dataset, axes, at)?;
    Ok(Laid { frames, order, voxel_um, n_channels, n_times, warnings })
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
    let ones = (0..first).map(|_| AxisTag { key: '1', step_um: None });
    let tags: Vec<AxisTag> = ones.chain(keys.chars().map(|key| AxisTag { key, step_um: None })).collect();
    let mut laid = by_tags(dataset, &tags, shape, options)?;
    let spelled: Vec<String> = keys.chars().map(String::from).collect();
    laid.warnings = vec![format!(
        "{}: the file does not say what its {rank} axes are; {} was assumed (--channel, --time and --axes choose)",
        laid.frames.dataset.path(),
        spelled.join(", ")
    )];
    Ok(laid)
}
