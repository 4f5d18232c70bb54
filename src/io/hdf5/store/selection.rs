//! Selections of elements as they are stored in files: all, none, or blocks along every axis.
//!
//! Reference: HDF5 File Format Specification 3.0, VIII.A (dataspace selections).

use super::overlay::number;

/// "As many as there are" in a stored selection.
pub(super) const UNLIMITED: u64 = u64::MAX;

/// Blocks along one axis: the first element, and from block to block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Blocks {
    pub(super) start: u64,
    pub(super) stride: u64,
    pub(super) count: u64,
    pub(super) block: u64,
}

/// Which elements of an array are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Selection {
    /// Every element.
    All,
    /// No element.
    None,
    /// The same blocks everywhere.
    Regular(Vec<Blocks>),
    /// Boxes by their first and last corners.
    Boxes(Vec<(Vec<u64>, Vec<u64>)>),
}

/// Bytes that are read one number after the other.
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    /// The next `n` bytes.
    pub(super) fn take(&mut self, n: usize) -> Result<&'a [u8], String> {
        let taken = self.0.get(..n).ok_or("the list of sources of a virtual dataset ends too soon")?;
        self.0 = &self.0[n..];
        Ok(taken)
    }

    /// The next number of `n` bytes.
    pub(super) fn number(&mut self, n: usize) -> Result<u64, String> {
        self.take(n).map(number)
    }

    /// The text up to the next zero.
    pub(super) fn text(&mut self) -> Result<String, String> {
        let n = self.0.iter().position(|byte| *byte == 0).ok_or("a name without an end")?;
        let text = String::from_utf8_lossy(self.take(n)?).into_owned();
        self.take(1)?;
        Ok(text)
    }
}

impl Selection {
    /// Reads a stored selection.
    pub(super) fn read(bytes: &mut Bytes<'_>) -> Result<Self, String> {
        let kind = bytes.number(4)?;
        let version = bytes.number(4)?;
        match kind {
            0 | 3 => {
                bytes.take(8)?;
                Ok(if kind == 0 { Self::None } else { Self::All })
            }
            2 => Self::blocks(bytes, version),
            _ => Err(format!("a virtual dataset of selected points (kind {kind}), which is not read")),
        }
    }

    fn blocks(bytes: &mut Bytes<'_>, version: u64) -> Result<Self, String> {
        let (is_regular, width) = match version {
            1 => {
                bytes.take(8)?;
                (false, 4)
            }
            2 => {
                let flags = bytes.number(1)?;
                bytes.take(4)?;
                (flags & 1 == 1, 8)
            }
            3 => (bytes.number(1)? & 1 == 1, bytes.number(1)? as usize),
            _ => return Err(format!("a selection of version {version}, which is not read")),
        };
        let rank = bytes.number(4)? as usize;
        if rank == 0 || rank > 32 || !matches!(width, 2 | 4 | 8) {
            return Err(format!("a selection of {rank} axes in numbers of {width} bytes"));
        }
        // The largest number of the width means as many as there are.
        let limit = if width == 8 { u64::MAX } else { (1 << (8 * width)) - 1 };
        let mut value = || bytes.number(width).map(|n| if n == limit { UNLIMITED } else { n });
        if is_regular {
            let axes = (0..rank)
                .map(|_| Ok(Blocks { start: value()?, stride: value()?, count: value()?, block: value()? }));
            return axes.collect::<Result<_, String>>().map(Self::Regular);
        }
        let n = value()?;
        if n.saturating_mul(2 * rank as u64 * width as u64) > bytes.0.len() as u64 {
            return Err(format!("{n} blocks in a list that is shorter"));
        }
        let mut corner = || (0..rank).map(|_| bytes.number(width)).collect::<Result<Vec<u64>, _>>();
        (0..n).map(|_| Ok((corner()?, corner()?))).collect::<Result<_, String>>().map(Self::Boxes)
    }

    /// The axis along which there is no end, if there is one.
    pub(super) fn unlimited(&self) -> Option<(usize, Blocks)> {
        let Self::Regular(axes) = self else { return None };
        let found = axes.iter().position(|a| a.count == UNLIMITED || a.block == UNLIMITED)?;
        Some((found, axes[found]))
    }

    /// The selected runs along every axis of an array of this shape, where they are the same everywhere.
    ///
    /// An axis without an end goes to the side of the array.
    pub(super) fn runs(&self, shape: &[u64]) -> Option<Vec<Runs>> {
        match self {
            Self::All => Some(shape.iter().map(|n| vec![(0, *n)]).collect()),
            Self::None => Some(vec![Vec::new(); shape.len()]),
            Self::Regular(axes) if axes.len() == shape.len() => {
                axes.iter().zip(shape).map(|(blocks, side)| blocks.runs(*side)).collect()
            }
            Self::Boxes(boxes) => product(boxes, shape),
            Self::Regular(_) => None,
        }
    }
}

/// First place and length of every run along one axis, in order.
pub(super) type Runs = Vec<(u64, u64)>;

/// Runs along one axis at most.
const MAX_RUNS: usize = 1 << 22;

/// Places in all runs together.
pub(super) fn total(runs: &Runs) -> u64 {
    runs.iter().fold(0, |n, (_, len)| n.saturating_add(*len))
}

impl Blocks {
    /// The runs of the blocks below `side`.
    fn runs(&self, side: u64) -> Option<Runs> {
        let mut runs = Runs::new();
        let (mut at, mut n) = (self.start, 0);
        while n < self.count && at < side {
            let end = at.saturating_add(self.block).min(side);
            match runs.last_mut() {
                Some((start, len)) if *start + *len == at => *len += end - at,
                _ if end > at => runs.push((at, end - at)),
                _ => {}
            }
            if runs.len() > MAX_RUNS {
                return None;
            }
            (at, n) = (end.max(at.saturating_add(self.stride.max(1))), n + 1);
        }
        Some(runs)
    }
}

/// Boxes that are together the product of runs along every axis.
fn product(boxes: &[(Vec<u64>, Vec<u64>)], shape: &[u64]) -> Option<Vec<Runs>> {
    let along = |axis: usize| -> Option<Runs> {
        let mut found = Runs::new();
        for (first, last) in boxes {
            let (first, last) = (*first.get(axis)?, (*last.get(axis)?).min(shape[axis].checked_sub(1)?));
            found.push((first, last.checked_add(1)?.checked_sub(first)?));
        }
        found.sort_unstable();
        found.dedup();
        let apart = found.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0);
        let mut merged = Runs::new();
        for (at, n) in found {
            match merged.last_mut() {
                Some((start, len)) if *start + *len == at => *len += n,
                _ => merged.push((at, n)),
            }
        }
        apart.then_some(merged)
    };
    let runs: Vec<Runs> = (0..shape.len()).map(along).collect::<Option<_>>()?;
    let volume = |(a, b): &(Vec<u64>, Vec<u64>)| -> Option<u64> {
        a.iter().zip(b).try_fold(1u64, |n, (a, b)| n.checked_mul(b.checked_sub(*a)?.checked_add(1)?))
    };
    let held = boxes.iter().try_fold(0u64, |n, pair| n.checked_add(volume(pair)?))?;
    let whole = runs.iter().try_fold(1u64, |n, runs| n.checked_mul(total(runs)))?;
    (held == whole).then_some(runs)
}
