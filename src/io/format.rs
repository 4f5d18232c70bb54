//! The one trait that every format implements, the one table that lists them, and what is read and written through them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::Array3;
use serde::{Deserialize, Serialize};

use super::array::{ArrayRef, Dtype};
use super::atomic::{check_writable, write_atomically};
use super::beside;
use super::choice::{ReadAs, ReadOptions, Turned};
use super::compressed::{Unpacked, archive_sentence};
use super::error::IoError;
use super::mdoc;
use super::sidecar::{self, Sidecar};
use super::walk::{Values, read_all};
use crate::base::{MemoryBudget, Progress, Unit};
use crate::volume::{AnyArray, ClassTable, ObjectTable, RegionMap, Scan, Volume};
use crate::with_array;

/// What a file holds, as far as it can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Views of a tilt series.
    Scan,
    /// A volume of a quantity.
    #[default]
    Volume,
    /// Class or instance identifiers.
    Labels,
    /// A single picture.
    Image,
}

/// Everything that a file says about its array; shapes and triples are z, y, x.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// Name of the format ("MRC").
    pub format: &'static str,
    /// What the file seems to hold.
    pub kind: Kind,
    /// Shape as z, y, x; a tilt series is views, rows, columns.
    pub shape: [usize; 3],
    /// Type of the values.
    pub dtype: Dtype,
    /// Voxel size in µm; `None` where the file does not say.
    pub voxel_um: Option<[f64; 3]>,
    /// Edges of a voxel as ratios, the shortest 1, where the file gives these but no unit of length.
    pub ratios: Option<[f64; 3]>,
    /// World position in µm of the centre of voxel (0, 0, 0).
    pub origin_um: [f64; 3],
    /// What the values mean; `None` where the file does not say.
    pub unit: Option<Unit>,
    /// Anything else the file says, as text.
    pub metadata: BTreeMap<String, String>,
    /// What the reader had to assume or repair; shown to the user.
    pub warnings: Vec<String>,
    /// Classes of a label volume, where the file carries them.
    pub classes: Option<ClassTable>,
    /// Of which class each object is, where the ids are those of objects and the file says so.
    pub objects: Option<ObjectTable>,
    /// Tilt angles in degrees found in the file itself; empty where there are none.
    pub angles_deg: Vec<f64>,
    /// Photon energy in eV.
    pub energy_ev: Option<f64>,
    /// Channels that the file holds; one is read at a time.
    pub n_channels: usize,
    /// Names of the channels, as far as the file has any.
    pub channel_names: Vec<String>,
    /// Points of time that the file holds; one is read at a time.
    pub n_times: usize,
    /// What was taken of several that may be meant as well because nobody chose, as a choice would say it.
    pub guessed: ReadOptions,
    /// What belongs to the views of a scan and is no part of the array: "2 flats", "a beam monitor".
    pub beside_views: Vec<String>,
    /// Planes along z that are cheapest to read at once.
    pub(crate) slab: usize,
    /// Whether the planes run the other way than in the file.
    pub(crate) is_reversed: bool,
    /// Planes that the file promises after those that it has: it was cut short, or is still being written.
    pub(crate) missing_planes: usize,
}

impl Header {
    /// A header that knows shape and type only.
    pub(crate) fn new(format: &'static str, shape: [usize; 3], dtype: Dtype) -> Self {
        Self {
            format,
            kind: if shape[0] == 1 { Kind::Image } else { Kind::Volume },
            shape,
            dtype,
            voxel_um: None,
            ratios: None,
            origin_um: [0.0; 3],
            unit: None,
            metadata: BTreeMap::new(),
            warnings: Vec::new(),
            classes: None,
            objects: None,
            angles_deg: Vec::new(),
            energy_ev: None,
            n_channels: 1,
            channel_names: Vec::new(),
            n_times: 1,
            guessed: ReadOptions::default(),
            beside_views: Vec::new(),
            slab: 1,
            is_reversed: false,
            missing_planes: 0,
        }
    }

    /// Bytes of the whole array in its own type; `None` where the shape is beyond 64 bits.
    pub fn n_bytes(&self) -> Option<u64> {
        let value = u64::try_from(self.dtype.n_bytes()).ok()?;
        self.shape.iter().try_fold(value, |n, side| n.checked_mul(u64::try_from(*side).ok()?))
    }

