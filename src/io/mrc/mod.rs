//! MRC (.mrc .st .rec .ali .map .dv): the field's exchange format.
//!
//! Reads modes 0 (signed or not), 1, 2, 3 and 4 (complex: two channels), 6, 12 (half floats, widened to f32), 16
//! (colours: three channels) and 101 (4 bits) in either byte order, with the extended headers of SerialEM and FEI;
//! stacks of volumes, axes in any order, and DeltaVision's waves and times. Writes modes 0, 1, 2 and 6 with the voxel
//! size, the origin, the range and a label "unit 1/um"; classes go to NAME.mrc.json. Rows are neither flipped on
//! reading nor on writing: row 0 of the file is row 0 of the array.

mod dv;
mod extended;
mod frame;
mod header;
#[cfg(test)]
mod tests;
mod write;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use self::extended::Extended;
use self::header::{HEADER_BYTES, MrcHeader};
use super::choice::Turned;
use super::error::IoError;
use super::format::{Format, Header, Kind, OpenRequest, Probe, Source, WriteRequest, has_extension};
use super::raw::{RawFile, RawLayout, RawSource};
use super::sidecar::Sidecar;
use super::walk::Values;
use crate::base::{Progress, Unit};

/// What precedes the unit in a text label.
const UNIT_LABEL: &str = "unit ";
/// What precedes the photon energy in a text label.
const ENERGY_LABEL: &str = "energy_ev ";
/// What precedes each line of how far absorption values can be trusted.
const VALIDITY_LABEL: &str = "lac_validity ";
/// Largest extended header that is read for angles; more is skipped.
const MAX_EXTENDED: usize = 64 << 20;

/// The format.
pub(crate) struct Mrc;

impl Format for Mrc {
    fn name(&self) -> &'static str {
        "MRC"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["mrc", "st", "rec", "ali", "map", "mrcs", "preali", "ccp4", "dv"]
    }

    fn sniff(&self, probe: &Probe) -> bool {
        header::looks_like_mrc(&probe.head)
    }

    fn open(&self, request: &OpenRequest<'_>) -> Result<Box<dyn Source>, IoError> {
        let (source, mrc) = open(request)?;
        Ok(Turned::wrap(Box::new(source), mrc.frame.order, request.path, request.budget))
    }

    fn bytes_of_streaming(&self, header: &Header) -> Option<u64> {
        write::bytes_of_streaming(header)
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

    fn sidecar(&self, request: &WriteRequest<'_>) -> Sidecar {
        Sidecar::classes_of(request)
    }
}

fn open(request: &OpenRequest<'_>) -> Result<(RawSource, MrcHeader), IoError> {
    let path = request.path;
    let read_error = |e| IoError::system("read", path, e);
    let content = |problem| IoError::content(path, problem);
    let mut file = File::open(path).map_err(read_error)?;
    let length = file.metadata().map_err(read_error)?.len();
    if length < HEADER_BYTES as u64 {
        return Err(content(format!("truncated: {length} bytes, an MRC header alone has {HEADER_BYTES}")));
    }
    let mut raw = [0; HEADER_BYTES];
    file.read_exact(&mut raw).map_err(read_error)?;
    let mut mrc = header::parse(&raw, length).map_err(content)?;
    let mut layout = layout_of(&mrc, request);
    let (missing, said) = layout.fit(length).map_err(content)?;
    mrc.warnings.extend(said);
    let mut bytes = vec![0; if mrc.n_extended <= MAX_EXTENDED { mrc.n_extended } else { 0 }];
    file.read_exact(&mut bytes).map_err(read_error)?;
    let extended = extended_of(&mrc, &bytes);
    let mut header = header_of(path, &mut mrc, &layout, extended);
    header.missing_planes = missing;
    Ok((RawSource { raw: RawFile { path: path.to_owned(), file, layout }, header }, mrc))
}

/// Where the planes of the channel and time lie that are asked for.
fn layout_of(mrc: &MrcHeader, request: &OpenRequest<'_>) -> RawLayout {
    let [n_sections, rows, cols] = mrc.shape;
    let (n_components, split) = (mrc.values.n(), &mrc.split);
    let channel = request.channel().min(n_components * split.n_channels() - 1);
    let time = request.options.time.unwrap_or(0).min(split.n_times - 1);
    let [step, per_channel, per_time] = split.strides;
    RawLayout {
        n_components,
        component: channel % n_components,
        first: (channel / n_components * per_channel + time * per_time) as u64,
        step: step as u64,
        n_sections: n_sections as u64,
        ..RawLayout::plain(mrc.data_offset(), mrc.values.stored, mrc.big_endian, [split.planes, rows, cols])
    }
}

