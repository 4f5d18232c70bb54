//! NIfTI-1 and NIfTI-2 (.nii, .nii.gz, .hdr with .img), and Analyze 7.5 as far as it goes.
//!
//! A crate for this exists; it reads all of a file at once and bounds nothing, so the head is read here and the values by
//! what reads all raw arrays. Columns run fastest. Axes that run otherwise than to +x +y +z of the world of the file are
//! turned, but for what the programs built on ITK write of an image that was never turned (−x −y +z): that stays as it is,
//! so that labels lie on the image they were drawn on, which is said. Reference: the headers nifti1.h and nifti2.h of the NIfTI working group.

mod frame;
mod header;
#[cfg(test)]
mod tests;
mod write;

use std::ops::Range;
use std::path::{Path, PathBuf};

use self::header::Said;
use super::array::Dtype;
use super::body::{Before, Body, Packing};
use super::choice::Turned;
use super::error::IoError;
use super::format::{Format, Header, OpenRequest, Probe, Source, WriteRequest};
use super::sidecar::Sidecar;
use super::walk::{Values, bytes_of_views};
use crate::base::{Progress, Unit};
use crate::volume::AnyArray;
use crate::volume::any::Voxel as _;
use crate::with_array;

/// The format.
pub(crate) struct Nifti;

impl Format for Nifti {
    fn name(&self) -> &'static str {
        "NIfTI"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["nii", "nii.gz"]
    }

    fn sniff(&self, probe: &Probe) -> bool {
        header::is_nifti(&probe.head)
            || (header::is_analyze(&probe.head)
                && probe.path.extension().is_some_and(|e| e.eq_ignore_ascii_case("hdr")))
    }

    fn open(&self, request: &OpenRequest<'_>) -> Result<Box<dyn Source>, IoError> {
        let path = request.path;
        let content = |problem: String| IoError::content(path, problem);
        let said = Said::read(path)?;
        let body = Body {
            files: vec![if said.is_pair { pictures_of(path)? } else { path.to_owned() }],
            before: Before::Skip { at: said.values_at, lines: 0, bytes: 0 },
            packing: Packing::Plain,
            stored: said.stored().map_err(content)?,
            big_endian: said.big_endian,
            shape: said.shape,
            n_together: said.n_together(),
            n_times: said.n_times,
            n_apart: said.n_apart,
            has_more: false,
        };
        let mut source = body.open(request, "NIfTI")?;
        let order = frame::place(&said, source.header_mut());
        describe(&said, source.header_mut());
        if let Some(scale) = said.scale {
            source = Scaled::wrap(source, scale);
        }
        Ok(Turned::wrap(source, order, path, request.budget))
    }

    fn bytes_of_streaming(&self, header: &Header) -> Option<u64> {
        bytes_of_views(header)
    }

    fn sidecar(&self, request: &WriteRequest<'_>) -> Sidecar {
        let all = Sidecar::of(request);
        if write::holds_frame(request) { all.without_frame() } else { all }
    }

    fn write(
        &self,
        path: &Path,
        values: Values<'_>,
        request: &WriteRequest<'_>,
        progress: &Progress,
    ) -> Result<Vec<String>, IoError> {
        write::write(path, values, request, progress)
    }
}

/// The values of a .hdr lie in the .img beside it.
fn pictures_of(path: &Path) -> Result<PathBuf, IoError> {
    let beside = ["img", "IMG"].map(|extension| path.with_extension(extension));
    beside.into_iter().find(|file| file.is_file()).ok_or_else(|| {
        IoError::content(path, "its values lie in the .img of the same name, which is not beside it (unpack it if it is .img.gz)")
    })
}

/// What the header says in words, and whether these are labels.
fn describe(said: &Said, header: &mut Header) {
    for (key, text) in [("description", &said.description), ("intent", &said.intent)] {
        if !text.is_empty() {
            header.metadata.insert(key.to_owned(), text.clone());
        }
    }
    if said.is_label && header.dtype.is_integer() {
        header.set_unit(Unit::Label);
    }
    header.warnings.extend(said.warnings.iter().cloned());
}

/// Values that are a factor and an offset away from those that are stored.
struct Scaled {
    source: Box<dyn Source>,
    header: Header,
    scale: [f64; 2],
}

impl Scaled {
    fn wrap(source: Box<dyn Source>, [factor, offset]: [f64; 2]) -> Box<dyn Source> {
        let mut header = source.header().clone();
        // Single precision holds what 16 bits and less become.
        header.dtype = match header.dtype {
            Dtype::I32 | Dtype::U32 | Dtype::F64 => Dtype::F64,
            _ => Dtype::F32,
        };
        header.warnings.push(format!(
            "the file says that its values are {factor} times those that are stored{}: that was done",
            if offset == 0.0 { String::new() } else { format!(", and {offset} more") }
        ));
        Box::new(Self { source, header, scale: [factor, offset] })
    }
}

impl Source for Scaled {
    fn header(&self) -> &Header {
        &self.header
    }

    fn header_mut(&mut self) -> &mut Header {
        &mut self.header
    }

    fn reads_planes(&self) -> bool {
        self.source.reads_planes()
    }

    fn read_planes(&mut self, planes: Range<usize>) -> Result<AnyArray, IoError> {
        let stored = self.source.read_planes(planes)?;
        let [factor, offset] = self.scale;
        let values = with_array!(&stored, stored => stored.mapv(|v| factor * v.to_f64() + offset));
        Ok(if self.header.dtype == Dtype::F64 {
            AnyArray::F64(values)
        } else {
            AnyArray::F32(AnyArray::F64(values).into_f32())
        })
    }
}