    /// Says what the array is, whatever the file says: labels, or else values.
    pub(crate) fn set_kind(&mut self, kind: ReadAs) {
        let is_label = self.unit == Some(Unit::Label);
        match kind {
            ReadAs::Labels => self.set_unit(Unit::Label),
            ReadAs::Volume if is_label || self.kind == Kind::Labels => {
                self.unit = None;
                self.kind = Kind::Volume;
                (self.classes, self.objects) = (None, None);
            }
            ReadAs::Volume => {}
        }
    }

    /// Sets the unit, and with it the kind where the unit tells.
    pub(crate) fn set_unit(&mut self, unit: Unit) {
        self.unit = Some(unit);
        match unit {
            Unit::Label => self.kind = Kind::Labels,
            Unit::Counts | Unit::Transmission | Unit::Absorbance if self.shape[0] > 1 => {
                self.kind = Kind::Scan;
            }
            _ => {}
        }
    }
}

/// An array as read, with everything the file says about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The values in the file's own type.
    pub array: AnyArray,
    /// What the file says about them.
    pub header: Header,
}

impl Loaded {
    /// As a volume of f32; values are rounded only where f32 cannot hold them.
    pub fn into_volume(self) -> Volume<f32> {
        let unit = self.header.unit.unwrap_or_default();
        let mut volume = Volume::new(self.array.into_f32(), self.header.voxel_um, unit);
        (volume.origin_um, volume.ratios) = (self.header.origin_um, self.header.ratios);
        volume
    }
}

/// What is to be written: the array by reference, and what should be said about it.
#[derive(Debug, Clone)]
pub struct WriteRequest<'a> {
    /// The values; written in their own type where the format has it.
    pub array: ArrayRef<'a>,
    /// Voxel size in µm; `None` where unknown.
    pub voxel_um: Option<[f64; 3]>,
    /// Edges of a voxel as ratios where only these are known.
    pub ratios: Option<[f64; 3]>,
    /// World position in µm of the centre of voxel (0, 0, 0).
    pub origin_um: [f64; 3],
    /// What the values mean.
    pub unit: Option<Unit>,
    /// Anything else, as text.
    pub metadata: BTreeMap<String, String>,
    /// Classes of a label volume.
    pub classes: Option<&'a ClassTable>,
    /// Of which class each object of a region map is.
    pub objects: Option<&'a ObjectTable>,
    /// Tilt angles in degrees of a series of views; empty for a volume.
    pub angles_deg: Vec<f64>,
    /// Photon energy in eV.
    pub energy_ev: Option<f64>,
    /// Whether coarse levels take the most frequent value instead of the mean, though nobody says that these are labels.
    pub keeps_values: bool,
}

impl<'a> WriteRequest<'a> {
    /// Whether coarse levels may hold no value that the array does not.
    pub(crate) fn keeps_ids(&self) -> bool {
        self.keeps_values || self.unit == Some(Unit::Label)
    }

    /// A request that says nothing but the values.
    pub fn new(array: impl Into<ArrayRef<'a>>) -> Self {
        Self {
            array: array.into(),
            voxel_um: None,
            ratios: None,
            origin_um: [0.0; 3],
            unit: None,
            metadata: BTreeMap::new(),
            classes: None,
            objects: None,
            angles_deg: Vec::new(),
            energy_ev: None,
            keeps_values: false,
        }
    }

    /// A volume with its frame and unit.
    pub fn volume<T: super::array::FileVoxel>(volume: &'a Volume<T>) -> Self {
        Self {
            voxel_um: volume.voxel_um,
            ratios: volume.ratios,
            origin_um: volume.origin_um,
            unit: Some(volume.unit),
            ..Self::new(&volume.data)
        }
    }

    /// Class ids with their frame and, where there are any, the names of the classes.
    pub fn labels(
        ids: &'a Array3<u16>,
        voxel_um: Option<[f64; 3]>,
        origin_um: [f64; 3],
        classes: Option<&'a ClassTable>,
    ) -> Self {
        Self { voxel_um, origin_um, unit: Some(Unit::Label), classes, ..Self::new(ids) }
    }

    /// Ids of objects with their frame and, where there is one, the table of their classes.
    pub fn regions(map: &'a RegionMap) -> Self {
        Self { objects: map.objects.as_ref(), ..Self::volume(&map.volume) }
    }

    /// What was read, to be written again as it is.
    pub fn loaded(loaded: &'a Loaded) -> Self {
        let header = &loaded.header;
        Self {
            voxel_um: header.voxel_um,
            ratios: header.ratios,
            origin_um: header.origin_um,
            unit: header.unit,
            metadata: header.metadata.clone(),
            classes: header.classes.as_ref(),
            objects: header.objects.as_ref(),
            angles_deg: header.angles_deg.clone(),
            energy_ev: header.energy_ev,
            ..Self::new(&loaded.array)
        }
    }

