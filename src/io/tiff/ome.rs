//! OME-XML: sizes, order and place of the planes, channels, physical size.
//!
//! Source: the OME model of 2016-06 and "OME-TIFF specification" (Open Microscopy Environment). Entities of one's own
//! are refused with the document type that would bring them; the text is bounded.

use roxmltree::{Document, Node, ParsingOptions};

use super::page::Form;
use super::said::{Axes, Said};
use crate::io::format::ArrayEntry;
use crate::io::lengths::{is_no_length, um_per};

/// Longest description that is parsed.
const MAX_TEXT: usize = 128 << 20;
/// Most elements and texts of one.
const MAX_NODES: u32 = 20_000_000;
/// Most planes that a description may place.
const MAX_PLANES: usize = 1 << 20;
/// Name space of our own words.
pub(super) const OWN_SPACE: &str = "waterwindow";

/// Where planes are, as one `TiffData` says.
#[derive(Debug, Clone, PartialEq, Default)]
struct TiffData {
    ifd: Option<usize>,
    /// First channel, plane, time.
    first: [usize; 3],
    n_planes: Option<usize>,
    file: Option<FileOf>,
}

/// A file of the set.
#[derive(Debug, Clone, PartialEq, Default)]
struct FileOf {
    uuid: String,
    name: Option<String>,
}

/// One image of a description.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Image {
    pub(super) id: String,
    pub(super) name: String,
    /// The order of channels, planes and times, the fastest first.
    order: [char; 3],
    /// Channels with their samples counted, planes, times.
    sizes: [usize; 3],
    /// Rows and columns, and the type of the values, as they are said.
    plane: [usize; 2],
    dtype: String,
    data: Vec<TiffData>,
    /// Identifier of the file that was asked for.
    own_uuid: Option<String>,
    pub(super) said: Said,
}

/// What was found in a description.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ome {
    /// Images of the file.
    Images(Vec<Image>),
    /// The file that holds the description in place of this one.
    ElsewhereIn(String),
}

/// Where one plane lies: directory `ifd` of the file `name`, of the file asked for where there is no name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) name: Option<String>,
    pub(super) ifd: usize,
}

/// Whether a description is OME-XML.
pub(super) fn is_ome(text: &str) -> bool {
    text.contains("<OME") || text.contains(":OME ")
}

fn named<'a>(node: Node<'a, 'a>, name: &'static str) -> impl Iterator<Item = Node<'a, 'a>> {
    node.children().filter(move |child| child.is_element() && child.tag_name().name() == name)
}

fn count(node: Node<'_, '_>, name: &str) -> Option<usize> {
    node.attribute(name)?.trim().parse().ok()
}

