//! Which part of a file is read, where it holds several, and how its axes lie.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ndarray::{Array3, Axis};
use serde::{Deserialize, Serialize};

use super::error::IoError;
use super::format::{Header, Kind, Source};
use super::voxel_size::VoxelSize;
use super::walk::read_all;
use crate::base::{MemoryBudget, Progress, Unit};
use crate::volume::AnyArray;
use crate::volume::any::Voxel;
use crate::with_array;

/// What is chosen of a file that holds several arrays, channels or times; nothing chosen means the first, which is said.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ReadOptions {
    /// Channel, counted from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<usize>,
    /// Point of time, counted from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<usize>,
    /// Name of the entry of a NeXus file, such as `entry0000` or `entry/sub`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// Path of the array inside an HDF5 or Zarr file, such as `/exchange/data`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset: Option<String>,
    /// What the three axes are as they are read without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub axes: Option<AxisOrder>,
    /// What the array is, where the file does not say or is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<ReadAs>,
    /// The voxel size as z, y, x, with the axes as they are read; wins over that of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voxel_um: Option<VoxelSize>,
    /// What the values mean; wins over what the file says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
}

/// What an array is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadAs {
    /// Ids of classes or objects: never interpolated, in coarse levels the most frequent one.
    Labels,
    /// Values.
    Volume,
}

impl ReadOptions {
    /// Whether nothing is chosen.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// These choices, and where nothing is chosen those of `other`.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self {
            channel: self.channel.or(other.channel),
            time: self.time.or(other.time),
            entry: self.entry.clone().or_else(|| other.entry.clone()),
            dataset: self.dataset.clone().or_else(|| other.dataset.clone()),
            axes: self.axes.or(other.axes),
            kind: self.kind.or(other.kind),
            voxel_um: self.voxel_um.or(other.voxel_um),
            unit: self.unit.or(other.unit),
        }
    }

    /// Which part of a file this reads, such as "channel 1 GFP"; `None` where there is only the one.
    pub fn part_of(&self, header: &Header) -> Option<String> {
        let read = self.or(&header.guessed);
        let channel = (header.n_channels > 1).then(|| {
            let channel = read.channel.unwrap_or(0);
            let name = header.channel_names.get(channel).map_or("", String::as_str);
            format!("channel {channel} {name}").trim_end().to_owned()
        });
        let time = (header.n_times > 1).then(|| format!("time {}", read.time.unwrap_or(0)));
        let parts: Vec<String> = [read.entry, read.dataset, channel, time].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    }

    /// Says of a file with several channels or times which one is read where nobody chose.
    pub(crate) fn say_first(&self, header: &mut Header) {
        let mut said = Vec::new();
        if self.channel.is_none() && header.n_channels > 1 {
            let n = header.n_channels;
            let first = match header.channel_names.first() {
                Some(name) if !name.is_empty() => format!("0 ({name})"),
                _ => "0".to_owned(),
            };
            said.push(format!("channel {first} of {n} was read; --channel takes another, 0 to {}", n - 1));
            header.guessed.channel = Some(0);
        }
        if self.time.is_none() && header.n_times > 1 {
            let n = header.n_times;
            said.push(format!("time 0 of {n} was read; --time takes another, 0 to {}", n - 1));
            header.guessed.time = Some(0);
        }
        header.warnings.extend(said);
    }

    /// Lets what the user says of voxel size and unit win over what the file says, and says so where that differs.
    pub(crate) fn set_right(&self, path: &Path, header: &mut Header) -> Result<(), IoError> {
        if let Some(size) = self.voxel_um {
            let um = size.um();
            if let Some(old) = header.voxel_um.filter(|old| !are_alike(*old, um)) {
                let [z, y, x] = old;
                header.warnings.push(format!(
                    "the voxel size of the file, {z} × {y} × {x} µm (z × y × x), was replaced by the one that was given"
                ));
                if header.unit == Some(Unit::PerUm) && self.unit.is_none() {
                    header.warnings.push(format!(
                        "absorption in 1/µm that was reconstructed with the other voxel size takes the factor {:.6} (rescale)",
                        old[2] / um[2]
                    ));
                }
                // The place stays the same one in voxels.
                header.origin_um = std::array::from_fn(|axis| header.origin_um[axis] / old[axis] * um[axis]);
            }
            (header.voxel_um, header.ratios) = (Some(um), None);
        }
        let Some(unit) = self.unit else { return Ok(()) };
        let are_labels = self.kind == Some(ReadAs::Labels);
        if are_labels && unit != Unit::Label {
            return Err(IoError::content(
                path,
                "labels have no unit: give either the unit or that these are labels",
            ));
        }
        if let Some(old) = header.unit.filter(|old| *old != unit) {
            header.warnings.push(format!(
                "the unit of the file, {}, was replaced by {}; the values are as they were",
                old.ascii(),
                unit.ascii()
            ));
        }
        if header.kind == Kind::Labels && unit != Unit::Label {
            header.set_kind(ReadAs::Volume);
        }
        header.set_unit(unit);
        Ok(())
    }

    /// Refuses a channel or time that the file lacks.
    pub(crate) fn check(&self, path: &Path, header: &Header) -> Result<(), IoError> {
        for (what, chosen, n) in
            [("channel", self.channel, header.n_channels), ("time", self.time, header.n_times)]
        {
            if chosen.is_some_and(|chosen| chosen >= n) {
                let problem = format!(
                    "{what} {} was asked for, the file has {n}, counted from 0",
                    chosen.unwrap_or_default()
                );
                return Err(IoError::content(path, problem));
            }
        }
        Ok(())
    }
}