    /// Whether the array is a series of views or pictures rather than a volume.
    pub(crate) fn is_stack(&self) -> bool {
        !self.angles_deg.is_empty()
            || matches!(self.unit, Some(Unit::Counts | Unit::Transmission | Unit::Absorbance))
    }
}

/// A file opened for reading: its header, and its planes on demand.
pub(crate) trait Source: Send {
    /// What the file says.
    fn header(&self) -> &Header;
    /// What the file says, to be added to.
    fn header_mut(&mut self) -> &mut Header;
    /// Planes `planes` along z, in the type of the header and with its rows and columns.
    fn read_planes(&mut self, planes: Range<usize>) -> Result<AnyArray, IoError>;
    /// Whether a plane can be read without holding the whole array.
    fn reads_planes(&self) -> bool {
        true
    }
    /// Whether some rows of a plane can be read without the rest of it.
    fn reads_rows(&self) -> bool {
        false
    }
    /// Rows `rows` of the planes `planes`, with all columns.
    fn read_rows(&mut self, planes: Range<usize>, rows: Range<usize>) -> Result<AnyArray, IoError> {
        Ok(rows_of(self.read_planes(planes)?, rows))
    }
    /// As [`Source::read_planes`], into the memory of an array of that type (values in this machine's byte order);
    /// `false` where this source only gives arrays.
    fn read_into(&mut self, _planes: Range<usize>, _into: &mut [u8]) -> Result<bool, IoError> {
        Ok(false)
    }
}

/// Some rows of planes.
pub(crate) fn rows_of(planes: AnyArray, rows: Range<usize>) -> AnyArray {
    if rows.len() == planes.shape()[1] {
        return planes;
    }
    let rows = ndarray::Slice::from(rows);
    with_array!(planes, array => crate::volume::any::Voxel::wrap(array.slice_axis(ndarray::Axis(1), rows).to_owned()))
}

/// One array of a file that holds several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArrayEntry {
    /// Path inside the file, as `--dataset` takes it.
    pub path: String,
    /// Shape as stored.
    pub shape: Vec<usize>,
    /// Type of the values as NumPy spells it.
    pub dtype: String,
    /// What the file says of it, such as a long name; may be empty.
    pub note: String,
}

/// What a format is given to open a file.
pub(crate) struct OpenRequest<'a> {
    /// The file or folder.
    pub(crate) path: &'a Path,
    /// Which part of it, where it holds several; axes are turned by the caller.
    pub(crate) options: &'a ReadOptions,
    /// What may be allocated.
    pub(crate) budget: MemoryBudget,
}

impl OpenRequest<'_> {
    /// Which channel of several.
    pub(crate) fn channel(&self) -> usize {
        self.options.channel.unwrap_or(0)
    }
}

/// The first look at a file: enough to recognise it by content.
pub(crate) struct Probe {
    /// The file or folder.
    pub(crate) path: PathBuf,
    /// Whether it is a folder.
    pub(crate) is_folder: bool,
    /// The first bytes; empty for a folder.
    pub(crate) head: Vec<u8>,
}

/// One file format.
pub(crate) trait Format: Sync {
    /// Name as shown.
    fn name(&self) -> &'static str;
    /// Extensions without the dot, lower case, the usual one first.
    fn extensions(&self) -> &'static [&'static str];
    /// Whether the content is of this format, beyond reasonable doubt.
    fn sniff(&self, probe: &Probe) -> bool;
    /// Opens a file; reads the header only.
    fn open(&self, request: &OpenRequest<'_>) -> Result<Box<dyn Source>, IoError>;
    /// Reads a scan with its flats, darks and angles, where the format has a layout for that and the file uses it.
    fn read_scan(&self, _request: &OpenRequest<'_>, _progress: &Progress) -> Option<Result<Scan, IoError>> {
        None
    }
    /// Whether [`Format::read_scan`] may find one.
    fn holds_scans(&self) -> bool {
        false
    }
    /// Whether a file holds a tree of arrays, of which `--entry` and `--dataset` choose.
    fn has_tree(&self) -> bool {
        false
    }
    /// The arrays that a file holds, where it holds a tree of them.
    fn arrays(&self, _path: &Path) -> Result<Vec<ArrayEntry>, IoError> {
        Ok(Vec::new())
    }
    /// The scans or images that a file holds side by side, as `--entry` takes them.
    fn entries(&self, _path: &Path) -> Result<Vec<String>, IoError> {
        Ok(Vec::new())
    }
    /// Whether arrays can be written in it.
    fn writes(&self) -> bool {
        true
    }
    /// What is written beside the file because the format cannot hold it; by default the table of objects.
    fn sidecar(&self, request: &WriteRequest<'_>) -> Sidecar {
        Sidecar::objects_of(request)
    }
    /// Bytes that writing holds at once where planes are read one after the other; `None` where the format takes an array only
    /// whole.
    fn bytes_of_streaming(&self, _header: &Header) -> Option<u64> {
        None
    }
    /// Writes values under `path`, a temporary name; `request` says everything else, and holds the array if it is whole.
    /// Returns what the format could not carry, one sentence each.
    fn write(
        &self,
        path: &Path,
        values: Values<'_>,
        request: &WriteRequest<'_>,
        progress: &Progress,
    ) -> Result<Vec<String>, IoError>;
}

