//! Reads boxes of a dataset, whatever way it is stored.

use std::sync::Arc;

use hdf5_reader::messages::HdfMessage;
use hdf5_reader::messages::layout::DataLayout;

use super::chunks::Chunked;
use super::copy::{Corner, copy_box, fill};
use super::node::Dataset;
use super::text;
use super::virtuals::Virtual;

/// A box of an array: first element and sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::io::hdf5) struct Area {
    /// First element along every axis.
    pub(in crate::io::hdf5) start: Vec<u64>,
    /// Sides.
    pub(in crate::io::hdf5) count: Vec<u64>,
}

impl Area {
    /// Number of elements.
    pub(super) fn n_elements(&self) -> Result<usize, String> {
        let n = self.count.iter().try_fold(1u64, |n, side| n.checked_mul(*side));
        n.and_then(|n| usize::try_from(n).ok()).ok_or_else(|| format!("a box of {:?}", self.count))
    }
}

/// How the values of a dataset are stored.
pub(super) enum Stored {
    /// In the header.
    Compact(Vec<u8>),
    /// In one piece, from this address on; nowhere yet where there is none.
    Contiguous(Option<u64>),
    /// In chunks.
    Chunked(Chunked),
    /// In other datasets.
    Virtual(Virtual),
}

impl Stored {
    fn of(dataset: &Dataset) -> Result<Self, String> {
        let file = &dataset.file;
        if let Some(id) = file.bytes.heap_of(dataset.address()) {
            return Virtual::read(dataset, id).map(Self::Virtual);
        }
        let header = file.header(dataset.address())?;
        if header.messages.iter().any(|m| matches!(m, HdfMessage::ExternalFiles(_))) {
            return Err(format!(
                "the values of {} lie in raw files beside (H5Pset_external), which are not read: repack the file (h5repack)",
                dataset.path()
            ));
        }
        let layout = header.messages.iter().find_map(|m| match m {
            HdfMessage::DataLayout(message) => Some(&message.layout),
            _ => None,
        });
        match layout.ok_or("a dataset without a layout")? {
            DataLayout::Compact { data } => Ok(Self::Compact(data.clone())),
            DataLayout::Contiguous { address, .. } => {
                let is_somewhere = !file.is_undefined(*address);
                Ok(Self::Contiguous(is_somewhere.then_some(*address)))
            }
            DataLayout::Chunked { address, dims, chunk_indexing, .. } => {
                Chunked::of(dataset, &header, *address, dims, chunk_indexing.as_ref()).map(Self::Chunked)
            }
        }
    }
}

impl Dataset {
    fn how(&self) -> Result<Arc<Stored>, String> {
        self.stored.get_or_init(|| Stored::of(self).map(Arc::new)).clone()
    }

    /// Sides of the dataset; a virtual one is as large as what its sources hold.
    pub(in crate::io::hdf5) fn shape(&self) -> Result<Vec<u64>, String> {
        match self.file.bytes.heap_of(self.address()) {
            None => Ok(self.written_shape().to_vec()),
            Some(_) => match &*self.how()? {
                Stored::Virtual(parts) => Ok(parts.shape.clone()),
                _ => Ok(self.written_shape().to_vec()),
            },
        }
    }

    /// Bytes of a value.
    pub(in crate::io::hdf5) fn element_size(&self) -> Result<usize, String> {
        self.raw().raw_element_size().map_err(text).and_then(|n| match n {
            0 => Err(format!("{}: values of 0 bytes", self.path())),
            n => Ok(n),
        })
    }

    /// Of every place along the first axis, whether anything was ever written there; `None` where that is not recorded.
    pub(in crate::io::hdf5) fn written(&self) -> Result<Option<Vec<bool>>, String> {
        match &*self.how()? {
            Stored::Virtual(parts) => Ok(Some(parts.written(self))),
            Stored::Chunked(chunks) => chunks.written(self).map(Some),
            Stored::Contiguous(None) => {
                let n = self.written_shape().first().copied().unwrap_or(0).min(1 << 24);
                Ok(Some(vec![false; n as usize]))
            }
            Stored::Contiguous(Some(_)) | Stored::Compact(_) => Ok(None),
        }
    }

    /// The value of elements that were never written, as bytes.
    pub(in crate::io::hdf5) fn fill_value(&self) -> Result<Vec<u8>, String> {
        let size = self.element_size()?;
        let given = self.raw().fill_value().and_then(|fill| fill.value.clone());
        Ok(given.filter(|value| value.len() == size).unwrap_or_else(|| vec![0; size]))
    }

    /// Fills `into` with the values of an area, as bytes in the order of the file.
    pub(in crate::io::hdf5) fn read_into(&self, area: &Area, into: &mut [u8]) -> Result<(), String> {
        let (shape, size) = (self.shape()?, self.element_size()?);
        let fits = shape.len() == area.start.len()
            && (0..shape.len()).all(|axis| {
                area.start[axis].checked_add(area.count[axis]).is_some_and(|end| end <= shape[axis])
            });
        if !fits || area.n_elements()?.checked_mul(size) != Some(into.len()) {
            return Err(format!("{}: {area:?} of an array of {shape:?}", self.path()));
        }
        if into.is_empty() {
            return Ok(());
        }
        match &*self.how()? {
            Stored::Compact(data) => {
                fill(into, &self.fill_value()?);
                let zeros = vec![0; shape.len()];
                let (source, target) = (
                    Corner { shape: &shape, start: &area.start },
                    Corner { shape: &area.count, start: &zeros },
                );
                if copy_box(data, &source, into, &target, &area.count, size) {
                    return Ok(());
                }
                Err(format!("{}: fewer values than its shape says", self.path()))
            }
            Stored::Contiguous(None) => {
                fill(into, &self.fill_value()?);
                Ok(())
            }
            Stored::Contiguous(Some(address)) => self.read_contiguous(*address, &shape, area, size, into),
            Stored::Chunked(chunks) => chunks.read_into(self, area, size, into),
            Stored::Virtual(parts) => {
                fill(into, &self.fill_value()?);
                parts.read_into(self, area, into)
            }
        }
    }

    /// Reads run by run: trailing axes that are whole are one run.
    fn read_contiguous(
        &self,
        address: u64,
        shape: &[u64],
        area: &Area,
        size: usize,
        into: &mut [u8],
    ) -> Result<(), String> {
        let mut outer = shape.len().saturating_sub(1);
        while outer > 0 && area.count[outer] == shape[outer] {
            outer -= 1;
        }
        let run = area.count[outer.min(shape.len())..].iter().product::<u64>() as usize * size;
        let base = self.file.base().checked_add(address).ok_or("an address beyond the end")?;
        for (n, piece) in into.chunks_mut(run.max(1)).enumerate() {
            let mut rest = n as u64;
            let mut place: Vec<u64> = area.start.clone();
            for axis in (0..outer).rev() {
                place[axis] += rest % area.count[axis];
                rest /= area.count[axis];
            }
            let element = place
                .iter()
                .zip(shape)
                .try_fold(0u64, |n, (at, side)| n.checked_mul(*side)?.checked_add(*at));
            let at = element.and_then(|n| n.checked_mul(size as u64)?.checked_add(base));
            let at = at.ok_or("an address beyond the end")?;
            self.file.bytes.read_into(at, piece).map_err(|e| {
                format!(
                    "{}: values that the file does not hold, it may be truncated; copy it again: {e}",
                    self.path()
                )
            })?;
        }
        Ok(())
    }
}