/// Whether two voxel sizes are the same but for the last digits.
pub(crate) fn are_alike(a: [f64; 3], b: [f64; 3]) -> bool {
    a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-6 * b.abs())
}

/// What the three axes of an array are, slowest first, each perhaps running backwards: `yzx`, `-zyx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AxisOrder {
    /// For each axis of the array the axis that it is: 0 is z, 1 is y, 2 is x.
    is: [usize; 3],
    /// Whether it runs backwards.
    backwards: [bool; 3],
}

/// Letters of the axes 0, 1, 2.
pub(crate) const LETTERS: [char; 3] = ['z', 'y', 'x'];

impl AxisOrder {
    /// The order in which nothing changes.
    pub const ZYX: Self = Self { is: [0, 1, 2], backwards: [false; 3] };

    /// An order from the axis (0 z, 1 y, 2 x) that each axis of the array is; `None` where one is missing.
    pub(crate) fn from_axes(is: [usize; 3]) -> Option<Self> {
        let mut sorted = is;
        sorted.sort_unstable();
        (sorted == [0, 1, 2]).then_some(Self { is, backwards: [false; 3] })
    }

    /// The same, of which some axes of the array run backwards.
    pub(crate) fn running(self, backwards: [bool; 3]) -> Self {
        Self { backwards, ..self }
    }

    /// Where each of z, y, x lies in the array.
    fn places(self) -> [usize; 3] {
        std::array::from_fn(|axis| self.is.iter().position(|is| *is == axis).unwrap_or(axis))
    }

    /// Three values given along the axes of the array, as z, y, x.
    pub(crate) fn turned<T: Copy>(self, values: [T; 3]) -> [T; 3] {
        self.places().map(|place| values[place])
    }

    /// Three values given as z, y, x, along the axes of the array.
    pub(crate) fn stored<T: Copy>(self, values: [T; 3]) -> [T; 3] {
        self.is.map(|axis| values[axis])
    }

    /// The array with its axes as z, y, x, forwards.
    pub(crate) fn turn(self, array: &AnyArray) -> AnyArray {
        fn turned<T: Voxel>(array: &Array3<T>, order: AxisOrder) -> AnyArray {
            let mut view = array.view();
            for (axis, backwards) in order.backwards.into_iter().enumerate() {
                if backwards {
                    view.invert_axis(Axis(axis));
                }
            }
            T::wrap(view.permuted_axes(order.places()).as_standard_layout().into_owned())
        }
        with_array!(array, array => turned(array, self))
    }
}

impl fmt::Display for AxisOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (is, backwards) in self.is.iter().zip(self.backwards) {
            if backwards {
                write!(f, "-")?;
            }
            write!(f, "{}", LETTERS[*is])?;
        }
        Ok(())
    }
}

impl FromStr for AxisOrder {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text} is no order of axes; it takes z, y and x once each, as zyx, yzx or -zyx");
        let (mut is, mut backwards, mut n, mut minus) = ([0; 3], [false; 3], 0, false);
        for letter in text.chars() {
            if letter == '-' && !minus {
                minus = true;
                continue;
            }
            let axis = LETTERS.iter().position(|l| l.eq_ignore_ascii_case(&letter)).ok_or_else(wrong)?;
            *is.get_mut(n).ok_or_else(wrong)? = axis;
            backwards[n] = std::mem::take(&mut minus);
            n += 1;
        }
        let order = Self::from_axes(is).filter(|_| n == 3 && !minus).ok_or_else(wrong)?;
        Ok(Self { backwards, ..order })
    }
}

