//! Which frames of which dataset are read, and how: three of its axes, cropped, picked and perhaps mirrored.

use std::ops::Range;

use ndarray::{Array3, Axis};

use super::store::{Area, Dataset};
use super::tree::{decode, dtype_of, read_values};
use crate::io::array::{Dtype, FileVoxel, with_dtype};
use crate::volume::AnyArray;
use crate::volume::any::Voxel as _;

/// A set of frames, or a volume: three axes of a dataset.
#[derive(Clone)]
pub(super) struct Frames {
    pub(super) dataset: Dataset,
    /// The axes of the dataset that are read, in the order in which they are stored; one that is not there has length 1.
    pub(super) axes: [Option<usize>; 3],
    /// Place along every axis that is not read.
    pub(super) at: Vec<u64>,
    /// Sides that are read, before frames are picked.
    sides: [usize; 3],
    /// Positions of the frames that are read; `None` means all.
    pub(super) picked: Option<Vec<usize>>,
    /// Whether the pictures are mirrored left to right, and top to bottom.
    pub(super) mirrored: [bool; 2],
    /// Whether signed numbers of two bytes are unsigned ones in truth.
    unsigned: bool,
}

impl Frames {
    /// All of a dataset of three axes; axes of length 1 before or between them are passed over, one of two is a single frame.
    pub(super) fn all(dataset: Dataset) -> Result<Self, String> {
        let shape = dataset.shape()?;
        let mut axes: Vec<usize> = (0..shape.len()).collect();
        while axes.len() > 3 {
            // The first axis counts frames even where there is one.
            let Some(single) = axes.iter().skip(1).position(|axis| shape[*axis] == 1) else { break };
            axes.remove(single + 1);
        }
        while axes.len() > 3 && shape[axes[0]] == 1 {
            axes.remove(0);
        }
        let axes = match axes.as_slice() {
            [y, x] => [None, Some(*y), Some(*x)],
            [z, y, x] => [Some(*z), Some(*y), Some(*x)],
            _ => return Err(format!("{}: shape {shape:?}, expected 3 axes", dataset.path())),
        };
        Self::of_axes(dataset, axes, vec![0; shape.len()])
    }

    /// The axes that are named; `at` says where along the others.
    pub(super) fn of_axes(dataset: Dataset, axes: [Option<usize>; 3], at: Vec<u64>) -> Result<Self, String> {
        let shape = dataset.shape()?;
        let side = |axis: Option<usize>| {
            let n = axis.and_then(|axis| shape.get(axis)).copied().unwrap_or(1);
            usize::try_from(n).map_err(|_e| format!("a side of {n}"))
        };
        let sides = [side(axes[0])?, side(axes[1])?, side(axes[2])?];
        Ok(Self { dataset, axes, at, sides, picked: None, mirrored: [false; 2], unsigned: false })
    }

    /// Only the first places along each axis.
    pub(super) fn cropped(mut self, sides: [usize; 3]) -> Self {
        for (side, to) in self.sides.iter_mut().zip(sides) {
            *side = to.clamp(1, (*side).max(1));
        }
        self
    }

    /// Only the frames at these positions.
    pub(super) fn picked(mut self, picked: Vec<usize>) -> Self {
        self.picked = Some(picked);
        self
    }

    /// Number of frames in the dataset, picked or not.
    pub(super) fn n_stored(&self) -> usize {
        self.sides[0]
    }

    /// Positions of the frames that are read.
    pub(super) fn positions(&self) -> Vec<usize> {
        self.picked.clone().unwrap_or_else(|| (0..self.sides[0]).collect())
    }

    /// Shape of what is read.
    pub(super) fn shape(&self) -> [usize; 3] {
        let [n, rows, cols] = self.sides;
        [self.picked.as_ref().map_or(n, Vec::len), rows, cols]
    }

    /// Signed numbers of two bytes are read as the unsigned ones that they are in truth.
    pub(super) fn unsigned(&mut self) {
        self.unsigned = true;
    }

    /// Type of what is read.
    pub(super) fn dtype(&self) -> Result<Dtype, String> {
        if self.unsigned && dtype_of(&self.dataset) == Some(Dtype::I16) {
            return Ok(Dtype::U16);
        }
        dtype_of(&self.dataset).ok_or_else(|| format!("{}: values that are no numbers", self.dataset.path()))
    }

    /// The value of what was never written.
    pub(super) fn fill_value(&self) -> Result<f64, String> {
        let bytes = self.dataset.fill_value()?;
        with_dtype!(self.dtype()?, T => {
            let mut value: [T; 1] = [bytemuck::Zeroable::zeroed()];
            decode(&self.dataset, &bytes, &mut value)?;
            Ok(value[0].to_f64())
        })
    }

    /// Frames that are cheapest to read at once.
    pub(super) fn slab(&self) -> usize {
        let chunks = self.dataset.chunks().unwrap_or_default();
        let side = self.axes[0].and_then(|axis| chunks.get(axis).copied()).unwrap_or(1);
        (side as usize).clamp(1, self.sides[0].max(1))
    }