/// Parses a description.
pub(super) fn parse(text: &str) -> Result<Ome, String> {
    if text.len() > MAX_TEXT {
        return Err(format!("OME-XML of {} MB", text.len() >> 20));
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let text = text.trim_start_matches('\u{feff}').trim();
    let document =
        Document::parse_with_options(text, options).map_err(|e| format!("damaged OME-XML: {e}"))?;
    let root = document.root_element();
    if let Some(elsewhere) = named(root, "BinaryOnly").next() {
        let name =
            elsewhere.attribute("MetadataFile").ok_or("OME-XML that names no file with its description")?;
        return Ok(Ome::ElsewhereIn(name.to_owned()));
    }
    let own = own_words(root);
    let images = named(root, "Image").filter_map(|image| parse_image(image, root, own.as_deref()));
    let images: Vec<Image> = images.collect::<Result<_, String>>()?;
    if images.is_empty() { Err("OME-XML without an image".to_owned()) } else { Ok(Ome::Images(images)) }
}

/// Our own JSON among the annotations.
fn own_words(root: Node<'_, '_>) -> Option<String> {
    root.descendants()
        .find(|node| node.attribute("Namespace") == Some(OWN_SPACE))
        .and_then(|note| note.children().find(|child| child.tag_name().name() == "Value")?.text())
        .map(str::to_owned)
}

fn parse_image(image: Node<'_, '_>, root: Node<'_, '_>, own: Option<&str>) -> Option<Result<Image, String>> {
    let pixels = image.children().find(|child| child.tag_name().name() == "Pixels")?;
    Some((|| {
        let size = |name: &str| count(pixels, name).filter(|n| *n > 0);
        let sizes = [size("SizeC").unwrap_or(1), size("SizeZ").unwrap_or(1), size("SizeT").unwrap_or(1)];
        let n = sizes.iter().try_fold(1usize, |n, side| n.checked_mul(*side));
        if n.is_none_or(|n| n > MAX_PLANES) {
            return Err(format!("OME-XML of {sizes:?} channels, planes and times"));
        }
        let letters: Vec<char> = pixels
            .attribute("DimensionOrder")
            .unwrap_or("XYZCT")
            .chars()
            .filter(|c| !"XY".contains(*c))
            .collect();
        let order = match letters.as_slice() {
            [a, b, c] if ['C', 'Z', 'T'].iter().all(|axis| letters.contains(axis)) => [*a, *b, *c],
            _ => return Err(format!("OME-XML with axes in the order {letters:?}")),
        };
        let mut said = Said { is_without_size: true, ..Said::default() };
        physical_size(pixels, &mut said);
        channels(pixels, &mut said);
        modulo(root, &mut said.warnings);
        said.own = own.and_then(|json| serde_json::from_str(json).ok());
        Ok(Image {
            id: image.attribute("ID").unwrap_or_default().to_owned(),
            name: image.attribute("Name").unwrap_or_default().to_owned(),
            order,
            sizes,
            plane: ["SizeY", "SizeX"].map(|name| size(name).unwrap_or(1)),
            dtype: pixels.attribute("Type").unwrap_or_default().to_owned(),
            data: named(pixels, "TiffData").map(tiff_data).collect(),
            own_uuid: root.attribute("UUID").map(str::to_owned),
            said,
        })
    })())
}

fn physical_size(pixels: Node<'_, '_>, said: &mut Said) {
    let mut without: Vec<(usize, String)> = Vec::new();
    for (axis, [name, unit]) in [
        ["PhysicalSizeZ", "PhysicalSizeZUnit"],
        ["PhysicalSizeY", "PhysicalSizeYUnit"],
        ["PhysicalSizeX", "PhysicalSizeXUnit"],
    ]
    .into_iter()
    .enumerate()
    {
        let unit = pixels.attribute(unit).unwrap_or("µm");
        let Some(text) = pixels.attribute(name) else { continue };
        let value = text.trim().parse::<f64>().ok().filter(|value| value.is_finite() && *value > 0.0);
        let Some(value) = value else {
            said.warnings.push(format!("{name} is {text}, which is no size; it was left out"));
            continue;
        };
        if let Some(um) = um_per(unit) {
            said.voxel_um[axis] = Some(value * um);
            continue;
        }
        said.edges[axis] = Some(value);
        without.push((axis, unit.to_owned()));
        if !is_no_length(unit) || value != 1.0 {
            said.warnings.push(format!("{name} is {value} {unit}, which is no length in µm"));
        }
    }
    // Ratios of edges mean something in one unit only.
    let is_mixed = without.windows(2).any(|pair| pair[0].1 != pair[1].1);
    if is_mixed || said.voxel_um.iter().any(Option::is_some) {
        said.edges = [None; 3];
    }
}

/// Says which axes hold two things, one inside the other, as OMERO's annotation of modulo describes it.
fn modulo(root: Node<'_, '_>, warnings: &mut Vec<String>) {
    for (name, axis) in [("ModuloAlongZ", "Z"), ("ModuloAlongT", "T"), ("ModuloAlongC", "C")] {
        let Some(node) = root.descendants().find(|node| node.tag_name().name() == name) else { continue };
        let what = node.attribute("Type").unwrap_or("other");
        let number = |key: &str| node.attribute(key)?.trim().parse::<f64>().ok();
        let steps = number("Start").zip(number("End")).zip(number("Step"));
        let n = steps.map(|((from, to), step)| ((to - from) / step).round() + 1.0);
        let n = n.filter(|n| n.is_finite() && *n >= 1.0);
        let n = n.unwrap_or(named(node, "Label").count() as f64);
        warnings.push(format!(
            "along {axis} lie {n} steps of {what} inside each other step ({name}); they were read one after the other"
        ));
    }
}

fn channels(pixels: Node<'_, '_>, said: &mut Said) {
    for (i, channel) in named(pixels, "Channel").enumerate() {
        let name = channel.attribute("Name").or_else(|| channel.attribute("Fluor")).unwrap_or_default();
        said.channel_names.push(name.trim().to_owned());
        for key in ["EmissionWavelength", "ExcitationWavelength", "Fluor", "Color"] {
            if let Some(value) = channel.attribute(key) {
                let unit = channel.attribute(format!("{key}Unit").as_str());
                let unit = unit.or(key.ends_with("length").then_some("nm")).unwrap_or_default();
                let key = format!("channel_{i}_{}", key.to_lowercase());
                said.metadata.insert(key, format!("{value} {unit}").trim_end().to_owned());
            }
        }
    }
    if let Some(bits) = pixels.attribute("SignificantBits") {
        said.metadata.insert("significant_bits".to_owned(), bits.to_owned());
    }
}

fn tiff_data(node: Node<'_, '_>) -> TiffData {
    let first = |name| count(node, name).unwrap_or(0);
    let file = named(node, "UUID").next().map(|uuid| FileOf {
        uuid: uuid.text().unwrap_or_default().trim().to_owned(),
        name: uuid.attribute("FileName").map(str::to_owned),
    });
    TiffData {
        ifd: count(node, "IFD"),
        first: [first("FirstC"), first("FirstZ"), first("FirstT")],
        n_planes: count(node, "PlaneCount").or_else(|| count(node, "NumPlanes")),
        file,
    }
}

impl Image {
    /// What a list of images says of this one: its axes longer than 1, times and channels first, and its type.
    pub(super) fn listed(&self, index: usize) -> ArrayEntry {
        let ([channels, planes, times], [rows, cols]) = (self.sizes, self.plane);
        let before = [times, channels, planes].into_iter().filter(|n| *n > 1);
        let dtype = match self.dtype.as_str() {
            "float" => "float32",
            "double" => "float64",
            other => other,
        };
        ArrayEntry {
            path: index.to_string(),
            shape: before.chain([rows, cols]).collect(),
            dtype: dtype.to_owned(),
            note: self.name.clone(),
        }
    }

    /// Channels, planes and times in pages whose pixels have `n_samples` samples.
    pub(super) fn axes(&self, n_samples: usize) -> Option<Axes> {
        let [n_c, n_z, n_t] = self.sizes;
        let n_c = if n_c % n_samples == 0 { n_c / n_samples } else { n_c };
        Axes::ordered(self.order, n_c, n_z, n_t)
    }

    /// What the description says of the pages that they are not.
    pub(super) fn contradicts(&self, form: Form) -> Option<String> {
        let ([rows, cols], [_, found_rows, found_cols]) = (self.plane, form.shape);
        let dtype = form.stored.dtype().name();
        let said = match self.dtype.as_str() {
            "float" => "float32",
            "double" => "float64",
            "bit" | "" => dtype,
            other => other,
        };
        ([rows, cols] != [found_rows, found_cols] || said != dtype).then(|| {
            format!("the description says {rows} × {cols} {said}, the pages are {found_rows} × {found_cols} {dtype}, and were read as such")
        })
    }

    /// The files of the set beside the one that was asked for, which is called `own_name`.
    fn name_of<'a>(&self, data: &'a TiffData, own_name: &str) -> Option<&'a str> {
        let file = data.file.as_ref()?;
        let name = file.name.as_deref().unwrap_or(&file.uuid);
        let is_own = name.eq_ignore_ascii_case(own_name) || Some(&file.uuid) == self.own_uuid.as_ref();
        (!is_own).then_some(name)
    }

    /// Where each frame is, in the order of `axes`; `None` for those that nobody places.
    ///
    /// `n_pages` says how many directories a file has.
    pub(super) fn places(
        &self,
        axes: Axes,
        n_samples: usize,
        own_name: &str,
        n_pages: &mut dyn FnMut(Option<&str>) -> usize,
    ) -> Result<Vec<Option<Place>>, String> {
        let n = axes.n_frames().filter(|n| *n <= MAX_PLANES).ok_or("OME-XML of too many planes")?;
        if self.data.is_empty() {
            return Ok((0..n).map(|ifd| Some(Place { name: None, ifd })).collect());
        }
        let mut places = vec![None; n];
        let mut steps_left = MAX_PLANES;
        for data in &self.data {
            let [c, z, t] = data.first;
            // Some writers count the samples of a pixel as channels here too.
            let c = if c >= axes.n_channels { c / n_samples } else { c };
            if c >= axes.n_channels || z >= axes.n_planes || t >= axes.n_times {
                continue;
            }
            let from = c * axes.channel_step + z * axes.plane_step + t * axes.time_step;
            let name = self.name_of(data, own_name);
            let count = match (data.n_planes, data.ifd) {
                (Some(count), _) => count,
                (None, Some(_)) => 1,
                (None, None) => n_pages(name),
            };
            let count = count.min(n - from);
            steps_left =
                steps_left.checked_sub(count).ok_or("OME-XML that places its planes again and again")?;
            let first = data.ifd.unwrap_or(0);
            for (i, place) in places[from..from + count].iter_mut().enumerate() {
                *place = Some(Place { name: name.map(str::to_owned), ifd: first.saturating_add(i) });
            }
        }
        Ok(places)
    }
}