impl TryFrom<String> for AxisOrder {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<AxisOrder> for String {
    fn from(order: AxisOrder) -> Self {
        order.to_string()
    }
}

/// A source whose axes are brought into the order z, y, x.
///
/// Where planes stay planes they are turned one by one; otherwise the array is held whole, within the budget, once its
/// first plane is read. The origin keeps its place: a reversed axis is reversed within the box of the volume.
pub(crate) struct Turned {
    source: Box<dyn Source>,
    order: AxisOrder,
    header: Header,
    path: PathBuf,
    budget: MemoryBudget,
    whole: Option<AnyArray>,
}

impl Turned {
    /// Turns `source`; one that lies as z, y, x already is given back as it is.
    pub(crate) fn wrap(
        source: Box<dyn Source>,
        order: AxisOrder,
        path: &Path,
        budget: MemoryBudget,
    ) -> Box<dyn Source> {
        if order == AxisOrder::ZYX {
            return source;
        }
        let mut header = source.header().clone();
        header.shape = order.turned(header.shape);
        header.voxel_um = header.voxel_um.map(|voxel| order.turned(voxel));
        header.ratios = header.ratios.map(|ratios| order.turned(ratios));
        header.origin_um = order.turned(header.origin_um);
        if order.is[0] != 0 {
            header.slab = 1;
        } else if order.backwards[0] {
            header.angles_deg.reverse();
            header.is_reversed = true;
        }
        Box::new(Self { source, order, header, path: path.to_owned(), budget, whole: None })
    }
}

impl Source for Turned {
    fn header(&self) -> &Header {
        &self.header
    }

    fn header_mut(&mut self) -> &mut Header {
        &mut self.header
    }

    fn reads_planes(&self) -> bool {
        self.order.is[0] == 0 && self.source.reads_planes()
    }

    fn read_planes(&mut self, planes: Range<usize>) -> Result<AnyArray, IoError> {
        if self.order.is[0] == 0 {
            let n = self.header.shape[0];
            let stored = if self.order.backwards[0] { n - planes.end..n - planes.start } else { planes };
            return Ok(self.order.turn(&self.source.read_planes(stored)?));
        }
        if self.whole.is_none() {
            let (path, budget) = (&self.path, self.budget);
            let stored = read_all(self.source.as_mut(), path, &Progress::new(), budget)?.array;
            self.whole = Some(self.order.turn(&stored));
        }
        let whole = self.whole.as_ref().ok_or_else(|| IoError::content(&self.path, "nothing was read"))?;
        let slice = ndarray::Slice::from(planes);
        Ok(with_array!(whole, array => Voxel::wrap(array.slice_axis(Axis(0), slice).to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_and_written() {
        for text in ["zyx", "yzx", "-zyx", "x-y-z"] {
            assert_eq!(text.parse::<AxisOrder>().unwrap().to_string(), text);
        }
        for text in ["", "zy", "zyxz", "zzx", "--zyx", "zyx-", "abc"] {
            assert!(text.parse::<AxisOrder>().is_err(), "{text}");
        }
    }

    #[test]
    fn turning_puts_every_value_where_its_axes_say() {
        let stored = Array3::from_shape_fn((2, 3, 4), |(y, z, x)| (100 * z + 10 * y + x) as u16);
        let order: AxisOrder = "yz-x".parse().unwrap();
        let AnyArray::U16(turned) = order.turn(&AnyArray::U16(stored)) else { panic!("another type") };
        assert_eq!(turned.dim(), (3, 2, 4));
        assert_eq!(order.turned([2, 3, 4]), [3, 2, 4]);
        for ((z, y, x), value) in turned.indexed_iter() {
            assert_eq!(usize::from(*value), 100 * z + 10 * y + (3 - x));
        }
    }

    #[test]
    fn what_the_user_says_of_size_and_unit_wins_and_is_said_where_it_differs() {
        use crate::io::{WriteRequest, read_header_of, write_array};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cell.mrc");
        let array = Array3::<f32>::ones((2, 3, 4));
        let request = WriteRequest {
            voxel_um: Some([0.02; 3]),
            origin_um: [0.4, 0.2, 0.0],
            unit: Some(Unit::PerUm),
            ..WriteRequest::new(&array)
        };
        write_array(&path, &request, &Progress::new()).unwrap();
        let said = |size: &str, unit, axes: Option<&str>| {
            let options = ReadOptions {
                voxel_um: Some(size.parse().unwrap()),
                unit,
                axes: axes.map(|axes| axes.parse().unwrap()),
                ..ReadOptions::default()
            };
            read_header_of(&path, &options).unwrap()
        };
        let same = said("20nm", Some(Unit::PerUm), None);
        assert!(same.warnings.is_empty(), "{:?}", same.warnings);
        let other = said("0.01", Some(Unit::Arbitrary), None);
        assert_eq!((other.voxel_um, other.unit), (Some([0.01; 3]), Some(Unit::Arbitrary)));
        assert!((other.origin_um[0] - 0.2).abs() < 1e-9, "the same voxel: {:?}", other.origin_um);
        let warnings = other.warnings.join("; ");
        assert!(warnings.contains("0.02 × 0.02") && warnings.contains("1/um, was replaced"), "{warnings}");
        // The size is that of the axes as they are read.
        assert_eq!(said("0.03,0.02,0.01", None, Some("xyz")).voxel_um, Some([0.03, 0.02, 0.01]));
        let labels =
            ReadOptions { kind: Some(ReadAs::Labels), unit: Some(Unit::PerUm), ..ReadOptions::default() };
        assert!(read_header_of(&path, &labels).unwrap_err().to_string().contains("labels have no unit"));
    }
}