/// Every format, in the order in which they are asked.
pub(crate) fn formats() -> [&'static dyn Format; 17] {
    use super::pictures::{Photo, PictureFolder, Png};
    [
        &super::zarr::Zarr,
        &super::hdf5::Hdf5,
        &super::tiff::OME_TIFF,
        &super::tiff::TIFF,
        &super::npy::Npy,
        &super::npy::Npz,
        &super::nrrd::Nrrd,
        &super::meta_image::MetaImage,
        &super::imod::ImodLabels,
        &super::amira::Amira,
        &super::nifti::Nifti,
        &Png,
        &Photo,
        &super::txrm::Txrm,
        &super::mrc::Mrc,
        &super::txrm::XrmFolder,
        &PictureFolder,
    ]
}

/// The readable formats with their extensions, as a sentence part: "MRC (.mrc .st), TIFF (.tif)".
pub fn readable_formats() -> String {
    listed(|_| true)
}

/// The writable formats with their extensions, as a sentence part.
pub fn writable_formats() -> String {
    listed(Format::writes)
}

fn listed(keep: impl Fn(&'static dyn Format) -> bool) -> String {
    let parts: Vec<String> = formats()
        .into_iter()
        .filter(|format| keep(*format))
        .map(|format| {
            let extensions: Vec<String> = format.extensions().iter().map(|e| format!(".{e}")).collect();
            if extensions.is_empty() {
                return format.name().to_owned();
            }
            format!("{} ({})", format.name(), extensions.join(" "))
        })
        .collect();
    parts.join(", ")
}

/// How many first bytes a sniffer sees.
const PROBE_BYTES: u64 = 4096;

impl Probe {
    /// Looks at a path.
    pub(crate) fn of(path: &Path) -> Result<Self, IoError> {
        let meta = fs::metadata(path).map_err(|e| IoError::system("read", path, e))?;
        let mut head = Vec::new();
        if meta.is_file() {
            let file = File::open(path).map_err(|e| IoError::system("read", path, e))?;
            file.take(PROBE_BYTES).read_to_end(&mut head).map_err(|e| IoError::system("read", path, e))?;
            if head.is_empty() {
                return Err(IoError::content(path, "the file is empty; copy it again"));
            }
        }
        Ok(Self { path: path.to_owned(), is_folder: meta.is_dir(), head })
    }
}

/// Whether the name ends in one of `extensions`, such as `tif` or `ome.tif`, whatever the case.
pub(crate) fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    // A name that is nothing but an extension is a hidden file without one.
    let stem = |extension: &str| name.strip_suffix(extension)?.strip_suffix('.');
    extensions
        .iter()
        .any(|extension| stem(&extension.to_ascii_lowercase()).is_some_and(|stem| !stem.is_empty()))
}

/// The format of an existing file: by content, then by extension.
pub(crate) fn find_format(path: &Path) -> Result<&'static dyn Format, IoError> {
    let probe = Probe::of(path)?;
    let by_content = formats().into_iter().find(|format| format.sniff(&probe));
    let by_name = || {
        formats().into_iter().find(|format| {
            (!probe.is_folder || has_extension(path, &["zarr"])) && has_extension(path, format.extensions())
        })
    };
    if let (None, Some(problem)) = (by_content, archive_sentence(&probe.head)) {
        return Err(IoError::content(path, problem));
    }
    by_content
        .or_else(by_name)
        .ok_or_else(|| IoError::Unrecognised { path: path.to_owned(), readable: readable_formats() })
}

