//! Files: one module per format behind one trait and one table.
//!
//! Everything is read through [`read_array`] (any type), [`read_volume`] (f32), [`read_labels`]
//! or [`read_scan`], written through [`write_array`], and described by [`info`]. A format is
//! found by the content of the file first and by its extension second. Values keep their type
//! and are never scaled; rows are never flipped but those of TXRM, stored bottom-up, once, and NIfTI, as it says. Outputs appear whole or not at all
//! ([`write_atomically`]). docs/formats.md says what each format carries and what it loses.
#![cfg_attr(not(test), warn(clippy::cast_possible_truncation, clippy::cast_sign_loss))]

mod alignment;
mod amira;
mod angles;
mod aretomo;
mod array;
mod atomic;
mod beside;
mod body;
mod chart;
mod choice;
mod compressed;
mod convert;
mod error;
mod film;
mod flat_levels;
mod format;
mod gif;
mod h264;
mod hdf5;
mod imod;
mod info;
mod labels;
mod landmarks;
mod lengths;
mod levels;
mod mdoc;
mod meshes;
mod meta_image;
mod model;
mod mp4;
mod mrc;
mod nifti;
mod npy;
mod nrrd;
mod picture;
mod pictures;
mod raw;
mod report;
mod room;
mod rulers;
mod scan;
mod sidecar;
mod text;
mod tiff;
mod tilts;
mod txrm;
mod voxel_size;
mod walk;
mod zarr;

pub use alignment::{
    read_alignment, read_any_alignment, read_xf, write_alignment, write_any_alignment, write_xf,
};
pub use angles::{AngleSource, read_angles, write_angles};
pub use aretomo::{read_aln, write_aln};
pub use array::{ArrayRef, Dtype, FileVoxel};
pub use atomic::{check_writable, write_atomically};
pub use chart::{Chart, ChartLine, fsc_chart};
pub use choice::{AxisOrder, ReadAs, ReadOptions};
pub use convert::{Converted, convert};
pub use error::IoError;
pub use film::{FilmKind, write_film};
pub use format::{
    ArrayEntry, Header, Kind, Loaded, WriteRequest, check_array_output, list_arrays, list_entries,
    read_array, read_array_of, read_header, read_header_of, read_volume, readable_formats, writable_formats,
    write_array,
};
pub use hdf5::write_scan;
pub use imod::{read_imod, write_imod};
pub use info::{FileInfo, describe, info, kind_from, kind_of};
pub use labels::{LoadedIds, LoadedLabels, LoadedRegions, read_ids, read_labels};
pub use landmarks::{read_landmarks, read_transform, write_landmarks, write_transform};
pub use levels::{Levels, is_beyond, open_levels};
pub use meshes::{MESH_EXTENSIONS, write_meshes};
pub use model::{is_model, read_model, write_model};
pub use picture::write_picture;
pub use report::Report;
pub use rulers::{RulerRow, read_rulers};
pub use scan::{ScanInput, ScanOptions, TiltAxis, ViewOrder, read_scan};
pub use text::{create_folder, read_text, write_json, write_text};
#[cfg(test)]
pub(crate) use txrm::writer_tests as txrm_writer;
pub use txrm::{is_xrm_folder, order_in_time};
pub use voxel_size::VoxelSize;
pub use zarr::{ROWS_PER_SHARD, RowsTarget, create_rows, write_labels_into, write_rows};