/// What the extended header says, where the sections are views or planes one after the other.
fn extended_of(mrc: &MrcHeader, bytes: &[u8]) -> Extended {
    if mrc.is_dv || mrc.split != header::Split::none(mrc.shape[0]) {
        return Extended::default();
    }
    extended::parse(mrc, bytes)
}

fn header_of(path: &Path, mrc: &mut MrcHeader, layout: &RawLayout, extended: Extended) -> Header {
    let shape = [layout.planes, layout.rows, layout.cols];
    let mut header =
        Header::new(if mrc.is_dv { "DeltaVision" } else { "MRC" }, shape, mrc.values.stored.dtype());
    header.voxel_um = mrc.frame.voxel_um;
    header.origin_um = mrc.frame.origin_um;
    header.warnings = std::mem::take(&mut mrc.warnings);
    if let (None, Some(pixel_um)) = (mrc.frame.voxel_um, extended.pixel_um) {
        header.voxel_um = Some([pixel_um; 3]);
        header.warnings.retain(|warning| !warning.contains("voxel size"));
        header.warnings.push(format!(
            "pixel size {pixel_um} µm taken from the extended header, the main header has none"
        ));
    }
    header.warnings.extend(extended.warnings);
    header.angles_deg = extended.angles_deg;
    header.angles_deg.truncate(layout.planes);
    header.metadata = extended.metadata;
    if header.angles_deg.is_empty()
        && let Some(steps) = mrc.tilt_steps
    {
        angles_by_steps(&mut header, steps);
    }
    let (channels, parts) = (&mrc.split.channels, mrc.values.names);
    header.n_channels = mrc.split.n_channels() * mrc.values.n();
    header.channel_names = match (channels.is_empty(), parts.is_empty()) {
        (_, true) => channels.clone(),
        (true, false) => parts.iter().map(|part| (*part).to_owned()).collect(),
        (false, false) => {
            channels.iter().flat_map(|c| parts.iter().map(move |part| format!("{c}, {part}"))).collect()
        }
    };
    header.n_times = mrc.split.n_times;
    if !header.angles_deg.is_empty() || (shape[0] > 1 && has_extension(path, &["st", "ali", "preali"])) {
        header.kind = Kind::Scan;
    }
    header.metadata.insert("mode".to_owned(), mrc.mode.to_string());
    if mrc.big_endian {
        header.metadata.insert("byte_order".to_owned(), "big".to_owned());
    }
    if !mrc.extended_kind.is_empty() {
        header.metadata.insert("extended_header".to_owned(), mrc.extended_kind.clone());
    }
    read_labels(&mut header, &mrc.labels);
    header
}

/// Angles from a first tilt and a step, where they stay within half a turn to either side.
fn angles_by_steps(header: &mut Header, [start, step]: [f64; 2]) {
    let n = header.shape[0];
    let angles: Vec<f64> = (0..n).map(|i| start + step * i as f64).collect();
    if n > 1 && angles.iter().all(|a| a.abs() <= 180.0) {
        header.warnings.push(format!(
            "the header gives the tilts as {start}° and {step}° a step, in place of one a view; --angles changes them"
        ));
        header.angles_deg = angles;
    }
}

/// What this program wrote into the labels, and what others did.
fn read_labels(header: &mut Header, labels: &[String]) {
    let (mut free, mut validity) = (Vec::new(), Vec::new());
    for label in labels {
        if let Some(unit) = label.strip_prefix(UNIT_LABEL).and_then(Unit::from_ascii) {
            header.set_unit(unit);
        } else if let Some(energy) = label.strip_prefix(ENERGY_LABEL).and_then(|e| e.parse::<f64>().ok()) {
            header.energy_ev = Some(energy).filter(|e| e.is_finite() && *e > 0.0);
        } else if let Some(line) = label.strip_prefix(VALIDITY_LABEL) {
            validity.push(line.trim());
        } else {
            free.push(label.as_str());
        }
    }
    if !validity.is_empty() {
        header.metadata.insert("lac_validity".to_owned(), validity.join(" "));
    }
    if !free.is_empty() {
        header.metadata.insert("labels".to_owned(), free.join("\n"));
    }
}