/// Says of edges without a unit that they are ratios only, and how the size is given.
fn say_ratios(path: &Path, header: &mut Header) {
    let Some([z, y, x]) = header.ratios.filter(|_| header.voxel_um.is_none()) else { return };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    header.warnings.push(format!(
        "the file gives no unit of length: the voxel size is unknown, edges are kept as {z} : {y} : {x} (z : y : x); give it (--voxel-um Z,Y,X, or voxel_um in {name}.json)"
    ));
}

/// Opens any readable file; what is read of it is chosen by `options`.
pub(crate) fn open(
    path: &Path,
    options: &ReadOptions,
    budget: MemoryBudget,
) -> Result<Box<dyn Source>, IoError> {
    open_unpacked(path, Unpacked::of(path, budget)?, options, budget)
}

/// As [`open`], of a file whose content may have been unpacked; its companions lie beside `path`.
pub(crate) fn open_unpacked(
    path: &Path,
    unpacked: Option<Unpacked>,
    options: &ReadOptions,
    budget: MemoryBudget,
) -> Result<Box<dyn Source>, IoError> {
    let content = unpacked.as_ref().map_or(path, Unpacked::path);
    let mut source = find_format(content)
        .and_then(|format| {
            check_tree(format, path, options)?;
            format.open(&OpenRequest { path: content, options, budget })
        })
        .map_err(|error| error.about(path))?;
    if let Some(unpacked) = unpacked {
        source = unpacked.hold(source);
    }
    let header = source.header_mut();
    if ["MRC", "TIFF"].contains(&header.format) {
        match mdoc::beside(path) {
            Some(Ok(mdoc)) => mdoc.apply(header),
            Some(Err(problem)) => header.warnings.push(problem),
            None => {}
        }
    }
    beside::names(path).iter().for_each(|name| sidecar::apply_beside(name, header));
    if header.shape.contains(&0) {
        let [z, y, x] = header.shape;
        return Err(IoError::content(path, format!("the array is empty: {z} × {y} × {x}")));
    }
    options.check(path, header)?;
    options.say_first(header);
    if options.voxel_um.is_none() {
        say_ratios(path, header);
    }
    if let Some(kind) = options.kind {
        header.set_kind(kind);
    }
    let mut source = match options.axes {
        Some(order) => Turned::wrap(source, order, path, budget),
        None => source,
    };
    options.set_right(path, source.header_mut())?;
    Ok(source)
}

/// Refuses a choice in a tree that the format does not have.
pub(crate) fn check_tree(format: &dyn Format, path: &Path, options: &ReadOptions) -> Result<(), IoError> {
    let chosen = [("--entry", &options.entry), ("--dataset", &options.dataset)];
    match chosen.into_iter().find(|(_, chosen)| chosen.is_some()) {
        Some((option, _)) if !format.has_tree() => {
            let problem = format!(
                "{option} chooses in HDF5, OME-Zarr and AmiraMesh; a file of {} holds one array",
                format.name()
            );
            Err(IoError::content(path, problem))
        }
        _ => Ok(()),
    }
}

/// The arrays that a file holds, for a choice by `--dataset`; empty for formats that hold one.
///
/// # Errors
/// [`IoError`] for a missing, foreign or damaged file.
pub fn list_arrays(path: &Path) -> Result<Vec<ArrayEntry>, IoError> {
    find_format(path)?.arrays(path)
}

/// The scans or images that a file holds side by side, for a choice by `--entry`; empty for formats that hold one.
///
/// # Errors
/// [`IoError`] for a missing, foreign or damaged file.
pub fn list_entries(path: &Path) -> Result<Vec<String>, IoError> {
    find_format(path)?.entries(path)
}

/// What a file says about itself, without its values; of several arrays, channels or times the first.
///
/// # Errors
/// [`IoError`] for a missing, foreign or damaged file.
pub fn read_header(path: &Path) -> Result<Header, IoError> {
    read_header_of(path, &ReadOptions::default())
}

/// As [`read_header`], of the part of the file that is chosen.
///
/// # Errors
/// As [`read_header`], and for a part that the file lacks.
pub fn read_header_of(path: &Path, options: &ReadOptions) -> Result<Header, IoError> {
    Ok(open(path, options, MemoryBudget::from_system())?.header().clone())
}