    /// Whether some rows are read with less work than whole frames.
    pub(super) fn reads_rows(&self) -> bool {
        let rows = self.axes[1].and_then(|axis| Some(*self.dataset.chunks()?.get(axis)? as usize));
        rows.is_none_or(|rows| rows < self.sides[1])
    }

    /// Reads frames, counted among those that are picked.
    pub(super) fn read(&self, planes: Range<usize>) -> Result<AnyArray, String> {
        self.read_rows(planes, 0..self.sides[1])
    }

    /// Reads some rows of frames.
    pub(super) fn read_rows(&self, planes: Range<usize>, rows: Range<usize>) -> Result<AnyArray, String> {
        with_dtype!(self.dtype()?, T => self.read_as::<T>(planes, rows).map(T::wrap))
    }

    fn read_as<T: FileVoxel + bytemuck::Pod>(
        &self,
        planes: Range<usize>,
        rows: Range<usize>,
    ) -> Result<Array3<T>, String> {
        let [_, n_rows, cols] = self.sides;
        if rows.end > n_rows {
            return Err(format!("rows up to {} of {n_rows}", rows.end));
        }
        let rows = if self.mirrored[1] { n_rows - rows.end..n_rows - rows.start } else { rows };
        let sides = [planes.len(), rows.len(), cols];
        let needed = sides.iter().try_fold(size_of::<T>() as u64, |n, side| n.checked_mul(*side as u64));
        let budget = self.dataset.budget();
        budget.admit(needed.unwrap_or(u64::MAX)).map_err(|error| error.to_string())?;
        let mut array =
            Array3::<T>::from_elem((planes.len(), rows.len(), cols), bytemuck::Zeroable::zeroed());
        self.fill(planes, rows, array.as_slice_mut().unwrap_or(&mut []))?;
        if self.mirrored[0] {
            array.invert_axis(Axis(2));
        }
        if self.mirrored[1] {
            array.invert_axis(Axis(1));
        }
        Ok(if self.mirrored == [false; 2] { array } else { array.as_standard_layout().into_owned() })
    }

    /// Reads frames into the memory of an array of their type; false where they are mirrored on the way.
    pub(super) fn read_into(&self, planes: Range<usize>, into: &mut [u8]) -> Result<bool, String> {
        let rows = 0..self.sides[1];
        if self.mirrored != [false; 2] {
            return Ok(false);
        }
        with_dtype!(self.dtype()?, T => match bytemuck::try_cast_slice_mut::<u8, T>(into) {
            Ok(values) => self.fill(planes, rows, values).map(|()| true),
            Err(_misaligned) => Ok(false),
        })
    }

    /// Fills `into` with rows of frames as they are stored.
    fn fill<T: FileVoxel + bytemuck::Pod>(
        &self,
        planes: Range<usize>,
        rows: Range<usize>,
        into: &mut [T],
    ) -> Result<(), String> {
        match &self.picked {
            None => self.read_run(planes, rows, into),
            Some(picked) => {
                let wanted = picked.get(planes).ok_or("frames beyond the end")?;
                self.read_picked(wanted, rows, into)
            }
        }
    }

    /// Neighbours are read at once; where several share a chunk, what lies between them too.
    fn read_picked<T: FileVoxel + bytemuck::Pod>(
        &self,
        wanted: &[usize],
        rows: Range<usize>,
        into: &mut [T],
    ) -> Result<(), String> {
        let frame = rows.len() * self.sides[2];
        let slab = self.slab();
        let mut at = 0;
        while at < wanted.len() {
            let mut end = at + 1;
            let apart = |a: usize, b: usize| b.checked_sub(a).is_none_or(|gap| gap == 0 || gap > slab);
            while end < wanted.len() && !apart(wanted[end - 1], wanted[end]) {
                end += 1;
            }
            let (first, last) = (wanted[at], wanted[end - 1]);
            let run = &mut into[at * frame..end * frame];
            if last - first + 1 == end - at {
                self.read_run(first..last + 1, rows.clone(), run)?;
            } else {
                let mut all: Vec<T> = vec![bytemuck::Zeroable::zeroed(); (last - first + 1) * frame];
                self.read_run(first..last + 1, rows.clone(), &mut all)?;
                for (to, from) in run.chunks_mut(frame.max(1)).zip(&wanted[at..end]) {
                    to.copy_from_slice(&all[(from - first) * frame..][..frame]);
                }
            }
            at = end;
        }
        Ok(())
    }

    fn read_run<T: FileVoxel + bytemuck::Pod>(
        &self,
        planes: Range<usize>,
        rows: Range<usize>,
        into: &mut [T],
    ) -> Result<(), String> {
        let mut area = Area { start: self.at.clone(), count: vec![1; self.at.len()] };
        let runs = [planes, rows, 0..self.sides[2]];
        for (axis, run) in self.axes.iter().zip(runs) {
            if let Some(axis) = axis {
                (area.start[*axis], area.count[*axis]) = (run.start as u64, run.len() as u64);
            }
        }
        read_values(&self.dataset, &area, into)
    }
}