/// Reads an array in the type it is stored in; of several arrays, channels or times the first, which is among the warnings.
///
/// # Errors
/// [`IoError`] for a missing, foreign or damaged file, and for one over `budget` (before anything is allocated).
pub fn read_array(path: &Path, progress: &Progress, budget: MemoryBudget) -> Result<Loaded, IoError> {
    read_array_of(path, &ReadOptions::default(), progress, budget)
}

/// As [`read_array`], of the part of the file that is chosen.
///
/// # Errors
/// As [`read_array`], and for a part that the file lacks.
pub fn read_array_of(
    path: &Path,
    options: &ReadOptions,
    progress: &Progress,
    budget: MemoryBudget,
) -> Result<Loaded, IoError> {
    read_all(open(path, options, budget)?.as_mut(), path, progress, budget)
}

/// Reads a volume as f32, with its frame and unit (arbitrary where the file does not say).
///
/// # Errors
/// As [`read_array`].
pub fn read_volume(path: &Path, progress: &Progress, budget: MemoryBudget) -> Result<Volume<f32>, IoError> {
    Ok(read_array(path, progress, budget)?.into_volume())
}

/// The format that is written under the extension of a path.
pub(crate) fn writer(path: &Path) -> Result<&'static dyn Format, IoError> {
    if super::zarr::label_place(path).is_some() {
        return Ok(&super::zarr::Zarr);
    }
    formats()
        .into_iter()
        .find(|format| format.writes() && has_extension(path, format.extensions()))
        .ok_or_else(|| IoError::NoWriter { path: path.to_owned(), writable: writable_formats() })
}

/// Says whether an array could be written under `path`, before hours of work go into it; leaves nothing there.
///
/// # Errors
/// As [`write_array`].
pub fn check_array_output(path: &Path) -> Result<(), IoError> {
    writer(path)?;
    // The labels folder of an image comes with the first label image.
    let place = super::zarr::label_place(path);
    check_writable(place.as_ref().map_or(path, |(image, _)| image))
}

/// Writes an array in the format of the extension; returns what that format could not carry, one sentence each.
///
/// The file appears whole under its final name or not at all. Types are kept where the format
/// has them; nothing is scaled.
///
/// # Errors
/// [`IoError::NoWriter`] for an unknown extension, [`IoError::ReadOnly`] for a locked folder, and what the format cannot hold at all.
pub fn write_array(
    path: &Path,
    request: &WriteRequest<'_>,
    progress: &Progress,
) -> Result<Vec<String>, IoError> {
    let format = writer(path)?;
    if request.array.shape().contains(&0) {
        return Err(IoError::content(path, "an empty array is not written"));
    }
    if let Some((image, name)) = super::zarr::label_place(path) {
        if request.unit != Some(Unit::Label) {
            return Err(IoError::content(
                path,
                "only labels lie in the labels folder of an image; say that these are (--as labels), or choose another name",
            ));
        }
        super::zarr::write_labels_into(&image, &name, request, progress)?;
        return Ok(Vec::new());
    }
    write_whole(format, path, Values::Held(request.array.clone()), request, progress)
}

/// Writes values under a temporary name that becomes `path`, and what the format cannot hold beside it; returns the losses.
pub(crate) fn write_whole(
    format: &dyn Format,
    path: &Path,
    values: Values<'_>,
    request: &WriteRequest<'_>,
    progress: &Progress,
) -> Result<Vec<String>, IoError> {
    let mut losses = write_atomically(path, |temporary| format.write(temporary, values, request, progress))?;
    losses.extend(ratio_loss(format, request));
    let mut beside = format.sidecar(request);
    losses.extend(beside.drop_what_is_too_long());
    sidecar::write_beside(path, Some(&beside).filter(|beside| !beside.is_empty()))?;
    Ok(losses)
}

/// Formats that hold edges without a unit.
const HOLD_RATIOS: [&str; 5] = ["OME-Zarr", "NRRD", "MetaImage", "NIfTI", "AmiraMesh"];

/// The sentence about edges without a unit, where the format holds none.
fn ratio_loss(format: &dyn Format, request: &WriteRequest<'_>) -> Option<String> {
    let ratios = request.ratios.filter(|ratios| request.voxel_um.is_none() && *ratios != [1.0; 3]);
    let [z, y, x] = ratios.filter(|_| !HOLD_RATIOS.contains(&format.name()))?;
    Some(format!(
        "{} holds no edges without a unit: {z} : {y} : {x} (z : y : x) was not written",
        format.name()
    ))
}
